"""Log lines on stderr: text for people, JSON for collectors. Never a key or a value above debug."""

import json
import logging
import sys
import time
from typing import Final

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class JsonFormatter(logging.Formatter):
    """One object a line: time (ISO 8601, UTC), level, logger, message, the worker if given, the traceback if any."""

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
            "message": record.getMessage(),
        }
        if self._worker is not None:
            line["worker"] = self._worker
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
