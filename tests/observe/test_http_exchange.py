"""Requests as bytes: any bytes are decided, however they are split, and each response is valid HTTP."""

import asyncio

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observe.http_exchange import MAX_HEAD, Answer, Exchange, Request, first_line

LINE = b"GET /metrics?a HTTP/1.1\r\n"
PIECES = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"\xff", b"a", b"A" * 3000),
        *(b"Host: localhost\r\n", b"host:\r\n", b"Origin: x\r\n", b"Sec-Fetch-Site: none\r\n"),
        *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"x\r\n"),
        *(b"Connection: keep-alive\r\n", b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n"),
    ]
)


async def read(sent: bytes, *, ends: bool = True) -> tuple[Exchange, Request | Answer | None]:
    """The exchange and its request; None: it broke off."""
    reader = asyncio.StreamReader(limit=MAX_HEAD)
    reader.feed_data(sent)
    if ends:
        reader.feed_eof()
    exchange = Exchange(await first_line(reader))
    assert exchange.is_http
    try:
        return exchange, await exchange.request(reader)
    except asyncio.IncompleteReadError:
        return exchange, None


async def read_bytewise(sent: bytes) -> Request | Answer | None:
    reader = asyncio.StreamReader(limit=MAX_HEAD)

    async def feed() -> None:
        for at in range(len(sent)):
            reader.feed_data(sent[at : at + 1])
            await asyncio.sleep(0)
        reader.feed_eof()

    feeding = asyncio.ensure_future(feed())
    try:
        return await Exchange(await first_line(reader)).request(reader)
    except asyncio.IncompleteReadError:
        return None
    finally:
        await feeding


def understood(response: bytes, method: str) -> tuple[int, bytes]:
    """Status and body, as a client of another make reads them."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a"), ("Connection", "close")]))
    client.send(h11.EndOfMessage())
    client.receive_data(response)
    client.receive_data(b"")
    head = client.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return head.status_code, body


@given(st.lists(PIECES | st.binary(max_size=20), max_size=12))
def test_any_bytes_are_decided(pieces: list[bytes]) -> None:
    sent = LINE + b"".join(pieces)
    exchange, request = asyncio.run(read(sent))
    assert request == asyncio.run(read_bytewise(sent))
    if isinstance(request, Answer):
        assert request.status in (400, 431, 501)
        assert understood(exchange.response(request), "GET") == (request.status, request.body)
    elif request is not None:
        assert (request.method, request.path, request.query) == ("GET", "/metrics", "a")
        assert len(request.authorities) == 1
        assert understood(exchange.response(Answer(200, b"ok\n")), "GET") == (200, b"ok\n")


@pytest.mark.parametrize(
    ("line", "authorities", "path", "query"),
    [
        (b"GET / HTTP/1.1", ("a",), "/", ""),
        (b"GET /?refresh HTTP/1.1", ("a",), "/", "refresh"),
        (b"GET /a?b?c HTTP/1.1", ("a",), "/a", "b?c"),
        (b"GET http://b HTTP/1.1", ("a", "b"), "/", ""),
        (b"GET http://b? HTTP/1.1", ("a", "b"), "/", ""),
        (b"GET http://b/?c HTTP/1.1", ("a", "b"), "/", "c"),
        (b"GET HTTPS://B:1/c HTTP/1.1", ("a", "B:1"), "/c", ""),
        (b"GET //b/c HTTP/1.1", ("a",), "//b/c", ""),
        (b"GET /http://b HTTP/1.1", ("a",), "/http://b", ""),
        (b"GET * HTTP/1.1", ("a",), "*", ""),
        (b"CONNECT b:1 HTTP/1.1", ("a",), "b:1", ""),
    ],
)
async def test_a_target_in_each_form(line: bytes, authorities: tuple[str, ...], path: str, query: str) -> None:
    _, request = await read(line + b"\r\nHost: a\r\n\r\n")
    assert isinstance(request, Request)
    assert (request.authorities, request.path, request.query) == (authorities, path, query)


@pytest.mark.parametrize("size", [MAX_HEAD, MAX_HEAD + 1])
async def test_the_limit_of_the_head_is_exact_and_leaves_out_the_body(size: int) -> None:
    head = LINE + b"Host: a\r\nContent-Length: 5000\r\nA: "
    sent = head + b"x" * (size - len(head) - 4) + b"\r\n\r\n" + b"y" * 5000
    _, request = await read(sent)
    assert isinstance(request, Request) == (size == MAX_HEAD)


async def test_a_head_is_answered_without_waiting_for_its_body() -> None:
    _, request = await read(LINE + b"Host: a\r\nContent-Length: 5000\r\n\r\n", ends=False)
    assert isinstance(request, Request)


async def test_head_gets_the_same_head_without_a_body() -> None:
    for line in (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"HEAD / HTTP/1.1\r\nHost a\r\n\r\n"):
        exchange, _ = await read(line)
        response = exchange.response(Answer(200, b"ok\n"))
        assert b"Content-Length: 3\r\n" in response
        assert response.endswith(b"\r\n\r\n")
