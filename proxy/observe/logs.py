"""Log lines on stderr, as text or JSON. No line contains a value, and only debug lines contain keys."""

import json
import logging
import sys
import time
from typing import Any, Final

from proxy.config.printable import json_text, printable

_AT_MOST: Final = 20
"""Warnings of one kind that are logged in a period."""
_PERIOD: Final = 10.0
"""The length of a period in seconds."""
_KINDS: Final = 1000
"""Kinds that are remembered. Libraries may log messages without `%s`, so that each message is a kind of its own."""
_CONNECTION: Final = "[%d] "
"""The beginning of a message about one connection. The connection's number is the first argument."""
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class TextFormatter(logging.Formatter):
    """One line for each record, then its traceback. Control characters are escaped: Redis' errors quote its clients."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line, in printable characters."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        """The traceback, indented. So no text of an error can look like a line of the log."""
        return "\n".join(f"  {printable(line)}" for line in super().formatException(ei).split("\n"))


class JsonFormatter(logging.Formatter):
    """One JSON object for each line: time (ISO 8601, UTC), level, logger, message.

    Further fields if they apply: connection, traceback, and worker if there are several. Each worker numbers its own
    connections. A record may bring fields of its own, as an attribute `fields`.
    """

    def __init__(self, worker: int | None = None) -> None:
        """`worker`: the number of this worker, from 1; None without workers."""
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
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json_text(json.dumps(line, ensure_ascii=False))


class Throttle(logging.Filter):
    """Limits how many warnings and errors of one kind are logged in a period. It counts the others."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[str, int, object], list[float]] = {}
        """The start of the period and the number of records in it, by logger, line of code and message."""

    def filter(self, record: logging.LogRecord) -> bool:
        """True if the record is logged.

        The last record of a period says that more are not logged. The first of the next period has their number.
        """
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
    """Send the log to stderr. `level`, `style`: as in `[log]`. `worker`: this worker's number, from 1."""
    formatter: logging.Formatter
    if style == "json":
        formatter = JsonFormatter(worker)
    else:
        who = "" if worker is None else f"worker {worker}: "
        line = f"%(asctime)s.%(msecs)03dZ %(levelname)-7s {who}%(message)s"
        formatter = TextFormatter(line, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(Throttle())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
