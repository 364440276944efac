"""On a terminal: colours, bars, and nothing that a value could do to it."""

import os
import pty
import re
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.output import pretty
from tests.cli.conftest import Run
from tests.conftest import RedisServer

KEY = "flask_cache_k"


class Terminal:
    """Runs commands with a terminal for their output."""

    def __init__(self, upstream: str) -> None:
        self._env = {**os.environ, "FLASK_CACHE_PROXY_UPSTREAM_URL": upstream, "TERM": "xterm"}

    def __call__(self, *arguments: str, piped: bool = False, **env: str) -> tuple[str, str]:
        """The terminal's content. With `piped`, only stderr is the terminal, and the redirected output comes too."""
        ours, theirs = pty.openpty()
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.OPOST  # line feeds stay what they are
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        command = [sys.executable, "-W", "error", "-m", "proxy", *arguments]
        with tempfile.TemporaryFile() as file:
            out = file if piped else theirs
            with subprocess.Popen(command, env=self._env | env, stdin=theirs, stdout=out, stderr=theirs):
                os.close(theirs)
                seen = b"".join(_until_the_end(ours))
                os.close(ours)
            file.seek(0)
            return seen.decode(), file.read().decode()


def _until_the_end(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: nobody has it open any more
            return
        if not piece:
            return
        yield piece


@pytest.fixture
def terminal(redis_server: RedisServer, direct: redis.Redis) -> Terminal:
    return Terminal(f"unix://{redis_server.unix}")


def test_values_are_in_colour_unless_nobody_wants_it(terminal: Terminal, run: Run) -> None:
    run("set", KEY, '{"a": {"py/tuple": [1, "x", null]}}')
    seen, _ = terminal("get", KEY)
    plain = '{\n  "a": {\n    "py/tuple": [\n      1,\n      "x",\n      null\n    ]\n  }\n}\n'
    assert '\x1b[34m"a"\x1b[0m:' in seen
    assert '\x1b[35m"py/tuple"\x1b[0m:' in seen
    assert terminal("get", KEY, NO_COLOR="1")[0] == plain
    assert "\x1b" in terminal("inspect", KEY)[0]
    for command in ("get", "inspect", "scan"):
        words = (command,) if command == "scan" else (command, KEY)
        assert "\x1b" not in terminal(*words, NO_COLOR="1")[0]
        assert "\x1b" not in run(*words).text


def test_a_view_gets_a_line_feed_on_a_terminal_only(terminal: Terminal, run: Run, config: Path) -> None:
    run("set", "-c", str(config), "shop_page", "<b>")
    assert terminal("get", "-c", str(config), "shop_page")[0] == "<b>\n"
    assert run("get", "-c", str(config), "shop_page").text == "<b>"


def test_bytes_cannot_harm_a_terminal(terminal: Terminal, run: Run, direct: redis.Redis, config: Path) -> None:
    run("set", "-c", str(config), "shop_page", given=b"<b>\n\x1b[2J\xff")
    assert terminal("get", "-c", str(config), "shop_page")[0] == "<b>\n\\x1b[2J\\xff\n"
    assert run("get", "-c", str(config), "shop_page").out == b"<b>\n\x1b[2J\xff"
    direct.set(b"flask_cache_\x1b[2J", "1")
    assert "\x1b" not in terminal("scan")[0]


# What a terminal obeys, reorders or hides: CSI as one character, DEL, a zero-width space, a bidi override, a line
# separator, a byte order mark, and a tag character, beyond the BMP. In UTF-8.
UNSAFE = "\x9b2J\x7f\u200b\u202e\u2066\u061c\u2028\ufeff\U000e0041"
SAFE = "é 日本語 \U0001f600"


class TestNothingUnsafe:
    """However it is asked for: what is JSON stays the same JSON, and can be loaded again."""

    KEY = f"flask_cache_{UNSAFE}{SAFE}"

    @pytest.fixture(autouse=True)
    def _stored(self, run: Run) -> None:
        run("set", self.KEY, msgspec.json.encode({UNSAFE: [UNSAFE, SAFE]}))

    @pytest.mark.parametrize(
        "words", ["get --json KEY", "inspect --json KEY", "scan --json", "export", "key fragment --json KEY", "get KEY"]
    )
    def test_as_json(self, terminal: Terminal, run: Run, words: str) -> None:
        arguments = [self.KEY if one == "KEY" else one for one in words.split()]
        seen, _ = terminal(*arguments, NO_COLOR="1")
        assert seen.replace("\n", "").isprintable()
        assert SAFE in seen
        assert msgspec.json.decode(seen) == msgspec.json.decode(run(*arguments).out)

    @pytest.mark.parametrize("words", ["scan", "inspect KEY", "key fragment KEY", "get KEYx", "get --KEY", "KEY"])
    def test_for_people(self, terminal: Terminal, words: str) -> None:
        seen, _ = terminal(*(one.replace("KEY", self.KEY) for one in words.split()), NO_COLOR="1")
        assert SAFE in seen
        assert seen.replace("\n", "").isprintable()

    def test_a_pipe_gets_the_bytes_as_they_are(self, terminal: Terminal) -> None:
        _, piped = terminal("export", piped=True)
        assert UNSAFE.replace("\x7f", "") in piped.replace("\x7f", "").replace("\\u007f", "")

    def test_what_was_seen_can_be_loaded(
        self, terminal: Terminal, run: Run, direct: redis.Redis, tmp_path: Path
    ) -> None:
        value = run("get", self.KEY).out
        (tmp_path / "seen").write_text(terminal("export")[0])
        direct.flushall()
        assert run("load", str(tmp_path / "seen")).status == 0
        assert run("get", self.KEY).out == value

    def test_a_configuration(self, terminal: Terminal, tmp_path: Path) -> None:
        (tmp_path / "in.toml").write_text(f'[[rule]]\nkeys = "a{UNSAFE[0]}\\u007f{UNSAFE[4:]}{SAFE}*"\n')
        seen, _ = terminal("check", "-c", str(tmp_path / "in.toml"))
        assert SAFE in seen
        assert seen.replace("\n", "").isprintable()
        (tmp_path / "out.toml").write_text(seen)
        assert terminal("check", "-c", str(tmp_path / "out.toml"))[0] == seen
        (tmp_path / "bad.toml").write_text(f'[[rule]]\n"{UNSAFE[4:]}" = "{UNSAFE[0]}"\n')
        assert terminal("check", "-c", str(tmp_path / "bad.toml"))[0].replace("\n", "").isprintable()


def test_what_takes_long_has_a_bar_on_stderr(terminal: Terminal, direct: redis.Redis, tmp_path: Path) -> None:
    direct.mset({f"flask_cache_{number}": "1" * 200 for number in range(6000)})
    bar, lines = terminal("export", piped=True)
    assert "exporting" in bar
    assert "100%" in bar
    assert len(lines.splitlines()) == 6000
    file = tmp_path / "lines"
    file.write_text(lines)
    bar, _ = terminal("load", str(file), piped=True)
    assert "loading" in bar
    assert "100%" in bar
    assert bar.endswith("6000 lines stored\n")
    bar, _ = terminal("scan", "--undecodable")
    assert "scanning" in bar
    assert "6000 keys, 0 of them undecodable" in bar


def test_what_is_quick_has_none(terminal: Terminal, run: Run) -> None:
    run("set", KEY, "1")
    assert terminal("export", piped=True) == ("", f'{{"key":"{KEY}","value":1}}\n')


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)
    )
)
def test_pretty_json_is_still_the_same_json(value: object) -> None:
    shown = re.sub("\x1b\\[[0-9]+m", "", pretty(msgspec.json.encode(value)))
    assert msgspec.json.decode(shown) == value
    assert shown.replace("\n", "").isprintable()
