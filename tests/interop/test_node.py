"""Producers in Node, with the clients that such programs use. `npm ci` in `node` installs them."""

import datetime

import pytest
import redis

from tests.e2e.flask_app import FlaskApp
from tests.interop.conftest import Judge
from tests.interop.programs import HERE, run

CLIENTS = [
    ("with-ioredis.mjs", "ioredis", "2"),
    ("with-ioredis.mjs", "ioredis-6", "2"),
    ("with-ioredis.mjs", "ioredis-6", "3"),
    ("with-node-redis.mjs", "redis", "2"),
    ("with-node-redis.mjs", "redis", "3"),
    ("with-node-redis.mjs", "redis-6", "2"),
    ("with-node-redis.mjs", "redis-6", "3"),
    ("with-glide.mjs", "@valkey/valkey-glide", "2"),
    ("with-glide.mjs", "@valkey/valkey-glide", "3"),
]


@pytest.mark.parametrize(("program", "package", "protocol"), CLIENTS, ids=lambda word: word)
def test_a_node_client(
    node: str,
    address: str,
    msgpack_address: str,
    flask_at_work: FlaskApp,
    judge: Judge,
    direct: redis.Redis,
    program: str,
    package: str,
    protocol: str,
) -> None:
    judge(run(node, program, address, msgpack_address, package, protocol, at=HERE / "node"))
    name = f"{package}-{protocol}"
    assert 0 < direct.ttl(f"flask_cache_{name}:set") <= 60
    assert flask_at_work.cache.get(f"{name}:packed") == {
        "bytes": b"\x00\r\n\xff",
        "when": datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "list": [1, -1.5, "☃", None],
    }
