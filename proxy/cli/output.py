"""How things look on a terminal: values in colour, keys that cannot harm it, and a bar for what takes long.

What was stored may hold anything, a terminal's control sequences too: whatever is printed for people has them escaped.
"""

import re
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Self

import click
import msgspec

_TOKEN: Final = re.compile(r'(?P<text>"(?:[^"\\]++|\\.)*+")(?P<colon>:?)|(?P<word>[^\s\[\]{},:"]++)')
_LARGE: Final = 5000
"""Steps from which on a bar is worth its place."""


def printable(raw: bytes | str) -> str:
    """Text that a terminal takes for text and nothing else, in one line: what is not is shown by its code."""
    text = raw.decode(errors="surrogateescape") if isinstance(raw, bytes) else raw
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _code(char) for char in text)


def _code(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte that is no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode() if not 0xD800 <= ord(char) < 0xE000 else "?"


def pretty(payload: bytes) -> str:
    """JSON over several lines, in colour (which click takes out where there is no terminal). Still JSON."""
    return _TOKEN.sub(_coloured, msgspec.json.format(payload, indent=2).decode())


def _coloured(token: re.Match[str]) -> str:
    if token["text"] is None:
        return click.style(token["word"], fg="yellow")
    text = token["text"] if token["text"].isprintable() else "".join(map(_escaped, token["text"]))
    if not token["colon"]:
        return click.style(text, fg="green")
    return click.style(text, fg="magenta" if text.startswith('"py/') else "blue") + ":"


def _escaped(char: str) -> str:
    return char if char.isprintable() else _as_units(char)


def _as_units(char: str) -> str:
    """JSON's escapes are UTF-16."""
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def write(raw: bytes) -> None:
    """Bytes to standard output, as they are."""
    sys.stdout.buffer.write(raw)


def write_object(fields: dict[str, Any]) -> None:
    """An object in a line of its own, for machines."""
    write(msgspec.json.encode(fields) + b"\n")


def write_payload(payload: bytes, is_json: bool) -> None:
    """A payload (or any bytes) as it is; on a terminal in colour, or with whatever could harm that escaped."""
    if not sys.stdout.isatty():
        write(payload + b"\n" if is_json else payload)
    elif is_json:
        click.echo(pretty(payload))
    else:
        lines = payload.removesuffix(b"\n").split(b"\n")
        click.echo("\n".join(map(printable, lines)))


def read(most: int) -> bytes:
    """Standard input, or so much of it as shows that it is more than `most` bytes."""
    return sys.stdin.buffer.read(most + 1)


def duration(milliseconds: int | None) -> str:
    """A time to live, for people: in seconds, or `none`."""
    return "none" if milliseconds is None else f"{milliseconds / 1000:.10g}s"


def counted(number: int, noun: str) -> str:
    """`1 key`, `2 keys`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Bar:
    """A progress bar on stderr, if a person reads that and there is much to do; else nothing."""

    def __init__(self, length: int, label: str, large: int = _LARGE) -> None:
        """`length`: steps."""
        self._length = length
        self._label = label
        self._bar: Any = None
        self._shown = sys.stderr.isatty() and length >= large

    def __enter__(self) -> Self:
        """Show it."""
        if self._shown:
            self._bar = click.progressbar(length=self._length, label=self._label, file=sys.stderr).__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End its line."""
        if self._bar is not None:
            self._bar.__exit__(kind, error, traceback)

    def update(self, steps: int) -> None:
        """So many steps are done."""
        if self._bar is not None:
            self._bar.update(steps)

    def clear(self) -> None:
        """Make place for a line on the same terminal; the next update draws the bar again."""
        if self._bar is not None:
            click.echo("\r\033[K", nl=False, err=True)

    def track(self, parts: "Iterable[tuple[int, Any]]") -> "Iterable[Any]":
        """What stands behind the steps of each part; the steps are taken once it has been dealt with."""
        for steps, part in parts:
            yield part
            self.update(steps)
