"""docs/clients.md: its programs connect over a unix socket, with and without a password."""

from pathlib import Path

import pytest

from tests.e2e.conftest import StartProxy, start_proxy
from tests.interop.documents import Document, go_module, node_module
from tests.interop.programs import run

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
    assert run(go, "run", ".", at=tmp_path, SOCKET=socket, PASSWORD=password) == '"Hello from Go"\n'


@PASSWORDS
def test_node(node: str, start_proxy: StartProxy, tmp_path: Path, password: str) -> None:
    program = node_module(tmp_path, DOCUMENT.code("js"))
    socket = listening(start_proxy, tmp_path, password)
    assert run(node, *program, at=tmp_path, SOCKET=socket, PASSWORD=password) == '"Hello from Node"\n'
