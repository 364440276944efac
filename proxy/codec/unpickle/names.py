"""Names of classes and functions in pickles: checked, and mapped from Python 2 to 3 as in CPython."""

import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING  # tables of the standard library, no code
from typing import Final

from proxy.codec.errors import UndecodableError
from proxy.codec.nodes import Symbol

MAX_NAME: Final = 512
"""Characters of module, dot and name."""

_FIRST_OF_PYTHON_3: Final = 3
"""The first protocol of Python 3. A name in an older pickle may be one of Python 2."""

_UNPRINTABLE: Final = re.compile(r"[^A-Za-z0-9_.]")


def symbol(module: str, name: str, protocol: int) -> Symbol:
    """The symbol of a name in a pickle of this protocol. Raises UndecodableError if no class can have this name."""
    if protocol < _FIRST_OF_PYTHON_3:
        if (module, name) in NAME_MAPPING:
            module, name = NAME_MAPPING[module, name]
        elif module in IMPORT_MAPPING:
            module = IMPORT_MAPPING[module]
    return checked(module, name)


def checked(module: str, name: str) -> Symbol:
    """The symbol of a name, without the mapping. Raises UndecodableError likewise."""
    size = len(module) + 1 + len(name)
    if size > MAX_NAME:
        raise UndecodableError(f"a class with a name of {size} characters, over {MAX_NAME}: {printable(module)} ...")
    if not module or not name or not (module.isprintable() and name.isprintable()):
        raise UndecodableError(f"a class with an invalid name: {printable(module)}.{printable(name)}")
    return Symbol(module, name)


def attribute(owner: Symbol, name: str) -> Symbol:
    """The symbol of an attribute: a nested class or a method. Raises UndecodableError likewise."""
    return checked(owner.module, f"{owner.name}.{name}")


def printable(name: str | bytes) -> str:
    """A name for an error text, shortened, with `?` in place of unusual characters."""
    text = name if isinstance(name, str) else name[:100].decode("latin-1")
    return _UNPRINTABLE.sub("?", text[:100])
