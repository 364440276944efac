"""docs/clients.md: its programs connect, over a unix socket too, and those of other languages fill a page."""

import base64
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import redis

from tests.e2e.conftest import StartProxy, start_proxy
from tests.e2e.flask_app import FlaskApp
from tests.interop.documents import CLIENTS, Document, Said, go_module, holds, node_module
from tests.interop.programs import missing, run

__all__ = ["start_proxy"]

DOCUMENT = Document("clients.md")
PASSWORDS = pytest.mark.parametrize("password", ["", "sesame"], ids=["open", "password"])


def listening(start: StartProxy, tmp_path: Path, password: str) -> str:
    """Start a proxy on a unix socket; the socket."""
    socket = tmp_path / "json.sock"
    config = tmp_path / "config.toml"
    asks = f'password = "{password}"' if password else ""
    config.write_text(f'[[listener]]\nbind = "unix:{socket}"\n{asks}\n')
    start("--config", str(config))
    return str(socket)


@PASSWORDS
def test_go(start_proxy: StartProxy, tmp_path: Path, password: str) -> None:
    go = go_module(tmp_path, {"main.go": DOCUMENT.code("go")})
    socket = listening(start_proxy, tmp_path, password)
    assert run(go, "run", ".", at=tmp_path, SOCKET=socket, PASSWORD=password) == "Hello from Go <nil>\n"


@PASSWORDS
def test_node(node: str, start_proxy: StartProxy, tmp_path: Path, password: str) -> None:
    program = node_module(tmp_path, DOCUMENT.code("js"))
    socket = listening(start_proxy, tmp_path, password)
    assert run(node, *program, at=tmp_path, SOCKET=socket, PASSWORD=password) == "Hello from Node\n"


def test_msgpack_libraries(node: str, msgpack_address: str, direct: redis.Redis, tmp_path: Path) -> None:
    program = node_module(tmp_path, DOCUMENT.code("mjs"))
    assert run(node, *program, at=tmp_path, PROXY=msgpack_address) == "<Buffer 00 ff>\n" * 2
    assert pickle.loads(direct.get("flask_cache_view//image")[1:]) == b"\x00\xff"


def where(address: str) -> dict[str, str]:
    """Variables that tell the programs where the proxy is."""
    host, _, port = address.rpartition(":")
    return {"PROXY": address, "PROXY_HOST": host, "PROXY_PORT": port}


JAVA = """import redis.clients.jedis.RedisClient;
import redis.clients.jedis.params.SetParams;

class Program {{
    public static void main(String[] arguments) {{
{}
    }}
}}
"""


def test_java(java: Sequence[str], address: str, flask: FlaskApp, tmp_path: Path) -> None:
    snippets = re.findall(r"^```java\n(.*?)^```$", DOCUMENT.text, re.DOTALL | re.MULTILINE)
    for snippet, name in zip(snippets, ("Jedis", "Lettuce"), strict=True):
        assert len(snippet.splitlines()) <= 5
        (tmp_path / "Program.java").write_text(JAVA.format(snippet))
        printed = run(*java, "Program.java", at=tmp_path, **where(address))
        assert printed == f'"Hello from {name}"\n'
        assert flask.get("/index") == f"Hello from {name}"
    assert flask.runs["index"] == 0


def test_php(address: str, flask: FlaskApp, tmp_path: Path) -> None:
    php = shutil.which("php")
    if php is None or "redis" not in run(php, "-m").split():
        missing("PHP and phpredis are not installed")
    code = DOCUMENT.code("php")
    (tmp_path / "program.php").write_text(code)
    printed = run(str(php), "program.php", at=tmp_path, **where(address))
    for line, promise in zip(printed.splitlines(), re.findall(r";\s+// (.*)$", code, re.MULTILINE), strict=True):
        assert holds(Said("", promise), line)
    assert flask.get("/index") == "Hello from PHP"


def test_the_node_library_is_packed_under_the_name_that_it_says() -> None:
    package = json.loads((CLIENTS / "node" / "package.json").read_text())
    packed = f"{package['name']}-{package['version']}.tgz"
    assert packed in DOCUMENT.text
    assert packed in Document("../README.md").text
    assert f"clients/go/v{package['version']}" in DOCUMENT.text


def test_the_decoder_of_a_gui(tmp_path: Path) -> None:
    """The script gives and takes base64. The parameters of the other GUI give JSON."""
    (tmp_path / "decoder").write_text(DOCUMENT.code("sh"))
    stored = b"!" + pickle.dumps((1, "é\n"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    decoded = run("sh", "decoder", base64.b64encode(stored).decode(), at=tmp_path, PATH=path)
    assert base64.b64decode(decoded, validate=True).decode() == '[1,"é\\n"]'
    (parameters,) = re.findall(r"`(decode .*\{HEX\})`", DOCUMENT.text)
    command = parameters.replace("{HEX}", stored.hex()).split()
    assert run(sys.executable, "-m", "proxy", *command) == '[1,"é\\n"]\n'


def test_it_says_what_cannot_be_decoded(tmp_path: Path) -> None:
    (tmp_path / "decoder").write_text(DOCUMENT.code("sh"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["sh", "decoder", base64.b64encode(b"!damaged").decode()]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"[RDM-ERROR]")
    assert b"cannot be decoded" in done.stderr
