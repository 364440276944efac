"""A real library in its own process, asked what it sees in Redis."""

import json
import select
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stacks.environments import HERE, Stack

DEADLINE = 120.0
"""Seconds that any answer may take before a test gives up on it; far more than it needs."""


class LibraryError(Exception):
    """The library's exception: the name of its class, and its text."""


@dataclass(frozen=True)
class Seen:
    """The response of a view as a browser got it."""

    status: int
    headers: list[list[str]]
    body: bytes
    runs: int
    """How often the view, or the fragment in it, really ran."""
    log: list[str]
    """The warnings and errors of the app and the library."""

    @property
    def content_type(self) -> str:
        """Its media type and parameters."""
        (text,) = [text for name, text in self.headers if name == "Content-Type"]
        return text


class Judge:
    """One stack at work."""

    def __init__(self, stack: Stack, python: Path, place: str, library: str = "", driver: str = "driver.py") -> None:
        """Start it. `place`: of Redis, as the library has it in the driver; `library`: else that of the stack."""
        self.stack = stack
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close()
        self._process = subprocess.Popen(
            [python, "-I", "-W", "ignore", HERE / driver, library or stack.library, place, *stack.shims],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def close(self) -> None:
        """End it."""
        try:
            self._process.communicate(timeout=DEADLINE)
        finally:
            self._process.kill()
            self._log.close()

    def ask(self, do: str, *arguments: object) -> Any:
        """Have one thing done; what came of it. Raises LibraryError."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        if process.poll() is None:
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps({"do": do, "with": arguments}) + "\n")
                process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], DEADLINE)
            assert ready, f"{self.stack.name} does not answer to {do}\n{self._complaints()}"
        line = process.stdout.readline()
        assert line, f"{self.stack.name} has died\n{self._complaints()}"
        result = json.loads(line)
        if "raised" in result:
            error = LibraryError(f"{result['raised']}: {result['text']}")
            error.add_note(result["traceback"])
            raise error
        return result["answer"]

    def _complaints(self) -> str:
        self._log.seek(0)
        return self._log.read()[-4000:]

    # -- what apps do --------------------------------------------------------------------------------------

    def describe(self, expression: str) -> Any:
        """The exact type and content of a value, in the stack's own Python."""
        return self.ask("describe", expression)

    def get(self, key: str) -> Any:
        """`cache.get`, described."""
        return self.ask("get", key)

    def get_many(self, keys: Sequence[str]) -> Any:
        """`cache.get_many`, described."""
        return self.ask("get_many", *keys)

    def set(self, key: str, expression: str) -> None:
        """`cache.set` of the value of a Python expression."""
        self.ask("set", key, expression)

    def view(self, path: str, method: str = "GET") -> Seen:
        """Ask the app for a page."""
        answer = self.ask("view", path, method)
        return Seen(**answer | {"body": b64decode(answer["body"])})
