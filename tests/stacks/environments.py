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

    def version(self, package: str) -> tuple[int, ...]:
        """The version of a package in it; empty: it is not there."""
        pins = dict(requirement.split("==") for requirement in self.requirements)
        return tuple(map(int, pins[package].split("."))) if package in pins else ()


def _stack(table: dict[str, object]) -> Stack:
    memoize = table.pop("memoize", None)
    return Stack(**table, memoize=memoize and Memoize(**memoize))


STACKS = [_stack(table) for table in tomllib.loads((HERE / "stacks.toml").read_text())["stack"]]
