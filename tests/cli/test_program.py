"""The program on streams that fail: it ends in a sentence, and never in a traceback."""

import subprocess
import sys

import pytest

FULL = "/dev/full"


def _shell(words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The program, its streams redirected by a shell."""
    program = f"{sys.executable} -m proxy {words}"
    return subprocess.run(["sh", "-c", program], capture_output=True, text=True, env=more, timeout=300, check=False)


@pytest.mark.parametrize("words", ["key view /", "--help", "check", "key view --help", "encode <<< 1"])
def test_a_full_disk_is_said(words: str) -> None:
    command, _, given = words.partition(" <<< ")
    done = _shell(f"{command} >{FULL}") if not given else _shell(f"{command} >{FULL} <<END\n{given}\nEND")
    assert (done.returncode, done.stderr) == (1, "cannot read or write: No space left on device\n")


def test_a_reader_that_went_away_is_no_fault() -> None:
    done = _shell("key view / | true")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_stream_is_an_empty_one() -> None:
    done = _shell("encode <&-")
    assert done.returncode == 1
    assert done.stderr.startswith("cannot be encoded: ")
    assert _shell("load --dry-run - <&-").returncode == 0
    assert _shell("key view / <&- >&- 2>&-").returncode == 0


def test_a_narrow_encoding_has_escapes() -> None:
    done = _shell("check --listen unix:/€.sock | grep -c u20ac", PYTHONIOENCODING="latin-1", PYTHONUTF8="1")
    assert (done.stdout, done.stderr) == ("1\n", "")
