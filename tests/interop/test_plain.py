"""docs/plain.md: programs in Go and TypeScript read what Flask caches as plain types of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.e2e.conftest import RedisServer, client_of
from tests.e2e.flask_app import FlaskApp
from tests.e2e.proxy_process import ProxyProcess
from tests.interop.conftest import address_of
from tests.interop.documents import Document, answer, go_module, holds
from tests.interop.programs import HERE, run

DOCUMENT = Document("plain.md")
PRINTED = "Tea (green, loose), 9.90 since 2024\n"


@pytest.fixture(scope="module")
def shared_proxy(redis_server: RedisServer) -> Iterator[ProxyProcess]:
    """A proxy with the listeners of the document."""
    listeners = ["--listen", "json=127.0.0.1:0", "--listen", "plain=127.0.0.1:0"]
    proxy = ProxyProcess([*listeners, "--upstream", f"unix://{redis_server.unix}"])
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture
def address(proxy: ProxyProcess, flask: FlaskApp) -> str:
    """The plain listener, once the app has cached what it caches in the document."""
    exec(DOCUMENT.code("python"), {"cache": flask.cache})
    return address_of(proxy.addresses("plain")[0])


def test_go(address: str, tmp_path: Path) -> None:
    go = go_module(tmp_path, {"main.go": DOCUMENT.code("go")})
    assert run(go, "run", ".", at=tmp_path, PROXY=address) == PRINTED


def test_typescript(node: str, address: str, tmp_path: Path) -> None:
    """Compiled as strictly as the document says."""
    packages = HERE / "node" / "node_modules"
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "program.mts").write_text(DOCUMENT.code("ts"))
    options = "--strict --module nodenext --target es2022"
    assert f"`tsc {options}`" in DOCUMENT.text
    compiler = packages / "typescript" / "bin" / "tsc"
    run(node, str(compiler), *options.split(), "--skipLibCheck", "program.mts", at=tmp_path)
    assert run(node, "program.mjs", at=tmp_path, PROXY=address) == PRINTED


def test_the_conversation(address: str, proxy: ProxyProcess, direct: redis.Redis) -> None:
    conversation = DOCUMENT.conversations()
    assert len(conversation) == 3
    with client_of(proxy.addresses("plain")[0]) as client:
        for said in conversation:
            assert holds(said, answered := answer(client, said.command)), (said, answered)
    assert direct.strlen("flask_cache_product:1") > 0
