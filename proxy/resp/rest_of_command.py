"""The rest of a command that passes unchanged: its bytes go upstream before the command is whole.

Only bytes that are proven canonical pass. They end in the body of a bulk string, or behind one. The strict reader gets
a cut header, a cut CRLF and anything invalid.
"""

from typing import Final

from proxy.engine import ENGINE
from proxy.resp.canonical import BULK_HEADER
from proxy.resp.limits import MAX_BULK


def reference(data: bytes, left: int, awaited: int, size: int, room: int) -> tuple[int, int, int, int]:
    """Take the bytes of the command at the head of `data`. Returns their number, and the state behind them.

    The state is three numbers. `left`: missing bytes of the current bulk string, with its CRLF; 0: its header is
    missing. `awaited`: bulk strings behind the current one. `size`: the declared bytes of the command so far. A header
    that would make it more than `room` is left.
    """
    return rest_from(data, 0, left, awaited, size, room)


def rest_from(data: bytes, pos: int, left: int, awaited: int, size: int, room: int) -> tuple[int, int, int, int]:
    """As `reference`, from the position `pos` on. Returns the position behind the bytes."""
    while True:
        if left > len(data) - pos + 2:
            return len(data), left - len(data) + pos, awaited, size
        if left:
            pos += left - 2
            if data[pos : pos + 2] != b"\r\n":
                return pos, 2, awaited, size
            pos, left = pos + 2, 0
        header = BULK_HEADER.match(data, pos) if awaited else None
        if header is None:
            return pos, 0, awaited, size
        length = int(header[1])
        if length > MAX_BULK or size + header.end() - pos + length + 2 > room:
            return pos, 0, awaited, size
        size += header.end() - pos + length + 2
        pos, left, awaited = header.end(), length + 2, awaited - 1


rest_of_command: Final = ENGINE.of("rest_of_command", reference)
