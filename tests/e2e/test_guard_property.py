"""No commands of a client can put bytes under a managed key that our encoder did not write.

Sequences of random commands from the whole table go through a real proxy to a real Redis. Then each key is checked.
The test counts the executed commands, because most of them must succeed. It also runs with proxies whose guard has a
hole, and must fail there.
"""

import random
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hiredis
import pytest
import redis
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from proxy.assembly import policy_for
from proxy.codec import CodecError
from proxy.commands import Access, Command
from proxy.config import Flags, load
from proxy.policy import As, Policy, Rule
from tests import effort
from tests.e2e.attempts import EVIL, LIBRARY, SET_ARGV, SYMBOLS
from tests.e2e.conftest import RedisServer, StartProxy
from tests.e2e.grammar import Grammar, table_rows
from tests.e2e.inspection import Found, everything
from tests.e2e.proxy_process import Address
from tests.e2e.test_lookups import FORGETFUL
from tests.e2e.wire import Wire, request

RULES = """
[[rule]]
keys = "flask_cache_lock_*"
as = "untouched"
[[rule]]
keys = "flask_cache_*"
[[rule]]
keys = "view_*"
as = "view"
[[rule]]
keys = "frozen_*"
as = "read-only"
"""
NO_RULES = '[[rule]]\nkeys = "other_*"\n'

MANAGED = (b"flask_cache_a", b"flask_cache_b", b"flask_cache_c", b"view_a", b"view_b", b"frozen_a", b"frozen_b")
FREE = {
    "string": b"free:string", "bitmap": b"free:string", "list": b"free:list", "hash": b"free:hash", "set": b"free:set",
    "sorted-set": b"free:zset", "geo": b"free:zset", "stream": b"free:stream", "hyperloglog": b"free:hll",
}  # fmt: skip
ODD = (b"free:new", b"flask_cache_lock_a", b"flask_cache", b"", *FREE.values())
BEFORE = {b"flask_cache_a": b"!\x80\x04N.", b"flask_cache_b": b"41", b"view_a": b"legacy bytes", b"frozen_a": b"!N."}
"""The content of managed keys at the start. Other managed keys do not exist."""

Step = tuple[bool, list[int]]
"""Whether some commands make a transaction, and a number for each."""

_INTEGER = re.compile(rb"-?[1-9][0-9]*|0")
ROWS = table_rows(aside=frozenset({b"SHUTDOWN", b"DEBUG", b"FLUSHALL", b"FLUSHDB"}))


def pick_key(chance: random.Random, group: str) -> bytes:
    """Managed as often as of the type that the command is made for."""
    which = chance.random()
    if which < 0.4:
        return chance.choice(MANAGED)
    return FREE.get(group) or chance.choice(tuple(FREE.values())) if which < 0.85 else chance.choice(ODD)


@dataclass
class Outcome:
    """The numbers of sent and of executed commands so far."""

    sent: int = 0
    carried_out: int = 0

    def count(self, sent: int, replies: bytes) -> None:
        """Count replies. Errors and `+QUEUED` do not count as executed commands."""
        reader = hiredis.Reader()
        reader.feed(replies)
        self.sent += sent
        while (reply := reader.gets()) is not False:
            self.carried_out += reply != b"QUEUED" and not isinstance(reply, hiredis.ReplyError)


@dataclass
class Trial:
    """Sends sequences to an address, and says what they have done."""

    address: Address
    server: redis.Redis
    policy: Policy
    grammar: Grammar
    rows: Sequence[Command]
    """The commands to choose from."""
    outcome: Outcome = field(default_factory=Outcome)

    def planted(self, steps: list[Step]) -> list[Found]:
        """The forbidden content of managed keys after these commands."""
        self._start_over()
        commands = [*self._commands(steps), [b"QUIT"]]
        note("\n".join(map(repr, commands)))
        with Wire(self.address) as wire:
            with suppress(BrokenPipeError, ConnectionResetError):  # the commands themselves may end it
                wire.send(b"".join(request(*args) for args in commands))
            self.outcome.count(len(commands), wire.until_closed())
        words = {word for args in commands for word in args}
        return [one for one in everything(self.server) if not self._is_rightful(one, words)]

    def _commands(self, steps: list[Step]) -> Iterator[list[bytes]]:
        # Hypothesis likes some numbers too well, but no two of its examples are alike: so each makes all of a command.
        chance = random.Random(repr(steps))
        for together, numbers in steps:
            if together:
                yield [b"MULTI"]
            for _ in numbers:
                yield self.grammar.command(chance.choice(self.rows), chance, pick_key)
            if together:
                yield [b"EXEC"]

    def _start_over(self) -> None:
        pipe = self.server.pipeline(transaction=False)
        pipe.flushall()
        pipe.mset({b"free:string": EVIL, **BEFORE})
        pipe.rpush(b"free:list", EVIL, EVIL, b"x")
        pipe.hset(b"free:hash", mapping={b"f": EVIL, b"g": b"1"})
        pipe.sadd(b"free:set", EVIL, b"x")
        pipe.zadd(b"free:zset", {EVIL: 1, b"x": 2})
        pipe.xadd(b"free:stream", {b"f": EVIL}, b"1-1")
        pipe.pfadd(b"free:hll", b"x")
        pipe.execute()

    def _is_rightful(self, found: Found, words: Iterable[bytes]) -> bool:
        rule = self.policy.match(found.key)
        if rule is None:
            return True
        if found.kind != b"string":
            return False
        before = {value for key, value in BEFORE.items() if self.policy.match(key) is rule}
        if rule.treats_as is As.READ_ONLY or found.value in before:
            return found.value in before
        return bool(_INTEGER.fullmatch(found.value)) or found.value in _encoded(rule, words)


def _encoded(rule: Rule, words: Iterable[bytes]) -> Iterator[bytes]:
    for word in words:
        with suppress(CodecError):
            yield rule.transcoder.encode(word)


@pytest.fixture(scope="module")
def grammar(redis_server: RedisServer, redis_7: None) -> Grammar:
    """The commands of the tests' Redis, with arguments that would plant."""
    with redis.Redis(unix_socket_path=redis_server.unix) as server:
        server.flushall()
        server.function_load(LIBRARY.decode(), replace=True)
        server.script_load(SET_ARGV)
        server.set("dumped", EVIL)
        plant = b"return redis.call('set', 'flask_cache_c', '!cos')"
        words = {
            "script": (plant, SYMBOLS["$SET_KEYS"], b"return redis.call('rpush', 'view_b', 'x')"),
            "sha1": (server.script_load(plant).encode(),),
            "function": (b"plant",),
            "serialized-value": (server.dump("dumped"),),
        }
        return Grammar(redis_server.unix, words)


def policy(config: Path, payload: str) -> Policy:
    """As the proxy makes it of its file."""
    return policy_for(load(config, {}, Flags()), payload)


_NUMBERS = st.integers(0, 2**20)
SEQUENCES = st.lists(
    st.tuples(st.just(False), st.lists(_NUMBERS, min_size=4, max_size=4))
    | st.tuples(st.just(True), st.lists(_NUMBERS, min_size=1, max_size=3)),
    min_size=2,
    max_size=6,
)


def writing(grammar: Grammar) -> list[Command]:
    """The commands through which a hole would show."""
    return [row for row in ROWS if grammar.knows(row.name) and (row.writes or row.access is Access.SCRIPT)]


def hold(trial: Trial, **how: Any) -> None:
    """Fail if any sequence plants anything; `how`: hypothesis' settings."""

    @settings(suppress_health_check=list(HealthCheck), **how)
    @given(SEQUENCES)
    def nothing_is_planted(steps: list[Step]) -> None:
        assert trial.planted(steps) == []

    nothing_is_planted()


@pytest.mark.parametrize("payload", ["json", "msgpack"])
def test_nothing_is_planted(
    start_proxy: StartProxy, direct: redis.Redis, grammar: Grammar, tmp_path: Path, payload: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(RULES)
    proxy = start_proxy("--config", str(config), "--listen", f"{payload}=127.0.0.1:0")
    known = [row for row in ROWS if grammar.knows(row.name)]
    rows = [*ROWS, *known, *known, *writing(grammar), *writing(grammar)]
    trial = Trial(proxy.addresses(payload)[0], direct, policy(config, payload), grammar, rows)
    direct.config_resetstat()
    hold(trial, max_examples=effort.cases(600))
    assert trial.outcome.carried_out > 0.3 * trial.outcome.sent
    stats = direct.info("commandstats").items()
    assert len({name for name, stat in stats if stat["calls"] > stat["failed_calls"]}) > effort.cases(200)


@pytest.mark.usefixtures("each_server")
def test_nothing_is_planted_on_any_server(
    start_proxy: StartProxy, direct: redis.Redis, grammar: Grammar, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(RULES)
    proxy = start_proxy("--config", str(config))
    rows = [row for row in ROWS if grammar.knows(row.name)] + writing(grammar)
    hold(Trial(proxy.json, direct, policy(config, "json"), grammar, rows), max_examples=effort.cases(100))


def test_nothing_is_planted_where_commands_have_to_be_looked_up(
    start_proxy: StartProxy, direct: redis.Redis, grammar: Grammar, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(RULES)
    proxy = start_proxy("--config", str(config), command=FORGETFUL)
    trial = Trial(proxy.json, direct, policy(config, "json"), grammar, ROWS)
    hold(trial, max_examples=effort.cases(200))
    assert trial.outcome.carried_out > 0.1 * trial.outcome.sent


def show_the_hole(trial: Trial) -> None:
    """The property fails, with the first sequence that goes through."""
    with pytest.raises(AssertionError, match="planted"):
        hold(trial, max_examples=1000, phases=[Phase.generate], derandomize=True, database=None)


PATCH = """
import sys
from dataclasses import replace
import proxy.commands as commands
from proxy.commands.model import *
row = replace(commands.COMMANDS[b"{name}"], {change})
commands._BY_SPELLING.update({{spelling: row for spelling in (row.name, row.name.lower())}})
from proxy.cli import main
main()
"""


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("APPEND", "managed=Managed.PASS"),
        ("HSET", "managed=Managed.PASS"),
        ("COPY", "managed=Managed.PASS"),
        ("SORT", "keys=first"),
        ("SUNIONSTORE", "keys=since(2)"),
        ("ZUNIONSTORE", "keys=counted(2)"),
        ("GETSET", "managed=Managed.PASS"),
        ("EVAL", "access=Access.OPEN"),
        ("RESTORE", "keys=no_keys"),
    ],
)
def test_a_hole_in_one_row_is_found(
    start_proxy: StartProxy, direct: redis.Redis, grammar: Grammar, tmp_path: Path, name: str, change: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(RULES)
    command = (sys.executable, "-c", PATCH.format(name=name, change=change), "serve")
    proxy = start_proxy("--config", str(config), command=command)
    often = [row for row in ROWS if row.name == name.encode()] * 10
    show_the_hole(Trial(proxy.json, direct, policy(config, "json"), grammar, [*writing(grammar), *often]))


@pytest.mark.parametrize("hole", [NO_RULES, RULES + '[guard]\nscripts = "allow"\n'], ids=["no rule", "scripts"])
def test_a_hole_in_the_configuration_is_found(
    start_proxy: StartProxy, direct: redis.Redis, grammar: Grammar, tmp_path: Path, hole: str
) -> None:
    config, right = tmp_path / "config.toml", tmp_path / "right.toml"
    config.write_text(hole)
    right.write_text(RULES)
    proxy = start_proxy("--config", str(config))
    show_the_hole(Trial(proxy.json, direct, policy(right, "json"), grammar, writing(grammar)))
