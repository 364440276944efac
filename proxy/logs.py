"""Log lines on stderr: text for people, JSON for collectors. Never a key or a value above debug."""

import json
import logging
import sys
import time
from typing import Final

_AT_MOST: Final = 20
"""Warnings of one kind that are logged ..."""
_PERIOD: Final = 10.0
"""... in so many seconds."""
_KINDS: Final = 1000
"""Kinds that are remembered: the messages of others may have their details in them already."""
_CONNECTION: Final = "[%d] "
"""How a message about one connection begins; its number is the first of the arguments."""
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class JsonFormatter(logging.Formatter):
    """One object a line: time (ISO 8601, UTC), level, logger, connection if it is about one, message, traceback if any.

    With several workers, whose connections each have numbers of their own, the worker too.
    """

    def __init__(self, worker: int | None = None) -> None:
        """`worker`: which of several this is."""
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, str | int] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if self._worker is not None:
            line["worker"] = self._worker
        message = record.getMessage()
        if isinstance(record.args, tuple) and str(record.msg).startswith(_CONNECTION):
            line["connection"] = number = int(str(record.args[0]))
            message = message.removeprefix(_CONNECTION % number)
        line["message"] = message
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Throttle(logging.Filter):
    """Lets some warnings and errors of a kind pass in each period, and counts the others: faults come in thousands."""

    def __init__(self) -> None:
        """Nothing logged yet."""
        super().__init__()
        self._kinds: dict[tuple[str, int, object], list[float]] = {}
        """When the period began, and how many there were in it; by the line of code too: "%s" is said in many."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes; the last one of a period says so, the first of the next how many did not."""
        if record.levelno < logging.WARNING:
            return True
        if len(self._kinds) >= _KINDS:
            self._kinds.clear()
        kind = self._kinds.setdefault((record.name, record.lineno, record.msg), [record.created, 0])
        if record.created - kind[0] >= _PERIOD:
            missing = int(kind[1]) - _AT_MOST
            kind[:] = record.created, 0
            if missing > 0:
                record.msg = f"{record.msg} ({missing} more like this were not logged)"
        kind[1] += 1
        if kind[1] == _AT_MOST:
            record.msg = f"{record.msg} (more like this are not logged for up to {_PERIOD:g} s)"
        return kind[1] <= _AT_MOST


def configure(level: str, style: str, worker: int | None = None) -> None:
    """Send the proxy's log to stderr. `level` and `style` as in `[log]`; `worker`: which of several this is."""
    formatter: logging.Formatter
    if style == "json":
        formatter = JsonFormatter(worker)
    else:
        who = "" if worker is None else f"worker {worker}: "
        line = f"%(asctime)s.%(msecs)03dZ %(levelname)-7s {who}%(message)s"
        formatter = logging.Formatter(line, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(Throttle())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
