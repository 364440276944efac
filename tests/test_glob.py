"""Globs, against the KEYS of a real Redis."""

import platform
from collections.abc import Iterator
from typing import cast

import pytest
import redis
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from proxy.glob import compile_glob, literal_prefix
from tests.conftest import RedisServer

CHARS_HAVE_A_SIGN = platform.machine().lower() in ("x86_64", "amd64", "i686")
"""As C has it there: it decides what a range with one end above 127 holds."""


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
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
        (b"a\\*b", b"a"),  # less than could be known, never more
        (b"a]^-b*", b"a]^-b"),
    ],
)
def test_the_literal_prefix_is_what_stands_before_anything_special(pattern: bytes, expected: bytes) -> None:
    assert literal_prefix(pattern) == expected


@given(pattern=patterns, key=keys)
def test_what_matches_begins_with_the_literal_prefix(pattern: bytes, key: bytes) -> None:
    if compile_glob(pattern)(key):
        assert key.startswith(literal_prefix(pattern))


class Counted(bytes):
    """Counts how often one of its bytes is looked at."""

    looks = 0

    def __getitem__(self, at):  # type: ignore[no-untyped-def]
        self.looks += 1
        return super().__getitem__(at)


@pytest.mark.parametrize("stars", [1, 4, 16])
def test_stars_do_not_multiply_the_work(stars: int) -> None:
    key = Counted(b"a" * 10_000)
    assert not compile_glob(b"a*" * stars + b"b")(key)
    assert key.looks <= 3 * len(key)


def test_the_work_is_at_most_the_key_times_the_pattern() -> None:
    pattern, key = b"*" + b"a" * 50 + b"b", Counted(b"a" * 1000)
    assert not compile_glob(pattern)(key)
    assert key.looks <= len(key) * len(pattern)


def test_patterns_without_a_class_need_no_walk_through_the_key() -> None:
    for pattern in (b"flask_cache_*", b"flask_cache_k"):
        key = Counted(b"flask_cache_k")
        assert compile_glob(pattern)(key)
        assert key.looks == 0
