"""The choice of the engine for the hot functions: the native one if it is installed, otherwise the Python reference.

The hot functions are the codec, the framing of replies, the checks of requests and the joining of small ones. Each
module defines its reference function, and `ENGINE.of` returns the function to use. Both engines give the same
results. Only `assembly` asks which engine runs, because it sets the limits for work on the event loop.

The environment variable FLASK_CACHE_PROXY_ENGINE forces one engine. The choice is made once in a process, and its
children inherit it. An invalid choice is reported by `check`, not by the import.
"""

import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final, NamedTuple, TypeVar

VARIABLE: Final = "FLASK_CACHE_PROXY_ENGINE"
INTERFACE: Final = 16
"""The interface version that the native engine must have. After an upgrade, an old build may still be installed."""

_BUILD: Final = "install cargo, then reinstall flask-cache-proxy (pip install --force-reinstall --no-cache-dir)"


_Function = TypeVar("_Function")


class EngineError(Exception):
    """The requested engine cannot run. `str()` gives the reason and what to do."""


class Choice(NamedTuple):
    """The result of the choice."""

    native: ModuleType | None
    """The extension. None: the Python reference."""
    remark: str = ""
    """The reason, if the reference runs although it was not requested."""
    error: str = ""

    @property
    def name(self) -> str:
        """`native` or `Python`."""
        return "Python" if self.native is None else "native"


class Engine:
    """The source of the hot functions."""

    def __init__(self, native: ModuleType | None) -> None:
        """`native`: the extension. None: the Python reference."""
        self._native = native

    @property
    def is_native(self) -> bool:
        """True if the extension does the hot work."""
        return self._native is not None

    def of(self, name: str, reference: _Function) -> _Function:
        """The function or class to use: `reference`, or the extension's one of that `name`."""
        return reference if self._native is None else getattr(self._native, name)

    def codec(self, *arguments: Any, **options: Any) -> Any:
        """The extension's Codec, or None without the extension. Arguments: see `proxy/_native.pyi`."""
        return None if self._native is None else self._native.Codec(*arguments, **options)


def choose(environment: Mapping[str, str], found: ModuleType | None, missing: str = "") -> Choice:
    """Choose the engine. `found`: the extension, if it was loaded. `missing`: the reason why it was not."""
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
        return None, "the installed native engine belongs to another version"
    return _native, ""


CHOICE: Final = choose(os.environ, *_find())
ENGINE: Final = Engine(CHOICE.native)
REFERENCE: Final = Engine(None)


def check() -> None:
    """Raise EngineError if the requested engine cannot run."""
    if CHOICE.error:
        raise EngineError(CHOICE.error)
