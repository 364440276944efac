"""Every row of the command table on a shared link, and on real servers: what travels brings one reply and no state."""

import socket
from collections.abc import Iterator

import pytest

from proxy.commands import COMMANDS, Access, Command, Pin, find
from proxy.policy import Guard
from proxy.resp import ReplyFramer
from proxy.resp.encode import bulk, command
from tests.commands.samples import SAMPLE_REQUESTS
from tests.conftest import RedisServer
from tests.session.playbook import policy
from tests.session.sharing.script import Script

ROWS = sorted(
    {row.name: row for parent in COMMANDS.values() for row in (parent, *(parent.subcommands or {}).values())}.values(),
    key=lambda row: row.name,
)
TRAVELLING = [row for row in ROWS if row.travels]
KEYS = (b"string", b"list", b"hash", b"set", b"zset", b"stream", b"absent")
OTHERS = (
    [],
    [b"0"],
    [b"0", b"1"],
    [b"field", b"1"],
    [b"5", b"value", b"GET"],
    [b"absent", b"0", b"1", b"2"],
    [b"LEFT", b"RIGHT", b"1", b"2", b"3"],
    [b"-", b"+", b"COUNT", b"2"],
)


def requests(row: Command) -> Iterator[list[bytes]]:
    """Requests of a row: bare, with each key, and as the samples have it."""
    name = row.name.split(b"|")
    yield name
    if row.subcommands:
        return  # anything else is another row's, or unknown
    for key in KEYS:
        yield from ([*name, key, *rest] for rest in OTHERS)
    yield [*name, b"2", b"string", b"absent"]
    yield from (sample for sample in SAMPLE_REQUESTS if find(sample) is row)


OPEN = policy(guard=Guard(allow_all_scripts=True, allowed_commands=frozenset(row.name for row in ROWS)))
"""The guard lets everything through."""
ANSWERED = {b"AUTH", b"HELLO", b"RESET", b"QUIT", b"SELECT"} | {
    b"CLIENT|" + name for name in (b"ID", b"GETNAME", b"SETNAME", b"SETINFO")
}
REFUSED = {Access.NEVER, Access.UNKNOWN_SUBCOMMAND, Access.CLUSTER, Access.CLOSE}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.decode())
def test_it_travels_or_pins_or_is_answered(row: Command) -> None:
    for args in requests(row):
        played = Script(OPEN).sends(command(*args))
        if row.travels:
            assert played.upstream == command(*args)
            assert not played.relinks
            continue
        assert not played.upstream
        if played.relinks:
            assert [relink.pin for relink in played.relinks] == [row.pin.value]
            continue
        is_refused = row.access in REFUSED or played.client.startswith(b"-")
        assert is_refused or row.name in ANSWERED
        assert played.client or played.lookups or row.access is Access.CLOSE


def test_every_straight_row_travels() -> None:
    """The fast path asks no row: its requests travel by construction."""
    assert [row.name for row in ROWS if row.is_straight and not row.travels] == []


def test_no_row_is_unknown_or_large() -> None:
    assert {row.pin for row in ROWS} == {None, *Pin} - {Pin.UNKNOWN, Pin.LARGE}


STATE = (b"id", b"name", b"db", b"sub", b"psub", b"ssub", b"multi", b"watch", b"flags", b"user", b"redir", b"resp")
LIBRARY = (b"lib-name", b"lib-ver")


class Connection:
    """A raw connection to a server."""

    def __init__(self, server: RedisServer, protocol: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        self.socket.sendall(command(b"HELLO", b"%d" % protocol))
        self.number = 0
        self.replies_to()

    def replies_to(self, *args: bytes) -> list[bytes]:
        """All that comes before the reply to an ECHO behind the request."""
        self.number += 1
        token = bulk(b"token %d" % self.number)
        self.socket.sendall((command(*args) if args else b"") + command(b"ECHO", b"token %d" % self.number))
        data = b""
        while not data.endswith(token):
            received = self.socket.recv(1 << 20)
            assert received, (args, data[-200:])
            data += received
        return _replies(data.removesuffix(token))

    def state(self) -> dict[bytes, bytes]:
        """The state of the connection, as the server shows it."""
        (reply,) = self.replies_to(b"CLIENT", b"INFO")
        fields = dict(field.split(b"=", 1) for field in reply.split(b"\r\n")[1].removeprefix(b"txt:").split())
        return {name: fields[name] for name in STATE + LIBRARY if name in fields}


def _replies(data: bytes) -> list[bytes]:
    framer = ReplyFramer()
    framer.feed(data)
    replies = []
    while framer.kind():
        pieces: list[bytes] = []
        assert framer.forward(pieces)
        replies.append(b"".join(pieces))
    return replies


SETUP = """
    SET string 5|RPUSH list a b c|HSET hash field 1 other 2|SADD set a b|ZADD zset 1 a 2 b|XADD stream 1-1 a b
    XGROUP CREATE stream group 0
""".strip().replace("\n", "|")


@pytest.fixture(scope="module", params=[2, 3], ids=["RESP2", "RESP3"])
def connection(request: pytest.FixtureRequest, redis_server: RedisServer) -> Iterator[Connection]:
    connection = Connection(redis_server, request.param)
    yield connection
    connection.socket.close()


@pytest.mark.usefixtures("each_server")
@pytest.mark.parametrize("row", TRAVELLING, ids=lambda row: row.name.decode())
def test_what_travels_brings_one_reply_and_leaves_no_state(row: Command, connection: Connection) -> None:
    connection.replies_to(b"FLUSHALL")
    for line in SETUP.split("|"):
        connection.replies_to(*line.strip().encode().split())
    before = connection.state()
    for args in requests(row):
        replies = connection.replies_to(*args)
        assert len(replies) == 1, args
        assert not replies[0].startswith((b">", b"|")), args
    assert connection.state() == before
