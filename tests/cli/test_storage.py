"""`stored` in a rule, for the commands that look into the cache."""

import json
import pickle
import zlib
from pathlib import Path

import pytest
import redis

from tests.cli.conftest import Run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A rule for each storage."""
    file = tmp_path / "config.toml"
    names = ("pickle", "django", "json", "flask")
    file.write_text("".join(f'[[rule]]\nkeys = "{name}_*"\nstored = "{name}"\n' for name in names))
    return file


STORED = {"pickle": pickle.dumps, "json": lambda value: json.dumps(value).encode()}
"""What the apps store; the others as pickle, Flask with its mark."""


def stored(name: str, value: object) -> bytes:
    return STORED[name](value) if name in STORED else b"!"[: name == "flask"] + pickle.dumps(value)


@pytest.mark.parametrize("name", ["pickle", "django", "json", "flask"])
def test_values_are_read_and_written_as_their_rule_says(run: Run, direct: redis.Redis, config: Path, name: str) -> None:
    key, value = f"{name}_k", {"a": [1, "é"]}
    direct.set(key, stored(name, value))
    options = ("--config", str(config))
    assert json.loads(run("get", *options, key).text) == value
    assert json.loads(run("inspect", *options, "--json", key).text)["value"] == value
    exported = run("export", *options).out
    direct.flushall()
    loaded = run("load", *options, "-", given=exported)
    assert (loaded.status, json.loads(run("get", *options, key).text)) == (0, value)
    assert run("set", *options, key, '{"a": 2}').status == 0
    written = direct.get(key)
    assert (json.loads(written) if name == "json" else pickle.loads(written.removeprefix(b"!"))) == {"a": 2}
    assert written.startswith(b"!") is (name == "flask")


@pytest.mark.parametrize(
    ("name", "writer"),
    [("pickle", "Flask-Session"), ("django", "Django's own Redis cache"), ("json", "JSONSerializer")],
)
def test_what_fits_its_rule_is_no_mistake_of_a_flask_cache(
    run: Run, direct: redis.Redis, config: Path, name: str, writer: str
) -> None:
    form = "JSON" if name == "json" else f"pickle protocol {pickle.DEFAULT_PROTOCOL} without a mark"
    options = ("--config", str(config), "--json")
    direct.mset({f"{name}_k": stored(name, {"a": 1}), f"{name}_odd": zlib.compress(b"x")})
    told, odd = map(json.loads, run("inspect", *options, f"{name}_k", f"{name}_odd").text.splitlines())
    assert told["form"] == form
    assert writer in told["written_by"][0]
    assert "warning" not in told
    assert "looks_like" in odd
    assert "warning" not in odd


def test_a_value_in_another_storage_is_no_value(run: Run, direct: redis.Redis, config: Path) -> None:
    direct.set("json_k", b"!" + pickle.dumps("x"))
    done = run("get", "--config", str(config), "json_k")
    assert (done.status, done.out) == (1, b"")
    assert 'stored = "json"' in done.err


def test_encode_and_decode_take_the_rule(run: Run, config: Path) -> None:
    options = ("--config", str(config), "--rule", "django_*")
    encoded = run("encode", *options, given=b'"x"').out
    assert pickle.loads(encoded) == "x"
    assert run("decode", *options, given=encoded).text == '"x"\n'
