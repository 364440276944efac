"""Values go both ways between the proxy and every library that stores them."""

import json

import pytest
import redis

from tests.stacks.environments import STACKS, THOROUGH, Stack
from tests.stacks.judge import Judge, LibraryError
from tests.stacks.test_flask import on
from tests.stacks.values import FEW, VALUES, WRITTEN, Value, unpacked

on_all_stacks = on(STACKS)


def of_all_stacks(values: list[Value]) -> pytest.MarkDecorator:
    """All of `values` on the thorough stacks, a few on each of the others."""
    return pytest.mark.parametrize(
        ("stack", "value"),
        [
            pytest.param(stack, value, id=f"{stack.name}-{value.name}")
            for stack in STACKS
            for value in values
            if stack.name in THOROUGH or value in FEW
        ],
    )


PROTOCOLS = ("p2.", "p3.", "p4.", "p5.")
"""The keys of a pickle protocol begin with it."""


@of_all_stacks(VALUES + WRITTEN)
def test_what_a_producer_writes_is_read_by_the_library(
    judge: Judge, producer: redis.Redis, msgpack_producer: redis.Redis, value: Value
) -> None:
    wanted = judge.describe(value.python)
    for protocol in PROTOCOLS:
        producer.set(f"flask_cache_{protocol}", value.json)
        assert judge.get(protocol) == wanted
        msgpack_producer.set(f"flask_cache_{protocol}", value.msgpack)
        assert judge.get(protocol) == wanted


@of_all_stacks(VALUES)
def test_what_the_library_writes_is_read_and_the_same_once_written_back(
    judge: Judge, producer: redis.Redis, msgpack_producer: redis.Redis, value: Value
) -> None:
    judge.set("k", value.python)
    payload, packed = producer.get("flask_cache_k"), msgpack_producer.get("flask_cache_k")
    assert repr(json.loads(payload)) == repr(json.loads(value.json))
    assert repr(unpacked(packed)) == repr(unpacked(value.msgpack))
    wanted = judge.describe(value.python)
    producer.set("flask_cache_k", payload)
    assert judge.get("k") == wanted
    msgpack_producer.set("flask_cache_k", packed)
    assert judge.get("k") == wanted


@on_all_stacks
@pytest.mark.parametrize(
    "stored",
    [b"42", b"-7", b"+5", b"007", b" 4_2\n", b"0x10", b"1e3", b"4_", b"", b"raw", b"\xff\x00", b'{"a":1}', b"null"],
    ids=repr,
)
def test_what_somebody_else_stored_without_a_pickle_is_read_as_the_library_reads_it(
    judge: Judge, producer: redis.Redis, direct: redis.Redis, stored: bytes
) -> None:
    direct.set("flask_cache_k", stored)
    before = judge.get("k")
    producer.set("flask_cache_k", producer.get("flask_cache_k"))
    assert judge.get("k") == before


@on_all_stacks
class TestTheAppsOwnClasses:
    def test_an_object_is_read_by_its_value_and_never_written_back(self, judge: Judge, producer: redis.Redis) -> None:
        judge.set("k", "[Colour.RED]")
        payload = producer.get("flask_cache_k")
        assert json.loads(payload) == [{"py/instance": {"class": "__main__.Colour", "value": "red"}}]
        with pytest.raises(redis.ResponseError, match=r"is a __main__\.Colour, which can be read but not written"):
            producer.set("flask_cache_k", payload)
        assert judge.get("k") == judge.describe("[Colour.RED]")


@on_all_stacks
class TestCounting:
    def test_the_library_counts_on_what_a_producer_wrote(self, judge: Judge, producer: redis.Redis) -> None:
        producer.set("flask_cache_n", "40")
        assert judge.ask("inc", "n", 5) == judge.describe("45")
        assert judge.ask("dec", "n", 3) == judge.describe("42")
        assert producer.get("flask_cache_n") == b"42"
        assert judge.get("n") == judge.describe("42")

    def test_the_library_counts_on_an_int_from_msgpack(self, judge: Judge, msgpack_producer: redis.Redis) -> None:
        msgpack_producer.set("flask_cache_n", b"\xff")
        assert judge.ask("dec", "n") == judge.describe("-2")
        assert msgpack_producer.get("flask_cache_n") == b"\xfe"

    def test_a_producer_counts_on_what_the_library_counts_on(self, judge: Judge, producer: redis.Redis) -> None:
        judge.ask("inc", "n", 5)
        assert producer.incrby("flask_cache_n", 2) == 7
        assert producer.decr("flask_cache_n") == 6
        assert judge.get("n") == judge.describe("6")

    def test_an_int_that_was_read_and_written_back_can_be_counted_on(
        self, judge: Judge, producer: redis.Redis, stack: Stack
    ) -> None:
        judge.set("n", "41")
        if stack.ints == "pickled":
            with pytest.raises(LibraryError, match="not an integer"):
                judge.ask("inc", "n")
        producer.set("flask_cache_n", producer.get("flask_cache_n"))
        assert judge.ask("inc", "n") == judge.describe("42")

    def test_a_bool_stays_a_bool(self, judge: Judge, producer: redis.Redis) -> None:
        producer.set("flask_cache_b", "true")
        with pytest.raises(LibraryError, match="not an integer"):
            judge.ask("inc", "b")
        assert judge.get("b") == judge.describe("True")


@on_all_stacks
class TestTheRestOfTheInterface:
    def test_get_many_reads_what_a_producer_wrote(self, judge: Judge, producer: redis.Redis) -> None:
        producer.mset({"flask_cache_a": '"x"', "flask_cache_n": "42", "flask_cache_t": '{"py/tuple": [1]}'})
        assert judge.get_many(["a", "n", "absent", "t"]) == judge.describe("['x', 42, None, (1,)]")

    def test_a_producer_reads_what_set_many_wrote(
        self, judge: Judge, producer: redis.Redis, msgpack_producer: redis.Redis
    ) -> None:
        judge.ask("set_many", {"a": "'x'", "n": "42", "t": "(1,)"})
        keys = ("flask_cache_a", "flask_cache_n", "flask_cache_absent", "flask_cache_t")
        assert producer.mget(keys) == [b'"x"', b"42", None, b'{"py/tuple":[1]}']
        assert msgpack_producer.mget(keys) == [b"\xa1x", b"\x2a", None, b"\x81\xa8py/tuple\x91\x01"]

    def test_add_leaves_alone_what_a_producer_wrote(self, judge: Judge, producer: redis.Redis) -> None:
        producer.set("flask_cache_k", '"first"')
        judge.ask("add", "k", "'second'")
        assert judge.get("k") == judge.describe("'first'")

    def test_a_producer_reads_what_was_added_and_leaves_it_alone(self, judge: Judge, producer: redis.Redis) -> None:
        judge.ask("add", "k", "('first',)")
        assert not producer.setnx("flask_cache_k", '"second"')
        assert producer.get("flask_cache_k") == b'{"py/tuple":["first"]}'

    def test_each_sees_what_the_other_has_deleted(self, judge: Judge, producer: redis.Redis) -> None:
        producer.mset({"flask_cache_a": "1", "flask_cache_b": "2"})
        producer.delete("flask_cache_a")
        assert judge.get("a") == judge.describe("None")
        judge.ask("delete", "b")
        assert producer.get("flask_cache_b") is None

    def test_what_a_producer_wrote_is_cleared_with_the_rest(self, judge: Judge, producer: redis.Redis) -> None:
        producer.mset({"flask_cache_a": "1", "other": "raw"})
        judge.set("b", "2")
        judge.ask("clear")
        assert producer.keys("*") == [b"other"]

    def test_a_value_lives_as_long_as_its_writer_said(self, judge: Judge, producer: redis.Redis) -> None:
        judge.set("k", "'x'")
        assert 0 < producer.ttl("flask_cache_k") <= 300
        producer.set("flask_cache_k", '"y"', ex=60)
        assert 0 < producer.ttl("flask_cache_k") <= 60
