"""The proof that a stream's bytes are what its commands' arguments say, and nothing else.

hiredis is lax: it takes any two bytes for a CRLF, `+3` for a length. Where Redis would read the same bytes otherwise, a
command could be smuggled past us; bytes that are equal to the canonical encoding both read alike.
"""

from itertools import accumulate
from typing import Any, Final

import hiredis

from proxy import engine

_pack: Final[Any] = hiredis.pack_command  # its stub means a tuple of any length


def reference(commands: list[list[bytes]], data: bytes, start: int) -> list[int] | None:
    """Where each command ends in `data`, if from `start` on all of them stand there in canonical RESP; None: not so.

    Raises TypeError for what cannot be an argument.
    """
    encoded = list(map(_pack, map(tuple, commands)))
    if not data.startswith(b"".join(encoded), start):
        return None
    return list(accumulate(map(len, encoded), initial=start))[1:]


ends: Final = reference if engine.NATIVE is None else engine.NATIVE.canonical_ends
