"""Commands that `[guard] allow` names, on each server. Their replies stay in order, or they are refused."""

from collections.abc import Iterator

import pytest

from tests.conftest import RedisServer
from tests.e2e.conversations.scripts import lines
from tests.e2e.proxy_process import ProxyProcess
from tests.e2e.wire import Wire

ALLOWED = ("ACL", "CLIENT", "CLUSTER", "CONFIG", "DEBUG", "LATENCY", "MEMORY", "MONITOR", "PSYNC", "SCRIPT", "SLOWLOG")
IN_STEP = (
    "LOLWUT VERSION 6|CLIENT NO-EVICT ON|CLIENT NO-TOUCH ON|CLIENT PAUSE 1 WRITE|CLIENT UNPAUSE",
    "CLIENT KILL ID 999999|CLIENT TRACKING ON BCAST NOLOOP|SET a 1|CLIENT TRACKING OFF|CLIENT UNBLOCK 999999",
    "CLIENT REPLY BOGUS|CLIENT GETNAME",
    "SCRIPT FLUSH|SCRIPT KILL|SCRIPT LOAD return(1)|EVAL return(1) 0|EVAL redis.breakpoint()return(2) 0|SCRIPT HELP",
    "DEBUG SLEEP 0|DEBUG JMAP|DEBUG OBJECT none|DEBUG SET-ACTIVE-EXPIRE 1|DEBUG STRINGMATCH-LEN 10 a|DEBUG LOG x",
    "DEBUG PROTOCOL string|DEBUG PROTOCOL integer|DEBUG PROTOCOL double|DEBUG PROTOCOL null|DEBUG PROTOCOL array",
    "DEBUG PROTOCOL set|DEBUG PROTOCOL map|DEBUG PROTOCOL attrib|DEBUG PROTOCOL push|DEBUG PROTOCOL verbatim",
    "DEBUG PROTOCOL true|DEBUG PROTOCOL false|DEBUG PROTOCOL bignum|DEBUG PROTOCOL BOGUS|DEBUG ERROR a",
    "SLOWLOG RESET|LATENCY RESET|LATENCY DOCTOR|MEMORY DOCTOR|MEMORY PURGE|ACL LOG RESET|CONFIG RESETSTAT",
    "MULTI|DEBUG SLEEP 0|CLIENT PAUSE 1|DEBUG PROTOCOL map|SCRIPT FLUSH|LOLWUT VERSION 6|EXEC",
)
NEVER = (
    "SCRIPT DEBUG YES",
    "SCRIPT DEBUG SYNC",
    "script debug no",
    "PSYNC ? -1",
    "SYNC",
    "REPLCONF ACK 1",
)


@pytest.fixture(scope="module")
def lax_proxy(each_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """It lets through what it may."""
    config = tmp_path_factory.mktemp("lax") / "config.toml"
    config.write_text(
        f'[upstream]\nurl = "unix://{each_server.unix}"\n[[listener]]\nbind = "127.0.0.1:0"\npayload = "json"\n'
        f'[guard]\nscripts = "allow"\nallow = {[*ALLOWED]}\n[[rule]]\nkeys = "flask_cache_*"\n'.replace("'", '"')
    )
    proxy = ProxyProcess(("--config", str(config)))
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.mark.parametrize("script", IN_STEP, ids=lambda script: script[:24])
@pytest.mark.parametrize("hello", ["", "HELLO 3|"], ids=["RESP2", "RESP3"])
def test_what_is_let_through_stays_in_step(
    lax_proxy: ProxyProcess, each_server: RedisServer, script: str, hello: str
) -> None:
    came = []
    for address in (each_server.unix, lax_proxy.json):
        with Wire(address) as client:
            client.send(lines(f"{hello}PING|{script}|GET none|ECHO end|QUIT"))
            came.append(client.until_closed().partition(b"+PONG\r\n")[2])
    straight, through = came
    assert through.endswith(b"$3\r\nend\r\n+OK\r\n")
    assert len(through.splitlines()) == len(straight.splitlines()), (straight, through)


@pytest.mark.parametrize("line", NEVER)
def test_what_would_change_the_stream_is_refused_whatever_is_allowed(lax_proxy: ProxyProcess, line: str) -> None:
    with Wire(lax_proxy.json) as client:
        client.send(
            lines(f"{line}|EVAL return(1) 0|GET flask_cache_none|APPEND flask_cache_k x|MULTI|{line}|EXEC|QUIT")
        )
        came = client.until_closed()
    name, *rest = line.upper().split()
    refused = name if name.endswith(("SYNC", "CONF")) else f"{name} {rest[0]}"
    assert came.startswith(b"-ERR flask-cache-proxy: %b is refused: " % refused.encode())
    assert came.count(b"-ERR flask-cache-proxy: ") == 3
    assert b"\r\n:1\r\n$-1\r\n-ERR " in came
    assert came.endswith(b"-EXECABORT Transaction discarded because of previous errors.\r\n+OK\r\n")


@pytest.mark.per_client
def test_who_kills_itself_hears_so(lax_proxy: ProxyProcess) -> None:
    with Wire(lax_proxy.json) as client:
        client.send(lines("CLIENT ID"))
        number = client.reply().decode().strip(":\r\n")
        client.send(lines(f"CLIENT KILL ID {number} SKIPME no"))
        assert client.until_closed() == b":1\r\n"
