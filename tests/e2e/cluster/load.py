"""Clients that write and read their own keys in pipelines, and check each reply."""

import random
import threading
from collections.abc import Callable, Sequence

from tests.e2e.proxy_process import DEADLINE, Address, wait_until
from tests.e2e.wire import Wire, request

TAGS = 6
_WINDOW = 40
"""Commands in one pipeline."""


class Client(threading.Thread):
    """One of them. It knows what Redis must hold under its keys, because nobody else writes them."""

    def __init__(self, address: Address, number: int, allowed: Callable[[bytes], bool], loses: bool) -> None:
        """`allowed`: whether an error may come. The value of its key is not known afterwards.

        `loses`: writes may be lost. Then a value needs only be one of its key.
        """
        super().__init__(name=f"client {number}")
        self.rounds = 0
        self.wrong: list[str] = []
        self.errors: list[bytes] = []
        self._address = address
        self._allowed = allowed
        self._loses = loses
        self._rng = random.Random(number)
        self._keys = [f"{{tag{tag}}}:{number}:{key}" for tag in range(TAGS) for key in range(3)]
        self._held: dict[str, set[bytes | None]] = {key: {None} for key in self._keys}
        """By key: the values that Redis may hold. Only after an error there is more than one."""
        self._count = 0
        self._ends = threading.Event()

    def end(self) -> None:
        """Stop after this round."""
        self._ends.set()

    def run(self) -> None:
        """Write and read until `end`, or until something is wrong."""
        try:
            with Wire(self._address) as wire:
                while not self._ends.is_set() and not self.wrong:
                    self._round(wire)
                    self.rounds += 1
        except (AssertionError, OSError) as error:
            self.wrong.append(repr(error))

    def _round(self, wire: Wire) -> None:
        commands = [self._command() for _ in range(_WINDOW)]
        wire.send(b"".join(request(*args) for args in commands))
        for args in commands:
            reply = wire.reply()
            if reply.startswith(b"-"):
                self._failed(args, reply)
            elif args[0] == "SET":
                self._check(args, reply, b"+OK\r\n")
                self._held[args[1]] = {args[2].encode()}
            elif args[0] == "DEL":
                self._deleted(args, reply)
            else:
                self._read(args, reply)

    def _command(self) -> list[str]:
        kind, key = self._rng.random(), self._rng.choice(self._keys)
        if kind < 0.5:
            self._count += 1
            return ["SET", key, f"{key}={self._count}"]
        if kind < 0.55:
            return ["DEL", key]
        if kind < 0.9:
            return ["GET", key]
        return ["MGET", *self._rng.sample(self._keys, 3)]

    def _failed(self, args: list[str], reply: bytes) -> None:
        self.errors.append(reply)
        if not self._allowed(reply):
            self.wrong.append(f"{args}: {reply!r}")
        if args[0] in ("SET", "DEL"):
            self._held[args[1]] |= {args[2].encode() if args[0] == "SET" else None}

    def _deleted(self, args: list[str], reply: bytes) -> None:
        held = self._held[args[1]]
        counts = {b":0\r\n" if value is None else b":1\r\n" for value in held}
        if reply not in (counts if not self._loses else {b":0\r\n", b":1\r\n"}):
            self.wrong.append(f"{args}: {reply!r}, held {held}")
        self._held[args[1]] = {None}

    def _read(self, args: list[str], reply: bytes) -> None:
        rest = reply.partition(b"\r\n")[2] if args[0] == "MGET" else reply
        for key in args[1:]:
            bulk, _, rest = rest.partition(b"\r\n")
            value: bytes | None = None
            if bulk.startswith(b"-"):  # MGET has an error as an element
                self._failed(["GET", key], bulk + b"\r\n")
                continue
            if bulk != b"$-1":
                value, _, rest = rest.partition(b"\r\n")
            is_own = value is None or value.startswith(b"%s=" % key.encode())
            if value not in self._held[key] and not (self._loses and is_own):
                self.wrong.append(f"{args}: {reply!r}, held {self._held[key]}")
            self._held[key] = {value}

    def _check(self, args: list[str], reply: bytes, expected: bytes) -> None:
        if reply != expected:
            self.wrong.append(f"{args}: {reply!r}")


class Load:
    """Several clients at work, until the end of the block."""

    def __init__(
        self,
        address: Address,
        count: int,
        allowed: Callable[[bytes], bool] = lambda _: False,
        *,
        loses: bool = False,
        first: int = 0,
    ) -> None:
        """See Client. `first`: the number of the first client. Loads at the same time need others."""
        self.clients = [Client(address, number, allowed, loses) for number in range(first, first + count)]

    def __enter__(self) -> "Load":
        for client in self.clients:
            client.start()
        self.goes_on()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.end()
        for client in self.clients:
            client.join(DEADLINE)
            assert not client.is_alive()
        assert not self.wrong, "\n".join(self.wrong[:10])

    @property
    def wrong(self) -> Sequence[str]:
        """All that was not as it must be."""
        return [each for client in self.clients for each in client.wrong]

    @property
    def errors(self) -> set[bytes]:
        """The errors that came."""
        return {each for client in self.clients for each in client.errors}

    def goes_on(self, rounds: int = 1) -> None:
        """Wait until each client has done so many rounds more."""
        before = [client.rounds for client in self.clients]
        wait_until(
            lambda: (
                self.wrong or all(now.rounds >= was + rounds for now, was in zip(self.clients, before, strict=True))
            ),
            "the clients",
        )
