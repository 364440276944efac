"""The column `spread`: each row has its entry, and no entry lets a command reach one node where it means all."""

import pytest

from proxy.commands import COMMANDS, Access, Command, Spread, Turn
from proxy.commands.model import first, no_keys
from proxy.commands.spread import _SPREADS, spread_of
from tests.commands.samples import request

ROWS = [pytest.param(row, id=name.decode()) for name, row in COMMANDS.items()]


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_its_own(row: Command) -> None:
    assert row.spread is spread_of(row)
    assert (row.spread is Spread.KEYED) <= (row.keys is not no_keys)


def test_a_row_without_keys_cannot_be_forgotten() -> None:
    with pytest.raises(KeyError):
        spread_of(Command(b"NEW"))
    assert spread_of(Command(b"NEW", first)) is Spread.KEYED


def test_only_rows_of_the_table_are_named() -> None:
    assert set(_SPREADS) <= set(COMMANDS)


def test_each_kind_is_used() -> None:
    assert {row.spread for row in COMMANDS.values()} == set(Spread)


def test_what_the_fast_path_takes_goes_to_one_lane() -> None:
    assert {row.spread for row in COMMANDS.values() if row.is_straight} == {Spread.KEYED}


def test_a_write_without_keys_reaches_all_masters_or_nobody() -> None:
    everywhere = {Spread.FIRST, Spread.REFUSED}
    home = {name for name, row in COMMANDS.items() if row.writes_unnamed and row.spread not in everywhere}
    assert home == {b"SWAPDB"}  # Redis itself refuses it in cluster mode


@pytest.mark.parametrize("spread", [Spread.HOME, Spread.SUM, Spread.FIRST, Spread.STREAM, Spread.SCAN])
def test_what_names_keys_never_goes_elsewhere(spread: Spread) -> None:
    assert not [name for name, row in COMMANDS.items() if row.spread is spread and row.keys is not no_keys]


def test_no_reply_names_a_node() -> None:
    of_cluster = {name for name in COMMANDS if name.startswith(b"CLUSTER")}
    passing = {name for name in of_cluster if COMMANDS[name].spread not in (Spread.REFUSED, Spread.TOPOLOGY)}
    assert passing == {b"CLUSTER|HELP"}
    assert {name for name, row in COMMANDS.items() if row.access is Access.CLUSTER} <= of_cluster


def test_blocking_commands_have_one_lane() -> None:
    assert {row.spread for row in COMMANDS.values() if row.blocking} == {Spread.KEYED, Spread.REFUSED}


def test_each_change_of_the_connection_is_thought_of() -> None:
    changing = {name: row.spread for name, row in COMMANDS.items() if row.turn is not Turn.NONE}
    at_home = {name for name, spread in changing.items() if spread is Spread.HOME}
    assert at_home == set(
        request(
            "QUIT MONITOR SUBSCRIBE PSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE"
            " CLIENT|GETNAME CLIENT|ID CLIENT|INFO CLIENT|LIST CLIENT|REPLY"
        )
    )
    assert not {name for name, spread in changing.items() if spread in (Spread.KEYED, Spread.RUNS, Spread.SUM)}
