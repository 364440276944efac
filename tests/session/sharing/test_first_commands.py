"""The first commands of real clients, as they send them in `tests/interop`: only CLIENT TRACKING pins its client."""

import pytest

from proxy.resp.encode import command
from tests.session.sharing.script import Script, greeting

BEGINNINGS = {
    "go-redis 9.22": (
        "hello 3", "client setinfo LIB-NAME go-redis(,go1.26.8)", "client setinfo LIB-VER 9.22.0",
        "client maint_notifications on moving-endpoint-type internal-ip",
    ),
    "rueidis 1.0.68": (
        "HELLO 2", "CLIENT SETNAME a", "CLIENT SETINFO LIB-NAME rueidis", "CLIENT SETINFO LIB-VER 1.0.68",
        "CLUSTER SLOTS",
    ),
    "rueidis 1.0.68 in RESP3": (
        "HELLO 3 SETNAME a", "CLIENT SETINFO LIB-NAME rueidis", "CLIENT SETINFO LIB-VER 1.0.68",
        "CLUSTER SHARDS", "PING",
    ),
    "ioredis 6.0": (
        "hello 3", "client setname a", "client SETINFO LIB-VER 6.0.0", "client SETINFO LIB-NAME ioredis", "info",
    ),
    "node-redis 6.3": (
        "HELLO 3 SETNAME a", "CLIENT SETINFO LIB-NAME node-redis", "CLIENT SETINFO LIB-VER 6.3.1",
        "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type external-ip",
    ),
    "valkey-glide 2.5": (
        "HELLO 3", "CLIENT SETNAME a", "CLIENT SETINFO LIB-NAME GlideJS", "CLIENT SETINFO LIB-VER unknown",
        "INFO REPLICATION",
    ),
    "redis-py 8.1": (
        "HELLO 3", "CLIENT SETNAME redis-py", "CLIENT SETINFO LIB-NAME redis-py", "CLIENT SETINFO LIB-VER 8.1.0",
        "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip",
    ),
    "Jedis 8.0": ("HELLO 2", "CLIENT SETNAME jedis", "CLIENT SETINFO LIB-NAME jedis", "CLIENT SETINFO LIB-VER 8.0.2"),
    "Lettuce 7.7": (
        "PING", "CLIENT SETNAME lettuce", "CLIENT SETINFO lib-name Lettuce",
        "CLIENT SETINFO lib-ver 7.7.0.RELEASE/1960d49",
        "CLIENT MAINT_NOTIFICATIONS on moving-endpoint-type internal-ip",
    ),
    "phpredis 5.3": ("SELECT 0", "CLIENT setname a"),
}  # fmt: skip


def sends_all(played: Script, lines: tuple[str, ...]) -> Script:
    """Each is answered, here or by the server, before the next one."""
    for line in lines:
        played.sends(command(*(word.encode() for word in line.split())))
        if line.lower().startswith("hello 3"):
            played.asks_for(3).is_linked(greeting(3))
        if played.upstream:
            played.upstream = b""
            played.replies(b"+x\r\n")
        assert played.client, line
        played.client = b""
    return played


@pytest.mark.parametrize("name", BEGINNINGS)
def test_they_pin_nobody(name: str) -> None:
    sends_all(Script(), BEGINNINGS[name]).shares()


@pytest.mark.parametrize("options", ["ON", "ON OPTIN", "ON PREFIX a BCAST"])
def test_tracking_behind_them_pins(options: str) -> None:
    played = sends_all(Script(), BEGINNINGS["rueidis 1.0.68 in RESP3"])
    played.command(b"CLIENT", b"TRACKING", *options.encode().split()).asks_for(3, "tracking")
