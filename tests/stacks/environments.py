"""The stacks of stacks.toml: each a library and all that it needs, in an environment of its own."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from tests.environments import Environment

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Memoize:
    """How a library makes the key of a memoized result."""

    hash: str
    keywords: str


@dataclass(frozen=True, kw_only=True)
class Stack(Environment):
    """One table of stacks.toml."""

    library: str
    shims: list[str] = field(default_factory=list)
    memoize: Memoize | None = None
    ints: str = "digits"
    server: str | None = None
    """The server that the library is for (`tests.servers`); None: the session's own."""

    def version(self, package: str) -> tuple[int, ...]:
        """The version of a package in it; empty: it is not there."""
        pins = dict(requirement.split("==") for requirement in self.requirements)
        return tuple(map(int, pins[package].split("."))) if package in pins else ()


def _stack(table: dict[str, object]) -> Stack:
    memoize = table.pop("memoize", None)
    return Stack(**table, memoize=memoize and Memoize(**memoize))


_TABLES = tomllib.loads((HERE / "stacks.toml").read_text())

STACKS = [_stack(table) for table in _TABLES["stack"]]

NEIGHBOURS = _stack(_TABLES["neighbours"])
"""Caches that are no Flask cache."""

THOROUGH = {"flask-cache-0.13.1", "flask-caching-2.5.1"}
"""The oldest library and the newest. They get every value; the others, with the same Python's pickle, get a few."""

FRAMES = [_stack(table) for table in _TABLES["frames"]]
"""Apps that cache frames, by the version of pandas."""
