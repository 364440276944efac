"""Isolated environments and sources from the package index, fetched once and kept.

Each is named after what is in it, so a changed pin is another one; it appears under its name only when it is complete.
`FCP_STACKS_DIR` says where they are, `stacks/.envs` beside this file by default.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = (3, 11)
"""The Python version of the environments. It still runs the oldest libraries, and the newest ones too."""

_BUILD_DEADLINE = 600.0


class UnavailableError(Exception):
    """An environment cannot be had here; says why."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment. Every requirement is pinned, and no other package is installed."""

    name: str
    requirements: list[str]
    build: list[str] = field(default_factory=list)
    """For those that PyPI has as source only; without it, only wheels are taken."""


def python_of(environment: Environment) -> Path:
    """The interpreter of an environment, which is built if it is not there yet. Raises UnavailableError."""
    base = _base_python()
    recipe = [os.path.realpath(base), sorted(environment.requirements), sorted(environment.build)]
    return _kept(environment.name, recipe, lambda place: _build(environment, base, place)) / "bin" / "python"


def source_of(package: str, version: str) -> Path:
    """The unpacked source distribution of a package, tests and all. Raises UnavailableError."""
    name = f"{package}-{version}"
    return _kept(f"{name}-source", [package, version], lambda place: _unpack(package, version, place)) / name


def _kept(name: str, recipe: list[object], make: Callable[[Path], None]) -> Path:
    """The directory that `make` has filled by a recipe, now or long ago."""
    home = Path(os.environ.get("FCP_STACKS_DIR") or Path(__file__).parent / "stacks" / ".envs").absolute()
    place = home / f"{name}-{hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / f"{place.name}.lock"):
        if not place.exists():
            unfinished = home / f"{place.name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                make(unfinished)
                unfinished.rename(place)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return place


def _base_python() -> str:
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    name = ".".join(map(str, ("python3", *PYTHON[1:])))
    found = shutil.which(name)
    if found is None or subprocess.run([found, "-c", "import venv"], capture_output=True, check=False).returncode:
        raise UnavailableError(f"the environments need {name}")
    return found


def _build(environment: Environment, base: str, place: Path) -> None:
    name = environment.name
    _run(name, [base, "-m", "venv", "--without-pip", str(place)])
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-compile", "--retries", "1"]
    if environment.build:
        _run(name, [*install, *environment.build])
        _run(name, [*install, "--no-build-isolation", *environment.requirements])
    else:
        _run(name, [*install, "--only-binary", ":all:", *environment.requirements])


def _unpack(package: str, version: str, place: Path) -> None:
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    pinned = ["--no-deps", "--no-binary", package, f"{package}=={version}"]
    _run(f"the source of {package}", [*download, "--dest", str(place), *pinned])
    for archive in list(place.iterdir()):
        _run(f"the source of {package}", [sys.executable, "-m", "tarfile", "-e", str(archive), str(place)])
        archive.unlink()


def _run(what: str, command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_BUILD_DEADLINE)
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()
        reasons = [line for line in said if line.startswith("ERROR: ")] or said
        raise UnavailableError(f"no environment for {what}: {' '.join(reasons[-5:])}") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"no environment for {what} within {_BUILD_DEADLINE:.0f} seconds") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process, and one thread of it, at a time."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
