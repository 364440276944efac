"""`export` and `load`: what one Redis holds is what the other gets, and a bad file does no harm."""

import json
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.inspection.loader import BATCH_LINES
from tests import effort
from tests.cli.conftest import Done, Run
from tests.codec.judge import normal
from tests.codec.samples import VECTORS
from tests.codec.test_lossless import VALUES, loaded, stored_by_python
from tests.conftest import RedisServer
from tests.e2e.conftest import PrivateRedis
from tests.e2e.proxy_process import DEADLINE, wait_until

BERLIN = ZoneInfo("Europe/Berlin")
USER = b"!\x80\x04\x8c\x0bshop.models\x8c\x04User\x93."


@pytest.fixture
def other(redis_server: RedisServer, direct: redis.Redis) -> Iterator[redis.Redis]:
    """A second database, emptied: where things are moved to."""
    with redis.Redis(unix_socket_path=redis_server.unix, db=1) as client:
        yield client


def into(other: redis.Redis, run: Run, lines: bytes, *options: str) -> Done:
    path = other.connection_pool.connection_kwargs["path"]
    return run("load", "--upstream", f"unix://{path}?db=1", *options, "-", given=lines)


def line(key: str, value: object = 1, **more: object) -> bytes:
    return json.dumps({"key": key, "value": value, **more}).encode() + b"\n"


class TestExport:
    def test_a_line_for_each_managed_value(self, run: Run, direct: redis.Redis) -> None:
        direct.set("flask_cache_a", b"!" + pickle.dumps((1, "é"), 4))
        direct.set(b"flask_cache_\xff", "42", px=90_000)
        direct.set("other", "x")
        done = run("export")
        assert (done.status, done.err) == (0, "")
        told = {json.dumps(one.pop("key")): one for one in map(json.loads, done.text.splitlines())}
        assert told['"flask_cache_a"'] == {"value": {"py/tuple": [1, "é"]}}
        number = told['{"py/bytes": "Zmxhc2tfY2FjaGVf/w=="}']
        assert 0 < number.pop("ttl") <= 90
        assert number == {"value": 42}
        assert len(told) == 2

    def test_a_pattern_narrows_it_and_never_widens_it(self, run: Run, direct: redis.Redis) -> None:
        direct.mset({"flask_cache_a": "1", "flask_cache_b": "1", "other_a": "1"})
        assert run("export", "*_a").text == '{"key":"flask_cache_a","value":1}\n'

    def test_what_is_left_out_is_named(self, run: Run, direct: redis.Redis) -> None:
        direct.mset({"flask_cache_a": "1", "flask_cache_user": USER})
        direct.rpush("flask_cache_list", "x")
        done = run("export")
        assert done.status == 1
        assert done.text == '{"key":"flask_cache_a","value":1}\n'
        assert sorted(done.err.splitlines()) == [
            "1 line written, 2 keys left out; --objects writes objects too, for people and programs that only look",
            "flask_cache_list: left out: a list, which Flask cannot read as a value",
            "flask_cache_user: left out: $ is the class or function shop.models.User, which cannot be written back",
        ]

    def test_all_that_load_would_refuse_is_left_out(self, run: Run, direct: redis.Redis) -> None:
        endless: list[object] = [1]
        endless.append(endless)
        direct.mset({"flask_cache_a": b"!" + pickle.dumps(endless, 4), "flask_cache_b": b'{"py/cycle":1}'})
        direct.set("flask_cache_c", b"!" + pickle.dumps({"py/cycle": '{"py/cycle":1}'}))
        for key, hour in (("d", 2), ("e", 3)):  # on that day, no clock in Berlin showed 2 to 3
            direct.set(f"flask_cache_{key}", b"!" + pickle.dumps(datetime(2024, 3, 31, hour, tzinfo=BERLIN), 4))
        done = run("export")
        assert (done.status, len(done.text.splitlines())) == (1, 3)
        reasons = sorted(done.err.splitlines())[1:]
        assert reasons[0].startswith("flask_cache_a: left out: it cannot be written back: $[1] is a py/cycle, which")
        assert reasons[1].startswith("flask_cache_d: left out: it cannot be written back: the content of py/zoned must")
        assert not any("escape" in reason for reason in reasons)
        assert run("load", "--dry-run", "--all-tags", "-", given=done.out).status == 0
        assert b'"value":[1,{"py/cycle":1}]' in run("export", "--objects").out

    def test_objects_are_not_mentioned_where_they_are_written_or_missing(self, run: Run, direct: redis.Redis) -> None:
        direct.mset({"flask_cache_user": USER, "flask_cache_bad": b"!damaged"})
        assert run("export", "--objects").err.endswith("\n1 line written, 1 key left out\n")
        assert run("export", "*_bad").err.endswith("\n0 lines written, 1 key left out\n")

    def test_objects_are_written_for_those_who_look_and_refused_by_load(
        self, run: Run, direct: redis.Redis, other: redis.Redis
    ) -> None:
        direct.mset({"flask_cache_a": "1", "flask_cache_user": USER})
        done = run("export", "--objects")
        assert (done.status, done.err) == (0, "")
        assert '{"key":"flask_cache_user","value":{"py/global":"shop.models.User"}}' in done.text
        loaded = into(other, run, done.out, "--all-tags", "--keep-going")
        assert (loaded.status, other.keys()) == (1, [b"flask_cache_a"])
        assert "is the class or function shop.models.User, which can be read but not written" in loaded.err
        assert "escape it" not in loaded.err  # the line is meant as it is

    def test_where_nothing_was_found_is_told(self, run: Run, direct: redis.Redis) -> None:
        direct.set("other_a", "x")
        done = run("export", "other_*")
        assert (done.status, done.out) == (0, b"")
        assert done.err.startswith("no managed key matches other_*, of 1 key in database 0 of Redis at unix:")

    def test_values_are_whole_whatever_the_rule_shows_to_clients(
        self, run: Run, direct: redis.Redis, config: Path
    ) -> None:
        for key in ("shop_plain", "shop_view", "shop_seen"):
            direct.set(key, b"!" + pickle.dumps((1,), 4))
            assert json.loads(run("export", "-c", str(config), key).text)["value"] == {"py/tuple": [1]}


class TestTogether:
    def test_all_that_real_libraries_stored_is_moved(self, run: Run, direct: redis.Redis, other: redis.Redis) -> None:
        for number, vector in enumerate(VECTORS):
            direct.set(f"flask_cache_{number}", vector.stored)
        exported = run("export")
        left_out = {text.partition(":")[0] for text in exported.err.splitlines()[:-1]}
        assert into(other, run, exported.out, "--all-tags").status == 0
        assert len(other.keys()) == len(VECTORS) - len(left_out) > 500
        again = run("export", "--upstream", upstream_of(other))
        assert sorted(again.out.splitlines()) == sorted(exported.out.splitlines())

    @settings(max_examples=effort.cases(60), deadline=None, suppress_health_check=list(HealthCheck))
    @given(values=st.lists(st.tuples(st.binary(max_size=12), VALUES, st.integers(0, 5), st.integers(0, 10**6))))
    def test_any_value_under_any_key_is_moved(
        self, run: Run, direct: redis.Redis, other: redis.Redis, values: list[tuple[bytes, Any, int, int]]
    ) -> None:
        direct.flushall()
        for key, value, protocol, ttl in values:
            px = 10**9 + ttl if ttl else None
            direct.set(b"flask_cache_" + key, stored_by_python(value, protocol), px=px)
        assert into(other, run, run("export").out, "--all-tags").status == 0
        assert sorted(other.keys()) == sorted(direct.keys())
        for key in direct.keys():  # noqa: SIM118
            assert normal(loaded(other.get(key))) == normal(loaded(direct.get(key)))
            assert (other.pttl(key) == -1) == (direct.pttl(key) == -1)
            assert abs(other.pttl(key) - direct.pttl(key)) < 60_000

    def test_what_may_be_exported_may_be_loaded_whatever_its_size(
        self, run: Run, direct: redis.Redis, other: redis.Redis
    ) -> None:
        direct.set(
            "flask_cache_k", b"!" + pickle.dumps(bytes(9_000_000), 5)
        )  # a payload of 12 MB, and 8 may be written
        assert into(other, run, run("export").out).status == 0
        assert pickle.loads(other.get("flask_cache_k")[1:]) == bytes(9_000_000)


def upstream_of(other: redis.Redis) -> str:
    return f"unix://{other.connection_pool.connection_kwargs['path']}?db=1"


class TestLoad:
    def test_values_and_ttls(self, run: Run, direct: redis.Redis) -> None:
        done = run(
            "load", "-", given=line("flask_cache_a", {"a": 1}, ttl=90.5) + b"\n \n" + line("flask_cache_b", 7)[:-1]
        )
        assert (done.status, done.out, done.err) == (0, b"", "2 lines stored\n")
        assert direct.get("flask_cache_a") == b"!" + pickle.dumps({"a": 1}, 4)
        assert 0 < direct.pttl("flask_cache_a") <= 90_500
        assert (direct.get("flask_cache_b"), direct.ttl("flask_cache_b")) == (b"7", -1)

    def test_a_number_is_not_stored_as_a_view(self, run: Run, direct: redis.Redis) -> None:
        lines = line("flask_cache_view//a", "tea") + line("flask_cache_view//b", {"py/decimal": "1.5"})
        done = run("load", "-", given=lines)
        assert (done.status, direct.keys()) == (1, [b"flask_cache_view//a"])
        assert "line 2: its value cannot be stored: a number, bool or null under the key of a cached view" in done.err
        assert run("load", "--dry-run", "-", given=lines).status == 1

    def test_a_value_replaces_what_is_there(self, run: Run, direct: redis.Redis) -> None:
        direct.hset("flask_cache_a", "x", "y")
        direct.set("flask_cache_b", "1", ex=50)
        assert run("load", "-", given=line("flask_cache_a") + line("flask_cache_b")).status == 0
        assert direct.mget("flask_cache_a", "flask_cache_b") == [b"1", b"1"]
        assert direct.ttl("flask_cache_b") == -1

    def test_a_file_too(self, run: Run, direct: redis.Redis, tmp_path: Path) -> None:
        file = tmp_path / "lines"
        file.write_bytes(line("flask_cache_a"))
        assert run("load", str(file)).status == 0
        assert direct.get("flask_cache_a") == b"1"
        assert run("load", str(tmp_path / "absent")).status == 2

    @pytest.mark.parametrize(
        ("bad", "reason"),
        [
            (b"nonsense\n", "not valid JSON"),
            (b"\xff\n", "it is not UTF-8"),
            (b'{"key": "flask_cache_x", "value": "\xff"}\n', "UTF-8"),
            (b'{"key": "flask_cache_x"}\n', "missing required field `value`"),
            (b'{"value": 1}\n', "missing required field `key`"),
            (line("flask_cache_x", ttll=1), "unknown field `ttll`"),
            (line("flask_cache_x", ttl=0), "ttl must be from 0.001"),
            (line("flask_cache_x", ttl=-5), "ttl must be from 0.001"),
            (line("flask_cache_x", ttl=10**20), "ttl must be from 0.001"),
            (line("flask_cache_x", ttl="5"), "ttl"),
            (line("flask_cache_x", ttl=True), "ttl"),
            (line("flask_cache_x", {"py/date": "soon"}), "the content of py/date"),
            (line("flask_cache_x", {"py/markup": "<b>"}), "--all-tags"),
            (b'{"key": "flask_cache_x", "value": %s1%s}\n' % (b"[" * 120, b"]" * 120), "[limits] depth"),
            (b'{"key": "flask_cache_x", "value": %s}\n' % (b"[" * 100_000), "nested too deep"),
            (b'{"key": {"py/bytes": "?"}, "value": 1}\n', "key"),
            (b'{"key": {"py/text": "x"}, "value": 1}\n', "key"),
            (line("other"), "not managed"),
            (line("flask_cache_x")[:-1] + b" 1\n", "not valid JSON"),
        ],
    )
    def test_a_bad_line_stops_it_and_is_named(self, run: Run, direct: redis.Redis, bad: bytes, reason: str) -> None:
        lines = line("flask_cache_a") + b"\n" + bad + line("flask_cache_b")
        done = run("load", "-", given=lines)
        assert done.status == 1
        assert done.err.startswith("line 3: ")
        assert reason in done.err
        assert done.err.endswith("Stored so far: 1 line; continue with --from-line 3\n")
        assert direct.keys() == [b"flask_cache_a"]
        done = run("load", "--keep-going", "-", given=lines)
        assert done.status == 1
        assert done.err.splitlines()[-1] == "2 lines stored, 1 bad"
        assert sorted(direct.keys()) == [b"flask_cache_a", b"flask_cache_b"]

    def test_it_goes_on_from_a_line(self, run: Run, direct: redis.Redis) -> None:
        lines = line("flask_cache_a") + b"nonsense\n" + line("flask_cache_b")
        assert run("load", "--from-line", "3", "-", given=lines).status == 0
        assert direct.keys() == [b"flask_cache_b"]
        assert run("load", "--from-line", "4", "-", given=lines).status == 0  # where a load that was done goes on

    def test_a_line_that_the_file_does_not_reach_is_told(self, run: Run, direct: redis.Redis) -> None:
        done = run("load", "--from-line", "3", "-", given=line("flask_cache_a"))
        assert (done.status, done.err) == (2, "--from-line 3: the file ends with line 1\n")
        assert direct.keys() == []

    def test_nothing_is_said_to_be_stored_where_nothing_is(self, run: Run, direct: redis.Redis) -> None:
        done = run("load", "-", given=line("flask_cache_a", {"py/markup": "<b>"}))
        assert done.err.endswith("Stored so far: 0 lines; continue with --from-line 1\n")
        assert "for a file that you trust, --all-tags takes every tag" in done.err
        assert "escape" not in done.err

    def test_a_dry_run_validates_and_needs_no_redis(self, run: Run, direct: redis.Redis) -> None:
        nowhere = "redis://127.0.0.1:1"
        done = run("load", "--dry-run", "-u", nowhere, "-", given=line("flask_cache_a"))
        assert (done.status, done.err) == (0, "1 line valid\n")
        done = run("load", "--dry-run", "--keep-going", "-", given=line("flask_cache_a") + b"?\n" + line("other"))
        assert done.status == 1
        assert done.err.splitlines()[-1] == "1 line valid, 2 bad"
        assert direct.keys() == []

    def test_a_line_beyond_the_limits_is_never_held_whole(self, run: Run, direct: redis.Redis) -> None:
        small = {"FLASK_CACHE_PROXY_LIMITS_DECODED_BYTES": "1000", "FLASK_CACHE_PROXY_LIMITS_PAYLOAD_BYTES": "1000"}
        long = line("flask_cache_x", "x" * 3_000_000)
        lines = line("flask_cache_a") + long + line("flask_cache_b") + line("flask_cache_y", "y" * 2000)
        done = run("load", "--keep-going", "-", given=lines, env=small)
        first, second, last = done.err.splitlines()
        assert first == "line 2: it has more than 1049576 bytes ([limits] decoded_bytes)"
        assert second.startswith(
            "line 4: its value cannot be stored: a payload of 2002 bytes is over the limit of 1000"
        )
        assert last == "2 lines stored, 2 bad"
        assert sorted(direct.keys()) == [b"flask_cache_a", b"flask_cache_b"]

    def test_types_are_kept_whatever_a_rule_makes_of_payloads(
        self, run: Run, direct: redis.Redis, config: Path
    ) -> None:
        for key, protocol in (("shop_plain", 4), ("shop_view", 4), ("shop_html", 2)):
            assert run("load", "-c", str(config), "-", given=line(key, {"py/tuple": [1]})).status == 0
            assert direct.get(key)[:3] == b"!\x80%c" % protocol
            assert pickle.loads(direct.get(key)[1:]) == (1,)
            assert direct.ttl(key) == -1
        done = run("load", "-c", str(config), "-", given=line("shop_seen"))
        assert "is read-only" in done.err

    def test_what_a_rule_accepts_needs_no_trust(self, run: Run, direct: redis.Redis, config: Path) -> None:
        markup = line("shop_html", {"py/markup": "<b>"})
        assert run("load", "-c", str(config), "-", given=markup).status == 0
        assert direct.exists("shop_html")

    def test_machines_are_told_of_each_bad_line_and_how_far_it_has_come(self, run: Run, direct: redis.Redis) -> None:
        lines = line("flask_cache_a") + b"?\n" + line("flask_cache_b")
        done = run("load", "--json", "-", given=lines)
        assert done.status == 1
        bad, last = map(json.loads, done.text.splitlines())
        assert bad == {"line": 2, "error": "it is not valid JSON: invalid character (byte 0)"}
        assert last == {"stored": 1, "bad": 1, "next": 2}
        done = run("load", "--json", "--keep-going", "--dry-run", "-", given=lines)
        assert done.status == 1
        assert [json.loads(one) for one in done.text.splitlines()] == [bad, {"valid": 2, "bad": 1, "next": 4}]
        done = run("load", "--json", "--from-line", "3", "-", given=lines)
        assert (done.status, done.text, done.err) == (0, '{"stored":1,"bad":0,"next":4}\n', "")
        done = run("load", "--json", "-u", "redis://127.0.0.1:1", "-", given=lines)
        assert (done.status, json.loads(done.text)) == (3, {"stored": 0, "bad": 0, "next": 1})

    def test_many_lines_go_in_batches(self, run: Run, direct: redis.Redis) -> None:
        lines = b"".join(line(f"flask_cache_{number}", number) for number in range(1234)) + b"bad\n"
        assert run("load", "-", given=lines).err.startswith("line 1235: ")
        assert direct.dbsize() == 1234

    def test_a_line_that_redis_refuses_is_named(self, run: Run, direct: redis.Redis) -> None:
        lines = line("flask_cache_a") + line("flask_cache_b")
        direct.config_set("maxmemory", "1")
        try:
            done = run("load", "-", given=lines)
            going = run("load", "--keep-going", "-", given=lines)
        finally:
            direct.config_set("maxmemory", "0")
        assert done.status == 3
        assert done.err.startswith("line 1: Redis at unix:")
        assert "is full" in done.err
        assert "continue with --from-line 1" in done.err
        assert going.status == 1
        assert going.err.splitlines()[-1] == "0 lines stored, 2 bad"


class TestALoadThatEndsEarly:
    """Fed through a pipe, so that the test knows how far it is."""

    PLACES = (1, BATCH_LINES + 1)
    """Redis has the batch; whether its answer has come, too, is chance, and to store a line again does no harm."""

    @pytest.fixture
    def loading(self, private_redis: PrivateRedis) -> Iterator[subprocess.Popen[bytes]]:
        """A load into a Redis of its own, which has stored its first batch."""
        private_redis.start()
        command = [sys.executable, "-W", "error", "-m", "proxy", "load", "-u", f"unix://{private_redis.unix}", "-"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            process.stdin.write(b"".join(line(f"flask_cache_{number}") for number in range(BATCH_LINES)))
            process.stdin.flush()
            with redis.Redis(unix_socket_path=private_redis.unix) as client:
                wait_until(lambda: client.dbsize() == BATCH_LINES, "the first batch")
            yield process
            process.kill()

    def test_says_where_to_go_on_if_it_is_interrupted(self, loading: subprocess.Popen[bytes]) -> None:
        loading.send_signal(signal.SIGINT)
        _, said = loading.communicate(timeout=DEADLINE)
        assert loading.returncode == 1
        assert said in {b"interrupted: continue with --from-line %d\n" % number for number in self.PLACES}

    def test_says_where_to_go_on_if_redis_dies(
        self, loading: subprocess.Popen[bytes], private_redis: PrivateRedis
    ) -> None:
        private_redis.kill()
        _, said = loading.communicate(line("flask_cache_x") * 3, timeout=DEADLINE)
        assert loading.returncode == 3
        assert said.startswith(b"cannot reach Redis")
        assert said.endswith(tuple(b"Then continue with --from-line %d\n" % number for number in self.PLACES))
