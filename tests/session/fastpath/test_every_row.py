"""Every row of the command table, on keys of every kind of rule: the fast path and the session write the same bytes."""

from collections.abc import Iterator

import pytest

from proxy.commands import COMMANDS, Command
from proxy.policy import SessionLimits
from proxy.resp.encode import command
from proxy.session.expected_replies import Entry
from tests.session.fastpath.long_way import go_the_long_way
from tests.session.fastpath.test_fastpath import KEYS, RULES
from tests.session.playbook import Playbook, policy

VALUE = b'{"tea":[1,null]}'
SHAPES = (
    [],
    [VALUE],
    [b"5", VALUE],
    [VALUE, b"EX", b"5"],
    [VALUE, b"px", b"5"],
    [VALUE, b"KEEPTTL"],
    [VALUE, b"GET"],
    [VALUE, b"EX", b"5", b"GET"],
    [VALUE, b"IFEQ", VALUE],
    [VALUE, b"?", b"5"],
    [b"EX", b"5"],
    [b"PERSIST"],
    [b"5", VALUE, b"EX", b"5"],
)
ROWS = [row for parent in COMMANDS.values() for row in (parent, *(parent.subcommands or {}).values())]


def _written(row: Command, spelled: bytes) -> Iterator[tuple[bytes, bytes, str | None, list[Entry]]]:
    """The outcome of each request, in a conversation of its own for each key."""
    under = policy(*RULES, limits=SessionLimits())
    for key in KEYS:
        played = Playbook(under)
        for shape in SHAPES:
            played.sends(command(*spelled.split(b"|"), key, *shape))
            yield played.upstream, played.client, played.closed, _owed(played)
            played.upstream = played.client = b""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.decode())
def test_both_ways_write_the_same(row: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    spellings = row.name, row.name.lower()
    short = [list(_written(row, spelled)) for spelled in spellings]
    with monkeypatch.context() as patch:
        go_the_long_way(patch)
        long = [list(_written(row, spelled)) for spelled in spellings]
    assert [_named(each) for each in short] == [_named(each) for each in long]


def _owed(played: Playbook) -> list[Entry]:
    return [entry for entry, count in played.session.owed.records(1000) for _ in range(count)]


def _named(outcomes: list[tuple[bytes, bytes, str | None, list[Entry]]]) -> list[object]:
    """Entries by what they say: each conversation has a policy, and so entries, of its own."""
    return [
        (*rest, [repr(entry) if type(entry) is not Entry else "pass" for entry in owed]) for *rest, owed in outcomes
    ]


def test_the_fast_path_takes_the_usual_rows() -> None:
    taken: set[bytes] = set()
    under = policy(*RULES)
    for row in ROWS:
        for shape in SHAPES:
            played = Playbook(under)
            played.command(b"GET", b"other").command(b"GET", b"other")
            before = played.tally.managed
            if played.session.take_requests(command(*row.name.split(b"|"), b"m:a", *shape)) is not None:
                taken |= {row.name} if played.tally.managed > before else set()
    assert taken == {b"SET", b"SETEX", b"PSETEX", b"SETNX", b"GETSET", b"GET", b"GETDEL", b"GETEX"}
