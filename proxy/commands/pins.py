"""The column `pin` of the table: why a command does not travel on a connection that clients share.

Most rows follow from their other columns. The rest is named here: commands that Redis calls harmless and that would
still delay other clients, or that ask about the connection itself. A test proves on live servers that every other row
brings exactly one reply and leaves no state.
"""

from collections.abc import Mapping
from typing import Final

from .model import Access, Command, Pin, Turn

_NAMES: Final = {
    Pin.TRANSACTION: "UNWATCH",
    Pin.TRACKING: "CLIENT|CACHING CLIENT|TRACKING CLIENT|TRACKINGINFO CLIENT|GETREDIR",
    Pin.CLIENT: "CLIENT CLIENT|HELP HIMPORT QUIT",
    Pin.SCRIPT: """
        EVAL_RO EVALSHA_RO FCALL_RO SCRIPT|EXISTS SCRIPT|HELP SCRIPT|LOAD SCRIPT|SHOW SCRIPT|FLUSH SCRIPT|KILL
        SCRIPT|DEBUG FUNCTION|DUMP FUNCTION|HELP FUNCTION|LIST FUNCTION|STATS FUNCTION|DELETE FUNCTION|FLUSH
        FUNCTION|LOAD FUNCTION|RESTORE FUNCTION|KILL SCRIPT FUNCTION
    """,
    Pin.KEYSPACE: "KEYS SORT SORT_RO FLUSHDB FLUSHALL SWAPDB",
}
_PINS: Final[Mapping[bytes, Pin]] = {name.encode(): pin for pin, names in _NAMES.items() for name in names.split()}
_BY_TURN: Final = {
    **dict.fromkeys((Turn.MULTI, Turn.EXEC, Turn.DISCARD, Turn.WATCH), Pin.TRANSACTION),
    **dict.fromkeys((Turn.SUBSCRIBE, Turn.UNSUBSCRIBE), Pin.SUBSCRIPTION),
    **dict.fromkeys((Turn.HELLO, Turn.AUTH), Pin.LOGIN),
    Turn.MONITOR: Pin.MONITOR,
    Turn.SELECT: Pin.DATABASE,
    Turn.NONE: None,
}


def pin_of(row: Command) -> Pin | None:
    """The entry of a row in the column."""
    if row.name in _PINS:
        return _PINS[row.name]
    if row.blocking:
        return Pin.BLOCKING
    if row.access is Access.SCRIPT:
        return Pin.SCRIPT
    if row.access is not Access.OPEN:
        return Pin.ADMIN
    return _BY_TURN.get(row.turn, Pin.CLIENT)
