"""docs/pitfalls.md: Go, JavaScript and Python on one Redis, in that order, each held against what it says it prints."""

import re
import sys
from pathlib import Path

import pytest
import redis

from tests.e2e.conftest import RedisServer, StartProxy, start_proxy
from tests.interop.conftest import address_of
from tests.interop.documents import Document, go_module, node_module, promises
from tests.interop.programs import run

__all__ = ["start_proxy"]

DOCUMENT = Document("pitfalls.md")


@pytest.fixture
def documented(direct: redis.Redis, redis_server: RedisServer, start_proxy: StartProxy, tmp_path: Path) -> str:
    """Where a proxy with the rules of the document is, before an empty Redis."""
    config = tmp_path / "config.toml"
    config.write_text(DOCUMENT.config(redis_server))
    return address_of(start_proxy("--config", str(config)).json)


def test_every_snippet_prints_what_it_says(
    documented: str, redis_server: RedisServer, direct: redis.Redis, node: str, tmp_path: Path
) -> None:
    code = DOCUMENT.code("go")
    go = go_module(tmp_path, {"pitfalls_test.go": code})
    tested = run(go, "test", "-count=1", "-v", ".", at=tmp_path, PROXY=documented)
    examples = re.findall(r"^func (Example\w*)\(", code, re.MULTILINE)
    assert re.findall(r"^--- PASS: (\w+)", tested, re.MULTILINE) == examples
    assert code.count("// Output:") == len(examples) > 6

    program = DOCUMENT.code("js")
    printed = run(node, *node_module(tmp_path, program), at=tmp_path, PROXY=documented)
    assert printed.splitlines() == list(promises(program, "//"))

    program = DOCUMENT.code("python")
    printed = run(sys.executable, "-c", program, REDIS=f"unix://{redis_server.unix}")
    assert printed.splitlines() == list(promises(program, "#"))
    assert direct.ttl("flask_cache_stays") == -1


def test_what_is_no_json_is_an_error(documented: str) -> None:
    host, _, port = documented.rpartition(":")
    with redis.Redis(host=host, port=int(port)) as client:
        with pytest.raises(redis.ResponseError, match=r"flask-cache-proxy: .*not valid JSON"):
            client.set("flask_cache_greeting", "hello")
        assert client.set("flask_cache_greeting", '"hello"')
