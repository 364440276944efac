"""Isolated environments for the stacks, built once and kept.

Each is named after what is in it, so a changed pin is another environment; it appears under its name only when it is
complete. `FCP_STACKS_DIR` says where they are, `.envs` beside this file by default.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = (3, 11)
"""What the stacks are pinned for: it runs the oldest of them still, and the newest."""

_BUILD_DEADLINE = 600.0


class UnavailableError(Exception):
    """A stack cannot be had here; says why."""


@dataclass(frozen=True)
class Memoize:
    """How a library makes the key of a memoized result."""

    hash: str
    keywords: str


@dataclass(frozen=True)
class Stack:
    """One table of stacks.toml."""

    name: str
    library: str
    requirements: list[str]
    build: list[str] = field(default_factory=list)
    shims: list[str] = field(default_factory=list)
    memoize: Memoize | None = None
    ints: str = "digits"

    def version(self, package: str) -> tuple[int, ...]:
        """The version of a package in it; empty: it is not there."""
        pins = dict(requirement.split("==") for requirement in self.requirements)
        return tuple(map(int, pins[package].split("."))) if package in pins else ()


def _stack(table: dict[str, object]) -> Stack:
    memoize = table.pop("memoize", None)
    return Stack(**table, memoize=memoize and Memoize(**memoize))


STACKS = [_stack(table) for table in tomllib.loads((HERE / "stacks.toml").read_text())["stack"]]


def python_of(stack: Stack) -> Path:
    """The interpreter of a stack, which is built if it is not there yet. Raises UnavailableError."""
    base = _base_python()
    recipe = json.dumps([os.path.realpath(base), sorted(stack.requirements), sorted(stack.build)])
    home = Path(os.environ.get("FCP_STACKS_DIR") or HERE / ".envs").absolute()
    place = home / f"{stack.name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / f"{place.name}.lock"):
        if not place.exists():
            unfinished = home / f"{place.name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                _build(stack, base, unfinished)
                unfinished.rename(place)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return place / "bin" / "python"


def _base_python() -> str:
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    name = ".".join(map(str, ("python3", *PYTHON[1:])))
    found = shutil.which(name)
    if found is None or subprocess.run([found, "-c", "import venv"], capture_output=True, check=False).returncode:
        raise UnavailableError(f"the stacks need {name}")
    return found


def _build(stack: Stack, base: str, place: Path) -> None:
    _run(stack, [base, "-m", "venv", "--without-pip", str(place)])
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-compile", "--retries", "1"]
    if stack.build:
        _run(stack, [*install, *stack.build])
        _run(stack, [*install, "--no-build-isolation", *stack.requirements])
    else:
        _run(stack, [*install, "--only-binary", ":all:", *stack.requirements])


def _run(stack: Stack, command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_BUILD_DEADLINE)
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()
        reasons = [line for line in said if line.startswith("ERROR: ")] or said
        raise UnavailableError(f"no environment for {stack.name}: {' '.join(reasons[-5:])}") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"no environment for {stack.name} within {_BUILD_DEADLINE:.0f} seconds") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process, and one thread of it, at a time."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
