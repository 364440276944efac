"""The command table against live servers: a newer one on PATH shows what is missing."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from proxy.commands import COMMANDS, Access, Command, Spread, Turn, find
from tests import servers
from tests.commands.samples import SAMPLE_REQUESTS, keys_of, request

START_DEADLINE = 120.0


@dataclass(frozen=True)
class ServerCommand:
    """COMMAND's answer about one command or subcommand."""

    name: bytes
    arity: int
    flags: frozenset[str]
    has_keys: bool
    is_container: bool
    tips: frozenset[str] = frozenset()


class Server:
    """A redis-server of our own, spoken to without the client library's reading of replies."""

    def __init__(self, executable: str, home: Path) -> None:
        socket = home / "redis.sock"
        self.process = subprocess.Popen(
            [executable, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(home)],
            stdout=subprocess.DEVNULL,
        )
        self.client = redis.Redis(unix_socket_path=str(socket), protocol=2)
        deadline = time.monotonic() + START_DEADLINE
        while True:
            try:
                self.client.ping()
                break
            except redis.ConnectionError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.01)
        self.connection = self.client.connection_pool.get_connection()
        self.version = tuple(int(part) for part in self.client.info("server")["redis_version"].split("."))
        self.commands = {command.name: command for command in self._commands(self.ask(b"COMMAND"))}

    def ask(self, *args: bytes) -> object:
        self.connection.send_command(*args)
        return self.connection.read_response()

    def keys(self, args: list[bytes]) -> list[bytes] | None:
        """Return what COMMAND GETKEYS says, None where the server takes the arguments for malformed."""
        try:
            return self.ask(b"COMMAND", b"GETKEYS", *args)  # type: ignore[return-value]
        except redis.ResponseError:
            return None

    def stop(self) -> None:
        self.connection.disconnect()
        self.client.close()
        self.process.terminate()
        self.process.wait(START_DEADLINE)

    def _commands(self, rows: list) -> Iterator[ServerCommand]:
        for row in rows:
            subcommands = row[9] if len(row) > 9 else []
            flags = frozenset(flag.decode() for flag in row[2])
            has_keys = (row[3] > 0 or "movablekeys" in flags) and not _names_slots(row)
            tips = frozenset(tip.decode() for tip in (row[7] if len(row) > 7 else []))
            yield ServerCommand(row[0].upper(), row[1], flags, has_keys, bool(subcommands), tips)
            yield from self._commands(subcommands)


@pytest.fixture(scope="module", params=servers.today("redis-6"))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(servers.executable(request.param), tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


def _names_slots(row: list) -> bool:
    """Whether what stands where keys would is none, and only says where a cluster sends the command (CLUSTERSCAN)."""
    places = [dict(zip(one[::2], one[1::2], strict=True)) for one in (row[8] if len(row) > 8 else [])]
    return bool(places) and all("not_key" in map(bytes.decode, one[b"flags"]) for one in places)


def family(row: Command) -> list[Command]:
    """The row and its subcommands: before Redis 7 COMMAND speaks of them as one."""
    return [row, *(row.subcommands or {}).values()]


def test_every_command_of_the_server_is_in_the_table(server: Server) -> None:
    assert set(server.commands) - set(COMMANDS) == set()


def test_containers_are_those_of_the_server(server: Server) -> None:
    if server.version < (7,):
        pytest.skip("COMMAND lists no subcommands before Redis 7")
    ours = {name for name in server.commands if COMMANDS[name].subcommands}
    assert ours == {command.name for command in server.commands.values() if command.is_container}


def test_write_flags_are_those_of_the_server(server: Server) -> None:
    theirs = {command.name for command in server.commands.values() if "write" in command.flags}
    if server.version < (7,):
        ours = {name for name in server.commands if any(row.writes for row in family(COMMANDS[name]))}
        ours.remove(b"CLUSTER")  # for Valkey's FLUSHSLOT
    else:
        ours = {name for name in server.commands if COMMANDS[name].writes}
    assert ours == theirs


def test_blocking_flags_are_those_of_the_server(server: Server) -> None:
    if server.version < (7,):
        pytest.skip("there is no such flag before Redis 7")
    theirs = {command.name for command in server.commands.values() if "blocking" in command.flags}
    # WAIT blocks in every version, but says so only since 7.2.
    assert {name for name in server.commands if COMMANDS[name].blocking} == theirs | {b"WAIT"}


def test_pubsub_flags_are_those_of_the_server(server: Server) -> None:
    if server.version < (7,):
        pytest.skip("COMMAND lists no subcommands before Redis 7")
    theirs = {command.name for command in server.commands.values() if "pubsub" in command.flags}
    turning = {name for name, row in COMMANDS.items() if row.turn in (Turn.SUBSCRIBE, Turn.UNSUBSCRIBE)}
    asking = {row.name for row in COMMANDS[b"PUBSUB"].subcommands.values()} - {b"PUBSUB|HELP"}
    assert theirs == turning | asking | {b"PUBLISH", b"SPUBLISH"}


POLICIES = {
    ("request_policy:multi_shard", None): {Spread.RUNS},
    ("request_policy:multi_shard", "response_policy:agg_sum"): {Spread.RUNS},
    ("request_policy:multi_shard", "response_policy:all_succeeded"): {Spread.RUNS},
    ("request_policy:all_shards", "response_policy:agg_sum"): {Spread.SUM},
    ("request_policy:all_shards", "response_policy:all_succeeded"): {Spread.FIRST},
    ("request_policy:all_shards", "response_policy:agg_logical_and"): {Spread.EACH_LEAST},
    ("request_policy:all_nodes", "response_policy:agg_sum"): {Spread.SUM},
    ("request_policy:all_nodes", "response_policy:all_succeeded"): {Spread.FIRST, Spread.EVERY_LANE},
    ("request_policy:all_shards", "response_policy:one_succeeded"): {Spread.REFUSED},
    ("request_policy:all_shards", None): {Spread.STREAM},
    ("request_policy:special", None): {Spread.SCAN},
}
"""What a server tips about a command's way through a cluster -> where it goes."""
OTHERWISE = set(request("PING RANDOMKEY MSETNX MSETEX LATENCY|RESET WAIT WAITAOF CLUSTERSCAN"))
"""PING and RANDOMKEY ask any node, LATENCY RESET counts, the MSETs are all or nothing, the others are refused."""


def test_the_spread_is_what_the_server_tips(server: Server) -> None:
    if server.version < (7,):
        pytest.skip("there are no tips before Redis 7")
    seen = set()
    for name, command in server.commands.items():
        policies = {tip.partition(":")[0]: tip for tip in command.tips}
        policy = policies.get("request_policy"), policies.get("response_policy")
        if policy in POLICIES and name not in OTHERWISE and not name.startswith((b"FT.", b"TS.", b"CLUSTER|")):
            assert COMMANDS[name].spread in POLICIES[policy], name
            seen.add(policy)
    assert len(seen) >= 8


def test_only_commands_with_keys_go_by_their_slot(server: Server) -> None:
    by_key = {Spread.KEYED, Spread.SCRIPT, Spread.RUNS}
    if server.version < (7,):
        pytest.skip("COMMAND lists no subcommands before Redis 7")
    theirs = {name for name, command in server.commands.items() if command.has_keys}
    ours = {name for name in server.commands if COMMANDS[name].spread in by_key and not COMMANDS[name].subcommands}
    assert theirs - ours <= {b"WATCH", b"SPUBLISH", b"SSUBSCRIBE", b"SUNSUBSCRIBE"}
    assert ours - theirs <= {b"DEBUG", b"PFDEBUG", b"TS.READ"}


HARMLESS = """
    CLIENT|LIST CLUSTER|COUNT-FAILURE-REPORTS CLUSTER|GETSLOTMIGRATIONS CLUSTER|REPLICAS CLUSTER|SLAVES COMMANDLOG|GET
    COMMANDLOG|LEN CONFIG|GET FLUSHALL FLUSHDB HOTKEYS|GET INFO KEYS LASTSAVE LATENCY|DOCTOR LATENCY|GRAPH
    LATENCY|HISTOGRAM LATENCY|HISTORY LATENCY|LATEST MODULE|LIST MONITOR RESTORE RESTORE-ASKING ROLE SLOWLOG|GET
    SLOWLOG|LEN SORT SORT_RO SWAPDB
"""


def test_what_the_server_calls_dangerous_is_guarded_but_for_a_few(server: Server) -> None:
    if server.version < (7,):
        pytest.skip("COMMAND lists no subcommands before Redis 7")
    dangerous = {name.upper() for category in (b"admin", b"dangerous") for name in server.ask(b"ACL", b"CAT", category)}
    still_open = {
        name
        for name in dangerous
        if COMMANDS[name].access is Access.OPEN and not (COMMANDS[name].subcommands and name not in server.commands)
    }
    assert still_open == set(request(" ".join(HARMLESS.split()))) & set(server.commands)


def test_keys_at_places_that_move_are_those_of_the_server(server: Server) -> None:
    for sample in SAMPLE_REQUESTS:
        if sample[0] in server.commands:
            assert sorted(server.keys(sample) or []) == keys_of(sample), sample


SHARD_CHANNELS = {b"SPUBLISH", b"SSUBSCRIBE", b"SUNSUBSCRIBE"}
SAMPLED = {find(args).name for args in SAMPLE_REQUESTS} | {args[0] for args in SAMPLE_REQUESTS}


def test_keys_at_fixed_places_are_those_of_the_server(server: Server) -> None:
    """Any arguments will do for these: each is tried with the fewest that its arity allows, and some more."""
    unproven = []
    for command in server.commands.values():
        if command.name in SHARD_CHANNELS | SAMPLED or command.is_container:
            continue
        name = command.name.split(b"|")
        shortest = abs(command.arity)
        proven = False
        for length in range(shortest, shortest + (4 if command.arity < 0 else 1)):
            args = [*name, *(b"k%d" % i for i in range(len(name), length))]
            theirs = server.keys(args)
            if theirs is not None:
                assert list(find(args).keys(args)) == theirs, args
                proven = True
        if command.has_keys and not proven:
            unproven.append(command.name)
    assert unproven == []


def test_the_server_runs_no_name_with_a_bar(server: Server) -> None:
    with pytest.raises(redis.ResponseError, match="unknown command"):
        server.ask(b"config|get", b"save")
