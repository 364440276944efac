"""The column `pin`: why a command does not travel on a shared connection."""

import pytest

from proxy.commands import COMMANDS, Access, Pin, Turn, find
from proxy.commands.pins import _PINS
from tests.commands.samples import request

PINNED = {
    "MULTI": Pin.TRANSACTION,
    "WATCH k": Pin.TRANSACTION,
    "UNWATCH": Pin.TRANSACTION,
    "BLPOP k 0": Pin.BLOCKING,
    "XREAD STREAMS k 0": Pin.BLOCKING,
    "WAIT 0 0": Pin.BLOCKING,
    "SUBSCRIBE c": Pin.SUBSCRIPTION,
    "SUNSUBSCRIBE": Pin.SUBSCRIPTION,
    "MONITOR": Pin.MONITOR,
    "SELECT 1": Pin.DATABASE,
    "CLIENT TRACKING ON": Pin.TRACKING,
    "CLIENT REPLY OFF": Pin.CLIENT,
    "CLIENT LIST": Pin.CLIENT,
    "READONLY": Pin.CLIENT,
    "HIMPORT SET k f v": Pin.CLIENT,
    "EVAL s 0": Pin.SCRIPT,
    "EVAL_RO s 0": Pin.SCRIPT,
    "FUNCTION LIST": Pin.SCRIPT,
    "CONFIG SET a b": Pin.ADMIN,
    "CLIENT KILL a": Pin.ADMIN,
    "KEYS *": Pin.KEYSPACE,
    "SORT k": Pin.KEYSPACE,
    "FLUSHALL": Pin.KEYSPACE,
    "HELLO 3": Pin.LOGIN,
    "AUTH p": Pin.LOGIN,
}


@pytest.mark.parametrize("text", PINNED)
def test_it_has_the_reason(text: str) -> None:
    row = find(request(text))
    assert row.pin is PINNED[text]
    assert not row.travels


@pytest.mark.parametrize("text", ["GET k", "MSET a 1 b 2", "PING", "SCAN 0", "PUBLISH c m", "CONFIG GET a", "COMMAND"])
def test_the_usual_commands_travel(text: str) -> None:
    assert find(request(text)).travels


def test_only_open_rows_that_change_nothing_and_do_not_block_travel() -> None:
    for row in COMMANDS.values():
        if row.travels:
            assert (row.access, row.turn, row.blocking) == (Access.OPEN, Turn.NONE, False), row.name


def test_every_name_of_the_column_is_in_the_table() -> None:
    assert set(_PINS) - set(COMMANDS) == set()
