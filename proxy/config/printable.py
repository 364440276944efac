"""Makes any text safe for terminals and logs. This module alone decides which characters are shown unchanged.

These are the characters that `str.isprintable` accepts. All others are escaped: control characters (C0, DEL, C1),
format characters (bidi controls, zero-width ones), separators other than the space, and unassigned code points.
"""

from collections.abc import Callable


def printable(raw: bytes | str) -> str:
    """One line for people. Escapes replace characters that are not printable, and bytes that are not UTF-8."""
    return _escaped(raw.decode(errors="surrogateescape") if isinstance(raw, bytes) else raw, _code)


def json_text(text: str) -> str:
    """The same line of JSON, or JSON string, with escapes for characters that are not printable."""
    return _escaped(text, _utf16)


def toml_text(text: str) -> str:
    """The same basic string of TOML, with escapes for characters that are not printable."""
    return _escaped(text, lambda char: f"\\u{ord(char):04x}" if char <= "\uffff" else f"\\U{ord(char):08x}")


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    return text if text.isprintable() else "".join(char if char.isprintable() else escape(char) for char in text)


def _code(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte that is not UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode() if not 0xD800 <= ord(char) < 0xE000 else "?"


def _utf16(char: str) -> str:
    """The escape of a character in JSON: its UTF-16 code units."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
