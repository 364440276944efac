"""Which engine does the hot work: the native one where it is installed, else the reference in Python.

Both give the same results; the environment variable FLASK_CACHE_PROXY_ENGINE forces one. The choice is made once for a
process, and its children inherit it. An error in it is told by `check`, not by the import.
"""

import os
from collections.abc import Mapping
from types import ModuleType
from typing import Final, NamedTuple

VARIABLE: Final = "FLASK_CACHE_PROXY_ENGINE"
INTERFACE: Final = 3
"""What the native engine must call itself: after an upgrade another one may be left where this one should be."""

_BUILD: Final = "install cargo, then flask-cache-proxy anew (pip install --force-reinstall --no-cache-dir)"


class EngineError(Exception):
    """The engine that is asked for cannot run: `str()` says what to do."""


class Choice(NamedTuple):
    """What was chosen, and what is to be said about it."""

    native: ModuleType | None
    """The extension; None: the reference."""
    remark: str = ""
    """Why it is the reference, where nobody asked for it."""
    error: str = ""

    @property
    def name(self) -> str:
        """`native` or `Python`."""
        return "Python" if self.native is None else "native"


def choose(environment: Mapping[str, str], found: ModuleType | None, missing: str = "") -> Choice:
    """The engine of a process. `found`: the extension, if it could be loaded; `missing`: why it could not."""
    wanted = environment.get(VARIABLE, "")
    if wanted not in ("", "python", "native"):
        return Choice(None, error=f'{VARIABLE} must be "python" or "native", got {wanted!r}')
    if wanted == "python" or found is not None:
        return Choice(None if wanted == "python" else found)
    if wanted == "native":
        return Choice(None, error=f"{VARIABLE}=native, but {missing}: {_BUILD}, or leave {VARIABLE} unset")
    return Choice(
        None, remark=f"{missing}, so the Python engine runs, several times slower; for the native one {_BUILD}"
    )


def _find() -> tuple[ModuleType | None, str]:
    try:
        from proxy import _native
    except ImportError:
        return None, "the native engine is not installed"
    if _native.INTERFACE != INTERFACE:
        return None, "the native engine that is installed is another version's"
    return _native, ""


CHOICE: Final = choose(os.environ, *_find())
NATIVE: Final = CHOICE.native


def check() -> None:
    """Raise EngineError if the engine that is asked for cannot run."""
    if CHOICE.error:
        raise EngineError(CHOICE.error)
