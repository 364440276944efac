"""The documents in `docs`: their programs, tables, settings and conversations, as tests take them out."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import redis

from tests.e2e.conftest import RedisServer
from tests.interop.programs import HERE, missing, run

DOCS = HERE.parent.parent / "docs"
CLIENTS = HERE.parent.parent / "clients"
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LISTENERS = """
[[listener]]
bind = "127.0.0.1:0"

[[listener]]
bind = "127.0.0.1:0"
payload = "msgpack"

[upstream]
url = "unix://{redis}"
"""


class Said(NamedTuple):
    """A line of a conversation with Redis, and the answer that the document shows."""

    command: str
    answer: str


class Document:
    """One of them."""

    def __init__(self, name: str) -> None:
        """`name`: of its file in `docs`."""
        self.text = (DOCS / name).read_text()

    def code(self, language: str) -> str:
        """All of its code in a language, in its order: one program."""
        return "\n".join(code for found, code in _FENCED.findall(self.text) if found == language)

    def config(self, server: RedisServer) -> str:
        """A configuration with the settings that it shows, and listeners for both payloads."""
        return _LISTENERS.format(redis=server.unix) + self.code("toml")

    def conversations(self) -> list[Said]:
        """What it says to Redis, line by line: `> COMMAND`, and the answer below."""
        return [Said(*one) for one in re.findall(r"^> (.+)\n(.+)$", self.code(""), re.MULTILINE)]

    def rows(self, *header: str) -> list[list[str]]:
        """The cells of the one table with this header; code without its marks."""
        line = re.escape(f"| {' | '.join(header)} |")
        (body,) = re.findall(rf"^{line}\n\|[-|]+\|\n((?:\|.*\n)+)", self.text, re.MULTILINE)
        return [[_cell(cell) for cell in row.strip("| ").split(" | ")] for row in body.splitlines()]


def _cell(text: str) -> str:
    code = re.fullmatch(r"(`+) ?(.*?) ?\1", text.strip())
    return code[2] if code else text.strip()


def answer(client: redis.Redis, command: str) -> str:
    """The output of redis-cli --raw, with escapes for bytes that are not text."""
    try:
        got = client.execute_command(*shlex.split(command))
    except redis.ResponseError as error:
        return f"(error) {error}" if str(error).startswith("ERR ") else f"(error) ERR {error}"
    if got is None:
        return "(nil)"
    if isinstance(got, bytes):
        text = got.decode(errors="replace")
        return text if text.isprintable() and "\ufffd" not in text else repr(got)[2:-1]
    return "OK" if got is True else str(got)


def holds(said: Said, answered: str) -> bool:
    """Whether that is what the document shows, where `...` is for anything."""
    wanted = re.escape(said.answer).replace(r"\.\.\.", ".*")
    return re.fullmatch(wanted, answered) is not None


def promises(code: str, comment: str) -> Iterator[str]:
    """The expected output of each print in a program, from the comment after it."""
    for line in code.splitlines():
        if re.match(r"\s*(print|console\.log)\(", line):
            _, found, promise = line.rpartition(f" {comment} ")
            assert found, line
            yield promise


def go_module(at: Path, files: dict[str, str], like: Path = HERE / "go") -> str:
    """A Go module with these files, which may import what `like` does; gives back the go command."""
    go = shutil.which("go")
    if go is None:
        missing("go is not installed")
    for name in ("go.mod", "go.sum"):
        text = (like / name).read_text()
        (at / name).write_text(text.replace("../../../clients/go", str(CLIENTS / "go")))
    for name, source in files.items():
        (at / name).write_text(source)
    fetched = subprocess.run([str(go), "mod", "download"], cwd=at, capture_output=True, text=True, check=False)
    if fetched.returncode:
        missing(f"the modules are not to be had (go mod download): {fetched.stderr}")
    gofmt = [str(Path(str(go)).parent / "gofmt"), "-l", "."]
    formatted = subprocess.run(gofmt, cwd=at, capture_output=True, text=True, check=True)
    assert formatted.stdout == ""
    return str(go)


def node_module(at: Path, source: str, name: str = "program.mjs") -> Sequence[str]:
    """A program that may import the tests' packages and the Node client; gives back its arguments to node."""
    packages = at / "node_modules"
    packages.mkdir()
    for package in (HERE / "node" / "node_modules").iterdir():
        (packages / package.name).symlink_to(package)
    shutil.copytree(CLIENTS / "node", packages / "flaskcache", ignore=shutil.ignore_patterns("node_modules", "test"))
    (at / name).write_text(source)
    return [name]


def typescript(node: str, at: Path, source: str) -> str:
    """A program in TypeScript, compiled strictly against the types of the Node client; gives back its name."""
    node_module(at, source, "program.mts")
    compiler = str(HERE / "node" / "node_modules" / "typescript" / "bin" / "tsc")
    client = at / "node_modules" / "flaskcache"
    run(node, compiler, "-p", str(client / "tsconfig.types.json"))
    shutil.copy(client / "src" / "types.d.ts", client / "types")
    options = "--strict --module nodenext --target es2022 --skipLibCheck"
    run(node, compiler, *options.split(), "program.mts", at=at)
    return "program.mjs"
