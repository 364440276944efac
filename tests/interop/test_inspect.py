"""docs/inspect.md: every line of its script, in a shell."""

import os
import sys
from pathlib import Path

import redis

from tests.e2e.conftest import RedisServer
from tests.e2e.flask_app import FlaskApp
from tests.interop.documents import Document
from tests.interop.programs import run


def test_its_commands(redis_server: RedisServer, direct: redis.Redis, tmp_path: Path, flask: FlaskApp) -> None:
    """One after the other. The other Redis is database 1 of this one."""
    script = Document("inspect.md").code("sh")
    assert "redis://other:6379/0" in script
    script = script.replace("redis://other:6379/0", f"redis://127.0.0.1:{redis_server.port}/1")
    script = f"exec 2>&1\n{script}"  # reports go to stderr
    flask.cache.set("tea", {"price": 1.5})
    assert flask.get("/index") == "foo"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    upstream = f"unix://{redis_server.unix}"
    printed = run("sh", "-euc", script, at=tmp_path, PATH=path, FLASK_CACHE_PROXY_UPSTREAM_URL=upstream)
    assert '"foo"\n' in printed
    assert printed.splitlines()[-1].startswith("flask_cache_view//search")
    with redis.Redis(unix_socket_path=redis_server.unix, db=1) as other:
        assert sorted(other.keys()) == [b"flask_cache_tea", b"flask_cache_view//index"]
