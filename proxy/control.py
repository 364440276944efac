"""What a supervisor and its workers say to each other, in frames over a socket pair.

```
 supervisor                        worker
     Start  ------------------------>
            <------------------------  Ready, or Failed and its end
     AskMetrics(request) ----------->
            <------------------------  Numbers(request, ...)
     Prepare(request, settings) ---->                          HUP, first half
            <------------------------  Done(request, why not)
     Commit(request) --------------->                          second half, once all are prepared
            <------------------------  Done(request)
     Stop  ------------------------->                          drain; Stop(now): do not
            <------------------------  Numbers(0, ...)         the last ones
```

A worker that finds the channel closed has lost its supervisor, and drains.
"""

from typing import TypeAlias

from msgspec import Struct

from proxy.config import Settings
from proxy.metrics import Snapshot


class Start(Struct, tag=True, frozen=True):
    """The first message. The descriptors are inherited."""

    number: int
    """Which worker this is, from 0; people are told one more."""
    settings: Settings
    listening: tuple[tuple[int, ...], ...]
    """The sockets of each listener."""
    seats: int
    """The memory of `seats`."""


class AskMetrics(Struct, tag=True, frozen=True):
    """Say your numbers."""

    request: int


class Prepare(Struct, tag=True, frozen=True):
    """Check settings, and be ready to take them."""

    request: int
    settings: Settings


class Commit(Struct, tag=True, frozen=True):
    """Take the settings that were prepared last."""

    request: int


class Stop(Struct, tag=True, frozen=True):
    """Drain, then end."""

    now: bool = False
    """End without waiting for anybody."""


class Ready(Struct, tag=True, frozen=True):
    """Clients are accepted."""


class Failed(Struct, tag=True, frozen=True):
    """The start has failed."""

    reason: str


class Done(Struct, tag=True, frozen=True):
    """An answer to Prepare and Commit."""

    request: int
    reason: str = ""
    """Why it is not; empty: it is."""


class Numbers(Struct, tag=True, frozen=True):
    """An answer to AskMetrics."""

    request: int
    metrics: Snapshot


ToWorker: TypeAlias = Start | AskMetrics | Prepare | Commit | Stop
ToSupervisor: TypeAlias = Ready | Failed | Done | Numbers
