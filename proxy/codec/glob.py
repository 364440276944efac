"""Globs on bytes, exactly as in Redis' KEYS (stringmatchlen in util.c), in time linear in the key.

Clients choose keys, and Redis backtracks for every star. Here, the text after a star is matched at its first place, and
that place is final. The same keys match. Names of classes are matched in the same way.
"""

import re
from collections.abc import Callable, Iterable
from operator import methodcaller
from typing import Final

Matcher = Callable[[bytes], bool]

_SPECIAL: Final = b"*?[\\"
_BEGINNING: Final = re.compile(rb"(?:[^*?\[\\]|\\.)*", re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_ANY: Final = frozenset(range(256))
_Segment = list[frozenset[int]]
"""The pattern between two stars: for each byte of the key, the set of accepted values."""


def compile_glob(pattern: bytes) -> Matcher:
    """A predicate on keys: `*`, `?`, `[a-z]`, `[^a]` and backslash escapes."""
    if is_literal(pattern):
        return literal_prefix(pattern).__eq__
    if is_prefix(pattern):
        return methodcaller("startswith", literal_prefix(pattern))
    first, *others = pattern.split(b"*")
    if not any(char in _SPECIAL for char in b"".join((first, *others))):
        return _literals(first, others)
    fullmatch = re.compile(_expression(_segments(pattern)), re.DOTALL).fullmatch
    return lambda key: fullmatch(key) is not None


def _literals(first: bytes, others: list[bytes]) -> Matcher:
    """Literals with stars between them. Each is searched after the previous one, at the speed of C."""
    *middle, last = others
    middle = list(filter(None, middle))
    if not first and not middle and not last:
        return lambda key: key != b""  # as in Redis: `**` does not match the empty key, unlike `*`

    def matches(key: bytes) -> bool:
        if not key.startswith(first):
            return False
        at = len(first)
        for literal in middle:
            found = key.find(literal, at)
            if found < 0:
                return False
            at = found + len(literal)
        return len(key) - at >= len(last) and key.endswith(last)

    return matches


def literal_prefix(pattern: bytes) -> bytes:
    """The fixed beginning of every matching key, without escapes."""
    return _ESCAPE.sub(rb"\1", _fixed(pattern))


def is_literal(pattern: bytes) -> bool:
    """Whether a pattern matches one key only."""
    return _fixed(pattern) == pattern


def is_prefix(pattern: bytes) -> bool:
    """Whether a pattern is a literal prefix and one star, so that every key with this prefix matches."""
    return pattern == _fixed(pattern) + b"*"


def hides(earlier: bytes, later: bytes) -> bool:
    """Whether every key that matches `later` surely matches `earlier` too. Not every such pair is found."""
    if is_prefix(earlier):
        return literal_prefix(later).startswith(literal_prefix(earlier))
    if is_literal(later):
        return compile_glob(earlier)(literal_prefix(later))
    if earlier == later:
        return True
    # A star of `later` is a character here. Without other special characters, only a star of `earlier` matches it.
    is_simple = not set(earlier) & set(b"?[\\") and not set(later) & set(b"[\\")
    return is_simple and compile_glob(earlier)(later)


def _fixed(pattern: bytes) -> bytes:
    """The literal beginning of a pattern, as it is written there."""
    found = _BEGINNING.match(pattern)
    return found[0] if found else b""


def _expression(segments: list[_Segment]) -> bytes:
    """The pattern as a regular expression that never backtracks.

    An atomic group finds each segment at the first place where it matches, since a later star can match the rest. The
    last segment ends the key: the expression consumes the rest of the key, then a lookbehind checks its end.
    """
    first, *others = (b"".join(map(_one_of, segment)) for segment in segments)
    if not others:
        return first
    *middle, last = others
    found = b"".join(b"(?>.*?%b)" % segment for segment in middle if segment)
    return b"%b%b.{%d,}+(?<=%b)" % (first, found, len(segments[-1]), last)


def _one_of(accepted: frozenset[int]) -> bytes:
    if accepted == _ANY:
        return b"."
    if not accepted:
        return b"(?!.)."  # `[]` matches no byte, but a lookbehind needs its width
    return b"[%b]" % b"".join(b"\\x%02x" % char for char in sorted(accepted))


def _segments(pattern: bytes) -> list[_Segment]:
    segments: list[_Segment] = [[]]
    pos = 0
    while pos < len(pattern):
        char = pattern[pos]
        pos += 1
        if char == ord("*"):
            segments.append([])
        elif char == ord("?"):
            segments[-1].append(_ANY)
        elif char == ord("["):
            accepted, pos = _class(pattern, pos)
            segments[-1].append(accepted)
        else:
            if char == ord("\\") and pos < len(pattern):
                char = pattern[pos]
                pos += 1
            segments[-1].append(frozenset({char}))
    return segments


def _class(pattern: bytes, pos: int) -> tuple[frozenset[int], int]:
    """Parse `[...]` after its opening bracket. Without a closing one it ends with the pattern, as in Redis."""
    negated = pattern[pos : pos + 1] == b"^"
    pos += negated
    chars: set[int] = set()
    while pos < len(pattern) and pattern[pos] != ord("]"):
        if pattern[pos] == ord("\\") and pos + 1 < len(pattern):
            chars.add(pattern[pos + 1])
            pos += 2
        elif pos + 2 < len(pattern) and pattern[pos + 1] == ord("-"):
            low, high = sorted((_signed(pattern[pos]), _signed(pattern[pos + 2])))
            chars.update(char & 0xFF for char in range(low, high + 1))
            pos += 3
        else:
            chars.add(pattern[pos])
            pos += 1
    return (_ANY - chars if negated else frozenset(chars)), pos + 1


def _signed(char: int) -> int:
    """A byte as Redis orders it in a range: C's char is signed on x86 (not on ARM)."""
    return char - 256 if char > 127 else char


def name_matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """A predicate on names of classes: whether one of the patterns matches. It is case-sensitive."""
    globs = [compile_glob(pattern.encode()) for pattern in patterns]

    def matches(name: str) -> bool:
        raw = name.encode()
        return any(each(raw) for each in globs)

    return matches
