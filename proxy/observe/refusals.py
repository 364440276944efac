"""The last refusals, for the log and the admin page: who was refused what, and why. No key, no value.

Both engines and all processes use the reasons of `session.refusals`. Everything here is pure: the time is passed in.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from proxy.config.printable import printable
from proxy.session.refusals import FAILURES, TEXTS, Reason, Report

LAST: Final = 20
"""The number of refusals that are kept."""
_LONGEST_NAME: Final = 64
"""Characters of a client's name that are shown."""
_OFFERS: Final = frozenset({"CLIENT|MAINT_NOTIFICATIONS", "CLIENT|CAPA"})
"""Commands that libraries send with each connection, to ask whether a server can do more."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One refusal, or one stored value that could not be decoded. All texts are printable."""

    when: float
    """Seconds since the epoch."""
    client: str
    """The client's address: `10.0.0.1:4242`, `[::1]:4242`, or `unix` with the process id where it is known."""
    name: str
    """The client's name (CLIENT SETNAME), at most 64 characters and an ellipsis. Empty: it has none."""
    command: str
    """The command of the table, or `other`."""
    rule: str
    """The name of the rule. Empty: no rule is the cause."""
    reason: str
    """The label of a `Reason`."""

    @property
    def explanation(self) -> str:
        """The reason in words."""
        if self.command in _OFFERS:
            return "no fault: the client asks for an option, and works without it"
        return TEXTS[Reason(self.reason)]

    @property
    def is_failure(self) -> bool:
        """The command was served, but a stored value could not be decoded."""
        return Reason(self.reason) in FAILURES


def shown_name(name: bytes) -> str:
    """A client's name in printable characters, cut at 64. A quote and a backslash are escaped too."""
    text, size = "", 0
    for char in name.decode(errors="surrogateescape"):
        shown = f"\\{char}" if char in '"\\' else printable(char)
        size += len(shown)
        if size > _LONGEST_NAME:
            return f"{text}…"
        text += shown
    return text


def row(when: float, client: str, report: Report) -> Refused:
    """The row of a report."""
    return Refused(
        when, printable(client), shown_name(report.name), report.command, printable(report.rule), report.reason.value
    )


class LastRefusals:
    """The last refusals of one process."""

    def __init__(self) -> None:
        """Empty."""
        self._reports: deque[tuple[float, str, Report]] = deque(maxlen=LAST)

    def add(self, when: float, client: str, report: Report) -> None:
        """Add a report. The oldest one goes if there are too many. Its row is made later, because floods come here."""
        self._reports.append((when, client, report))

    def snapshot(self) -> tuple[Refused, ...]:
        """The refusals, the newest first."""
        return tuple(row(*each) for each in reversed(self._reports))


def merged(snapshots: Iterable[Iterable[Refused]]) -> tuple[Refused, ...]:
    """The last refusals of several processes, the newest first."""
    rows = [row for snapshot in snapshots for row in snapshot]
    return tuple(sorted(rows, key=lambda row: row.when, reverse=True)[:LAST])
