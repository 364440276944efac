"""HUP: what a new configuration may change while the proxy runs, and what is said about it, once."""

import logging
from typing import Final

import msgspec

from proxy import logs
from proxy.config import Settings

_log = logging.getLogger("proxy.reload")
_FIXED: Final = ("listener", "upstream", "admin", "server")
"""Sections that a reload leaves as they were at the start."""


def merged(running: Settings, read: Settings) -> Settings:
    """The settings from now on: those just read, in the sections that may change."""
    return msgspec.structs.replace(read, **{name: getattr(running, name) for name in _FIXED})


def report(running: Settings, read: Settings) -> None:
    """All has been taken over; the log obeys too."""
    fixed = [name for name in _FIXED if getattr(read, name) != getattr(running, name)]
    if fixed:
        _log.warning("a change of %s takes effect with the next start", ", ".join(fixed))
    logs.configure(read.log.level, read.log.format)
    _log.info("reloaded: %d rules", len(read.rule))


def invalid(error: Exception) -> str:
    """A reason for `refuse`."""
    return f"the configuration is invalid: {error}"


def refuse(reason: str) -> None:
    """Nothing has changed."""
    _log.error("nothing was reloaded, %s", reason)
