"""The command table: what each Redis command means to the proxy.

Says where keys and cached values stand, what a managed key among them means, and who may send the
command. It decides nothing and knows no configuration.
"""

from .model import (
    VALID_NAME,
    Access,
    Args,
    Command,
    KeyFinder,
    Managed,
    Reply,
    Turn,
    ValueFinder,
)
from .table import COMMANDS

__all__ = [
    "COMMANDS",
    "VALID_NAME",
    "Access",
    "Args",
    "Command",
    "KeyFinder",
    "Managed",
    "Reply",
    "Turn",
    "ValueFinder",
    "find",
]

# A name with `|` finds nothing: Redis runs no such name from a client. Both usual spellings hit at once.
_BY_SPELLING = {
    spelling: row for name, row in COMMANDS.items() if b"|" not in name for spelling in (name, name.lower())
}


def find(args: Args) -> Command | None:
    """Return the row for a request, None if the table does not have its command.

    A container answers for subcommands that it does not know, and for none at all.
    """
    if not args:
        return None
    row = _BY_SPELLING.get(args[0]) or _BY_SPELLING.get(args[0].upper())
    if row is None or row.subcommands is None:
        return row
    return row.subcommands.get(args[1].upper(), row) if len(args) > 1 else row
