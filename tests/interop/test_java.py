"""Producers in Java, with the clients of such programs. `mvn dependency:build-classpath` in `java` fetches them."""

from collections.abc import Sequence

import pytest
import redis

from tests.interop.conftest import Judge
from tests.interop.programs import run

CLIENTS = [
    ("WithJedis", "jedis", ("2",)),
    ("WithJedis", "jedis", ("3",)),
    ("WithLettuce", "lettuce", ("2",)),
    ("WithLettuce", "lettuce", ("3",)),
    ("WithLettuce", "lettuce", ("3", "replicas")),
]


@pytest.mark.parametrize(
    ("program", "name", "how"), CLIENTS, ids=lambda word: "-".join(word) if isinstance(word, tuple) else word
)
def test_a_java_client(
    java: Sequence[str], address: str, judge: Judge, direct: redis.Redis, program: str, name: str, how: tuple[str, ...]
) -> None:
    judge(run(*java, f"interop.{program}", address, *how))
    assert 0 < direct.ttl(f"flask_cache_{name}-{'-'.join(how)}:set") <= 60
