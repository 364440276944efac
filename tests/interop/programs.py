"""Programs of other languages and environments: run, with their word taken only if they say nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PATIENCE = 600.0
"""Seconds that a program may take, and the compiler before it."""


def missing(what: str) -> None:
    """Skip the test, but never in CI."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)


def run(*command: str, at: Path = HERE, given: str = "", **env: str) -> str:
    """Run a program and return its output. It must succeed and print nothing else. `given`: its standard input."""
    environ = {**os.environ, **env}
    done = subprocess.run(
        command, cwd=at, env=environ, input=given, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{done.stderr}\n{done.stdout[-1000:]}"
    return done.stdout
