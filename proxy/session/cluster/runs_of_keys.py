"""Splits a request over several slots into requests of one slot each: runs of keys in a row."""

from collections.abc import Generator, Iterator
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from proxy.commands import Command, Reply
from proxy.resp import encode
from proxy.session.cluster.gather import How
from proxy.session.slots import key_slot
from proxy.session.state import NextTurn

_T = TypeVar("_T")
_PAIRS: Final = b"MSET"


class Run(NamedTuple):
    """Arguments in a row whose keys are of one slot."""

    slot: int
    start: int
    """The index of the first argument."""
    stop: int

    def request(self, args: list[bytes]) -> bytes:
        """The request of this run."""
        return encode.command(args[0], *args[self.start : self.stop])


def how_of(command: Command) -> How | None:
    """How the replies of the parts become one. None: their arrays become one."""
    if command.reply is Reply.VALUES:
        return None
    return How.FIRST if command.name == _PAIRS else How.SUM


def _step(args: list[bytes]) -> int:
    return 2 if args[0].upper() == _PAIRS else 1


def run_ends(args: list[bytes]) -> Iterator[Run | None]:
    """For each key: the run that ends before it, or None. The last run comes at the end."""
    step, start, slot = _step(args), 1, -1
    for at in range(1, len(args), step):
        its = key_slot(args[at])
        if its == slot:
            yield None
            continue
        yield Run(slot, start, at) if at > start else None
        start, slot = at, its
    if len(args) > 1:
        yield Run(slot, start, len(args))


def runs_of(args: list[bytes]) -> Iterator[Run]:
    """The runs of a request, in order. There is one at least if it names a key."""
    return (run for run in run_ends(args) if run is not None)


def in_turns(items: Iterator[_T], most: int) -> Generator[type[NextTurn], None, list[_T]]:
    """The items as a list. `most`: items of a turn."""
    made = [*islice(items, most)]
    for item in items:
        if len(made) % most == 0:
            yield NextTurn
        made.append(item)
    return made


def by_slot(
    args: list[bytes], runs: list[Run], most: int
) -> Generator[type[NextTurn], None, tuple[list[bytes], list[Run]]]:
    """The same keys with one run for each slot. Keys of one slot stay in order. `most`: runs of a turn."""
    keys: dict[int, list[bytes]] = {}
    for number, run in enumerate(runs, 1):
        keys.setdefault(run.slot, []).extend(args[run.start : run.stop])
        if number % most == 0:
            yield NextTurn
    args, runs = args[:1], []
    for slot, its in keys.items():
        runs.append(Run(slot, len(args), len(args) + len(its)))
        args += its
    return args, runs


def lacks_value(args: list[bytes]) -> bool:
    """Whether the last key of an MSET has no value. Redis must see the whole request, to refuse it."""
    return _step(args) == 2 and len(args) % 2 == 0


def parts_of(args: list[bytes]) -> list[Run]:
    """Each key as a run of its own."""
    step = _step(args)
    return [Run(key_slot(args[at]), at, at + step) for at in range(1, len(args), step)]
