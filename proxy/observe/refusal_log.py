"""Logs refusals and failed conversions: a few lines of each client and of each process in a period.

A client that is refused in a loop must not fill the log, nor take the lines of other clients. So each client and the
process have a quota. At the end of a period, one line says how many refusals were left out, and of whom.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from proxy.observe.refusals import LastRefusals, Refused, row
from proxy.session.refusals import Report

_log = logging.getLogger("proxy.refusals")
PERIOD: Final = 10.0
"""Seconds."""
OF_PROCESS: Final = 20
"""Lines of a process in a period."""
OF_CLIENT: Final = 5
"""Lines of a client in a period."""
_OTHERS: Final = 0
"""No client has this number."""


class RefusalLog:
    """See the module. It also keeps the last refusals for the admin page."""

    def __init__(self) -> None:
        """No refusal yet."""
        self.last = LastRefusals()
        self._lines: Counter[int] = Counter()
        """Lines of this period by client: at most OF_PROCESS together."""
        self._left_out: Counter[int] = Counter()
        """Refusals without a line, by client. All clients without any line count as _OTHERS."""

    def add(self, when: float, connection: int, client: str, reports: Sequence[Report]) -> None:
        """Take the reports of one step of a session.

        `when`: seconds since the epoch. `connection`: the client's number. `client`: its address.
        """
        for report in reports:
            self.last.add(when, client, report)
            if self._admits(connection):
                self._log_line(connection, row(when, client, report))

    def _admits(self, connection: int) -> bool:
        if self._lines[connection] < OF_CLIENT and self._lines.total() < OF_PROCESS:
            self._lines[connection] += 1
            return True
        self._left_out[connection if self._lines[connection] else _OTHERS] += 1
        return False

    def _log_line(self, connection: int, refused: Refused) -> None:
        who = f'{refused.client} "{refused.name}"' if refused.name else refused.client
        what = "failed" if refused.is_failure else "refused"
        where = f" under {refused.rule}" if refused.rule else ""
        _log.info(
            "[%d] %s %s of %s%s: %s (%s)",
            *(connection, what, refused.command, who, where, refused.reason, refused.explanation),
            extra={"fields": _fields(refused)},
        )

    def end_period(self) -> None:
        """Log how many refusals were left out, and begin a new period."""
        if self._left_out:
            others = self._left_out.pop(_OTHERS, 0)
            whose = [f"{count} of [{number}]" for number, count in self._left_out.items()]
            whose += [f"{others} of other clients"] if others else []
            total = self._left_out.total() + others
            _log.info("%d refusals of the last %g s were left out: %s", total, PERIOD, ", ".join(whose))
        self._lines.clear()
        self._left_out.clear()

    async def run(self) -> None:
        """Run until cancelled. The caller ends the last period."""
        while True:
            await asyncio.sleep(PERIOD)
            self.end_period()


def _fields(refused: Refused) -> dict[str, str]:
    """Fields of a line in JSON."""
    fields = {name: getattr(refused, name) for name in ("client", "name", "command", "rule", "reason")}
    return {name: text for name, text in fields.items() if text}
