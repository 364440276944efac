"""Producers with redis-py, of the versions that are in use, each in an environment of its own."""

import json
from pathlib import Path

import pytest
import redis

from tests.environments import Environment, UnavailableError, python_of
from tests.interop.conftest import LOCK_SCRIPTS, Judge
from tests.interop.programs import missing, run

ENVIRONMENTS = [
    Environment(name="redis-py-5", requirements=["redis==5.3.1", "PyJWT==2.10.1", "async-timeout==5.0.1"]),
    Environment(name="redis-py-8", requirements=["redis==8.1.0", "async-timeout==5.0.1"]),
]

SHA1S = """
import hashlib, json
from redis.lock import Lock
scripts = {name: getattr(Lock, f"LUA_{name.upper()}_SCRIPT") for name in ("release", "extend", "reacquire")}
print(json.dumps({name: hashlib.sha1(script.encode()).hexdigest() for name, script in scripts.items()}))
"""


@pytest.fixture(params=ENVIRONMENTS, ids=lambda one: one.name)
def environment(request: pytest.FixtureRequest) -> Environment:
    """One after the other."""
    found: Environment = request.param
    return found


@pytest.fixture
def python(environment: Environment) -> Path:
    """Its interpreter."""
    try:
        return python_of(environment)
    except UnavailableError as error:
        missing(str(error))
        raise


@pytest.mark.parametrize("program", ["producer", "async_producer"])
@pytest.mark.parametrize("protocol", ["2", "3"], ids=["RESP2", "RESP3"])
@pytest.mark.usefixtures("flask_at_work")
def test_redis_py(
    python: Path, environment: Environment, address: str, judge: Judge, direct: redis.Redis, program: str, protocol: str
) -> None:
    command = [str(python), "-W", "error", f"python/{program}.py"]
    judge(run(*command, address, protocol, f"{environment.name}-{program}"))
    assert direct.exists("flask_cache_lock:py") == 0


def test_the_scripts_of_its_lock_are_those_that_the_guard_lets_through(python: Path) -> None:
    assert json.loads(run(str(python), "-c", SHA1S)) == LOCK_SCRIPTS
