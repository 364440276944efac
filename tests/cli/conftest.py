"""The command line in this process, on a real Redis."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
import redis
from click.testing import CliRunner

from proxy.cli import main
from tests.conftest import RedisServer
from tests.e2e.conftest import private_redis

__all__ = ["private_redis"]


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a command."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Its output as text."""
        return self.out.decode()


class Run(Protocol):
    """Runs a command."""

    def __call__(self, *arguments: str | bytes, given: bytes = b"", env: Mapping[str, str] | None = None) -> Done:
        """`given`: on standard input."""


@pytest.fixture
def direct(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client of Redis, emptied."""
    with redis.Redis(unix_socket_path=redis_server.unix) as client:
        client.flushall()
        yield client


@pytest.fixture
def run(redis_server: RedisServer, direct: redis.Redis) -> Run:
    """Commands with the session's Redis, emptied, as their upstream; every failure of theirs is in words."""

    def run(*arguments: str | bytes, given: bytes = b"", env: Mapping[str, str] | None = None) -> Done:
        words = [one if isinstance(one, str) else one.decode(errors="surrogateescape") for one in arguments]
        upstream = {"FLASK_CACHE_PROXY_UPSTREAM_URL": f"unix://{redis_server.unix}"}
        result = CliRunner().invoke(main, words, input=given, env=upstream | dict(env or {}))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout_bytes, result.stderr)

    return run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file with a rule of each kind."""
    file = tmp_path / "config.toml"
    file.write_text(
        """
[[rule]]
keys = "shop_view*"
as = "view"

[[rule]]
keys = "shop_page*"
as = "view"
content_type = "text/html"

[[rule]]
keys = "shop_lock*"
as = "untouched"

[[rule]]
keys = "shop_seen*"
as = "read-only"

[[rule]]
keys = "shop_plain*"
types = "plain"
accept_tags = []
default_ttl = 60

[[rule]]
keys = "shop_html*"
accept_tags = ["data", "markup", "response"]
pickle_protocol = 2

[[rule]]
keys = "shop_*"
"""
    )
    return file
