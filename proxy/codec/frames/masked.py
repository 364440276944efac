"""numpy's masked arrays: the elements, and the mask that says which of them do not count.

Source: `numpy.ma` of numpy 1.21 to 2.4. `_mareconstruct(class, ndarray, (0,), b"b")` has the state of an array, then
the bytes of the mask and the fill value.
"""

from typing import Final

from proxy.codec.frames.arrays import Count
from proxy.codec.frames.dtypes import corrupt
from proxy.codec.nodes import Instance, Node, Symbol

_ARRAY: Final = Symbol("numpy.core.multiarray", "_reconstruct")
_DTYPE: Final = Symbol("numpy", "dtype")


def masked(instance: Instance, _count: Count) -> dict[str, Node]:
    """The elements and the mask, as two arrays. True in the mask: the element does not count.

    Raises UndecodableError.
    """
    state = instance.state
    if type(state) is not tuple or len(state) != 7:
        raise corrupt("numpy masked array")
    version, shape, dtype, is_fortran, content, mask, _fill_value = state
    bools = Instance(_DTYPE, ("b1",), is_called=True)
    return {
        "data": _array(version, shape, dtype, is_fortran, content),
        "mask": _array(version, shape, bools, is_fortran, mask),
    }


def _array(*state: Node) -> Instance:
    """An array, as a pickle has it. Its own reader checks the state."""
    array = Instance(_ARRAY, is_called=True)
    array.state = state
    return array


CLASSES: Final = {"numpy.ma.core._mareconstruct": masked}
