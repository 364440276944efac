"""Frames that real apps cache with each pandas: read through the proxy, and made again by `to_pandas`."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import redis

from tests.e2e.conftest import client_of
from tests.e2e.proxy_process import ProxyProcess
from tests.stacks.conftest import Site
from tests.stacks.environments import FRAMES, Stack
from tests.stacks.judge import Judge

CITY = "Ōsaka ☃"
CONFIG = """
[[listener]]
bind = "127.0.0.1:0"
types = "plain"
[upstream]
url = "unix://{redis}"
"""

pytestmark = pytest.mark.parametrize("stack", FRAMES, ids=[stack.name for stack in FRAMES])


@pytest.fixture(scope="module")
def judges() -> Iterator[dict[str, Judge]]:
    """The apps that are at work in this module."""
    at_work: dict[str, Judge] = {}
    yield at_work
    for judge in at_work.values():
        judge.close()


@pytest.fixture
def judge(stack: Stack, judges: dict[str, Judge], python: Path, site: Site) -> Judge:
    """The app with that pandas; its Redis is empty."""
    if stack.name not in judges:
        judges[stack.name] = Judge(stack, python, site.socket, driver="frames_driver.py")
    return judges[stack.name]


@pytest.fixture(scope="module")
def plain_proxies() -> Iterator[dict[str, ProxyProcess]]:
    """Proxies with a plain listener, by the socket of their Redis."""
    started: dict[str, ProxyProcess] = {}
    yield started
    for proxy in started.values():
        proxy.stop()


@pytest.fixture
def looking(site: Site, plain_proxies: dict[str, ProxyProcess], tmp_path: Path) -> Iterator[redis.Redis]:
    """A client of the plain listener."""
    if site.socket not in plain_proxies:
        config = tmp_path / "config.toml"
        config.write_text(CONFIG.format(redis=site.socket))
        plain_proxies[site.socket] = ProxyProcess(["--config", str(config)]).wait_until_ready()
    with client_of(plain_proxies[site.socket].addresses("plain")[0]) as client:
        yield client


def told(answer: Any) -> Any:
    """The value of an answer that the driver has described."""
    kind, content = answer
    if kind == "builtins.dict":
        return {told(key): told(value) for key, value in content}
    return [told(part) for part in content] if kind == "builtins.tuple" else ast.literal_eval(content)


def memoized_key(direct: redis.Redis) -> bytes:
    """The one key that is neither a version nor a session."""
    (key,) = (key for key in direct.keys("flask_cache_*") if b"memver" not in key and b"session" not in key)
    return bytes(key)


def test_a_memoized_frame_is_rows_as_pandas_writes_them(
    judge: Judge, direct: redis.Redis, looking: redis.Redis
) -> None:
    written, runs = told(judge.ask("rows", CITY))
    assert runs == 1
    rows = json.loads(looking.get(memoized_key(direct)))
    digits = 9 if rows[0]["at"].endswith("123456789") else 6
    times = ["2024-01-02T03:04:05.123456789"[: digits - 9 or None], None, f"2024-02-29T00:00:00.{'0' * digits}"]
    assert [row.pop("at") for row in rows] == times
    assert rows == [{name: value for name, value in row.items() if name != "at"} for row in json.loads(written)]
    assert rows[2] == {"price": 3.0, "qty": 2**60, "ok": True, "name": CITY}
    assert told(judge.ask("rows", CITY))[1] == 0


def test_a_memoized_frame_is_typed_columns(
    judge: Judge, direct: redis.Redis, producer: redis.Redis, msgpack_producer: redis.Redis
) -> None:
    judge.ask("rows", CITY)
    key = memoized_key(direct)
    frame = json.loads(producer.get(key))["py/dataframe"]
    assert msgpack.unpackb(msgpack_producer.get(key))["py/dataframe"] == frame
    assert (frame["rows"], frame["index"]) == (3, {"range": [0, 3, 1]})
    columns = {column["name"]: column["values"] for column in frame["columns"]}
    assert list(columns) == ["price", "qty", "ok", "name", "at"]
    assert columns["price"] == [1.5, None, 3.0]
    assert columns["qty"] == [1, 2, 2**60]
    assert columns["name"] == ["tea", None, CITY]
    assert [column["dtype"] for column in frame["columns"][:3]] == ["float64", "int64", "bool"]
    with pytest.raises(redis.ResponseError, match="py/dataframe"):
        producer.set(key, json.dumps({"py/dataframe": frame}))
    assert told(judge.ask("rows", CITY))[1] == 0


def test_a_callback_that_caches_a_dict_of_frames(judge: Judge, producer: redis.Redis, looking: redis.Redis) -> None:
    assert told(judge.ask("called_back", "7", CITY)) == {"rows": 3}
    tagged = json.loads(producer.get("flask_cache_session:7"))
    assert list(tagged) == ["stock", "sums", "none"]
    assert tagged["none"] is None
    assert tagged["sums"]["py/dataframe"] == {
        "rows": 2,
        "index": {"name": "ok", "dtype": "bool", "values": [False, True]},
        "columns": [{"name": "price", "dtype": "float64", "values": [0.0, 4.5]}],
    }
    plain = json.loads(looking.get("flask_cache_session:7"))
    assert plain["sums"] == [{"ok": False, "price": 0.0}, {"ok": True, "price": 4.5}]
    assert [row["name"] for row in plain["stock"]] == ["tea", None, CITY]


def test_to_pandas_makes_what_pandas_had(judge: Judge) -> None:
    differences, count = told(judge.ask("differences"))
    assert json.loads(differences) == []
    assert count > 200
