"""`inspect`: what is under a key, for people and for machines, without running any of it."""

import json
import pickle
import re
from pathlib import Path

import msgspec
import pytest
import redis

from proxy.codec import UndecodableError
from tests.cli.conftest import Run
from tests.codec.samples import HOSTILE, transcoder

KEY = "flask_cache_k"


def test_it_tells_all_about_a_value(run: Run, direct: redis.Redis) -> None:
    direct.set(KEY, b"!" + pickle.dumps({"price": (1, None)}, 5), px=90_000)
    done = run("inspect", KEY)
    assert (done.status, done.err) == (0, "")
    heading, *rows = done.text.splitlines()
    assert heading == KEY
    told = dict(row.strip().split(maxsplit=1) for row in rows[:4])
    assert told["rule"] == "flask_cache_*"
    assert told["type"] == "string"
    assert 0 < float(told["ttl"].removesuffix("s")) <= 90
    assert told["size"].endswith(" bytes")
    assert "stored as  pickle protocol 5" in done.text
    assert "written by Flask-Caching from 2.0 or cachelib from 0.5" in done.text
    assert not [line for line in done.text.splitlines() if line != line.rstrip()]
    assert json.loads(done.text[done.text.index("{") :]) == {"price": {"py/tuple": [1, None]}}


def test_an_object_for_machines(run: Run, direct: redis.Redis) -> None:
    direct.set(KEY, b"!" + pickle.dumps(2**70, 5), px=90_000)
    told = json.loads(run("inspect", "--json", KEY).text)
    assert 0 < told.pop("ttl") <= 90
    assert told.pop("written_by") == ["cachelib 0.2 to 0.15.3, or Flask-Caching 2.0 to 2.4 with one of these"]
    assert told.pop("warning").startswith("an int that is pickled")
    assert told == {
        "key": KEY,
        "rule": "flask_cache_*",
        "type": "string",
        "size": len(direct.get(KEY) or b""),
        "form": "pickle protocol 5",
        "protocol": 5,
        "kind": "int",
        "value": 2**70,
    }


def test_every_key_is_told_of_and_one_that_is_missing_makes_it_1(run: Run, direct: redis.Redis) -> None:
    direct.set(KEY, "1")
    direct.hset("flask_cache_h", "a", "b")
    done = run("inspect", "--json", "flask_cache_absent", KEY, "flask_cache_h")
    assert done.status == 1
    assert done.err == "flask_cache_absent: not in Redis\n"
    number, other = map(json.loads, done.text.splitlines())
    assert (number["form"], number["value"]) == ("digits", 1)
    assert (other["type"], other["undecodable"]) == ("hash", "a hash, which Flask cannot read as a value")


def test_keys_of_others_may_be_looked_at(run: Run, direct: redis.Redis) -> None:
    direct.set("other", '{"a": 1}')
    done = run("inspect", "other")
    assert done.status == 0
    assert "none: the proxy passes this key untouched" in done.text
    assert 'as text    {"a": 1}' in done.text
    assert "JSON text, written past the proxy" in done.text


def test_an_empty_string_is_told_of_too_and_no_line_ends_in_blanks(run: Run, direct: redis.Redis) -> None:
    direct.set("empty", "")
    direct.set(KEY, b"!" + pickle.dumps([1], 4))
    lines = run("inspect", "empty", KEY).text.splitlines()
    assert [line for line in lines if line != line.rstrip() and "as text" not in line] == []


def test_types_are_shown_whatever_the_rule_says(run: Run, direct: redis.Redis, config: Path) -> None:
    for key in ("shop_plain", "shop_view", "shop_seen", "shop_lock"):
        direct.set(key, b"!" + pickle.dumps((1,), 4))
        assert json.loads(run("inspect", "--json", "-c", str(config), key).text)["value"] == {"py/tuple": [1]}


def test_hostile_pickles_are_named_and_nothing_of_them_runs(run: Run, direct: redis.Redis) -> None:
    seen = []
    for sample in HOSTILE:
        direct.set(KEY, sample.stored)
        done = run("inspect", "--json", KEY)
        told = json.loads(done.text)
        assert done.status == ("undecodable" in told), sample.name
        if done.status:
            with pytest.raises(UndecodableError, match=f"^{re.escape(told['undecodable'])}$"):
                transcoder().decode(sample.stored)
        else:
            assert msgspec.json.encode(told["value"]) == transcoder().decode(sample.stored)
        seen.append(done.status)
    assert set(seen) == {0, 1}


def test_what_the_proxy_cannot_write_it_is_not_said_to_have_written(run: Run, direct: redis.Redis) -> None:
    direct.set(KEY, b"!\x80\x04\x8c\x0bshop.models\x8c\x04User\x93.")
    told = json.loads(run("inspect", "--json", KEY).text)
    assert not any("this proxy" in who for who in told["written_by"])
    direct.set(KEY, b"!" + pickle.dumps("x" * 2000, 4))
    done = run("inspect", "--json", KEY, env={"FLASK_CACHE_PROXY_LIMITS_DECODED_BYTES": "1000"})
    assert "this proxy" in json.loads(done.text)["written_by"]


def test_nothing_of_a_key_or_value_reaches_a_terminal_as_a_command(run: Run, direct: redis.Redis) -> None:
    direct.set(b"flask_cache_\xff\x1b[2J", b"!" + pickle.dumps("\x1b[2J\x9b2J\u202e\u2028", 4))
    done = run("inspect", b"flask_cache_\xff\x1b[2J")
    assert done.text.startswith("flask_cache_\\xff\\x1b[2J\n")
    assert done.text.replace("\n", "").isprintable()
    value = done.text.rpartition("value")[2].strip()
    assert json.loads(value) == "\x1b[2J\x9b2J\u202e\u2028"
