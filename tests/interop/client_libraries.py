"""The libraries in `clients`, each behind a program of its own language that does with it what a test says.

The program of a language is started once for each listener and each Redis client:

    PROGRAM ADDRESS PAYLOAD VARIANT

ADDRESS is `host:port` or the path of a unix socket. PAYLOAD is the listener's: `json`, `msgpack`, `plain` or
`plain-msgpack`. VARIANT names how to connect: `RESP2`, `RESP3`, `cluster` or `ring` in Go; `ioredis` or `node-redis` in
Node.

It reads one request a line from standard input, as JSON, and answers each with one line of JSON. It ends when its
input ends. A request has these members:

- `library`: `flask-cache`, `flask-caching-2.4` or `flask-caching-2.5`.
- `prefix`, by default `flask_cache_`; `hash` and `python`, which are left out if the test does not give them.
- `key_prefix`, left out like these: the decorator's, for a view or a query.
- `entry`: `["view", path]`, `["query", path, query]`, `["fragment", name, *vary_on]` or `["memo", name, *arguments]`.
  Each argument is a list: `[value]`, `["default", value]`, `["ignored", null]`, `["self", text]`, `["class", text]` or
  `["keyword", name, value]`. A value is JSON with tags, which the program turns into the types of the library.
- `op`: the method to call.
    - `key`: the answer is the key. `check`, `delete`, `invalidate`: the answer is null.
    - `get`: the answer is the value as JSON with tags. `want` is the type that the program asks for: `bool`, `int`,
      `float`, `text`, `bytes`, `list`, `dict`, `time` (an aware datetime), or left out for any.
    - `set`: stores `value` for `ttl` seconds; without a `ttl`, for ever. The answer is null.
    - `copy`: reads `entry` as the language's own types and stores that as the entry `to`, for `ttl` seconds.
    - `invalidate_prefix` (of `text`) and `invalidate_all`: the answer is a number. They have no `entry`.

An answer is `{"answer": ...}`, `{"miss": true}`, or `{"error": text}` for any error of the library or of Redis. The
library must raise: the program must not check anything on its own.
"""

import json
import select
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.programs import HERE, PATIENCE, missing


class ClientError(Exception):
    """The text of an error that a client library returned or threw."""


class Miss(Exception):  # noqa: N818 - it is no error
    """The cache has no such entry."""


class ClientLibrary:
    """One program at work."""

    def __init__(self, process: "subprocess.Popen[str]", **settings: str) -> None:
        """`settings`: members of each request, such as `library`."""
        self._process = process
        self.settings = settings

    def having(self, **settings: str) -> "ClientLibrary":
        """The same program, with other settings."""
        return ClientLibrary(self._process, **self.settings | settings)

    def ask(self, op: str, entry: Sequence[Any] | None = None, **members: Any) -> Any:
        """The answer to one request. Raises Miss and ClientError."""
        request = {**self.settings, "op": op, **members, **({} if entry is None else {"entry": entry})}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        assert ready, f"no answer to {request}"
        line = self._process.stdout.readline()
        assert line, f"the program has ended at {request}"
        answer = json.loads(line)
        if "miss" in answer:
            raise Miss
        if "error" in answer:
            raise ClientError(answer["error"])
        return answer["answer"]


@contextmanager
def at_work(command: Sequence[str], address: str, payload: str, variant: str) -> Iterator[ClientLibrary]:
    """Run the program of a language."""
    with subprocess.Popen(
        [*command, address, payload, variant], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield ClientLibrary(process)
            process.communicate(timeout=PATIENCE)
            assert process.returncode == 0
        finally:
            process.kill()


def go_program(into: Path) -> Sequence[str]:
    """The command of the Go program, which this builds in a directory."""
    if shutil.which("go") is None:
        missing("go is not installed")
    build = ["go", "build", "-o", f"{into}/flaskcache", "./flaskcache"]
    done = subprocess.run(build, cwd=HERE / "go", capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        missing(f"the Go program does not build (go mod download): {done.stderr}")
    return [f"{into}/flaskcache"]


def node_program(_: Path) -> Sequence[str]:
    """The command of the Node program."""
    node = shutil.which("node")
    if node is None:
        missing("node is not installed")
    elif not (HERE / "node" / "node_modules" / ".package-lock.json").exists():
        missing("the Node packages are not installed (npm ci in tests/interop/node)")
    return [str(node), str(HERE / "node" / "flaskcache.mjs")]


PROGRAMS = {
    "go": (go_program, ("RESP2", "RESP3")),
    "node": (node_program, ("ioredis", "node-redis")),
}
"""How to have the program of a language, and its variants."""
