"""Globs, against the KEYS of a real Redis."""

import platform
from collections.abc import Iterator
from typing import cast

import pytest
import redis
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from proxy.codec.glob import compile_glob, is_prefix, literal_prefix
from tests import effort
from tests.conftest import RedisServer

CHARS_HAVE_A_SIGN = platform.machine().lower() in ("x86_64", "amd64", "i686")
"""Whether C's char is signed there: it decides the meaning of a range with one end above 127."""


@pytest.fixture(scope="module")
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=redis_server.unix, protocol=2) as made:
        yield made


letters = st.sampled_from([b"a", b"b", b"c", b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"\x80", b"\xff", b"\0"])
keys = st.lists(letters, max_size=5).map(b"".join)
classes = st.builds(
    lambda inside, end: b"[" + inside + end, st.lists(letters, max_size=4).map(b"".join), st.sampled_from([b"]", b""])
)
patterns = st.lists(letters | classes, max_size=6).map(b"".join)


@given(pattern=patterns, present=st.sets(keys, min_size=20, max_size=60))
@example(pattern=b"*", present={b"", b"a"})
@example(pattern=b"**", present={b"", b"a"})
@example(pattern=b"", present={b"", b"a"})
@example(pattern=b"a\\", present={b"a", b"a\\"})
@example(pattern=b"[", present={b"", b"[", b"a"})
@example(pattern=b"[^", present={b"", b"^", b"a"})
@example(pattern=b"[^]", present={b"", b"^", b"a", b"]"})
@example(pattern=b"[a-", present={b"a", b"-", b"b"})
@example(pattern=b"[\\", present={b"\\", b"a"})
@example(pattern=b"[c-a]", present={b"a", b"b", b"c", b"-"})
@example(pattern=b"[a-\xff]", present={b"a", b"b", b"B", b"\x80", b"\xff"})
@settings(max_examples=effort.cases(500), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_glob_matches_the_keys_that_redis_matches(client: redis.Redis, pattern: bytes, present: set[bytes]) -> None:
    assume(CHARS_HAVE_A_SIGN or b"-" not in pattern or max(pattern) < 128)
    client.flushall()
    client.mset(dict.fromkeys(present, b""))
    found = cast("set[bytes]", set(client.keys(pattern)))
    matches = compile_glob(pattern)
    assert {key for key in present if matches(key)} == found
    assert all(key.startswith(literal_prefix(pattern)) for key in found)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (b"", b""),
        (b"*", b""),
        (b"?a", b""),
        (b"flask_cache_*", b"flask_cache_"),
        (b"plain", b"plain"),
        (b"a[b]", b"a"),
        (b"a\\*b", b"a*b"),
        (b"a\\", b"a"),  # less than could be known, never more
        (b"a\\[1\\]_*", b"a[1]_"),
        (b"a]^-b*", b"a]^-b"),
    ],
)
def test_the_literal_prefix_is_what_stands_before_anything_special(pattern: bytes, expected: bytes) -> None:
    assert literal_prefix(pattern) == expected


@given(pattern=patterns, key=keys)
def test_what_matches_begins_with_the_literal_prefix(pattern: bytes, key: bytes) -> None:
    if compile_glob(pattern)(key):
        assert key.startswith(literal_prefix(pattern))


@given(pattern=patterns, key=keys)
@example(pattern=b"*?a*a*a*b", key=b"aaaab")
@example(pattern=b"a*[^]*b", key=b"a\nb")
@example(pattern=b"*[]a]*", key=b"a]")
@settings(max_examples=effort.cases(2000))
def test_a_glob_matches_what_stringmatchlen_matches(pattern: bytes, key: bytes) -> None:
    assert compile_glob(pattern)(key) is (pattern == b"*" or stringmatchlen(pattern, key))


def stringmatchlen(pattern: bytes, key: bytes) -> bool:
    """Redis' own algorithm (util.c), which backtracks for every star."""
    while pattern and key:
        if pattern[:1] == b"*":
            while pattern[1:2] == b"*":
                pattern = pattern[1:]
            return len(pattern) == 1 or any(stringmatchlen(pattern[1:], key[at:]) for at in range(len(key)))
        if pattern[:1] == b"[":
            matched, pattern = in_class(pattern[1:], key[0])
            if not matched:
                return False
        elif pattern[:1] != b"?":
            if pattern[:1] == b"\\" and len(pattern) >= 2:
                pattern = pattern[1:]
            if pattern[:1] != key[:1]:
                return False
        pattern, key = pattern[1:], key[1:]
        if not key:
            pattern = pattern.lstrip(b"*")
    return not pattern and not key


def in_class(pattern: bytes, char: int) -> tuple[bool, bytes]:
    negated = pattern[:1] == b"^"
    if negated:
        pattern = pattern[1:]
    found = False
    while pattern and pattern[:1] != b"]":
        if pattern[:1] == b"\\" and len(pattern) >= 2:
            pattern = pattern[1:]
            found |= pattern[0] == char
        elif len(pattern) >= 3 and pattern[1:2] == b"-":
            low, high = sorted((ordered(pattern[0]), ordered(pattern[2])))
            found |= low <= ordered(char) <= high
            pattern = pattern[2:]
        else:
            found |= pattern[0] == char
        pattern = pattern[1:]
    return found is not negated, pattern


def ordered(char: int) -> int:
    return char - 256 if char > 127 else char


@pytest.mark.parametrize("key", [b"a" * 1_000_000, b"_a" * 500_000, b"a_" * 500_000], ids=["a", "_a", "a_"])
@pytest.mark.parametrize(
    "pattern",
    [
        b"*a*a*a*b",
        b"*?a*a*a*b",
        b"*[a]*[a]*[a]*[b]",
        b"*_[0-9]*",
        b"[a_]*a*?*a?*[^a_]",
        b"*" * 500 + b"?" + b"*" * 500 + b"b",
    ],
)
def test_a_long_key_takes_no_longer_for_many_stars(pattern: bytes, key: bytes) -> None:
    assert not compile_glob(pattern)(key)  # with backtracking this would take years


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (b"*", True),
        (b"a*", True),
        (b"", False),
        (b"a", False),
        (b"a**", False),
        (b"a*b", False),
        (b"a?*", False),
        (b"a\\[1]*", True),
        (b"a\\*", False),
        (b"\\\\*", True),
    ],
)
def test_some_globs_are_a_prefix_and_nothing_else(pattern: bytes, expected: bool) -> None:
    assert is_prefix(pattern) is expected
