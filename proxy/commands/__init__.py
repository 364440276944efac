"""The command table: the meaning of each Redis command for the proxy.

A row gives the positions of keys and cached values, the treatment of managed keys, and who may send the command. The
table makes no decisions and does not depend on the configuration.
"""

from typing import Final

from .model import (
    LONGEST_NAME,
    MOST_WORDS,
    Access,
    Args,
    Command,
    KeyFinder,
    Managed,
    Pin,
    Reply,
    Spread,
    Turn,
    ValueFinder,
    is_valid_name,
    word,
)
from .table import COMMANDS

__all__ = [
    "COMMANDS",
    "LONGEST_NAME",
    "MOST_WORDS",
    "Access",
    "Args",
    "Command",
    "KeyFinder",
    "Managed",
    "Pin",
    "Reply",
    "Spread",
    "Turn",
    "ValueFinder",
    "find",
    "is_valid_name",
    "usual",
    "word",
]

# Names with `|` are left out: Redis never runs them. Upper and lower case are found without a conversion.
_BY_SPELLING = {
    spelling: row for name, row in COMMANDS.items() if b"|" not in name for spelling in (name, name.lower())
}
usual: Final = _BY_SPELLING.get
"""The row for a usual spelling of a name, without a call of Python. Else, and for a container, `find` has to look."""


def find(args: Args) -> Command | None:
    """Return the row of a request, or None if the table does not have its command.

    The row of a container also serves for a missing or unknown subcommand.
    """
    if not args or len(name := args[0]) > LONGEST_NAME:
        return None
    row = _BY_SPELLING.get(name) or _BY_SPELLING.get(name.upper())
    if row is None or row.subcommands is None:
        return row
    return row.subcommands.get(args[1][: LONGEST_NAME + 1].upper(), row) if len(args) > 1 else row
