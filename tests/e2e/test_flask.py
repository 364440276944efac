"""The main job: what a producer writes, a real Flask-Caching app serves, and the other way round."""

import json
import pickle
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgpack
import pytest
import redis

from tests.e2e.flask_app import FlaskApp
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import Wire

KEY = "flask_cache_view//index"
ERROR = b"-ERR flask-cache-proxy: "

Connect = Callable[[Address], Wire]


def loads(value: bytes) -> Any:
    """The value that Flask-Caching reads from stored bytes."""
    assert value[:1] == b"!"
    return pickle.loads(value[1:])


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture(params=["json", "msgpack"])
def port(request: pytest.FixtureRequest, proxy: ProxyProcess) -> Any:
    """Each port in turn: its client, and how its clients write and read payloads."""
    if request.param == "json":
        return request.getfixturevalue("producer"), as_json, json.loads
    return request.getfixturevalue("msgpack_producer"), msgpack.packb, msgpack.unpackb


class TestTheQuestionThisProjectComesFrom:
    def test_a_payload_becomes_a_value_that_pickle_loads(self, port: Any, direct: redis.Redis) -> None:
        client, dumps, _ = port
        assert client.execute_command("SET", KEY, dumps("foo"), "EX", 60) in (True, b"OK")
        value = direct.get(KEY)
        assert value[:1] == b"!"
        assert pickle.loads(value[1:]) == "foo"
        assert 50 < direct.ttl(KEY) <= 60

    def test_a_written_value_is_served_without_running_the_view(self, port: Any, flask: FlaskApp) -> None:
        client, dumps, _ = port
        client.set(KEY, dumps("written elsewhere"), ex=60)
        assert flask.get("/index") == "written elsewhere"
        assert flask.runs["index"] == 0

    def test_what_a_view_cached_by_itself_reads_as_payload(self, port: Any, flask: FlaskApp) -> None:
        client, dumps, _ = port
        assert flask.get("/index") == flask.get("/index") == "foo"
        assert flask.runs["index"] == 1
        assert client.get(KEY) == dumps("foo")

    def test_a_deleted_value_makes_the_view_run_again(self, port: Any, flask: FlaskApp) -> None:
        client, _, _ = port
        flask.get("/index")
        assert client.delete(KEY) == 1
        flask.get("/index")
        assert flask.runs["index"] == 2

    def test_a_view_with_unicode_in_its_key_and_body(self, port: Any, flask: FlaskApp) -> None:
        client, dumps, loads_payload = port
        assert flask.get("/user/J%C3%BCrgen%20B/") == "Hello, Jürgen B! ☃"
        assert loads_payload(client.get("flask_cache_view//user/Jürgen B/")) == "Hello, Jürgen B! ☃"
        client.set("flask_cache_view//user/Zoë/", dumps("gone, Zoë"), ex=60)
        assert flask.get("/user/Zo%C3%AB/") == "gone, Zoë"

    def test_a_view_that_returns_a_dict_is_shared_both_ways(self, port: Any, flask: FlaskApp) -> None:
        client, dumps, loads_payload = port
        served = json.loads(flask.get("/plain-dict"))
        assert loads_payload(client.get("flask_cache_view//plain-dict")) == served
        client.set("flask_cache_view//plain-dict", dumps({"price": 2}), ex=60)
        assert json.loads(flask.get("/plain-dict")) == {"price": 2}
        assert flask.runs["plain-dict"] == 1

    def test_a_view_that_returns_a_tuple_reads_tagged(self, port: Any, flask: FlaskApp) -> None:
        client, dumps, loads_payload = port
        flask.get("/report")
        tagged = loads_payload(client.get("flask_cache_view//report"))
        assert tagged == {"py/tuple": ["a report", 200, {"Content-Type": "text/plain"}]}
        tagged["py/tuple"][0] = "another report"
        client.set("flask_cache_view//report", dumps(tagged), ex=60)
        assert flask.get("/report") == "another report"
        assert flask.runs["report"] == 1

    @pytest.mark.parametrize("path", ["/json", "/made"])
    def test_a_cached_response_object_is_still_served_by_flask_after_it_was_read(
        self, port: Any, flask: FlaskApp, path: str, direct: redis.Redis
    ) -> None:
        client, _, _ = port
        first = flask.get(path)
        stored = direct.get(f"flask_cache_view/{path}")
        reply = client.mget(f"flask_cache_view/{path}")
        assert len(reply) == 1
        assert direct.get(f"flask_cache_view/{path}") == stored
        assert flask.get(path) == first
        assert flask.runs[path.strip("/")] == 1


class TestCacheApi:
    VALUES = (
        None,
        True,
        False,
        "",
        "ünïcödé ☃ 😀",
        1.5,
        -0.0,
        1e300,
        [],
        {},
        [1, [2, [3, None]], "x"],
        {"a": {"b": [1, 2.5, True, None, "s"]}, "": 0, "ключ": "значение"},
        [2**63, -(2**63)],
    )

    @pytest.mark.parametrize("value", VALUES, ids=repr)
    def test_values_are_equal_both_ways(self, port: Any, flask: FlaskApp, value: object) -> None:
        client, dumps, loads_payload = port
        client.set("flask_cache_shared", dumps(value))
        got = flask.cache.get("shared")
        assert got == value
        assert type(got) is type(value)
        flask.cache.set("shared", value)
        read = loads_payload(client.get("flask_cache_shared"))
        assert read == value
        assert type(read) is type(value)

    def test_ints_are_ascii_digits_both_ways(self, port: Any, flask: FlaskApp, direct: redis.Redis) -> None:
        client, dumps, loads_payload = port
        for number in (0, 7, -7, 2**53 + 1, 2**63 - 1, -(2**63)):
            client.set("flask_cache_n", dumps(number))
            assert direct.get("flask_cache_n") == b"%d" % number
            assert flask.cache.get("n") == number
            flask.cache.set("n", number)
            assert loads_payload(client.get("flask_cache_n")) == number

    def test_a_bool_is_not_stored_as_an_int(self, port: Any, flask: FlaskApp, direct: redis.Redis) -> None:
        client, dumps, _ = port
        client.set("flask_cache_b", dumps(True))
        assert loads(direct.get("flask_cache_b")) is True
        assert flask.cache.get("b") is True

    def test_counters_count_from_both_sides(self, port: Any, flask: FlaskApp) -> None:
        client, dumps, loads_payload = port
        client.set("flask_cache_hits", dumps(40))
        assert flask.cache.cache.inc("hits", 2) == 42
        assert client.incr("flask_cache_hits") == 43
        assert client.decrby("flask_cache_hits", 3) == 40
        assert flask.cache.cache.dec("hits") == 39
        assert loads_payload(client.get("flask_cache_hits")) == 39

    def test_get_many_and_mget_see_the_same(self, port: Any, flask: FlaskApp) -> None:
        client, dumps, loads_payload = port
        client.mset({"flask_cache_a": dumps("x"), "flask_cache_b": dumps([1]), "flask_cache_c": dumps(3)})
        assert flask.cache.get_many("a", "b", "c", "missing") == ["x", [1], 3, None]
        assert flask.cache.get_dict("a", "missing") == {"a": "x", "missing": None}
        flask.cache.set_many({"d": {"k": "v"}, "e": 5})
        replies = client.mget("flask_cache_d", "flask_cache_missing", "flask_cache_e", "flask_cache_a")
        assert [reply if reply is None else loads_payload(reply) for reply in replies] == [{"k": "v"}, None, 5, "x"]

    def test_deletes_are_seen_from_both_sides(self, port: Any, flask: FlaskApp) -> None:
        client, dumps, _ = port
        client.set("flask_cache_a", dumps("x"))
        assert flask.cache.has("a")
        assert flask.cache.delete("a")
        assert client.get("flask_cache_a") is None
        flask.cache.set("b", "y")
        assert client.exists("flask_cache_b") == 1
        assert client.unlink("flask_cache_b") == 1
        assert flask.cache.get("b") is None

    def test_add_does_not_replace_what_a_producer_wrote(self, port: Any, flask: FlaskApp) -> None:
        client, dumps, loads_payload = port
        client.set("flask_cache_a", dumps("first"))
        assert not flask.cache.add("a", "second")
        assert flask.cache.get("a") == "first"
        assert flask.cache.add("b", "free")
        assert client.setnx("flask_cache_b", dumps("late")) is False
        assert loads_payload(client.get("flask_cache_b")) == "free"

    def test_clear_removes_what_a_producer_wrote(self, port: Any, flask: FlaskApp) -> None:
        client, dumps, _ = port
        client.set("flask_cache_a", dumps("x"))
        client.set("other", "y")
        flask.cache.clear()
        assert client.get("flask_cache_a") is None
        assert client.get("other") == b"y"

    def test_a_memoized_result_can_be_replaced(self, port: Any, flask: FlaskApp, direct: redis.Redis) -> None:
        client, dumps, loads_payload = port
        square = flask.memoized()
        assert square(7) == square(7) == {"square": 49}
        (key,) = [key for key in direct.keys("flask_cache_*") if not key.endswith(b"_memver")]
        assert loads_payload(client.get(key)) == {"square": 49}
        client.set(key, dumps({"square": 0}), ex=60)
        assert square(7) == {"square": 0}
        assert flask.runs["square"] == 1

    def test_timeouts_are_seen_from_both_sides(self, port: Any, flask: FlaskApp, direct: redis.Redis) -> None:
        client, dumps, _ = port
        flask.cache.set("a", "x", timeout=100)
        assert 90 < client.ttl("flask_cache_a") <= 100
        client.set("flask_cache_b", dumps("y"))
        assert direct.ttl("flask_cache_b") == -1


class TestTaggedTypes:
    def test_bytes_through_json(self, producer: redis.Redis, flask: FlaskApp) -> None:
        flask.cache.set("b", b"\x00\xff\xfe")
        assert json.loads(producer.get("flask_cache_b")) == {"py/bytes": "AP/+"}
        producer.set("flask_cache_b", b'{"py/bytes": "AAH/"}')
        assert flask.cache.get("b") == b"\x00\x01\xff"

    def test_bytes_through_msgpack(self, msgpack_producer: redis.Redis, flask: FlaskApp) -> None:
        flask.cache.set("b", b"\x00\xff\xfe")
        assert msgpack.unpackb(msgpack_producer.get("flask_cache_b")) == b"\x00\xff\xfe"
        msgpack_producer.set("flask_cache_b", msgpack.packb(b"\x00\x01\xff"))
        assert flask.cache.get("b") == b"\x00\x01\xff"

    def test_tuples(self, port: Any, flask: FlaskApp) -> None:
        client, dumps, loads_payload = port
        flask.cache.set("t", (1, ("two", None), [3]))
        tagged = {"py/tuple": [1, {"py/tuple": ["two", None]}, [3]]}
        assert loads_payload(client.get("flask_cache_t")) == tagged
        client.set("flask_cache_t2", dumps(tagged))
        assert flask.cache.get("t2") == (1, ("two", None), [3])

    @pytest.mark.parametrize(
        "value",
        [
            (),
            b"",
            (b"\x80", "é"),
            {"py/bytes": "not base64 !"},
            {"py/tuple": 1},
            {1: "one", "two": 2},
            {"k": (1, b"x")},
            [float("inf"), float("-inf")],
            2**70,
            [2**70],
        ],
        ids=repr,
    )
    def test_what_is_read_and_written_back_is_equal(self, port: Any, flask: FlaskApp, value: object) -> None:
        client, _, _ = port
        flask.cache.set("v", value)
        client.set("flask_cache_copy", client.get("flask_cache_v"))
        copy = flask.cache.get("copy")
        assert copy == value
        assert type(copy) is type(value)

    def test_an_object_of_the_app_names_its_class(self, port: Any, flask: FlaskApp) -> None:
        client, _, load = port
        flask.cache.set("o", flask.app.json_provider_class)
        assert load(client.get("flask_cache_o")) == {"py/global": "flask.json.provider.DefaultJSONProvider"}

    def test_what_cannot_be_read_is_an_error(self, port: Any, flask: FlaskApp, direct: redis.Redis) -> None:
        client, _, _ = port
        flask.cache.set("o", "\ud83d")
        with pytest.raises(redis.ResponseError, match="lone surrogate"):
            client.get("flask_cache_o")
        assert client.mget("flask_cache_o", "flask_cache_none") == [None, None]
        with pytest.raises(redis.ResponseError, match="the command was applied"):
            client.getdel("flask_cache_o")
        assert direct.get("flask_cache_o") is None

    def test_a_datetime_is_read_or_refused_but_never_garbled(self, port: Any, flask: FlaskApp) -> None:
        client, _, _ = port
        flask.cache.set("d", datetime(2024, 2, 29, 12, 30, 15, 123456))
        (read,) = client.mget("flask_cache_d")
        if read is not None:
            client.set("flask_cache_copy", read)
            assert flask.cache.get("copy") == datetime(2024, 2, 29, 12, 30, 15, 123456)


class TestEveryCommandThatCarriesValues:
    def test_those_that_write(self, port: Any, direct: redis.Redis) -> None:
        client, dumps, _ = port
        do, key, payload = client.execute_command, "flask_cache_k", dumps(["v", 1.5])
        for command in (
            ("SET", key, payload),
            ("set", key, payload, "px", "60000"),
            ("SET", key, payload, "NX", "EX", "60"),
            ("SET", key, payload, "PXAT", "33177117420000"),
            ("SET", key, payload, "EXAT", "33177117420"),
            ("SETEX", key, "60", payload),
            ("PSETEX", key, "60000", payload),
            ("SETNX", key, payload),
            ("GETSET", key, payload),
            ("MSET", key, payload),
            ("MSETNX", key, payload),
        ):
            direct.flushall()
            do(*command)
            assert loads(direct.get(key)) == ["v", 1.5], command

    def test_set_keeps_its_options(self, port: Any, direct: redis.Redis) -> None:
        client, dumps, loads_payload = port
        do, key = client.execute_command, "flask_cache_k"
        assert do("SET", key, dumps("a"), "XX") is None
        assert direct.exists(key) == 0
        do("SET", key, dumps("a"), "EX", "60")
        do("SET", key, dumps("b"), "KEEPTTL")
        assert 0 < direct.ttl(key) <= 60
        assert do("SET", key, dumps("c"), "NX") is None
        assert loads(direct.get(key)) == "b"
        assert loads_payload(client.set(key, dumps("c"), get=True, ex=10)) == "b"
        assert loads_payload(client.set(key, dumps("d"), get=True, nx=True)) == "c"
        assert loads(direct.get(key)) == "c"
        assert client.set("flask_cache_new", dumps("d"), get=True) is None

    def test_those_that_read(self, port: Any, flask: FlaskApp, direct: redis.Redis) -> None:
        client, dumps, loads_payload = port
        do, key = client.execute_command, "flask_cache_k"
        flask.cache.set("k", {"v": [1]})
        assert loads_payload(do("GET", key)) == {"v": [1]}
        assert loads_payload(do("GETEX", key, "EX", "60")) == {"v": [1]}
        assert 0 < direct.ttl(key) <= 60
        assert loads_payload(do("GETEX", key, "PERSIST")) == {"v": [1]}
        assert direct.ttl(key) == -1
        assert loads_payload(do("GETSET", key, dumps("next"))) == {"v": [1]}
        assert loads_payload(do("GETDEL", key)) == "next"
        for command in (("GET", key), ("GETDEL", key), ("GETEX", key), ("GETSET", key, dumps("x"))):
            assert do(*command) is None

    def test_mset_and_msetnx_mix_managed_and_other_keys(self, port: Any, direct: redis.Redis) -> None:
        client, dumps, _ = port
        raw = bytes(range(256))
        client.mset({"flask_cache_a": dumps("x"), "other": raw, "flask_cache_b": dumps(5)})
        assert loads(direct.get("flask_cache_a")) == "x"
        assert direct.get("other") == raw
        assert direct.get("flask_cache_b") == b"5"
        assert client.msetnx({"flask_cache_c": dumps("y"), "other": "z"}) in (0, False)
        assert direct.exists("flask_cache_c") == 0
        assert client.msetnx({"flask_cache_c": dumps("y"), "another": "z"})
        assert client.mget("flask_cache_c", "other", "another") == [dumps("y"), raw, b"z"]

    def test_mget_of_a_key_that_holds_no_string_is_nil(self, port: Any, direct: redis.Redis) -> None:
        client, dumps, _ = port
        direct.rpush("flask_cache_list", "x")
        client.set("flask_cache_a", dumps("x"))
        assert client.mget("flask_cache_list", "flask_cache_a") == [None, dumps("x")]
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            client.get("flask_cache_list")

    def test_inside_multi(self, port: Any, direct: redis.Redis) -> None:
        client, dumps, _ = port
        with client.pipeline(transaction=True) as pipe:
            pipe.set("flask_cache_a", dumps("x")).get("flask_cache_a").set("other", "raw").get("other")
            pipe.mget("flask_cache_a", "other", "nothing").incr("flask_cache_n").getdel("flask_cache_a")
            done = pipe.execute()
        assert done == [True, dumps("x"), True, b"raw", [dumps("x"), b"raw", None], 1, dumps("x")]
        assert direct.get("flask_cache_a") is None

    def test_in_another_database(self, port: Any, direct: redis.Redis, connect: Connect) -> None:
        client, dumps, _ = port
        with client.pipeline(transaction=True) as pipe:
            pipe.execute_command("SELECT", 3).set("flask_cache_a", dumps("x")).execute_command("SELECT", 0)
            pipe.execute()
        assert direct.get("flask_cache_a") is None
        with direct.pipeline() as pipe:
            stored = pipe.execute_command("SELECT", 3).get("flask_cache_a").execute_command("SELECT", 0).execute()[1]
        assert loads(stored) == "x"


class TestWhatIsRefused:
    BAD = (
        b"{nope",
        b"",
        b" ",
        b"!",
        b"!" + pickle.dumps("x"),
        b'"foo" x',
        b"NaN",
        b"[1,]",
        b"'foo'",
        b'\xef\xbb\xbf"bom"',
        b'"\xff"',
        b'"\\ud800"',
        b"[" * 102 + b"]" * 102,
        b"9" * 4301,
    )

    @pytest.mark.parametrize("payload", BAD, ids=lambda payload: repr(payload[:20]))
    def test_a_bad_payload_stores_nothing_and_the_connection_goes_on(
        self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect, payload: bytes
    ) -> None:
        client = connect(proxy.json)
        for command in (
            ("SET", KEY, payload, "EX", "60"),
            ("SETEX", KEY, "60", payload),
            ("SETNX", KEY, payload),
            ("GETSET", KEY, payload),
            ("MSET", "other", "x", KEY, payload),
            ("SET", KEY, payload, "GET"),
        ):
            reply = client(*command)
            assert reply.startswith(ERROR)
            assert reply.endswith(b"; nothing was stored\r\n")
            assert direct.dbsize() == 0
        assert client("SET", KEY, '"fine"') == b"+OK\r\n"
        assert client("GET", KEY) == b'$6\r\n"fine"\r\n'

    @pytest.mark.parametrize(
        "payload", [b"", b"\xc1", b"\x92\x01", b"\x01\x01", b"\xc7\x01\x05x", b"\xa1\xff"], ids=repr
    )
    def test_a_bad_msgpack_payload_stores_nothing(
        self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect, payload: bytes
    ) -> None:
        client = connect(proxy.msgpack)
        assert client("SET", KEY, payload).startswith(ERROR)
        assert direct.dbsize() == 0
        assert client("SET", KEY, b"\xa1a") == b"+OK\r\n"

    def test_a_bad_payload_does_not_replace_what_was_there(self, producer: redis.Redis, flask: FlaskApp) -> None:
        flask.cache.set("k", "old")
        with pytest.raises(redis.ResponseError, match="flask-cache-proxy: "):
            producer.set("flask_cache_k", "{nope")
        assert flask.cache.get("k") == "old"

    def test_a_bad_payload_inside_multi_aborts_exec(self, producer: redis.Redis, direct: redis.Redis) -> None:
        with producer.pipeline(transaction=True) as pipe:
            pipe.set("flask_cache_a", '"good"').set("flask_cache_b", "{nope").set("other", "x")
            with pytest.raises(redis.ResponseError, match="flask-cache-proxy: "):
                pipe.execute()
        assert direct.dbsize() == 0

    @pytest.mark.parametrize(
        "command",
        [
            "APPEND flask_cache_k x",
            "SETRANGE flask_cache_k 0 !cos",
            "SETBIT flask_cache_k 1 1",
            "BITFIELD flask_cache_k SET u8 0 33",
            "INCRBYFLOAT flask_cache_k 1.5",
            "HSET flask_cache_k f v",
            "RPUSH flask_cache_k x",
            "PFADD flask_cache_k x",
            "COPY other flask_cache_k",
            "RENAME other flask_cache_k",
            "RENAME flask_cache_k other",
            "RESTORE flask_cache_k 0 x",
            "DUMP flask_cache_k",
            "GETRANGE flask_cache_k 0 -1",
            "SORT other STORE flask_cache_k",
            "SORT other BY nosort GET flask_cache_*",
            "SORT other GET *",
            "BITOP NOT flask_cache_k other",
            "SUNIONSTORE flask_cache_k other",
            "EVAL return(1) 0",
            "EVAL return(1) 1 flask_cache_k",
            "FCALL f 1 flask_cache_k",
            "SET flask_cache_k x IFEQ y",
            "SET flask_cache_k x NEWOPTION",
            "CONFIG SET maxmemory 1",
            "DEBUG SLEEP 0",
            "SHUTDOWN NOSAVE",
            "REPLICAOF NO ONE",
            "MIGRATE 127.0.0.1 6379 other 0 100",
            "FUNCTION FLUSH",
            "SYNC",
            "PSYNC ? -1",
            "REPLCONF ACK 0",
        ],
    )
    def test_what_would_lead_around_the_codec(
        self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect, command: str
    ) -> None:
        direct.set("other", "!cos\nsystem\n")
        direct.set("flask_cache_k", "1")
        client = connect(proxy.json)
        assert client(*command.split()).startswith(b"-ERR ")
        assert direct.get("flask_cache_k") == b"1"
        assert direct.get("other") == b"!cos\nsystem\n"
        assert client("PING") == b"+PONG\r\n"


class TestWhatIsNotManaged:
    def test_any_bytes_arrive_as_sent(self, port: Any, direct: redis.Redis) -> None:
        client, _, _ = port
        raw = random.Random(1).randbytes(256)
        assert client.set("other", raw)
        assert direct.get("other") == raw
        assert client.get("other") == raw

    def test_a_key_that_only_looks_managed(self, port: Any, direct: redis.Redis) -> None:
        client, _, _ = port
        for key in ("flask_cache", "Flask_cache_x", " flask_cache_x", "x:flask_cache_x", b"\xff\x00flask_cache_"):
            client.set(key, b"{nope")
            assert direct.get(key) == b"{nope"

    def test_a_key_with_any_bytes_is_managed_by_its_prefix(self, port: Any, direct: redis.Redis) -> None:
        client, dumps, _ = port
        for rest in (b"", b"\x00", b"\xff\r\n", b"*", "☃".encode(), bytes(range(256))):
            client.set(b"flask_cache_" + rest, dumps("x"))
            assert loads(direct.get(b"flask_cache_" + rest)) == "x"

    def test_other_types_pass(self, port: Any) -> None:
        client, _, _ = port
        raw = bytes(range(256))
        client.hset("h", mapping={"f": raw})
        client.rpush("l", raw, b"")
        client.zadd("z", {raw: 1.5})
        client.xadd("s", {"f": raw})
        assert client.hgetall("h") == {b"f": raw}
        assert client.lrange("l", 0, -1) == [raw, b""]
        assert [(bytes(member), score) for member, score in client.zrange("z", 0, -1, withscores=True)] == [(raw, 1.5)]
        assert client.xlen("s") == 1
