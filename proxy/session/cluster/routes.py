"""Where a request goes: a closed list. `router` chooses, `mailbox` writes."""

from typing import NamedTuple

from proxy.commands import find
from proxy.session.cluster.gather import How
from proxy.session.cluster.kept import NO_SLOT


class ToHome(NamedTuple):
    """The home lane."""

    slot: int = NO_SLOT


class ToSlot(NamedTuple):
    """The lane of the node that has the slot."""

    slot: int
    is_trusted: bool = True
    """See `Sent`."""


class ToRuns(NamedTuple):
    """The lanes of its keys, in parts."""

    slot: int
    """Of the first key."""
    how: How | None
    """How their replies become one; None: their arrays become one."""


class ToMasters(NamedTuple):
    """All masters. The replies are gathered."""

    how: How
    slot: int = NO_SLOT


class ToStream(NamedTuple):
    """All masters. Their arrays become one."""

    slot: int = NO_SLOT


class ToScan(NamedTuple):
    """The lane of one master, with another cursor."""

    node: int
    """Its id in the map."""
    cursor: bytes
    slot: int = NO_SLOT


class ToEvery(NamedTuple):
    """All lanes, and those that are opened later."""

    kind: bytes
    """A later command of the same kind replaces it."""
    slot: int = NO_SLOT


class ToReset(NamedTuple):
    """The home lane, and all others are closed."""

    slot: int = NO_SLOT


class ToWatch(NamedTuple):
    """The lane of the slot, on which the next transaction will be."""

    slot: int


class ToUnwatch(NamedTuple):
    """The lane on which keys are watched."""

    slot: int = NO_SLOT


Route = ToHome | ToSlot | ToRuns | ToMasters | ToStream | ToScan | ToEvery | ToReset | ToWatch | ToUnwatch
HOME = ToHome()


def kind_of(args: list[bytes]) -> bytes:
    """The kind of a command that goes to every lane: its name, and the attribute that CLIENT SETINFO sets."""
    row = find(args)
    name = b"" if row is None else row.name
    return name + args[2].upper() if name == b"CLIENT|SETINFO" and len(args) > 2 else name
