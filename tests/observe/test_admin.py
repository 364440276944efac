"""The admin port in raw bytes: who is answered, and how."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import redis

from proxy.config import Admin, Settings
from proxy.net.listeners import Listeners
from proxy.observe import admin
from proxy.observe.metrics import Snapshot
from proxy.observe.refusals import Refused
from tests.e2e.proxy_process import DEADLINE

HOST = b"Host: localhost\r\n"
LARGE = b"x" * 5_000_000
"""Metrics that are larger than the buffers of a socket."""
NO_HTTP = b"-ERR flask-cache-proxy: this is the admin port, which speaks HTTP"


@dataclass
class Subject:
    """A proxy that is ready."""

    drained: int = 0
    why_not: str = ""
    settings: Settings = Settings(admin=Admin(hosts=("proxy.example", "under_score")))  # noqa: RUF009 (frozen)

    def is_started(self) -> bool:
        return True

    def why_not_ready(self) -> str:
        return self.why_not

    async def numbers(self) -> Snapshot:
        return {("commands", ("GET",)): 1}

    def last_refusals(self) -> tuple[Refused, ...]:
        return ()

    def drain(self) -> None:
        self.drained += 1


class Reach:
    """A Redis that can be reached."""

    server = "redis 7.0.15"

    async def fault(self) -> str:
        return ""


@dataclass
class Port:
    """The port, and who answers there."""

    path: str
    subject: Subject

    async def exchange(self, sent: bytes, *, ends: bool = False) -> bytes:
        """All that comes back until it closes. `ends`: we close our direction."""
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_unix_connection(self.path)
            writer.write(sent)
            if ends:
                writer.write_eof()
            received = await reader.read()
            writer.close()
            return received

    async def status(self, sent: bytes) -> int:
        """Of an HTTP answer."""
        answer = await self.exchange(sent)
        assert answer.startswith(b"HTTP/1.1 "), answer
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"Connection: close" in head
        assert f"Content-Length: {len(body)}".encode() in head or sent.startswith(b"HEAD ")
        return int(answer[9:12])


@pytest_asyncio.fixture
async def port(tmp_path: Path) -> AsyncIterator[Port]:
    path, subject = str(tmp_path / "admin"), Subject()

    with Listeners(Settings(listener=(), admin=Admin(bind=f"unix:{path}"))) as listeners:
        serving = await admin.serve(subject, Reach(), listeners.admin)
        yield Port(path, subject)
        await serving.close()


PAGE_MADE = (
    b"Origin: http://evil.example",
    b"origin:null",
    b"ORIGIN: ",
    b"Origin: http://127.0.0.1:9100",
    b"Sec-Fetch-Site: cross-site",
    b"sec-fetch-site:same-site",
    b"Sec-Fetch-Site: none, cross-site",
    b"Sec-Fetch-Site: None",
    b"Sec-Fetch-Site:",
    b"Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site",
    b"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site",
)
"""Fields of requests that pages of other sites make."""
CLICK = b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
"""The fields of a click on a link of another site."""


class TestWebPages:
    @pytest.mark.parametrize("header", PAGE_MADE)
    @pytest.mark.parametrize(
        "line",
        [
            b"POST /drain",
            b"GET /metrics",
            b"GET /",
            b"HEAD /config",
            b"POST http://localhost/drain",
            b"PUT /drain",
            b"OPTIONS /drain",
            b"GET /livez",
        ],
    )
    async def test_no_request_of_another_site_is_taken(self, port: Port, line: bytes, header: bytes) -> None:
        assert await port.status(line + b" HTTP/1.1\r\n" + HOST + header + b"\r\n\r\n") == 403
        assert port.subject.drained == 0

    @pytest.mark.parametrize("header", [b"", b"Sec-Fetch-Site: none\r\n", b"Sec-Fetch-Site: \t none \t\r\n"])
    async def test_a_person_and_a_program_are_taken(self, port: Port, header: bytes) -> None:
        assert await port.status(b"POST /drain HTTP/1.1\r\n" + HOST + header + b"\r\n") == 202
        assert port.subject.drained == 1

    @pytest.mark.parametrize("header", [b"Sec-Fetch-Site: same-origin\r\n", CLICK])
    async def test_a_link_shows_and_changes_nothing(self, port: Port, header: bytes) -> None:
        for path, status in ((b"GET /", 200), (b"GET /config", 200), (b"HEAD /metrics", 200), (b"POST /drain", 403)):
            assert await port.status(path + b" HTTP/1.1\r\n" + HOST + header + b"\r\n") == status
        assert port.subject.drained == 0

    @pytest.mark.parametrize(
        "header",
        [
            CLICK + b"Origin: null\r\n",
            CLICK.replace(b"document", b"iframe"),
            CLICK.replace(b"document", b"empty"),
            CLICK.replace(b"navigate", b"no-cors"),
            CLICK + b"Sec-Fetch-Dest: iframe\r\n",
            b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n",
        ],
    )
    async def test_what_is_no_plain_click_is_not_taken_for_one(self, port: Port, header: bytes) -> None:
        assert await port.status(b"GET / HTTP/1.1\r\n" + HOST + header + b"\r\n") == 403

    async def test_the_refusal_says_why(self, port: Port) -> None:
        answer = await port.exchange(b"POST /drain HTTP/1.1\r\n" + HOST + b"Origin: x\r\n\r\n")
        assert b"refuses requests from web pages (they have Origin" in answer


PROBES = (b"/livez", b"/readyz", b"/startup")
GUARDED = (b"GET /", b"GET /metrics", b"GET /config", b"HEAD /config", b"POST /drain", b"GET /none", b"PUT /livez/")


class TestHosts:
    """A page whose own name leads to this port (DNS rebinding) learns nothing and changes nothing."""

    @pytest.mark.parametrize("line", GUARDED)
    @pytest.mark.parametrize(
        "head",
        [
            b" HTTP/1.1\r\nHost: evil.example\r\n",
            b" HTTP/1.1\r\nHost: evil.example:9380\r\nSec-Fetch-Site: same-origin\r\n",
            b" HTTP/1.1\r\nHost:\r\n",
            b" HTTP/1.1\r\nHost: localhost.evil.example\r\nX-Forwarded-Host: localhost\r\n",
            b" HTTP/1.0\r\n",
        ],
    )
    async def test_other_names_are_refused(self, port: Port, line: bytes, head: bytes) -> None:
        assert await port.status(line + head + b"\r\n") == 403
        assert port.subject.drained == 0

    async def test_a_complete_url_counts_as_well(self, port: Port) -> None:
        for target, host, status in (
            (b"http://localhost/config", b"localhost", 200),
            (b"HTTP://PROXY.EXAMPLE:80/config", b"[::1]:9380", 200),
            (b"http://evil.example/config", b"localhost", 403),
            (b"http://localhost/config", b"evil.example", 403),
            (b"http://localhost@evil.example/config", b"localhost", 403),
            (b"http://evil.example@localhost/config", b"localhost", 403),
            (b"http:///config", b"localhost", 403),
            (b"http://localhost#@evil.example/config", b"localhost", 404),
            (b"ftp://localhost/config", b"localhost", 404),
            (b"http://evil.example/livez", b"evil.example", 200),
        ):
            assert await port.status(b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n") == status, target

    @pytest.mark.parametrize("host", [b"localhost:80", b"LOCALHOST.", b"10.0.0.1", b"[fe80::1]:1", b"Proxy.Example:1"])
    async def test_ours_are_answered(self, port: Port, host: bytes) -> None:
        assert await port.status(b"GET /config HTTP/1.1\r\nHost: " + host + b"\r\n\r\n") == 200
        assert await port.status(b"GET /config HTTP/1.0\r\nhost:" + host + b"\r\n\r\n") == 200

    @pytest.mark.parametrize("probe", PROBES)
    async def test_probes_answer_to_every_name(self, port: Port, probe: bytes) -> None:
        for head in (b" HTTP/1.1\r\nHost: anything", b" HTTP/1.1\r\nHost:", b" HTTP/1.0\r\nA: b"):
            assert await port.status(b"GET " + probe + head + b"\r\n\r\n") == 200

    async def test_two_hosts_are_no_valid_request(self, port: Port) -> None:
        for version in (b"1.0", b"1.1"):
            sent = b"GET /config HTTP/" + version + b"\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
            assert await port.status(sent) == 400

    async def test_the_refusal_says_what_to_do(self, port: Port) -> None:
        answer = await port.exchange(b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert b"the names in admin.hosts (FLASK_CACHE_PROXY_ADMIN_HOSTS): add the host name" in answer
        assert b"evil" not in answer


class TestResponses:
    @pytest.mark.parametrize("path", [b"/", b"/config", b"/metrics", b"/livez", b"/none"])
    async def test_no_browser_keeps_frames_or_shares_them(self, port: Port, path: bytes) -> None:
        head, _, _ = (await port.exchange(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")).partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert fields["Cache-Control"] == "no-store"
        assert fields["Referrer-Policy"] == "no-referrer"
        assert fields["X-Content-Type-Options"] == "nosniff"
        assert fields["X-Frame-Options"] == "DENY"
        assert fields["Cross-Origin-Resource-Policy"] == "same-origin"
        assert fields["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert fields["Content-Security-Policy"].endswith("; frame-ancestors 'none'")

    async def test_the_page_has_a_style_nonce_of_its_own_each_time(self, port: Port) -> None:
        nonces = set()
        for _ in range(3):
            answer = (await port.exchange(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")).decode()
            (nonce,) = re.findall(r"; style-src 'nonce-([\w-]{22})';", answer)
            assert answer.count(nonce) == 2
            assert f'<style nonce="{nonce}">' in answer
            nonces.add(nonce)
        assert len(nonces) == 3

    async def test_head_tells_the_length_of_the_page(self, port: Port) -> None:
        whole = await port.exchange(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        head = await port.exchange(b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n")
        (length,) = re.findall(rb"Content-Length: (\d+)", head)
        assert abs(int(length) - len(whole.partition(b"\r\n\r\n")[2])) < 20  # the seconds that it is up for

    async def test_the_page_refreshes_itself_only_if_it_is_asked_to(self, port: Port) -> None:
        refresh = b'<meta http-equiv="refresh" content="10">'
        for target, refreshes in ((b"/", 0), (b"/?refresh", 1), (b"/?refresh=1", 0), (b"/?%22><script>", 0)):
            answer = await port.exchange(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
            assert answer.count(refresh) == refreshes
            assert b"<script" not in answer

    async def test_the_page_tells_why_it_is_not_ready(self, port: Port) -> None:
        port.subject.why_not = "no worker is ready: <ended>"
        answer = await port.exchange(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"not ready</span> no worker is ready: &lt;ended&gt;" in answer


class TestConnections:
    async def test_one_too_many_ends_the_oldest(self, port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admin, "_MAX_CONNECTIONS", 3)
        idle = [await asyncio.open_unix_connection(port.path) for _ in range(3)]
        for number, (reader, writer) in enumerate(idle):
            writer.write(b"GET /li")
            assert await port.status(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n") == 200
            async with asyncio.timeout(DEADLINE):
                assert number or await reader.read() == b""
        for _, writer in idle:
            writer.close()


class TestOthersThanHttp:
    @pytest.mark.parametrize(
        "sent",
        [
            b"*1\r\n$4\r\nPING\r\n",
            b"PING\r\n",
            b"PING\n",
            b"SET a b HTTP/1.1x\r\n",
            b"GET /livez\r\n",
            b"GET /livez HTTP/2.0\r\n",
            b"GET /livez HTTP/1.1 \r\n",
            b"GET  /livez HTTP/1.1\r\n",
            b" GET /livez HTTP/1.1\r\n",
            b"\r\nGET /livez HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01",  # TLS
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"a" * 100_000,
            b"\0",
        ],
    )
    async def test_are_answered_at_once_in_redis_words(self, port: Port, sent: bytes) -> None:
        answer = await port.exchange(sent)
        assert answer.startswith(NO_HTTP)
        assert answer.count(b"\r\n") == 1
        assert answer.endswith(b"\r\n")

    @pytest.mark.parametrize("protocol", [2, 3])
    async def test_a_redis_client_shows_the_text(self, port: Port, protocol: int) -> None:
        with redis.Redis(unix_socket_path=port.path, protocol=protocol) as client:  # noqa: SIM117
            with pytest.raises(redis.RedisError, match="this is the admin port"):
                await asyncio.to_thread(client.get, "a")


class TestHttp:
    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n", 200),
            (b"GET /livez?verbose HTTP/1.0\r\n\r\n", 200),
            (b"GET /livez HTTP/1.1\nHost: proxy\n\n", 200),
            (b"HEAD /livez HTTP/1.1\r\n" + HOST + b"\r\n", 200),
            (b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n", 200),
            (b"GET http://proxy:9100/livez HTTP/1.1\r\n" + HOST + b"\r\n", 200),
            (b"GET HTTP://proxy/livez?x HTTP/1.1\r\n" + HOST + b"\r\n", 200),
            (b"GET http://localhost HTTP/1.1\r\n" + HOST + b"\r\n", 200),
            (b"GET http://localhost?livez HTTP/1.1\r\n" + HOST + b"\r\n", 200),
            (b"GET ?/livez HTTP/1.1\r\n" + HOST + b"\r\n", 404),
            (b"GET //livez HTTP/1.1\r\n" + HOST + b"\r\n", 404),
            (b"GET /livez/ HTTP/1.1\r\n" + HOST + b"\r\n", 404),
            (b"GET proxy/livez HTTP/1.1\r\n" + HOST + b"\r\n", 404),
            (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 404),
            (b"CONNECT proxy:9100 HTTP/1.1\r\n" + HOST + b"\r\n", 404),
            (b"GET /%6civez HTTP/1.1\r\n" + HOST + b"\r\n", 404),
            (b"GET /drain HTTP/1.1\r\n" + HOST + b"\r\n", 405),
            (b"HEAD /drain HTTP/1.1\r\n" + HOST + b"\r\n", 405),
            (b"get /livez HTTP/1.1\r\n" + HOST + b"\r\n", 405),
            (b"GET /livez HTTP/1.1\r\n\r\n", 400),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
            (b"GET /livez HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 200),
            (b"POST /drain HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 202),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nA: b\r\n c: d\r\n\r\n", 200),  # folded, an old form
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nOrigin : x\r\n\r\n", 400),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nA\r\n\r\n", 400),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nA: b\rOrigin: x\r\n\r\n", 400),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n", 400),
            (b"GET /livez HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 99 + b"\r\n", 200),
            (b"GET /livez HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 100 + b"\r\n", 431),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 9000 + b"\r\n\r\n", 431),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 900_000, 431),
            (b"GET /livez HTTP/1.1\r\n" + HOST + (b"A: " + b"x" * 900 + b"\r\n") * 10 + b"\r\n", 431),
            (b"POST /drain HTTP/1.1\r\n" + HOST + b"Content-Length: 500000\r\n\r\n" + b"x" * 500_000, 202),
        ],
    )
    async def test_each_request_has_its_status(self, port: Port, sent: bytes, status: int) -> None:
        assert await port.status(sent) == status

    async def test_head_has_no_body(self, port: Port) -> None:
        for path in (b"/livez", b"/none", b"/drain"):
            assert (await port.exchange(b"HEAD " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")).endswith(b"\r\n\r\n")

    async def test_what_is_pipelined_is_not_answered(self, port: Port) -> None:
        first = b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
        sent = (first + b"POST /drain HTTP/1.1\r\nHost: localhost\r\n\r\n") * 5
        assert (await port.exchange(sent)).count(b"HTTP/1.1") == 1
        assert port.subject.drained == 0

    async def test_a_client_that_ends_its_direction_is_answered(
        self, port: Port, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(admin, "exposition", lambda *_: LARGE)
        answer = await port.exchange(b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n", ends=True)
        assert answer.endswith(b"\r\n\r\n" + LARGE)

    async def test_a_request_that_breaks_off_is_not_taken(self, port: Port) -> None:
        assert await port.exchange(b"POST /drain HTTP/1.1\r\nHost: localhost\r\n", ends=True) == b""
        assert port.subject.drained == 0

    async def test_a_client_that_is_too_slow_is_closed(self, port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admin, "_TIMEOUT", 0.05)
        assert await port.exchange(b"POST /drain HTTP/1.1\r\n" + HOST) == b""
        monkeypatch.setattr(admin, "exposition", lambda *_: LARGE)
        reader, writer = await asyncio.open_unix_connection(port.path, limit=1)
        writer.write(b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n")
        async with asyncio.timeout(DEADLINE):
            await reader.readexactly(1)
            while any("handle" in str(task) for task in asyncio.all_tasks()):  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0)
            assert len(await reader.read(-1)) < len(LARGE)  # the rest was dropped, and not kept for it
        writer.close()
