"""Programs of other languages and environments: run, with their word taken only if they say nothing else."""

import json
import os
import select
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


@contextmanager
def staying(*command: str) -> Iterator[Mapping[str, Any]]:
    """Run a program until the end of the block; the JSON that it prints. It stays until its standard input ends."""
    process = subprocess.Popen(
        command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], PATIENCE)[0], "the program prints nothing"
            line = process.stdout.readline()
            if line:
                yield json.loads(line)
            said = process.communicate(timeout=PATIENCE)
            assert (process.returncode, *said) == (0, "", ""), f"it ended early: {not line}"
        finally:
            process.kill()
