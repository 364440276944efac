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
from tests.codec.samples import HOSTILE, REAL_ARRAYS, transcoder

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
    assert "stored as  JSON\n" in done.text
    assert "any program that writes JSON" in done.text
    assert "beware" not in done.text


def test_bytes_to_the_app_are_shown_as_text(run: Run, direct: redis.Redis) -> None:
    direct.set(KEY, '{"a": 1}')
    done = run("inspect", KEY)
    assert 'as text    {"a": 1}' in done.text
    assert "JSON text, written past the proxy" in done.text
    assert "beware     Flask reads these bytes unchanged" in done.text


@pytest.mark.parametrize(
    ("rule", "stored", "form", "protocol", "writer"),
    [
        ("django", pickle.dumps([1], 5), "pickle protocol 5 without a mark", 5, "Django's own Redis cache"),
        ("django", b"42", "digits", None, "Django's own Redis cache or django-redis"),
        ("pickle", pickle.dumps([1], 4), "pickle protocol 4 without a mark", 4, "aiocache"),
        ("pickle", pickle.dumps([1], 0), "pickle protocol 0 or 1 without a mark", None, "Flask-Session before 0.7"),
        ("json", b"[1]", "JSON", None, "Flask-Caching from 2.5 with JSONSerializer"),
        ("json", b"42", "JSON", None, "Flask-Caching from 2.5 with JSONSerializer"),
    ],
)
def test_the_writers_are_those_of_the_rules_storage(
    run: Run,
    direct: redis.Redis,
    tmp_path: Path,
    rule: str,
    stored: bytes,
    form: str,
    protocol: int | None,
    writer: str,
) -> None:
    direct.set(KEY, stored)
    (tmp_path / "config.toml").write_text(f'[[rule]]\nkeys = "flask_cache_*"\nstored = "{rule}"\n')
    done = run("inspect", "-c", str(tmp_path / "config.toml"), "--json", KEY)
    told = json.loads(done.text)
    assert (done.status, told["form"], told["protocol"]) == (0, form, protocol)
    assert writer in ", ".join(told["written_by"])
    assert "warning" not in told


@pytest.mark.parametrize("rule", ["pickle", "django", "json"])
@pytest.mark.parametrize(
    ("stored", "form"),
    [
        (b"!" + pickle.dumps([1], 4), "pickle protocol 4"),
        (b"\x1f\x8bxx", "bytes without a mark"),
        (b"<p>", "bytes without a mark"),
    ],
)
def test_a_value_in_another_storage_has_no_warning_of_flask(
    run: Run, direct: redis.Redis, tmp_path: Path, rule: str, stored: bytes, form: str
) -> None:
    direct.set(KEY, stored)
    (tmp_path / "config.toml").write_text(f'[[rule]]\nkeys = "flask_cache_*"\nstored = "{rule}"\n')
    done = run("inspect", "-c", str(tmp_path / "config.toml"), "--json", KEY)
    told = json.loads(done.text)
    assert (done.status, told["form"]) == (1, form)
    assert "warning" not in told


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


POINT = b"!\x80\x04\x8c\x0bshop.models\x8c\x05Point\x93K\x01K\x02\x86\x81}\x8c\x04name\x8c\x01asb."


def test_the_raw_parts_of_objects_are_shown(run: Run, direct: redis.Redis) -> None:
    direct.set(KEY, POINT)
    told = json.loads(run("inspect", "--json", KEY).text)
    assert told["value"] == {"py/instance": {"class": "shop.models.Point", "value": [1, 2]}}
    assert told["raw"] == {"object": 1, "class": "shop.models.Point", "arguments": [1, 2], "state": {"name": "a"}}
    shown = run("inspect", KEY).text.partition("raw parts")[2]
    assert json.loads(shown) == told["raw"]


def test_they_are_shown_where_a_rule_hides_the_class(run: Run, direct: redis.Redis, tmp_path: Path) -> None:
    direct.set(KEY, POINT)
    (tmp_path / "config.toml").write_text('[[rule]]\nkeys = "flask_cache_*"\nread_classes = []\n')
    done = run("inspect", "-c", str(tmp_path / "config.toml"), "--json", KEY)
    told = json.loads(done.text)
    assert (done.status, told["raw"]["class"]) == (1, "shop.models.Point")
    assert "shop.models.Point" in told["undecodable"]


def test_what_cannot_be_read_has_names_at_least(run: Run, direct: redis.Redis) -> None:
    direct.set(KEY, POINT[:-1] + b"\x8c\x02os\x8c\x06system\x93\xff")
    done = run("inspect", "--json", KEY)
    told = json.loads(done.text)
    assert (done.status, told["names"]) == (1, ["os.system", "shop.models.Point"])
    assert "names      os.system, shop.models.Point" in run("inspect", KEY).text


@pytest.mark.parametrize(
    ("stored", "looks_like", "value"),
    [
        (pickle.dumps((1,)), "a pickle without a mark", {"py/tuple": [1]}),
        (b'{"a": 1}', "JSON", {"a": 1}),
        (b"x\x9c", "compressed (zlib)", None),
    ],
)
def test_a_value_in_another_storage_is_shown_as_it_seems_to_be(
    run: Run, direct: redis.Redis, tmp_path: Path, stored: bytes, looks_like: str, value: object
) -> None:
    (tmp_path / "config.toml").write_text(
        '[[rule]]\nkeys = "json_*"\nstored = "json"\n[[rule]]\nkeys = "django_*"\nstored = "django"\n'
    )
    options = ("-c", str(tmp_path / "config.toml"))
    for key in ("json_k", "django_k"):
        direct.set(key, stored)
        told = json.loads(run("inspect", *options, "--json", key).text)
        is_odd = key != ("json_k" if looks_like == "JSON" else "django_k") or value is None
        assert (told.get("looks_like"), told.get("value")) == (looks_like if is_odd else None, value)
        assert ("undecodable" in told) is is_odd
    direct.set("other", stored)
    assert json.loads(run("inspect", *options, "--json", "other").text).get("value") == value
    text = run("inspect", *options, "json_k", "django_k").text
    assert "looks like compressed (zlib)\n" in text or '(stored = "' in text


def test_a_frame_is_shown_as_a_table(run: Run, direct: redis.Redis) -> None:
    vectors = REAL_ARRAYS["pandas-2.2.3"]
    direct.set(KEY, bytes.fromhex(vectors["frame_mixed.p5"]["hex"]))
    done = run("inspect", KEY)
    assert (done.status, done.err) == (0, "")
    shown = done.text.partition("  kind       dataframe\n")[2].partition("  raw parts")[0]
    assert shown.splitlines() == [
        "  table 1    a DataFrame of 3 rows and 4 columns",
        "         price    qty  ok     name",
        "       float64  int64  bool   object",
        "    0      1.5      1  true   a",
        "    1     null      2  false  null",
        "    2      3.0      3  true   c",
    ]
    assert '"_mgr": "shown as a table"' in done.text
    told = json.loads(run("inspect", "--json", KEY).text)
    assert told["value"]["py/dataframe"]["rows"] == 3
    assert "BlockManager" in told["raw"]["state"]["_mgr"]["class"]
    direct.set(KEY, bytes.fromhex(vectors["dict_of_frames.p5"]["hex"]))
    text = run("inspect", KEY).text
    assert json.loads(text.partition("value")[2].partition("  table 1")[0]) == {"a": "table 1", "b": "table 2"}
    assert "  table 2    a DataFrame of 2 rows and 1 column\n" in text


def test_the_limits_of_the_rule_hold_for_all_that_is_shown(run: Run, direct: redis.Redis, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[limits]\nnodes = 5\n[[rule]]\nkeys = "large_*"\nnodes = 50\n[[rule]]\nkeys = "flask_cache_*"\n'
    )
    direct.mset(dict.fromkeys(("large_k", KEY), POINT))
    options = ("-c", str(tmp_path / "config.toml"), "--json")
    told = json.loads(run("inspect", *options, "large_k").text)
    assert told["raw"]["class"] == "shop.models.Point"
    assert json.loads(run("inspect", *options, KEY).text)["undecodable"].endswith("([limits] nodes)")
    direct.set("large_k", b"!" + pickle.dumps([1] * 50))
    assert json.loads(run("inspect", *options, "large_k").text)["undecodable"].endswith("([[rule]] nodes)")
