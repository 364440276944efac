"""What must be proven of a client's bytes before hiredis may have them, and of what it reads before that counts.

hiredis makes room for whatever a header declares. And it is lax: it takes any two bytes for a CRLF, `+3` for a length.
Where Redis would read the same bytes otherwise, a command could be smuggled past us; bytes that are equal to the
canonical encoding both read alike. The native engine has its own of both functions.
"""

import re
from itertools import accumulate
from typing import Any, Final

import hiredis

# Neither pattern may ask what stands before a header: hiredis takes any two bytes for a bulk's CRLF.
_OTHER_AGGREGATE = re.compile(rb"[%~>|]-?[0-9]{1,19}\r\n")
_LARGE_COUNT = re.compile(rb"\*([0-9]{3,9})")
_SMALLEST_ARGUMENT: Final = len(b"$0\r\n\r\n")

_OTHER_TYPES: Final = (b"%", b"~", b">", b"|")
# The type byte of each looks like `~` and every digit like `0`: a plain search tells that most chunks do not need the
# pattern.
_SHAPE: Final = bytes.maketrans(b"%~>|-0123456789", b"~~~~00000000000")

_pack: Final[Any] = hiredis.pack_command  # its stub means a tuple of any length


def is_harmless(data: bytes) -> bool:
    """Whether hiredis, wherever in `data` it may find a header, allocates no more than `data` is worth.

    It would make room for whatever a header declares, for each of 1,024 nested arrays anew.
    """
    # One byte is found at the speed of memory, and most chunks have none of these.
    others = max(map(data.find, _OTHER_TYPES)) >= 0
    if others and b"~0" in data.translate(_SHAPE) and _OTHER_AGGREGATE.search(data):
        return False
    if not _LARGE_COUNT.search(data):
        return True
    return sum(map(int, _LARGE_COUNT.findall(data))) * _SMALLEST_ARGUMENT <= len(data)


def canonical_ends(commands: list[list[bytes]], data: bytes, start: int) -> list[int] | None:
    """Where each command ends in `data`, if from `start` on all of them stand there in canonical RESP; None: not so.

    Raises TypeError for what cannot be an argument.
    """
    encoded = list(map(_pack, map(tuple, commands)))
    if not data.startswith(b"".join(encoded), start):
        return None
    return list(accumulate(map(len, encoded), initial=start))[1:]
