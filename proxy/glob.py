"""Globs on bytes, exactly as Redis' KEYS reads them (stringmatchlen in util.c), in linear-ish time.

Redis backtracks for every star; here only the last star does, which matches the same keys in at most
length-of-key times length-of-pattern steps: keys are chosen by clients.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

Matcher = Callable[[bytes], bool]

_SPECIAL: Final = b"*?[\\"


class _One(NamedTuple):
    """One byte out of a set."""

    accepted: frozenset[int]


_STAR: Final = None
_Token = _One | None


def compile_glob(pattern: bytes) -> Matcher:
    """A predicate on keys: `*`, `?`, `[a-z]`, `[^a]` and backslash escapes."""
    first, *others = pattern.split(b"*")
    if not any(char in _SPECIAL for char in b"".join((first, *others))):
        return _literals(first, others)
    tokens = _tokens(pattern)
    return lambda key: _matches(tokens, key)


def _literals(first: bytes, others: list[bytes]) -> Matcher:
    """Literals with stars between them: each is searched for behind the one before, at the speed of C."""
    if not others:
        return first.__eq__
    *middle, last = others
    middle = list(filter(None, middle))
    if not middle and not last and len(others) == 1:
        return lambda key: key.startswith(first)
    if not first and not middle and not last:
        return lambda key: key != b""  # Redis: of patterns of stars alone only `*` matches the empty key

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
    """What every key that matches begins with."""
    special = [at for at, char in enumerate(pattern) if char in _SPECIAL]
    return pattern[: special[0]] if special else pattern


def _tokens(pattern: bytes) -> list[_Token]:
    tokens: list[_Token] = []
    pos = 0
    while pos < len(pattern):
        char = pattern[pos]
        pos += 1
        if char == ord("*"):
            if not tokens or tokens[-1] is not _STAR:
                tokens.append(_STAR)
        elif char == ord("?"):
            tokens.append(_One(frozenset(range(256))))
        elif char == ord("["):
            token, pos = _class(pattern, pos)
            tokens.append(token)
        else:
            if char == ord("\\") and pos < len(pattern):
                char = pattern[pos]
                pos += 1
            tokens.append(_One(frozenset({char})))
    return tokens


def _class(pattern: bytes, pos: int) -> tuple[_One, int]:
    """A `[...]`, from behind its bracket; one that never closes ends with the pattern, as in Redis."""
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
    return _One(frozenset(range(256)) - chars if negated else frozenset(chars)), pos + 1


def _signed(char: int) -> int:
    """A byte as Redis orders it in a range: C's char has a sign, on x86 at least (not on ARM)."""
    return char - 256 if char > 127 else char


def _matches(tokens: list[_Token], key: bytes) -> bool:
    if not key:
        return not tokens  # Redis does not even look: only `*` alone, and no pattern, match the empty key
    at = token = 0
    star, star_at = -1, 0
    while at < len(key):
        if token < len(tokens):
            current = tokens[token]
            if current is _STAR:
                star, star_at = token, at
                token += 1
                continue
            if key[at] in current.accepted:
                token += 1
                at += 1
                continue
        if star < 0:
            return False
        star_at += 1
        token, at = star + 1, star_at
    return all(rest is _STAR for rest in tokens[token:])
