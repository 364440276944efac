"""A defect of our own, made for the test: the log says so, and nobody waits for an answer that will not come."""

import sys
from collections.abc import Callable

import pytest

from tests.e2e.conftest import StartProxy
from tests.e2e.proxy_process import Address
from tests.e2e.wire import Wire, request

DEFECT = """
from proxy.cli import main
from proxy.session import Session

def fail(*_: object) -> None:
    raise LookupError("made for the test")

Session.{method} = fail
main()
"""


@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("looked_up", request("NO.SUCH.COMMAND")),
        ("converted", request("SET", "flask_cache_k", f'"{"x" * 1_000_000}"')),
        ("go_on_with_replies", request("LRANGE", "no-list", "0", "-1")),
        ("go_on_with_requests", request("PING")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_client_whose_session_fails_is_disconnected(
    start_proxy: StartProxy, connect: Callable[[Address], Wire], method: str, asked: bytes
) -> None:
    proxy = start_proxy(command=(sys.executable, "-c", DEFECT.format(method=method), "serve"))
    with connect(proxy.json) as client:
        client.send(asked)
        assert client.until_closed() == b""
    proxy.wait_for_line("LookupError: made for the test")
    proxy.expect("ERROR|Traceback|  |made for the test|^protocol: |^transport: |^handle: |Redis closed with 1 replies")
    proxy.terminate()
    assert proxy.wait() == 0
