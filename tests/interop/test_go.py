"""Producers in Go, with the clients that such programs use. `go mod download` in `go` fetches what they need."""

from pathlib import Path

import pytest
import redis

from tests.interop.conftest import REDSYNC_SCRIPTS, Judge
from tests.interop.programs import run

PROTOCOLS = pytest.mark.parametrize("protocol", ["2", "3"], ids=["RESP2", "RESP3"])


@PROTOCOLS
def test_go_redis(go_programs: Path, address: str, judge: Judge, direct: redis.Redis, protocol: str) -> None:
    judge(run(str(go_programs / "goredis"), address, protocol))
    assert direct.get(f"raw:flask_cache_go{protocol}:") == b"\x00\xff"
    assert 0 < direct.ttl(f"flask_cache_go{protocol}:set") <= 60


@PROTOCOLS
@pytest.mark.usefixtures("flask_at_work")
def test_rueidis(go_programs: Path, address: str, judge: Judge, protocol: str) -> None:
    judge(run(str(go_programs / "rueidis"), address, protocol))


def test_redsync(go_programs: Path, address: str, direct: redis.Redis) -> None:
    run(str(go_programs / "redsync"), address)
    assert direct.keys() == []


def test_the_scripts_of_redsync_are_in_the_example() -> None:
    example = (Path(__file__).parents[2] / "config.example.toml").read_text()
    assert all(f'"{sha1}"' in example for sha1 in REDSYNC_SCRIPTS)
