"""The limit of file descriptors. Each client takes two: its own connection and the one to Redis.

Without a free descriptor, clients would wait and get no answer. So the proxy raises the soft limit and accepts only
as many clients as the limit allows. It sends Redis' own error to the others.

A client on a shared connection takes one, but it may need a connection of its own at any time, and so may all of them.
Without a descriptor for it, the proxy would have to close a client that it serves. So such a client counts as two too.
"""

import resource
from contextlib import suppress
from typing import Final

_PER_CLIENT: Final = 2
_RESERVED: Final = 64
"""Reserved for listeners, scrapes, lookups, the converter and the runtime."""


def clients_at_most(wanted: int, shared: int = 0) -> int:
    """Raise the soft limit for `wanted` clients. Returns the number of clients that it is enough for, at least 1.

    `shared`: descriptors that shared connections take, at most.
    """
    reserved = _RESERVED + shared
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted * _PER_CLIENT + reserved
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    with suppress(ValueError, OSError):  # the system may have a lower limit than the hard one
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return max(1, min(wanted, (soft - reserved) // _PER_CLIENT))
