"""`scan`: a line for each key, and what a wider rule would trip over."""

import json
import pickle
from pathlib import Path

import pytest
import redis

from tests.cli.conftest import Run
from tests.stacks.driver import evaluated
from tests.stacks.values import VALUES, Value


def stored(value: object) -> bytes:
    return b"!" + pickle.dumps(value, 4)


USER = b"!\x80\x04\x8c\x0bshop.models\x8c\x04User\x93."


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


def test_where_nothing_was_found_is_told(run: Run, direct: redis.Redis, config: Path) -> None:
    """The usual reasons are another database and another prefix."""
    direct.mset({"shop_a": "1", "shop_b": "1"})
    done = run("scan")
    assert (done.status, len(done.text.splitlines())) == (0, 1)
    assert done.err.startswith("no key matches flask_cache_*, of 2 keys in database 0 of Redis at unix:")
    assert run("scan", "--undecodable", "-c", str(config)).err == ""
    assert run("scan", "--json", "absent").err.startswith("no key matches absent, of 2 keys")


def test_a_pattern_may_reach_further_than_the_rules(run: Run, direct: redis.Redis) -> None:
    direct.mset({"flask_cache_a": "1", "flask_cache_b": "1", "other_a": "1"})
    told = objects(run("scan", "--json", "*_a").text)
    assert {key: one["rule"] for key, one in told.items()} == {"flask_cache_a": "flask_cache_*", "other_a": None}


def test_several_rules_and_those_that_leave_keys_alone(run: Run, direct: redis.Redis, config: Path) -> None:
    direct.mset({"shop_view": "1", "shop_lock": "1", "shop_x": "1", "flask_cache_x": "1"})
    told = objects(run("scan", "--json", "-c", str(config)).text)
    assert {key: one["rule"] for key, one in told.items()} == {"shop_view": "shop_view*", "shop_x": "shop_*"}


def test_undecodable_finds_what_a_rule_would_trip_over(run: Run, direct: redis.Redis) -> None:
    direct.mset({"flask_cache_a": "1", "shop_user": USER, "shop_b": "1"})
    assert run("scan", "--undecodable").status == 0
    done = run("scan", "--undecodable", "*")
    assert done.status == 1
    assert done.text.splitlines()[1:] == [
        f"undecodable  {len(USER):>9}       none  -                shop_user  (an object of class shop.models.User)"
    ]
    told = objects(run("scan", "--undecodable", "--json", "*").text)
    assert told["shop_user"]["undecodable"] == "an object of class shop.models.User"


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
