"""Output: coloured values, escaped keys and a progress bar on a terminal; unchanged bytes elsewhere.

Stored bytes may contain a terminal's control sequences. On a terminal they are escaped. Elsewhere they go to programs
and stay unchanged: an escape could also make a line of `export` longer than `load` accepts.
"""

import re
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Self

import click
import msgspec

from proxy.config.printable import json_text, printable

_TOKEN: Final = re.compile(r'(?P<text>"(?:[^"\\]++|\\.)*+")(?P<colon>:?)|(?P<word>[^\s\[\]{},:"]++)')
_LARGE: Final = 5000
"""The number of steps from which on a bar is shown."""


def pretty(payload: bytes) -> str:
    """Indented JSON with colours. Click removes the colours if the output is not a terminal."""
    return _TOKEN.sub(_coloured, msgspec.json.format(payload, indent=2).decode())


def _coloured(token: re.Match[str]) -> str:
    if token["text"] is None:
        return click.style(token["word"], fg="yellow")
    text = json_text(token["text"])
    if not token["colon"]:
        return click.style(text, fg="green")
    return click.style(text, fg="magenta" if text.startswith('"py/') else "blue") + ":"


def _write(raw: bytes) -> None:
    sys.stdout.buffer.write(raw)


def write_line(document: bytes) -> None:
    """Write a JSON document as one line. On a terminal, control characters are JSON escapes."""
    _write((json_text(document.decode()).encode() if sys.stdout.isatty() else document) + b"\n")


def write_object(fields: dict[str, Any]) -> None:
    """Write an object as one line of JSON."""
    write_line(msgspec.json.encode(fields))


def write_payload(payload: bytes, is_json: bool) -> None:
    """Write a payload or other bytes unchanged. On a terminal, JSON is coloured and other bytes are escaped."""
    if not sys.stdout.isatty():
        _write(payload + b"\n" if is_json else payload)
    elif is_json:
        click.echo(pretty(payload))
    else:
        lines = payload.removesuffix(b"\n").split(b"\n")
        click.echo("\n".join(map(printable, lines)))


def read(most: int) -> bytes:
    """Read standard input, but at most `most` + 1 bytes: enough to see that it is too long."""
    return sys.stdin.buffer.read(most + 1)


def duration(milliseconds: int | None) -> str:
    """A time to live in seconds, for people; "none" without expiry."""
    return "none" if milliseconds is None else f"{milliseconds / 1000:.10g}s"


def counted(number: int, noun: str) -> str:
    """`1 key`, `2 keys`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Bar:
    """A progress bar on stderr. It appears only on a terminal, and only from `large` steps on."""

    def __init__(self, length: int, label: str, large: int = _LARGE) -> None:
        """`length`: the number of all steps."""
        self._length = length
        self._label = label
        self._bar: Any = None
        self._shown = sys.stderr.isatty() and length >= large

    def __enter__(self) -> Self:
        if self._shown:
            self._bar = click.progressbar(length=self._length, label=self._label, file=sys.stderr).__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, traceback)

    def update(self, steps: int) -> None:
        """Add finished steps."""
        if self._bar is not None:
            self._bar.update(steps)

    def clear(self) -> None:
        """Erase the bar, so that a line can be printed. The next update draws it again."""
        if self._bar is not None:
            click.echo("\r\033[K", nl=False, err=True)

    def track(self, parts: "Iterable[tuple[int, Any]]") -> "Iterable[Any]":
        """Yield the second item of each pair. When the caller asks for the next one, add the first item's steps."""
        for steps, part in parts:
            yield part
            self.update(steps)
