"""The elements of an array: bytes of one dtype -> Python values, many at once.

`struct` converts by standard sizes, in either byte order, on every machine.
"""

import struct
from array import array
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Final

from proxy.codec.errors import UndecodableError
from proxy.codec.frames.dtypes import DType
from proxy.codec.nodes import Node, OldBytes, Scalar

_CODES: Final = {
    **{("i", size): code for size, code in ((1, "b"), (2, "h"), (4, "i"), (8, "q"))},
    **{("u", size): code for size, code in ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))},
    **{("f", size): code for size, code in ((2, "e"), (4, "f"), (8, "d"))},
    **{("c", size): code for size, code in ((8, "f"), (16, "d"))},
    ("b", 1): "?",
    ("M", 8): "q",
    ("m", 8): "q",
}
"""struct's letter by kind and size; of a complex number, that of its two parts."""


def raw(node: Node) -> bytes | bytearray | None:
    """The bytes that a node stands for; None: it has none. Python 2 writes a str, which may be ASCII by chance."""
    if type(node) in (bytes, bytearray, OldBytes):
        return node  # type: ignore[no-any-return]
    return node.encode() if type(node) is str and node.isascii() else None


def elements(dtype: DType, data: bytes | bytearray, count: int) -> list[Any]:
    """`count` elements: bool, int, float, str, bytes, `py/complex`; M and m give the integers that they are.

    `data` has their bytes exactly. Raises UndecodableError for text that is no Unicode.
    """
    read = _READ.get(dtype.kind, _numbers)
    return read(dtype, data, count)


def unpacked(dtype: DType, data: bytes | bytearray, count: int) -> tuple[Any, ...]:
    """The numbers of a dtype that has a fixed size."""
    return struct.unpack(f"{dtype.order}{count}{_CODES[dtype.kind, dtype.size]}", data)


def _numbers(dtype: DType, data: bytes | bytearray, count: int) -> list[Any]:
    return list(unpacked(dtype, data, count))


def _complex(dtype: DType, data: bytes | bytearray, count: int) -> list[Any]:
    parts = unpacked(dtype, data, 2 * count)
    return [Scalar("py/complex", list(pair)) for pair in zip(parts[::2], parts[1::2], strict=True)]


def _texts(dtype: DType, data: bytes | bytearray, count: int) -> list[Any]:
    """Strings of one width in UTF-32, filled up with NUL."""
    try:
        text = str(data, "utf-32-le" if dtype.order == "<" else "utf-32-be")
    except UnicodeDecodeError:
        raise UndecodableError("a numpy str that is no Unicode, or has a lone surrogate") from None
    width = dtype.size // 4
    return [text[at * width : (at + 1) * width].rstrip("\0") for at in range(count)]


def _strings(dtype: DType, data: bytes | bytearray, count: int) -> list[Any]:
    """Bytes of one width, filled up with NUL."""
    width = dtype.size
    return [bytes(data[at * width : (at + 1) * width]).rstrip(b"\0") for at in range(count)]


_READ: Final[dict[str, Callable[[DType, bytes | bytearray, int], list[Any]]]] = {
    "c": _complex,
    "U": _texts,
    "S": _strings,
}
"""By kind; all others are numbers."""


def turned_words(numbers: "array[Any]", shape: Sequence[int], axes: Sequence[int]) -> "array[Any]":
    """The same of machine words, without an object for each: whole lines along the longest axis are copied at once."""
    before, after = _strides(shape), [0] * len(shape)
    for axis, stride in zip(axes, _strides([shape[axis] for axis in axes]), strict=True):
        after[axis] = stride
    longest = max(range(len(shape)), key=shape.__getitem__)
    others = [
        [(at * before[axis], at * after[axis]) for at in range(shape[axis])]
        for axis in range(len(shape))
        if axis != longest and shape[axis] != 1
    ]
    source, target, length = before[longest], after[longest], shape[longest]
    turned = array(numbers.typecode, bytes(len(numbers) * numbers.itemsize))
    for steps in product(*others):
        start, end = sum(step[0] for step in steps), sum(step[1] for step in steps)
        line = numbers[start : start + source * (length - 1) + 1 : source]
        turned[end : end + target * (length - 1) + 1 : target] = line
    return turned


def _strides(shape: Sequence[int]) -> list[int]:
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return strides


def in_c_order(flat: Sequence[Any], shape: Sequence[int], axes: Sequence[int]) -> list[Any]:
    """The elements of a C-ordered array after `transpose(axes)`, in C order again. `shape`: before.

    Each axis that is longer than 1 at least doubles what is there, so that this is linear.
    """
    strides = _strides(shape)
    offsets: Sequence[int] = (0,)
    for axis in axes:
        if shape[axis] != 1:
            steps = range(0, shape[axis] * strides[axis], strides[axis])
            offsets = [offset + step for offset in offsets for step in steps]
    return [flat[offset] for offset in offsets]
