"""Clients with predictable replies, and with writes that can be checked at the end.

A *stretch* is the commands of one connection, on keys that no other connection uses. Redis executes a connection's
commands in order, and writes before it answers. So at the end the keys must look as after some number of commands: at
least the answered ones, and at most the sent ones. Every reply must be exactly the expected one.
"""

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from tests.e2e.proxy_process import Address
from tests.e2e.wire import Wire, end_of_value, request

Command = tuple[str, ...]
MANAGED = "flask_cache_"
SHARED = "shared"
"""A counter that all clients increment: what it answers cannot be foretold, but is unique, and only grows."""
UNREACHABLE = b"-ERR flask-cache-proxy: cannot reach Redis at "
REFUSED = b"-ERR flask-cache-proxy: "


def bulk(value: str | None) -> bytes:
    """As Redis and the proxy reply it."""
    return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value.encode())


@dataclass
class Model:
    """The content of one connection's keys, and the expected reply to a command. ASCII only."""

    values: dict[str, str] = field(default_factory=dict)
    queued: list[Command] | None = None
    """Inside MULTI."""
    aborted: bool = False

    def reply(self, command: Command) -> bytes:
        """Carry it out. The reply; of refusals and of the shared counter only how it begins."""
        name = command[0]
        if name == "MULTI":
            self.queued, self.aborted = [], False
            return b"+OK\r\n"
        if name == "EXEC":
            queued, self.queued = self.queued or [], None
            if self.aborted:
                return b"-EXECABORT "
            return b"*%d\r\n" % len(queued) + b"".join(map(self._done, queued))
        if name == "APPEND":  # refused on managed keys
            self.aborted = True
            return REFUSED
        if self.queued is not None:
            self.queued.append(command)
            return b"+QUEUED\r\n"
        return self._done(command)

    def _done(self, command: Command) -> bytes:
        name, *args = command
        if name == "ECHO":
            return bulk(args[0])
        if name == "GET":
            return bulk(self.values.get(args[0]))
        if name == "MGET":
            return b"*%d\r\n" % len(args) + b"".join(bulk(self.values.get(key)) for key in args)
        if name == "SET":
            self.values[args[0]] = args[1]
            return b"+OK\r\n"
        if args[0] == SHARED:
            return b":"
        self.values[args[0]] = str(int(self.values.get(args[0], "0")) + 1)
        return b":%s\r\n" % self.values[args[0]].encode()


@dataclass
class Stretch:
    """The commands that one connection sent, and the number of answered ones."""

    name: str
    sent: list[Command] = field(default_factory=list)
    answered: int = 0
    counted: list[int] = field(default_factory=list)
    """The replies of the shared counter."""

    @property
    def keys(self) -> list[str]:
        """All that it may have written."""
        return sorted({command[1] for command in self.sent if command[0] in ("SET", "INCR")} - {SHARED})

    def possible(self) -> Iterator[dict[str, str]]:
        """The values that its keys may hold in the end."""
        model = Model()
        for number, command in enumerate(self.sent):
            if number >= self.answered:
                yield dict(model.values)
            model.reply(command)
        yield model.values

    def take(self, reply: bytes, due: bytes) -> None:
        """A whole reply has come. Raises AssertionError if it is not the one that is due."""
        whole = due.endswith(b"\r\n")
        assert reply == due if whole else reply.startswith(due), (
            f"{self.name}: reply {self.answered} to {self.sent[self.answered]!r:.200} was {reply[:200]!r},"
            f" not {due[:200]!r}"
        )
        if due == b":":
            self.counted.append(int(reply[1:-2]))
        self.answered += 1


class Batches:
    """Commands by chance."""

    def __init__(self, rng: random.Random, name: str) -> None:
        """`name`: what all its keys contain."""
        self._rng = rng
        self._plain = [f"plain.{name}.{number}" for number in range(3)]
        self._managed = [f"{MANAGED}{name}.{number}" for number in range(3)]
        self._counter = f"count.{name}"
        self._token = 0

    def batch(self) -> list[Command]:
        """A pipeline of commands; sometimes a transaction."""
        commands = [self._command() for _ in range(self._rng.choice((1, 1, 5, 30)))]
        if self._rng.random() < 0.2:
            foretold = (command for command in commands if SHARED not in command)
            return [("MULTI",), *foretold, ("EXEC",)]
        return commands

    def _command(self) -> Command:
        rng, self._token = self._rng, self._token + 1
        kind = rng.randrange(10)
        if kind < 2:
            return "ECHO", f"token {self._token} {'x' * rng.choice((0, 10, 5_000))}"
        if kind < 4:
            return "INCR", rng.choice((self._counter, self._counter, SHARED))
        if kind == 4:
            return "SET", rng.choice(self._plain), f"{self._token} {'y' * rng.choice((0, 100, 50_000))}"
        if kind < 7:
            return "SET", rng.choice(self._managed), self._payload()
        if kind == 7:
            return "GET", rng.choice(self._plain + self._managed)
        if kind == 8:
            return ("MGET", *rng.choices(self._plain + self._managed, k=rng.randint(1, 5)))
        return ("APPEND", rng.choice(self._managed), "junk") if rng.random() < 0.2 else ("GET", self._managed[0])

    def _payload(self) -> str:
        size = self._rng.choice((1, 1, 10, 100, 5_000))
        return json.dumps({"token": self._token, "rows": [["text", 1.5, None, True]] * size}, separators=(",", ":"))


def play(address: Address, name: str, rng: random.Random) -> Stretch | None:
    """One connection, until it is cut or has had enough; None: it was not served at all."""
    stretch, batches, model = Stretch(name), Batches(rng, name), Model()
    with suppress(OSError), Wire(address) as wire:
        wire.send(request("PING"))
        greeting = _replies(wire)
        if next(greeting, b"") != b"+PONG\r\n":  # Redis is away, or loads
            return None
        for _ in range(rng.randint(1, 60)):
            commands = batches.batch()
            stretch.sent += commands
            wire.send(b"".join(request(*command) for command in commands))
            if rng.random() < 0.02:
                break  # vanish
            due = [model.reply(command) for command in commands]
            came = 0
            for reply in _replies(wire, len(commands)):
                stretch.take(reply, due[came])
                came += 1
            if came < len(commands):
                _check_rest(stretch, bytes(wire.received), due[came])
                break
    return stretch


def _replies(wire: Wire, count: int = 1) -> Iterator[bytes]:
    """As many whole replies, or fewer if the other side closes."""
    for _ in range(count):
        while (end := end_of_value(wire.received, 0)) < 0:
            try:
                data = wire.socket.recv(256 * 1024)
            except ConnectionResetError:
                return
            if not data:
                return
            wire.received += data
        reply = bytes(wire.received[:end])
        del wire.received[:end]
        yield reply


def _check_rest(stretch: Stretch, rest: bytes, due: bytes) -> None:
    """An incomplete reply at the end must be the beginning of the expected reply."""
    assert rest.startswith(due) or due.startswith(rest), f"{stretch.name}: {rest[:200]!r} in place of {due[:200]!r}"
