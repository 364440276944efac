"""`scan`: a line for each key, and what a wider rule would trip over."""

import gzip
import json
import pickle
import zlib
from datetime import datetime
from pathlib import Path

import pytest
import redis

from tests.cli.conftest import Run
from tests.codec.samples import HOSTILE
from tests.stacks.driver import evaluated
from tests.stacks.values import VALUES, Value


def stored(value: object) -> bytes:
    return b"!" + pickle.dumps(value, 4)


BROKEN = b"!\x80\x04\x8c\x0bshop"


def objects(text: str) -> dict[str, dict[str, object]]:
    return {str(one["key"]): one for one in map(json.loads, text.splitlines())}


def test_a_table_of_what_the_rules_manage(run: Run, direct: redis.Redis) -> None:
    direct.set("flask_cache_a", stored("x"), px=90_000)
    direct.set("flask_cache_b", "42")
    direct.rpush("flask_cache_l", "x")
    direct.set("other", "x")
    done = run("scan")
    assert done.status == 0
    heading, *rows = [line.split() for line in done.text.splitlines()]
    assert heading == ["KIND", "SIZE", "TTL", "RULE", "KEY"]
    told = {row[4]: row for row in rows}
    assert set(told) == {"flask_cache_a", "flask_cache_b", "flask_cache_l"}
    assert told["flask_cache_b"] == ["int", "2", "none", "flask_cache_*", "flask_cache_b"]
    assert told["flask_cache_a"][:2] == ["str", "17"]
    assert told["flask_cache_l"][0] == "list"


def test_the_columns_stand_below_each_other(run: Run, direct: redis.Redis, tmp_path: Path) -> None:
    names = ("a", "a rule with quite a long name", "n" * 80)
    config = tmp_path / "rules.toml"
    config.write_text("".join(f'[[rule]]\nname = "{name}"\nkeys = "{name[0]}:{len(name)}*"\n' for name in names))
    for name in names:
        direct.set(f"{name[0]}:{len(name)}:datetime", stored(datetime(2024, 1, 2)), px=123_456_789_123)
        direct.rpush(f"{name[0]}:{len(name)}:list", "x")
    heading, *rows = run("scan", "-c", str(config)).text.splitlines()
    at = heading.index("KEY")
    assert len(rows) == 6
    assert all(row[at - 1] == " " and row[at] in "an" for row in rows)
    for ends in ("SIZE", "TTL"):
        stop = heading.index(ends) + len(ends)
        assert {row[stop - 1] != " " and row[stop] == " " for row in rows} == {True}


def test_where_nothing_was_found_is_told(run: Run, direct: redis.Redis, config: Path) -> None:
    """The usual reasons are another database and another prefix."""
    direct.mset({"shop_a": "1", "shop_b": "1"})
    done = run("scan")
    assert (done.status, len(done.text.splitlines())) == (0, 1)
    assert done.err.startswith("no key matches flask_cache_*, of 2 keys in database 0 of Redis at unix:")
    assert done.err.endswith("; `flask-cache-proxy scan --prefixes` lists the prefixes that are there\n")
    assert run("scan", "--undecodable", "-c", str(config)).err == ""
    assert run("scan", "--json", "absent").err.startswith("no key matches absent, of 2 keys")
    direct.flushdb()
    for arguments in (["scan"], ["scan", "--prefixes"]):
        told = run(*arguments).err
        assert told.startswith("no key at all is in database 0 of Redis at unix:")
        assert told.endswith("is that the app's database (upstream.url)?\n")


def test_a_key_that_the_proxy_refuses_is_told(run: Run, direct: redis.Redis) -> None:
    long = "flask_cache_" + "x" * 70_000
    direct.mset({long: "1", "other" + "x" * 70_000: "1"})
    told = objects(run("scan", "--json", "--undecodable").text)
    assert told.keys() == {long}
    assert told[long]["undecodable"] == "its key has 70012 bytes; the proxy refuses managed keys of more than 65536"
    done = run("export")
    assert (done.status, done.out) == (1, b"")
    assert "left out: its key has 70012 bytes" in done.err
    bad = json.dumps({"key": long, "value": 2}).encode()
    assert "its key has 70012 bytes" in run("load", "-", given=bad).err
    assert direct.get(long) == b"1"


def test_a_pattern_may_reach_further_than_the_rules(run: Run, direct: redis.Redis) -> None:
    direct.mset({"flask_cache_a": "1", "flask_cache_b": "1", "other_a": "1"})
    told = objects(run("scan", "--json", "*_a").text)
    assert {key: one["rule"] for key, one in told.items()} == {"flask_cache_a": "flask_cache_*", "other_a": None}


def test_several_rules_and_those_that_leave_keys_alone(run: Run, direct: redis.Redis, config: Path) -> None:
    direct.mset({"shop_view": "1", "shop_lock": "1", "shop_x": "1", "flask_cache_x": "1"})
    told = objects(run("scan", "--json", "-c", str(config)).text)
    assert {key: one["rule"] for key, one in told.items()} == {"shop_view": "shop_view*", "shop_x": "shop_*"}


def test_undecodable_finds_what_a_rule_would_trip_over(run: Run, direct: redis.Redis) -> None:
    direct.mset({"flask_cache_a": "1", "shop_user": BROKEN, "shop_b": "1"})
    assert run("scan", "--undecodable").status == 0
    done = run("scan", "--undecodable", "*")
    assert done.status == 1
    assert done.text.splitlines()[1:] == [
        f"undecodable   {len(BROKEN):>9}          none  -              shop_user  (truncated pickle)"
    ]
    told = objects(run("scan", "--undecodable", "--json", "*").text)
    assert told["shop_user"]["undecodable"] == "truncated pickle"


def test_what_a_view_cannot_be_is_found_too(run: Run, direct: redis.Redis, config: Path) -> None:
    direct.mset({"shop_view": "42", "shop_x": "42"})
    done = run("scan", "--undecodable", "--json", "-c", str(config))
    assert done.status == 1
    (told,) = objects(done.text).values()
    assert (told["key"], told["kind"]) == ("shop_view", "int")
    assert str(told["undecodable"]).startswith("not what a view returns")
    assert json.loads(run("inspect", "--json", "-c", str(config), "shop_view").text)["value"] == 42
    assert "clients    get an error: not what a view returns" in run("inspect", "-c", str(config), "shop_view").text
    assert run("get", "-c", str(config), "shop_view").status == 1
    assert '{"key":"shop_view","value":42}' in run("export", "-c", str(config)).text


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.name)
def test_kinds_are_pythons(run: Run, direct: redis.Redis, value: Value) -> None:
    meant = evaluated(value.python)
    direct.set("flask_cache_k", stored(meant))
    (told,) = objects(run("scan", "--json").text).values()
    kind = type(meant).__name__
    assert told["kind"] == {"NoneType": "None"}.get(kind, kind.lower())


def test_a_large_cache_is_listed_whole(run: Run, direct: redis.Redis) -> None:
    direct.mset({f"flask_cache_{number}": str(number) for number in range(3500)})
    direct.mset({f"other_{number}": "x" for number in range(500)})
    assert set(objects(run("scan", "--json").text)) == {f"flask_cache_{number}" for number in range(3500)}


def test_values_over_the_limit_are_listed_with_their_size(run: Run, direct: redis.Redis) -> None:
    direct.set("flask_cache_k", stored("x" * 5000))
    (told,) = objects(run("scan", "--json", env={"FLASK_CACHE_PROXY_LIMITS_DECODED_BYTES": "1000"}).text).values()
    assert told["size"] == len(stored("x" * 5000))
    assert "over the limit" in str(told["undecodable"])


def test_an_empty_string_is_there(run: Run, direct: redis.Redis) -> None:
    direct.set("flask_cache_k", "")
    (told,) = objects(run("scan", "--json").text).values()
    assert (told["kind"], told["size"]) == ("bytes", 0)


SECURITY = (Path(__file__).parent.parent.parent / "docs" / "security.md").read_text()
SYSTEM = b"!cos\nsystem\n(S'id'\ntR."
PRODUCT = b"!\x80\x04\x8c\x0bshop.models\x8c\x07Product\x93)\x81."


class TestClasses:
    def test_a_line_for_each_class(self, run: Run, direct: redis.Redis) -> None:
        direct.mset({"flask_cache_a": PRODUCT, "flask_cache_b": PRODUCT, "other": SYSTEM, "flask_cache_c": "1"})
        direct.set("flask_cache_d", stored([datetime(2024, 1, 2), datetime(2024, 1, 3)]))
        done = run("scan", "--classes")
        assert (done.status, done.err) == (0, "")
        heading, first, second = [line.split() for line in done.text.splitlines()]
        assert heading == ["KEYS", "OBJECTS", "CLASS", "EXAMPLE"]
        assert first[:3] == ["2", "2", "shop.models.Product"]
        assert first[3] in ("flask_cache_a", "flask_cache_b")
        assert second == ["1", "2", "datetime.datetime", "flask_cache_d"]

    def test_objects_for_machines(self, run: Run, direct: redis.Redis) -> None:
        direct.set(b"flask_cache_\xff", PRODUCT)
        (told,) = map(json.loads, run("scan", "--classes", "--json").text.splitlines())
        assert told == {
            "class": "shop.models.Product",
            "keys": 1,
            "objects": 1,
            "example": {"py/bytes": "Zmxhc2tfY2FjaGVf/w=="},
        }

    def test_nothing_of_a_key_reaches_a_terminal_as_a_command(self, run: Run, direct: redis.Redis) -> None:
        direct.set(b"flask_cache_\x1b[2J", PRODUCT)
        assert run("scan", "--classes").text.replace("\n", "").isprintable()


class TestAudit:
    def test_a_hostile_value_is_named_with_its_key(self, run: Run, direct: redis.Redis) -> None:
        direct.mset({"flask_cache_a": PRODUCT, "flask_cache_b": SYSTEM, "flask_cache_c": "1", "flask_cache_d": "text"})
        done = run("scan", "--audit")
        assert done.status == 1
        assert done.text == "flask_cache_b: os.system is called (not data of the standard library)\n"
        assert done.text in SECURITY
        assert done.err == "4 keys: 1 with findings\n"

    def test_objects_for_machines(self, run: Run, direct: redis.Redis) -> None:
        direct.mset({"flask_cache_b": SYSTEM, "flask_cache_broken": BROKEN})
        done = run("scan", "--audit", "--json")
        assert done.status == 1
        *told, total = map(json.loads, done.text.splitlines())
        assert sorted(told, key=lambda one: str(one["key"])) == [
            {
                "key": "flask_cache_b",
                "name": "os.system",
                "is_called": True,
                "reason": "not data of the standard library",
            },
            {"key": "flask_cache_broken", "unread": "corrupt pickle: an unknown or truncated instruction"},
        ]
        assert total == {"keys": 2, "with_findings": 2}

    def test_a_clean_cache_ends_with_0(self, run: Run, direct: redis.Redis) -> None:
        for number, value in enumerate(VALUES):
            direct.set(f"flask_cache_{number}", stored(evaluated(value.python)))
        direct.mset({"flask_cache_a": PRODUCT, "flask_cache_n": "1", "other": SYSTEM})
        done = run("scan", "--audit")
        assert (done.status, done.text) == (0, "")
        assert done.err == f"{len(VALUES) + 2} keys: nothing suspicious\n"

    def test_the_apps_own_words_may_be_allowed(self, run: Run, direct: redis.Redis) -> None:
        direct.set("flask_cache_a", b"!cshop.tasks\nexec\n.")
        assert run("scan", "--audit").status == 1
        assert run("scan", "--audit", "--allow", "shop.*").status == 0
        done = run("scan", "--allow", "shop.*")
        assert (done.status, "--allow goes with --audit" in done.err) == (2, True)

    def test_keys_of_others_are_audited_by_their_bytes(self, run: Run, direct: redis.Redis) -> None:
        direct.mset({"session:1": SYSTEM[1:], "session:2": zlib.compress(b"x")})
        done = run("scan", "--audit", "session:*")
        assert done.status == 1
        assert "session:1: os.system is called" in done.text
        assert "session:2: cannot be audited: it is compressed (zlib)" in done.text

    def test_all_hostile_samples_that_run_code_are_found(self, run: Run, direct: redis.Redis) -> None:
        rce = [sample for sample in HOSTILE if sample.name.startswith("rce_")]
        assert len(rce) >= 5
        for sample in rce:
            direct.set(f"flask_cache_{sample.name}", sample.stored)
        done = run("scan", "--audit", "--json")
        findings = "\n".join(done.text.splitlines()[:-1])
        assert objects(findings).keys() == {f"flask_cache_{sample.name}" for sample in rce}


class TestJsonReady:
    def test_what_would_not_survive_is_named(self, run: Run, direct: redis.Redis) -> None:
        direct.mset({"flask_cache_a": stored({"a": [1, (2,)]}), "flask_cache_b": stored({"a": [1]})})
        direct.mset({"flask_cache_c": "1", "flask_cache_product": PRODUCT, "flask_cache_text": "<b>"})
        done = run("scan", "--json-ready")
        assert done.status == 1
        assert sorted(done.text.splitlines()) == [
            "flask_cache_a: py/tuple at $.a[1]",
            "flask_cache_product: py/instance of shop.models.Product at $",
            "flask_cache_text: py/bytes at $",
        ]
        assert done.err == '2 of 5 values would survive stored = "json"\n'

    def test_objects_for_machines(self, run: Run, direct: redis.Redis) -> None:
        direct.mset({"flask_cache_a": stored((1,)), "flask_cache_b": stored([1])})
        told, total = map(json.loads, run("scan", "--json-ready", "--json").text.splitlines())
        assert told == {"key": "flask_cache_a", "not_json": ["py/tuple at $"]}
        assert total == {"keys": 2, "ready": 1}
        direct.delete("flask_cache_a")
        assert run("scan", "--json-ready").status == 0

    def test_what_cannot_be_read_does_not_survive(self, run: Run, direct: redis.Redis) -> None:
        direct.set("flask_cache_a", BROKEN)
        assert run("scan", "--json-ready").text == "flask_cache_a: truncated pickle\n"


@pytest.mark.parametrize("other", ["--undecodable", "--classes", "--json-ready"])
def test_no_audit_is_lost_to_another_report(run: Run, direct: redis.Redis, other: str) -> None:
    direct.set("flask_cache_b", SYSTEM)
    done = run("scan", "--audit", other)
    assert (done.status, done.text) == (2, "")
    assert "--audit" in done.err
    assert other in done.err
    assert done.err.endswith(": give one of them, not several\n")


def test_how_others_store_is_guessed(run: Run, direct: redis.Redis) -> None:
    direct.mset({"django": pickle.dumps({"a": 1}), "json": '["x"]', "gz": gzip.compress(b"x"), "text": "<b>"})
    told = objects(run("scan", "--json", "*").text)
    assert {key: one.get("kind") for key, one in told.items()} == {
        "django": "dict",
        "json": "list",
        "gz": None,
        "text": "bytes",
    }
    assert "compressed (gzip)" in str(told["gz"]["undecodable"])
