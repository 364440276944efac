"""numpy's scalars and arrays, as their pickles describe them.

Source: numpy 1.21 to 2.4. `multiarray.scalar(dtype, bytes)`; `multiarray._reconstruct` with a state of
`(1, shape, dtype, is_fortran, bytes or list)`. Protocol 5 has `numeric._frombuffer(bytes, dtype, shape, order, axes)`.
"""

from array import array
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Final, NamedTuple

from proxy.codec.errors import UndecodableError
from proxy.codec.frames import dtypes
from proxy.codec.frames.dtypes import DType, corrupt
from proxy.codec.frames.elements import elements, in_c_order, raw, turned_words
from proxy.codec.nodes import Instance, Node, Symbol

_MOST_AXES: Final = 64
"""numpy 2's own limit."""
_MOST: Final = 2**63
PARTS: Final = 16
"""A block or a level takes as long to read as so many numbers."""
_PER_NODE: Final = 8
_MOST_INSIDE: Final = 4
_BINARY: Final = frozenset("iuf")
_WORDS: Final = {2: "H", 4: "I", 8: "Q"}
"""The array's letter for so many bytes. Their order does not matter: they are moved, and swapped if they are `>`."""


class Count:
    """Told how many parts are looked at, before they are. Raises UndecodableError beyond the limit."""

    __slots__ = ("_depth", "_tell")

    def __init__(self, tell: Callable[[int], None], depth: int = 0) -> None:
        """`tell`: is told. `depth`: how many arrays and indexes are around."""
        self._tell = tell
        self._depth = depth

    def __call__(self, parts: int) -> None:
        """So many parts come next."""
        self._tell(parts)

    def inside(self) -> "Count":
        """The same for an array or index inside another: categories may be intervals, and their ends dates."""
        if self._depth >= _MOST_INSIDE:
            raise UndecodableError("corrupt pickle: arrays or indexes of pandas inside each other")
        return Count(self._tell, self._depth + 1)


class NumpyScalar(NamedTuple):
    """A scalar of numpy."""

    dtype: DType
    value: Node
    """bool, int, float, str, bytes or `py/complex`; of datetime64 and timedelta64 the integer."""


class Array:
    """An array of numpy. Its elements are made when a reader asks for them."""

    __slots__ = ("_axes", "_content", "_items", "_stored_shape", "dtype", "shape")

    def __init__(self, dtype: DType, content: Node, stored_shape: Sequence[int], axes: Sequence[int]) -> None:
        """`content`: bytes, or the list of an array of objects, in C order for `stored_shape`.
        `axes`: as of numpy's `transpose`, which makes it the array's own shape.
        """
        self.dtype = dtype
        self.shape = tuple(stored_shape[axis] for axis in axes)
        self._content = content
        self._axes = axes
        self._stored_shape = stored_shape
        self._items: list[Any] | None = None

    @property
    def size(self) -> int:
        """How many elements it has."""
        return prod(self.shape)

    @property
    def parts(self) -> list[Node]:
        """The list of its objects, if it has objects."""
        return [self._content] if self.dtype.kind == "O" else []

    @property
    def has_words(self) -> bool:
        """Whether its elements are numbers of 2, 4 or 8 bytes, which stay binary in msgpack."""
        return self.dtype.kind in _BINARY and self.dtype.size in _WORDS

    @property
    def bytes_size(self) -> int:
        """Bytes of its elements, beyond objects."""
        return 0 if self.dtype.kind == "O" else len(self._content)

    def items(self) -> list[Any]:
        """The elements in C order. Raises UndecodableError for text that is no Unicode."""
        if self._items is None:
            flat = self._content
            if self.dtype.kind != "O":
                flat = elements(self.dtype, flat, self.size)
            self._items = self._ordered(flat)
        return self._items

    @property
    def lines(self) -> int:
        """How much work `words` has with lines that it copies one by one: each is found by all axes."""
        return self.size // max(self.shape) * (1 + len(self.shape) // 4) if self._is_turned else 0

    def words(self) -> bytes:
        """The elements of an array that `has_words`: little-endian bytes in C order."""
        numbers = array(_WORDS[self.dtype.size])
        numbers.frombytes(self._content)
        if self.dtype.order == ">":
            numbers.byteswap()
        return (turned_words(numbers, self._stored_shape, self._axes) if self._is_turned else numbers).tobytes()

    @property
    def _is_turned(self) -> bool:
        return list(self._axes) != sorted(self._axes) and self.size > 0

    def _ordered(self, flat: Sequence[Any]) -> Any:
        return in_c_order(flat, self._stored_shape, self._axes) if self._is_turned else flat


def scalar(instance: Instance, _count: Count) -> NumpyScalar:
    """`scalar(dtype, bytes)`. Raises UndecodableError."""
    if len(instance.args) != 2:
        raise corrupt("numpy scalar")
    dtype = dtypes.of(instance.args[0])
    content = raw(instance.args[1])
    if dtype.kind == "O":
        raise UndecodableError("a numpy scalar of dtype object")
    if content is None or len(content) != dtype.size:
        raise corrupt("numpy scalar")
    return NumpyScalar(dtype, elements(dtype, content, 1)[0])


def reconstructed(instance: Instance, count: Count) -> Array | None:
    """`_reconstruct(ndarray, (0,), b"b")` and its state. Raises UndecodableError.

    None: it is of a subclass that is not numpy's and that has a state of its own.
    """
    state = instance.state
    if type(state) is not tuple or len(state) != 5:
        cls = instance.args[0] if instance.args else None
        if type(cls) is Symbol and not cls.module.startswith("numpy"):
            return None
        raise corrupt("numpy array")
    _version, shape, dtype, is_fortran, content = state
    return _array(dtypes.of(dtype), shape, content, "F" if is_fortran else "C", None, count)


def from_buffer(instance: Instance, count: Count) -> Array:
    """`_frombuffer(bytes, dtype, shape, order, axes)`. Raises UndecodableError."""
    if not 4 <= len(instance.args) <= 5:
        raise corrupt("numpy array")
    content, dtype, shape, order = instance.args[:4]
    axes = instance.args[4] if len(instance.args) == 5 else None
    return _array(dtypes.of(dtype), shape, content, order, axes, count)


def _array(dtype: DType, shape: Node, content: Node, order: Node, axes: Node, count: Count) -> Array:
    sizes = checked_shape(shape)
    size = prod(sizes)
    if dtype.kind == "O":
        if type(content) is not list or len(content) != size:
            raise corrupt("numpy array")
        return Array(dtype, content, sizes, range(len(sizes)))  # a list is in C order always
    if type(content) is str:
        count(len(content) // _PER_NODE)  # it is copied
    found = raw(content)
    if found is None or len(found) != dtype.size * size or (size and not dtype.size):
        raise UndecodableError("corrupt pickle: a numpy array of more or fewer bytes than its shape says")
    return Array(dtype, found, *_layout(sizes, order, axes))


def checked_shape(shape: Node) -> tuple[int, ...]:
    """The lengths of an array's axes. Raises UndecodableError."""
    if type(shape) is int:
        shape = (shape,)
    if type(shape) not in (tuple, list) or len(shape) > _MOST_AXES:
        raise corrupt("numpy array")
    if not all(type(size) is int and 0 <= size < _MOST for size in shape):
        raise corrupt("numpy array")
    return tuple(shape)


def _layout(shape: tuple[int, ...], order: Node, axes: Node) -> tuple[Sequence[int], Sequence[int]]:
    """The C-ordered shape of the elements as they are stored, and the axes to transpose it by."""
    count = len(shape)
    if order == "F":
        return shape[::-1], range(count - 1, -1, -1)
    if order == "C" or (order == "K" and axes is None):
        return shape, range(count)
    if order != "K" or type(axes) not in (tuple, list) or len(axes) != count:
        raise corrupt("numpy array")
    if not all(type(axis) is int for axis in axes) or sorted(axes) != list(range(count)):
        raise corrupt("numpy array")
    return shape, axes


CLASSES: Final[dict[str, Callable[[Instance, Count], "NumpyScalar | Array | None"]]] = {
    f"numpy.{core}.{function}": read
    for core in ("core", "_core")
    for function, read in (
        ("multiarray.scalar", scalar),
        ("multiarray._reconstruct", reconstructed),
        ("numeric._frombuffer", from_buffer),
    )
}


def array_of(node: Node, count: Count) -> Array:
    """The array that a node stands for. Raises UndecodableError for any other node."""
    read = CLASSES.get(node.symbol.text) if type(node) is Instance else None
    found = None if read is None else read(node, count)
    if type(found) is not Array:
        raise corrupt("numpy array")
    return found
