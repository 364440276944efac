"""docs/objects.md: an app with SQLAlchemy models, a dataclass and an Enum, read from Go and Node as the page shows."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from tests.e2e.conftest import RedisServer, client_of
from tests.e2e.proxy_process import ProxyProcess
from tests.interop.conftest import address_of
from tests.interop.documents import Document, go_module, node_module
from tests.interop.programs import run

DOCUMENT = Document("objects.md")
PLAIN, TAGGED = map(json.loads, re.findall(r"^```json\n(.*?)^```$", DOCUMENT.text, re.DOTALL | re.MULTILINE))
GO_PRINTS, NODE_PRINTS, CLASSES = re.findall(r"^```text\n(.*?)^```$", DOCUMENT.text, re.DOTALL | re.MULTILINE)


class Shop(NamedTuple):
    """The app has cached its result."""

    proxy: ProxyProcess
    upstream: str
    key: str


@pytest.fixture(scope="module")
def shop(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The app of the document, and the proxy beside it."""
    upstream = f"unix://{redis_server.unix}"
    with redis.Redis(unix_socket_path=redis_server.unix) as client:
        client.flushall()
    at = tmp_path_factory.mktemp("shop")
    (at / "shop.py").write_text(DOCUMENT.code("python"))
    key = run(sys.executable, "-c", "import shop", at=at, REDIS=upstream).strip()
    proxy = ProxyProcess(["--listen", "json=127.0.0.1:0", "--listen", "plain=127.0.0.1:0", "--upstream", upstream])
    try:
        yield Shop(proxy.wait_until_ready(), upstream, key)
    finally:
        proxy.stop()


def test_the_two_listeners_give_what_the_page_shows(shop: Shop) -> None:
    for address, wanted in ((shop.proxy.json, TAGGED), (shop.proxy.addresses("plain")[0], PLAIN)):
        with client_of(address) as client:
            assert json.loads(client.get(f"flask_cache_{shop.key}")) == wanted


def test_go(shop: Shop, tmp_path: Path) -> None:
    go = go_module(tmp_path, {"main.go": DOCUMENT.code("go")})
    address = address_of(shop.proxy.addresses("plain")[0])
    assert run(go, "run", ".", at=tmp_path, PLAIN=address, KEY=shop.key) == GO_PRINTS


def test_node(node: str, shop: Shop, tmp_path: Path) -> None:
    program = node_module(tmp_path, DOCUMENT.code("js"))
    assert run(node, *program, at=tmp_path, PROXY=address_of(shop.proxy.json), KEY=shop.key) == NODE_PRINTS


def test_the_tools_count_its_classes_and_find_nothing_hostile(shop: Shop) -> None:
    command = (sys.executable, "-m", "proxy", "scan", "--upstream", shop.upstream)
    printed = run(*command, "--classes").splitlines()
    shown = [line for line in CLASSES.splitlines() if "..." not in line or "flask_cache_" in line]
    assert len(shown) > 5
    for line in shown:  # the widest class decides about the spaces
        pattern = r"\s+".join(map(re.escape, line.split())).replace(r"\.\.\.", ".*")
        assert any(re.fullmatch(rf"\s*{pattern}", one) for one in printed), (line, printed)
    told = run(*command, "--audit", "--json")
    assert json.loads(told) == {"keys": 2, "with_findings": 0}
