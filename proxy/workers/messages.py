"""The messages between a supervisor and its workers. They go in frames (`net.ipc`) over a socket pair.

```
 supervisor                        worker
     Start  ------------------------>
            <------------------------  Ready, or Failed and the worker exits
     GetMetrics(request) ----------->
            <------------------------  MetricsAnswer(request, ...)
     Prepare(request, settings) ---->                          reload, first phase
            <------------------------  Done(request, error)
     Commit(request) --------------->                          second phase, after all have prepared
            <------------------------  Done(request)
            <------------------------  ModeChanged(in_cluster_mode): Redis' mode, as a client was told
     Stop  ------------------------->                          drain; with `now`, end at once
            <------------------------  MetricsAnswer(0, ...)    the last snapshot
```

A worker drains if the channel closes, because its supervisor has ended then.
"""

from typing import TypeAlias

from msgspec import Struct

from proxy.config import Settings
from proxy.observe.metrics import Snapshot
from proxy.observe.refusals import Refused


class Start(Struct, tag=True, frozen=True):
    """The first message. The worker inherits the file descriptors in it."""

    number: int
    """The worker's number, from 0. The log counts from 1."""
    settings: Settings
    listening: tuple[tuple[int, ...], ...]
    """The descriptors of each listener's sockets."""
    slots: int
    """The descriptor of the shared memory of `server.client_slots`."""


class GetMetrics(Struct, tag=True, frozen=True):
    """Ask for a snapshot of the metrics."""

    request: int


class Prepare(Struct, tag=True, frozen=True):
    """Check the settings and load their files, without using them yet."""

    request: int
    settings: Settings


class Commit(Struct, tag=True, frozen=True):
    """Use the settings of the last Prepare."""

    request: int


class Stop(Struct, tag=True, frozen=True):
    """Drain, then exit."""

    now: bool = False
    """Exit without waiting for clients."""


class Ready(Struct, tag=True, frozen=True):
    """The worker accepts clients."""


class Failed(Struct, tag=True, frozen=True):
    """The worker could not start."""

    reason: str


class Done(Struct, tag=True, frozen=True):
    """The answer to Prepare and Commit."""

    request: int
    reason: str = ""
    """The error; empty on success."""


class MetricsAnswer(Struct, tag=True, frozen=True):
    """The answer to GetMetrics."""

    request: int
    metrics: Snapshot
    refusals: tuple[Refused, ...] = ()
    """The last refusals of this worker, the newest first."""


class ModeChanged(Struct, tag=True, frozen=True):
    """A reply of Redis to a client has shown that cluster mode is now on or off."""

    in_cluster_mode: bool


ToWorker: TypeAlias = Start | GetMetrics | Prepare | Commit | Stop
ToSupervisor: TypeAlias = Ready | Failed | Done | MetricsAnswer | ModeChanged
