"""The value of an object that is an array, a frame, or a scalar of numpy, pandas or Arrow."""

from collections.abc import Callable
from typing import Final

from proxy.codec.frames import arrays, arrow, masked, scalars, tables
from proxy.codec.frames.arrays import Array, Count, NumpyScalar
from proxy.codec.frames.columns import Column
from proxy.codec.frames.tables import Frame, Series
from proxy.codec.nodes import Instance, Node

_READ: Final = {**arrays.CLASSES, **masked.CLASSES, **arrow.CLASSES, **scalars.TIMESTAMPS, **scalars.CLASSES}

ALONE: Final = frozenset({NumpyScalar, Array, Series, Frame})
"""Types of values that have a tag of their own: their class is not shown."""

HOLDERS: Final = frozenset({Array, Series, Frame, Column})
"""Types of values that may hold objects: `parts` are the lists of these."""


def value(instance: Instance, tell: Callable[[int], None]) -> Node | None:
    """The value of an object; None: it is of another class. Raises UndecodableError for what is corrupt or not read.

    `tell`: told how many parts are looked at, before they are.
    """
    read = _READ.get(instance.symbol.text)
    if read is not None:
        return read(instance, Count(tell))
    return tables.of(instance, Count(tell)) if tables.is_table(instance.state) else None
