"""Reload (HUP): the settings that may change while the proxy runs, and the log lines about a reload."""

import logging
from typing import Final

import msgspec

from proxy.config import Settings
from proxy.observe import logs

_log = logging.getLogger("proxy.reload")
_FIXED: Final = ("listener", "upstream", "admin", "server")
"""Sections that a reload does not change. They need a restart."""


def merged(running: Settings, read: Settings) -> Settings:
    """The settings after a reload: `read`, with the fixed sections of `running`."""
    return msgspec.structs.replace(read, **{name: getattr(running, name) for name in _FIXED})


def report(running: Settings, read: Settings) -> None:
    """Apply the settings of the log, and log the success."""
    fixed = [name for name in _FIXED if getattr(read, name) != getattr(running, name)]
    if fixed:
        _log.warning("a change of %s takes effect with the next start", ", ".join(fixed))
    logs.configure(read.log.level, read.log.format)
    _log.info("reloaded: %d rules", len(read.rule))


def invalid(error: Exception) -> str:
    """The reason to give to `refuse` for this error."""
    return f"the configuration is invalid: {error}"


def refuse(reason: str) -> None:
    """Log that the reload failed and changed nothing."""
    _log.error("nothing was reloaded, %s", reason)
