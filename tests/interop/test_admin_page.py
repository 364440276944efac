"""The admin port's page in a real browser: what it shows, hostile names in it, and pages that attack it."""

import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import redis

from tests.e2e.conftest import RedisServer, StartProxy, client_of, start_proxy
from tests.e2e.proxy_process import ProxyProcess
from tests.interop.programs import HERE, missing, run

__all__ = ["start_proxy"]

BROWSER = HERE / "browser"
SCREENSHOT = HERE.parent.parent / "docs" / "admin-page.png"

HOSTILE = (
    "<script>alert(1)</script>",
    "<img/src=x/onerror=alert(2)>",
    "\"'><svg/onload=alert(3)>",
    "</td></table><iframe/src=//x>",
    "</style><style>*{color:red}",
    "{{1}}${1}<!--",
)
"""Texts that clients may take for a name: no space, no line feed."""

CONFIG = """
[[listener]]
bind = "127.0.0.1:{}"
[[listener]]
bind = "127.0.0.1:{}"
types = "plain"
[admin]
bind = "127.0.0.1:0"
[server]
workers = 2
"""
RULE = """
[[rule]]
name = {name}
keys = {keys}
"""

EVIL = """<!doctype html>
<title>evil</title>
<iframe src="{url}"></iframe><iframe name="frame"></iframe><img src="{url}metrics">
<link rel="stylesheet" href="{url}config"><script src="{url}config"></script>
<form action="{url}drain" method="post" target="frame"></form>
<a href="{url}">a link</a>
<script>
  document.forms[0].submit();
  window.read = [];
  const get = (path, how) => fetch("{url}" + path, how).then((answer) => answer.text()).then(
    (text) => window.read.push(text), () => window.read.push(null));
  Promise.all([
    get("config"), get(""), get("metrics", {{mode: "no-cors"}}),
    get("drain", {{method: "POST", mode: "no-cors"}}), get("drain", {{method: "POST"}}),
  ]).then(() => document.title = "done");
</script>
"""


def free_port() -> int:
    """A port for the configuration, so that the page shows a number."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Start:
    """Starts proxies whose admin port is TCP."""

    proxy: StartProxy
    home: Path
    redis: RedisServer

    def __call__(self, *rules: tuple[str, str]) -> tuple[ProxyProcess, str]:
        """The proxy and the URL of its admin port. `rules`: the name and the keys of each."""
        text = "".join(RULE.format(name=json.dumps(name), keys=json.dumps(keys)) for name, keys in rules)
        file = self.home / "config.toml"
        file.write_text(CONFIG.format(*(free_port() for _ in range(2))) + text)
        proxy = self.proxy("--config", str(file), "--upstream", f"redis://127.0.0.1:{self.redis.port}/0")
        return proxy, f"http://{proxy.wait_for_line(r'listening on (127[.0-9:]+) for the admin port')[1]}/"


@pytest.fixture
def start(start_proxy: StartProxy, direct: redis.Redis, redis_server: RedisServer, tmp_path: Path) -> Start:
    return Start(start_proxy, tmp_path, redis_server)


@pytest.fixture
def chromium() -> str:
    """The browser, or the test is skipped: never in CI."""
    path = shutil.which("chromium")
    if path is None:
        missing("chromium is not installed")
    if not (BROWSER / "node_modules" / "puppeteer-core").exists():
        missing("puppeteer-core is not installed (npm ci in tests/interop/browser)")
    return str(path)


@contextmanager
def evil_page(admin: str) -> Iterator[str]:
    """The URL of a page of another origin that tries all ways to the admin port."""
    page = EVIL.format(url=admin).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def use(client: redis.Redis, key: str, reads: int, misses: int) -> None:
    """Write a value, read it so often, and miss so often."""
    client.set(key, "[1]")
    for _ in range(reads):
        client.get(key)
    for _ in range(misses):
        client.get(f"{key}none")


def refused(client: redis.Redis, name: str, *command: str) -> None:
    """A command that is refused, of a client with that name."""
    client.execute_command("CLIENT", "SETNAME", name)
    with pytest.raises(redis.ResponseError, match="flask-cache-proxy: "):
        client.execute_command(*command)


def test_hostile_names_and_pages(node: str, chromium: str, start: Start, tmp_path: Path) -> None:
    proxy, admin = start(("views", "flask_cache_view/*"), *((text, f"{text}*") for text in HOSTILE))
    with client_of(proxy.json) as client:
        use(client, "flask_cache_view/", reads=4, misses=1)
        for name in HOSTILE:
            refused(client, name, "HSET", f"{name}key", "a", "b")
    rebound = admin.replace("127.0.0.1", "rebound.example")
    with evil_page(admin) as evil:
        told = run(node, "admin.mjs", chromium, admin, str(tmp_path / "screenshot.png"), evil, rebound, at=BROWSER)
    result = json.loads(told)
    check_content(result["look"], admin)
    check_walk(result["walk"])
    check_attack(result["attack"])
    assert result["rebind"]["status"] == 403
    assert "admin.hosts" in result["rebind"]["text"]
    with urlopen(f"{admin}readyz") as answer:  # nothing has drained it
        assert answer.status == 200


def test_the_page_of_a_usual_proxy(node: str, chromium: str, start: Start, tmp_path: Path) -> None:
    proxy, admin = start(("views", "flask_cache_view/*"), ("cache", "flask_cache_*"))
    screenshot = tmp_path / "screenshot.png"
    with client_of(proxy.json) as client, client_of(proxy.addresses("plain")[0]) as reader:
        use(client, "flask_cache_view//index", reads=180, misses=12)
        use(client, "flask_cache_user", reads=40, misses=17)
        refused(client, "checkout", "HSET", "flask_cache_user", "name", "Ann")
        refused(client, "price-import", "SET", "flask_cache_price", "{price: 2}")
        refused(reader, "dashboard", "FLUSHALL")
        look = json.loads(run(node, "admin.mjs", chromium, admin, str(screenshot), at=BROWSER))["look"]
    listeners, _, rules, refusals = look["tables"]
    assert [row[-1] for row in listeners[1:]] == ["1", "1"]
    assert [(row[0], *row[5:7]) for row in rules[1:]] == [("views", "192", "93.8%"), ("cache", "57", "70.2%")]
    assert {(row[2], row[3]) for row in refusals[1:] if row[2]} == {
        *(("dashboard", "FLUSHALL"), ("price-import", "SET"), ("checkout", "HSET"))
    }
    assert not look["isWide"]
    assert screenshot.read_bytes().startswith(b"\x89PNG")
    if os.environ.get("FCP_RENEW_SCREENSHOT"):
        shutil.copy(screenshot, SCREENSHOT)


def check_content(look: dict[str, Any], url: str) -> None:
    """All is shown, names are texts, and the page has loaded nothing but itself."""
    assert look["title"] == "ready - flask-cache-proxy"
    listeners, traffic, rules, refusals = look["tables"]
    assert [row[2:4] for row in listeners[1:]] == [["json", "no"], ["plain", "no"]]
    assert "commands" in [row[0] for row in traffic]
    views, *hostile = rules[1:]
    assert [views[0], *views[5:]] == ["views", "5", "80.0%", "1", "0"]
    assert [row[:2] for row in hostile] == [[text, f"{text}*"] for text in HOSTILE]
    named = [row for row in refusals if row[3] == "HSET"]
    assert [row[2].replace('\\"', '"') for row in named] == list(reversed(HOSTILE))
    assert [row[4] for row in named] == list(reversed(HOSTILE))
    assert set(look["elements"]).isdisjoint({"script", "img", "svg", "iframe", "b", "link", "base", "form", "object"})
    assert set(look["attributes"]) == {"class", "charset", "content", "href", "lang", "name", "nonce"}
    assert look["loaded"] == [url]
    assert look["complaints"] == []
    assert look["align"] == "right"  # the style was applied, so its nonce fits
    assert not look["isWide"]


def check_walk(walk: dict[str, Any]) -> None:
    """The links work, and so does the page's way to load itself again."""
    status, config = walk["config"]
    assert status == 200
    assert "[[listener]]" in config
    assert (walk["refresh"], walk["reloaded"]) == (200, 200)


def check_attack(attack: dict[str, Any]) -> None:
    """The frame and the form are refused, and no script reads anything. The link leads to the page, as any link may."""
    assert attack["statuses"] == [403, 403]
    assert attack["read"] == [None] * 5
    assert (attack["click"], attack["title"]) == (200, "ready - flask-cache-proxy")
