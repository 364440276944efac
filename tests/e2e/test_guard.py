"""Attackers cannot plant bytes under a managed key, on any listener and in any database.

Each attempt is a row of `attempts`. First the row goes directly to Redis, where it must succeed. So a test cannot pass
only because its attack does not work.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

import pytest
import redis

from tests import servers
from tests.e2e.attempts import EVIL, LIBRARY, NEWER, OBEYED, PLANTING, PREFIX, REST, SPELLINGS, Attempt, Spell
from tests.e2e.conftest import PrivateRedis, RedisServer
from tests.e2e.conversations.scripts import byte_by_byte, whole
from tests.e2e.framing import SMUGGLED, SMUGGLING
from tests.e2e.inspection import Found, everything
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import Wire, request

pytestmark = pytest.mark.usefixtures("redis_7", "each_server")

Connect = Callable[[Address], Wire]
DATABASES = range(16)
TRIES = PLANTING + NEWER + OBEYED + REST
LISTENERS = ("json", "msgpack", "unix")
KEPT = b"41"
"""The content of a managed key before an attempt."""


@pytest.fixture(scope="module")
def shared_proxy(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """A proxy with a listener of each kind."""
    unix = tmp_path_factory.mktemp("listener") / "proxy.sock"
    listeners = ("json=127.0.0.1:0", "msgpack=127.0.0.1:0", f"msgpack=unix:{unix}")
    options = [word for listener in listeners for word in ("--listen", listener)]
    proxy = ProxyProcess([*options, "--upstream", f"unix://{redis_server.unix}"])
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture(params=LISTENERS)
def listener(request: pytest.FixtureRequest, proxy: ProxyProcess) -> Address:
    """Where the attacker connects."""
    return {"json": proxy.json, "msgpack": proxy.msgpack, "unix": proxy.addresses("msgpack")[1]}[request.param]


@pytest.fixture
def databases(request: pytest.FixtureRequest) -> Sequence[int]:
    """Where the attacker goes: everywhere by one listener, by the others to the first and the last."""
    return DATABASES if request.node.callspec.params["listener"] == "json" else DATABASES[::15]


@pytest.fixture
def straight(private_redis: PrivateRedis) -> Iterator[redis.Redis]:
    """A Redis to be attacked, with the proxy nowhere."""
    private_redis.start("--enable-debug-command", "yes")
    with redis.Redis(unix_socket_path=private_redis.unix) as client:
        yield client


def payloads(server: redis.Redis) -> dict[str, bytes]:
    """What RESTORE and FUNCTION RESTORE take on this server; functions are there as if others had loaded them."""
    server.set("free:dump", EVIL)
    server.function_load(LIBRARY.decode(), replace=True)
    return {"$DUMP": server.dump("free:dump"), "$FUNCTIONS": server.function_dump()}


def known(server: redis.Redis) -> list[Attempt]:
    """Those of `NEWER` whose command this server has."""

    def is_known(name: str) -> bool:
        with pytest.raises(redis.ResponseError) as error:
            server.execute_command(name)
        return "unknown command" not in str(error.value)

    return [one for one in NEWER if is_known(one.name)]


def found(server: redis.Redis) -> list[Found]:
    """All that is under a managed key, in any database."""
    return [one for one in everything(server) if one.key.startswith(PREFIX)]


def converse(wire: Wire, tries: Iterable[Attempt], spell: Spell, more: dict[str, bytes]) -> list[bytes]:
    """The reply to each attempt, its preparation sent before it. One write for all."""
    scripts = [attempt.spelled(spell, more) for attempt in tries]
    wire.send(b"".join(b"".join(script) for script in scripts))
    return [[wire.reply() for _ in script][-1] for script in scripts]


class TestStraightToRedis:
    """The attempts are real."""

    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_what_is_said_to_plant_plants(self, straight: redis.Redis, spelling: str) -> None:
        more, tries = payloads(straight), PLANTING + known(straight)
        with Wire(straight.connection_pool.connection_kwargs["path"]) as wire:
            converse(wire, tries, SPELLINGS[spelling], more)
        planted = {name.removesuffix(b":0") for _, name, _, _ in found(straight)}  # as DEBUG POPULATE numbers them
        assert [one.line for one in tries if one.key not in planted] == []

    def test_what_is_said_to_be_obeyed_is(self, straight: redis.Redis) -> None:
        more = payloads(straight)
        with Wire(straight.connection_pool.connection_kwargs["path"]) as wire:
            for attempt in OBEYED:
                wire.send(b"".join(attempt.spelled(SPELLINGS["as written"], more)))
                if attempt.line != "REPLCONF ack 0":  # it has no answer
                    assert not wire.reply().startswith(b"-"), attempt.line

    def test_the_rest_is_in_vain_there_too(self, straight: redis.Redis) -> None:
        more = payloads(straight)
        with Wire(straight.connection_pool.connection_kwargs["path"]) as wire:
            replies = converse(wire, REST, SPELLINGS["as written"], more)
        assert [one.line for one, reply in zip(REST, replies, strict=True) if not reply.startswith(b"-")] == []
        assert found(straight) == []
        assert len(REST) < len(PLANTING) + len(OBEYED)


class TestThroughTheProxy:
    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_nothing_is_planted_in_any_database(
        self, listener: Address, databases: Sequence[int], direct: redis.Redis, connect: Connect, spelling: str
    ) -> None:
        spell, more, client = SPELLINGS[spelling], payloads(direct), connect(listener)
        for db in databases:
            client.send(spell(["SELECT", str(db)]))
            assert client.reply() == b"+OK\r\n"
            replies = converse(client, TRIES, spell, more)
            assert [one.line for one, reply in zip(TRIES, replies, strict=True) if not reply.startswith(b"-")] == []
        assert found(direct) == []

    @pytest.mark.parametrize("spelling", ["as written", "inline"])
    def test_nothing_is_planted_by_a_transaction(
        self, listener: Address, direct: redis.Redis, connect: Connect, spelling: str
    ) -> None:
        spell, more, client = SPELLINGS[spelling], payloads(direct), connect(listener)
        multi, execute = spell(["MULTI"]), spell(["EXEC"])
        for number, attempt in enumerate(TRIES):
            *before, last = attempt.spelled(spell, more)
            script = [
                spell(["SELECT", str(number % len(DATABASES))]),
                *before,
                multi,
                last,
                spell(["SET", b"free:too", "x"]),
                execute,
            ]
            client.send(b"".join(script))
            replies = [client.reply() for _ in script]
            if attempt in REST:  # some of these fail in other ways
                continue
            if replies[-3] == b"+QUEUED\r\n":  # an option that Redis itself refuses when it runs
                assert replies[-1].startswith(b"*2\r\n-"), attempt.line
            else:
                assert replies[-3].startswith(b"-"), attempt.line
                assert replies[-1].startswith(b"-EXECABORT"), attempt.line
        assert found(direct) == []

    def test_what_is_there_stays_as_it_is(
        self, listener: Address, databases: Sequence[int], direct: redis.Redis, connect: Connect
    ) -> None:
        more, client, tries = payloads(direct), connect(listener), PLANTING + OBEYED
        for db in databases:
            direct.execute_command("SELECT", db)
            direct.mset({one.key: KEPT for one in tries})
            assert client("SELECT", str(db)) == b"+OK\r\n"
            converse(client, tries, SPELLINGS["as written"], more)
        direct.execute_command("SELECT", 0)
        assert sorted(found(direct)) == sorted((db, one.key, b"string", KEPT) for db in databases for one in tries)

    def test_redis_is_still_its_own_master(self, listener: Address, direct: redis.Redis, connect: Connect) -> None:
        more, before, modules = payloads(direct), direct.config_get("*"), direct.module_list()
        converse(connect(listener), OBEYED + REST, SPELLINGS["lower case"], more)
        assert direct.config_get("*") == before
        assert direct.info("replication")["role"] == "master"
        assert direct.acl_users() == ["default"]
        assert direct.module_list() == modules
        assert len(direct.function_list()) == 1


class TestNamesThatEndAtANul:
    """Redis 7.0 finds commands in a table by a hash of the whole name, and compares as C strings."""

    KEY = PREFIX + b"k"

    @staticmethod
    def names(client: redis.Redis, head: bytes, *rest: bytes) -> list[bytes]:
        """As an attacker would: one tail after the other, until one is hashed to where the command meant is."""
        *parent, name = head.split(b" ")
        with Wire(client.connection_pool.connection_kwargs["path"]) as wire:
            for start in range(0, 100_000, 1000):
                some = [name + b"\x00%d" % number for number in range(start, start + 1000)]
                wire.send(b"".join(request(*parent, one, *rest) for one in some))
                replies = [wire.reply() for _ in some]
                if good := [one for one, reply in zip(some, replies, strict=True) if not reply.startswith(b"-")]:
                    return good
        if not client.info("server")["redis_version"].startswith("7.0"):
            pytest.skip("this Redis has no such name")
        raise AssertionError("Redis 7.0 is known to have such names")

    @pytest.mark.parametrize("spelling", ["as written", "inline"])
    @pytest.mark.parametrize(
        ("name", "before"), [(b"SET", ()), (b"MSET", ()), (b"GETSET", ()), (b"SETEX", (b"100",))], ids=repr
    )
    def test_a_command(
        self,
        listener: Address,
        direct: redis.Redis,
        connect: Connect,
        name: bytes,
        before: tuple[bytes, ...],
        spelling: str,
    ) -> None:
        rest = (self.KEY, *before, EVIL)
        good = self.names(direct, name, *rest)
        assert found(direct) == [(0, self.KEY, b"string", EVIL)]
        direct.flushall()
        client, spell = connect(listener), SPELLINGS[spelling]
        for one in (*good, *map(bytes.lower, good)):
            client.send(spell([one, *rest]))
            assert client.reply().startswith(b"-ERR unknown command '" + one.partition(b"\0")[0])
            client.send(spell(["MULTI"]) + spell([one, *rest]) + spell(["EXEC"]))
            assert client.replies(3).endswith(b"previous errors.\r\n")
        assert found(direct) == []

    @pytest.mark.parametrize("head", [b"XGROUP CREATE", b"CONFIG SET"])
    def test_a_subcommand(self, listener: Address, direct: redis.Redis, connect: Connect, head: bytes) -> None:
        rest = (self.KEY, b"g", b"$", b"MKSTREAM") if head == b"XGROUP CREATE" else (b"slowlog-max-len", b"77")
        good = self.names(direct, head, *rest)
        direct.flushall()
        direct.config_set("slowlog-max-len", 128)
        client, parent = connect(listener), head.split()[0]
        for name in (*good, *map(bytes.lower, good)):
            assert client(parent, name, *rest).startswith(b"-ERR unknown subcommand")
        assert found(direct) == []
        assert direct.config_get("slowlog-max-len") == {"slowlog-max-len": "128"}


class TestFraming:
    @pytest.mark.parametrize("name", [name for name, smuggling in SMUGGLING.items() if smuggling.plants])
    def test_redis_itself_is_taken_in(self, straight: redis.Redis, redis_executable: str, name: str) -> None:
        is_strict = SMUGGLING[name].only_redis and servers.version(redis_executable)[0] == "valkey"
        with Wire(straight.connection_pool.connection_kwargs["path"]) as wire:
            wire.send(SMUGGLING[name].data + request("QUIT"))
            wire.until_closed()
        assert [value for _, _, _, value in found(straight)] == ([] if is_strict else [EVIL])

    @pytest.mark.parametrize("cut", [whole, byte_by_byte], ids=lambda cut: cut.__name__)
    @pytest.mark.parametrize("name", SMUGGLING)
    def test_nothing_is_smuggled(
        self, listener: Address, direct: redis.Redis, connect: Connect, name: str, cut: Callable[[bytes], list[bytes]]
    ) -> None:
        client = connect(listener)
        with suppress(OSError):  # closed by the proxy already
            client.send(SMUGGLING[name].data + request("QUIT"), cut)
            client.send_no_more()
        client.until_closed()
        assert direct.exists(SMUGGLED) == 0
        assert found(direct) == []
