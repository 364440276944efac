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

from proxy.cli.output import pretty, printable
from tests.cli.conftest import Run
from tests.conftest import RedisServer

KEY = "flask_cache_k"


class Terminal:
    """Runs commands with a terminal for their output."""

    def __init__(self, upstream: str) -> None:
        self._env = {**os.environ, "FLASK_CACHE_PROXY_UPSTREAM_URL": upstream, "TERM": "xterm"}

    def __call__(self, *arguments: str, piped: bool = False, **env: str) -> tuple[str, str]:
        """What is seen; and with `piped`, where only stderr is the terminal, what went elsewhere."""
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


def test_what_takes_long_has_a_bar_on_stderr(terminal: Terminal, direct: redis.Redis, tmp_path: Path) -> None:
    direct.mset({f"flask_cache_{number}": str(number) for number in range(6000)})
    bar, lines = terminal("export", piped=True)
    assert "exporting" in bar
    assert "100%" in bar
    assert len(lines.splitlines()) == 6000
    file = tmp_path / "lines"
    file.write_text(lines * 10)
    bar, _ = terminal("load", str(file), piped=True)
    assert "loading" in bar
    assert "100%" in bar
    assert bar.endswith("60000 lines stored\n")
    bar, _ = terminal("scan", "--undecodable")
    assert "scanning" in bar
    assert "6000 keys, 0 of them undecodable" in bar


def test_what_is_quick_has_none(terminal: Terminal, run: Run) -> None:
    run("set", KEY, "1")
    assert terminal("export", piped=True) == ("", f'{{"key":"{KEY}","value":1}}\n')


@given(st.text() | st.binary())
def test_what_is_printable_is_one_line_of_text(raw: str | bytes) -> None:
    text = printable(raw)
    assert text.isprintable()
    text.encode()


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)
    )
)
def test_pretty_json_is_still_the_same_json(value: object) -> None:
    shown = re.sub("\x1b\\[[0-9]+m", "", pretty(msgspec.json.encode(value)))
    assert msgspec.json.decode(shown) == value
    assert shown.replace("\n", "").isprintable()
