"""File descriptors: each client takes two, and a proxy that has none left can only let clients wait.

So the soft limit is raised as far as it may be, and who would be one too many for the rest is told so, as by Redis.
"""

import resource
from contextlib import suppress
from typing import Final

_PER_CLIENT: Final = 2
_RESERVED: Final = 64
"""For listeners, scrapes, look-ups, the converter, and what the runtime opens."""


def clients_at_most(wanted: int) -> int:
    """How many of the clients that are wanted there is room for, once the soft limit has been raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted * _PER_CLIENT + _RESERVED
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    with suppress(ValueError, OSError):  # systems have limits of their own
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return max(1, min(wanted, (soft - _RESERVED) // _PER_CLIENT))
