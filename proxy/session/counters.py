"""Counters of sessions: plain additions, read by the metrics."""

from collections import defaultdict
from collections.abc import Callable, Collection

from proxy.commands import Command
from proxy.policy import Rule
from proxy.session.refusals import Reason


class Tally:
    """Counts of all the sessions of a process."""

    __slots__ = (
        "clock",
        "commands",
        "ended",
        "failures",
        "in_cluster_mode",
        "managed",
        "misses",
        "on_flask_value",
        "on_mode",
        "redirects",
        "refusals",
        "untouched",
    )

    def __init__(self) -> None:
        """All counts are 0."""
        self.clock: Callable[[], float] = lambda: 0.0
        """Seconds, for the times of conversions. The caller sets it: a session has no clock."""
        self.commands: defaultdict[Command | None, int] = defaultdict(int)
        """Requests by command; None: commands that the table does not have."""
        self.managed = self.untouched = 0
        """Requests that name a managed key, and requests that name keys but no managed one. Not those of the guard."""
        self.refusals: defaultdict[tuple[Command | None, Reason], int] = defaultdict(int)
        """Refused requests by command and reason, including those whose payload cannot be encoded."""
        self.failures: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
        """Failed conversions by direction (`encode`, `decode`), payload format, rule and `CodecError.reason`."""
        self.misses: defaultdict[str, int] = defaultdict(int)
        """Null replies in place of a stored value, by rule. (Hits are the values that transcoders decode.)"""
        self.redirects: defaultdict[str, int] = defaultdict(int)
        """Errors by which a cluster sends a command elsewhere, by kind: `moved`, `ask`, `tryagain`."""
        self.ended: defaultdict[str, int] = defaultdict(int)
        """Conversations that ended because of the client's bytes, by the exceeded limit; `protocol`: no RESP."""
        self.in_cluster_mode: bool | None = None
        """Whether the last reply about it, to any client, showed cluster mode; None: no such reply yet."""
        self.on_mode: Callable[[bool], None] = lambda _: None
        """Called with the new mode when it changes."""
        self.on_flask_value: Callable[[bytes], None] = lambda _: None
        """Called with the key of a GET that no rule matches, if its reply is a value of Flask's caches."""

    def count_keys(self, found: Collection[Rule | None]) -> None:
        """Count a request by the rules of its keys."""
        if found and not any(found):
            self.untouched += 1
        elif found:
            self.managed += 1

    @property
    def is_standalone(self) -> bool:
        """A reply has shown that Redis does not run in cluster mode."""
        return self.in_cluster_mode is not None and not self.in_cluster_mode

    def record_mode(self, in_cluster_mode: bool) -> None:
        """Record the mode that a reply of Redis has shown."""
        if in_cluster_mode != self.in_cluster_mode:
            self.in_cluster_mode = in_cluster_mode
            self.on_mode(in_cluster_mode)
