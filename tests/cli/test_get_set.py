"""`get` and `set`: as a client of the proxy would, straight on Redis."""

import json
import pickle
from pathlib import Path

import pytest
import redis

from tests.cli.conftest import Run

KEY = "flask_cache_k"


def stored(value: object, protocol: int = 4) -> bytes:
    return b"!" + pickle.dumps(value, protocol)


class TestGet:
    def test_prints_the_payload(self, run: Run, direct: redis.Redis) -> None:
        direct.set(KEY, stored({"a": (1, "é")}))
        done = run("get", KEY)
        assert (done.status, done.text, done.err) == (0, '{"a":{"py/tuple":[1,"é"]}}\n', "")

    def test_a_key_need_not_be_text(self, run: Run, direct: redis.Redis) -> None:
        direct.set(b"flask_cache_\xff", b"42")
        assert run("get", b"flask_cache_\xff").text == "42\n"

    def test_a_miss_is_1_and_nothing_on_stdout(self, run: Run) -> None:
        done = run("get", KEY)
        assert (done.status, done.out, done.err) == (1, b"", f"{KEY}: not in Redis\n")

    def test_what_no_rule_manages_is_not_read(self, run: Run, direct: redis.Redis) -> None:
        direct.set("other", "secret")
        done = run("get", "other")
        assert (done.status, done.out) == (1, b"")
        assert done.err.startswith("other: not managed")
        assert "flask_cache_*" in done.err

    def test_a_key_that_the_proxy_refuses_is_not_read(self, run: Run, direct: redis.Redis) -> None:
        direct.set(KEY + "x" * 70_000, "1")
        for done in (run("get", KEY + "x" * 70_000), run("set", KEY + "x" * 70_000, "2")):
            assert (done.status, done.out) == (1, b"")
            assert done.err == "its key has 70013 bytes; the proxy refuses managed keys of more than 65536\n"
        assert direct.get(KEY + "x" * 70_000) == b"1"

    def test_a_class_of_the_apps_is_named(self, run: Run, direct: redis.Redis) -> None:
        direct.set(KEY, b"!\x80\x04\x8c\x0bshop.models\x8c\x04User\x93.")
        assert json.loads(run("get", KEY).text) == {"py/global": "shop.models.User"}

    def test_what_is_damaged_is_named(self, run: Run, direct: redis.Redis) -> None:
        direct.set(KEY, b"!\x80\x04\x8c\x0bshop.models")
        done = run("get", KEY)
        assert (done.status, done.err) == (1, f"{KEY}: cannot be decoded: truncated pickle\n")

    def test_another_type_is_named(self, run: Run, direct: redis.Redis) -> None:
        direct.rpush(KEY, "x")
        done = run("get", KEY)
        assert (done.status, done.err) == (1, f"{KEY}: cannot be decoded: a list, which Flask cannot read as a value\n")

    def test_json_is_the_line_of_an_export(self, run: Run, direct: redis.Redis) -> None:
        direct.set(KEY, stored((1,)))
        assert run("get", "--json", KEY).text == f'{{"key":"{KEY}","value":{{"py/tuple":[1]}}}}\n'

    def test_a_view_is_its_body_to_the_byte(self, run: Run, direct: redis.Redis, config: Path) -> None:
        direct.set("shop_page", stored((b"<b>\xff</b>", 200, {})))
        assert run("get", "-c", str(config), "shop_page").out == b"<b>\xff</b>"

    def test_types_are_as_the_rule_wants_them(self, run: Run, direct: redis.Redis, config: Path) -> None:
        direct.set("shop_plain", stored((1, b"x")))
        assert run("get", "-c", str(config), "shop_plain").text == '[1,"x"]\n'

    def test_a_value_over_the_limit_is_not_fetched(self, run: Run, direct: redis.Redis) -> None:
        direct.set(KEY, stored("x" * 5000))
        done = run("get", KEY, env={"FLASK_CACHE_PROXY_LIMITS_DECODED_BYTES": "1000"})
        assert done.status == 1
        assert "over the limit of 1000 ([limits] decoded_bytes)" in done.err


class TestSet:
    def test_stores_what_flask_would_have(self, run: Run, direct: redis.Redis) -> None:
        assert run("set", KEY, '"foo"').status == 0
        assert direct.get(KEY) == stored("foo")
        assert direct.ttl(KEY) == -1

    @pytest.mark.parametrize("payload", ["42", "-7"])
    def test_ints_are_digits_and_may_be_negative(self, run: Run, direct: redis.Redis, payload: str) -> None:
        assert run("set", KEY, payload).status == 0
        assert direct.get(KEY) == payload.encode()

    @pytest.mark.parametrize("arguments", [(), ("-",)])
    def test_a_payload_may_come_from_stdin(self, run: Run, direct: redis.Redis, arguments: tuple[str, ...]) -> None:
        assert run("set", KEY, *arguments, given=b'{"a": 1}\n').status == 0
        assert direct.get(KEY) == stored({"a": 1})

    def test_a_ttl_is_kept_to_the_millisecond(self, run: Run, direct: redis.Redis) -> None:
        assert run("set", KEY, "1", "--ttl", "100.5").status == 0
        assert 100_000 < direct.pttl(KEY) <= 100_500

    @pytest.mark.parametrize(("ttl", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("2d", 172_800)])
    def test_a_ttl_may_have_a_unit(self, run: Run, direct: redis.Redis, ttl: str, seconds: int) -> None:
        assert run("set", KEY, "1", "--ttl", ttl).status == 0
        assert seconds - 10 < direct.ttl(KEY) <= seconds

    def test_the_default_ttl_of_the_rule_holds_unless_0_is_asked_for(
        self, run: Run, direct: redis.Redis, config: Path
    ) -> None:
        assert run("set", "-c", str(config), "shop_plain", "1").status == 0
        assert 0 < direct.ttl("shop_plain") <= 60
        assert run("set", "-c", str(config), "shop_plain", "1", "--ttl", "0").status == 0
        assert direct.ttl("shop_plain") == -1

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            ("foo", "a string needs its quotes"),
            ('{"py/markup": "<b>"}', "not accepted by this rule"),
            ('{"py/date": "soon"}', "the content of py/date"),
            (
                '[{"py/instance": {"class": "shop.P", "value": 1}}]',
                "$[0] is a shop.P, which can be read but not written",
            ),
            ("", "it is empty (null or undefined?)"),
        ],
    )
    def test_a_bad_payload_stores_nothing(self, run: Run, direct: redis.Redis, payload: str, reason: str) -> None:
        direct.set(KEY, "1")
        done = run("set", KEY, payload)
        assert done.status == 1
        assert reason in done.err
        assert done.err.endswith("Nothing was stored\n")
        assert direct.get(KEY) == b"1"

    def test_a_number_is_not_stored_as_a_view(self, run: Run, direct: redis.Redis, tmp_path: Path) -> None:
        done = run("set", "flask_cache_view//stock", "12")
        assert (done.status, direct.keys()) == (1, [])
        assert "Flask would answer 500 to every visitor; check_views = false in the rule allows it" in done.err
        unchecked = tmp_path / "unchecked.toml"
        unchecked.write_text('[[rule]]\nkeys = "flask_cache_*"\ncheck_views = false\n')
        assert run("set", "-c", str(unchecked), "flask_cache_view//stock", "12").status == 0
        assert run("set", "flask_cache_view//stock", '"12"').status == 0

    def test_a_payload_over_the_limit_stores_nothing(self, run: Run, direct: redis.Redis) -> None:
        done = run("set", KEY, given=b"1" * 200, env={"FLASK_CACHE_PROXY_LIMITS_PAYLOAD_BYTES": "100"})
        assert done.status == 1
        assert "([limits] payload_bytes)" in done.err
        assert direct.keys() == []

    @pytest.mark.parametrize("key", ["other", "shop_lock", "shop_seen"])
    def test_what_is_not_to_be_written_is_not(self, run: Run, direct: redis.Redis, config: Path, key: str) -> None:
        done = run("set", "-c", str(config), key, "1")
        assert done.status == 1
        assert done.err.startswith(f"{key}: ")
        assert direct.keys() == []

    def test_a_view_is_written_as_one(self, run: Run, direct: redis.Redis, config: Path) -> None:
        assert run("set", "-c", str(config), "shop_view", '{"a": 1}').status == 0
        assert pickle.loads(direct.get("shop_view")[1:]) == ('{"a": 1}', 200, {"Content-Type": "application/json"})

    @pytest.mark.parametrize("ttl", ["-1", "soon", "0.0001", "nan", "inf", "1e20", "5 m", "5w", "m"])
    def test_a_ttl_that_is_none_is_a_mistake_of_usage(self, run: Run, direct: redis.Redis, ttl: str) -> None:
        assert run("set", KEY, "1", "--ttl", ttl).status == 2
        assert direct.keys() == []


class TestSetAMemoizedResult:
    """Whose key ends with a version, or the two of a method."""

    NAMES = ("flask_cache_shop.total_memver", "flask_cache_shop.total.Cart5_memver")
    GIVEN = ("--memver-key", NAMES[0], "--memver-key", NAMES[1])
    RESULT = "flask_cache_o6MmjWMhqz8myVzDGOVER1VERSN2"

    @pytest.fixture(autouse=True)
    def _versions(self, direct: redis.Redis) -> None:
        direct.set(self.NAMES[0], stored("GOVER1"), ex=60)
        direct.set(self.NAMES[1], stored("VERSN2"), ex=7200)

    def test_its_version_lives_as_long(self, run: Run, direct: redis.Redis) -> None:
        assert run("set", self.RESULT, "1", "--ttl", "3600", *self.GIVEN).status == 0
        assert 3000 < direct.ttl(self.NAMES[0]) <= 3600
        assert direct.ttl(self.NAMES[1]) > 3600  # none is shortened
        assert direct.get(self.NAMES[0]) == stored("GOVER1")
        assert run("set", self.RESULT, "1", "--ttl", "0", *self.GIVEN).status == 0
        assert direct.ttl(self.NAMES[0]) == direct.ttl(self.NAMES[1]) == -1
        assert run("set", self.RESULT, "1", "--ttl", "60", *self.GIVEN).status == 0
        assert direct.ttl(self.NAMES[0]) == -1
        assert direct.get(self.RESULT) == b"1"

    def test_another_version_is_told(self, run: Run, direct: redis.Redis) -> None:
        direct.set(self.NAMES[1], stored("OTHER2"))
        self.refused(run, direct, "is not the app's current one")

    def test_keys_in_another_order_are_told(self, run: Run, direct: redis.Redis) -> None:
        done = run("set", self.RESULT, "1", "--memver-key", self.NAMES[1], "--memver-key", self.NAMES[0])
        assert (done.status, direct.exists(self.RESULT)) == (1, 0)
        assert "in the order of `key memver`" in done.err

    def test_a_version_that_is_gone_is_told(self, run: Run, direct: redis.Redis) -> None:
        direct.delete(self.NAMES[0])
        self.refused(run, direct, "has expired")

    @pytest.mark.parametrize("content", [b"42", b"!garbage", stored(b"GOVER1")])
    def test_what_is_no_version_is_told(self, run: Run, direct: redis.Redis, content: bytes) -> None:
        direct.set(self.NAMES[0], content)
        self.refused(run, direct, self.NAMES[0])

    def refused(self, run: Run, direct: redis.Redis, said: str) -> None:
        done = run("set", self.RESULT, "1", "--ttl", "3600", *self.GIVEN)
        assert (done.status, done.out) == (1, b"")
        assert said in done.err
        assert direct.exists(self.RESULT) == 0
        assert direct.ttl(self.NAMES[0]) <= 60
