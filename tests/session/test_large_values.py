"""A large value is looked at once: the parsers get no byte again, and its key is matched once or twice."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.resp import hiredis_reader, request_parser, strict_reader
from proxy.resp.encode import command
from proxy.session.fastpath.flat import SMALL
from tests.session.playbook import Playbook, policy, rule

READ = 64 * 1024


class Flat:
    """The flat call, which counts the bytes of the reads that it looks at."""

    def __init__(self, flat: Any, session: Any, counts: "Counts") -> None:
        self._flat = flat
        self._conversation = session._conversation
        self._counts = counts
        self.give = flat.give

    def take(self, data: bytes, any_length: bool = False) -> Any:
        if self._conversation.is_dry and (any_length or len(data) <= SMALL):
            self._counts.parsed += len(data)
        return self._flat.take(data, any_length)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flat, name)


class Table:
    """The table of plans, which counts the bytes that it proves."""

    def __init__(self, table: Any, counts: "Counts") -> None:
        self.pass_on = table.pass_on
        self._take = table.take
        self._counts = counts

    def take(self, commands: list[list[bytes]], data: bytes, room: int) -> Any:
        self._counts.parsed += len(data)
        return self._take(commands, data, room)


class Counts:
    """What a conversation about one value has cost."""

    def __init__(self) -> None:
        self.parsed = self.matched = self.steps = 0

    def of_bytes(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose first argument is counted."""

        def counted(data: Any, *arguments: Any) -> Any:
            self.parsed += len(data)
            return function(data, *arguments)

        return counted

    def matches(self, key: bytes) -> bool:
        """Of a rule."""
        self.matched += 1
        return key.endswith(b":managed")

    def stepped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The steps of the strict reader."""

        def counted(reader: Any) -> Any:
            self.steps += 1
            return function(reader)

        return counted


def costs(key: bytes, size: int, read: int, monkeypatch: pytest.MonkeyPatch) -> Counts:
    counts = Counts()
    managed = rule(b"*:managed", matches=counts.matches, prefix=b"", is_prefix=False)
    played = Playbook(policy(managed)).command(b"GET", b"n").replies(b"$-1\r\n")
    counts.matched = 0
    path: Any = played.session._requests.path
    path._table = Table(path._table, counts)
    path._flat = Flat(path._flat, played.session, counts)
    played.session.take_requests = path._flat.take
    with monkeypatch.context() as patch:
        for name in ("harmless_bytes", "whole_bulks"):
            patch.setattr(hiredis_reader, name, counts.of_bytes(getattr(hiredis_reader, name)))
        patch.setattr(
            request_parser.RequestParser, "_read_commands", staticmethod(counts.of_bytes(hiredis_reader.read_commands))
        )
        step = strict_reader.StrictReader.step
        patch.setattr(strict_reader.StrictReader, "step", counts.stepped(step))
        stream = command(b"SET", key, b"v" * size)
        for at in range(0, len(stream), read):
            played.sends(stream[at : at + read])
    played.takes_turns().converts().takes_turns()
    assert played.session.pending == 1
    value = b"!" + b"v" * size if key.endswith(b":managed") else b"v" * size
    assert played.upstream.endswith(command(b"SET", key, value))
    return counts


@pytest.mark.parametrize("read", [READ, 1448])
def test_a_managed_one_is_parsed_in_its_first_reads_alone(read: int, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (costs(b"k:managed", size, read, monkeypatch) for size in (200_000, 1_000_000))
    assert small.parsed == large.parsed <= 3 * READ
    assert small.steps == large.steps <= 8
    assert small.matched == large.matched <= 3


@pytest.mark.parametrize("read", [READ, 1448])
def test_one_that_no_rule_manages_is_not_parsed(read: int, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (costs(b"k", size, read, monkeypatch) for size in (200_000, 1_000_000))
    looked_at = 3 * read if read <= SMALL else 0  # its first read, before it is known to be cut
    assert small.parsed == large.parsed <= looked_at
    assert (small.steps, small.matched, large.steps, large.matched) == (0, 1, 0, 1)
