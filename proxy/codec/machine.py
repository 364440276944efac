"""The data-only pickle machine: its state, its budgets, and its loop. What each instruction does is in `opcodes`.

It runs nothing and imports nothing. What bounds it: an instruction budget (each instruction makes at most one new
object, so stack, marks and memo are bounded with it), lengths checked against the bytes left, a dense memo, no
recursion, no hashing of anything but strings. Depth and exact nodes are the presenter's to check, because a value may
contain another many times over; `tree` says when it cannot.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from proxy.codec import shapes
from proxy.codec.errors import UndecodableError
from proxy.codec.limits import INT_BOUND, JSON_INT_MIN, MAX_INT_DIGITS, CodecLimits, digits
from proxy.codec.nodes import CONTAINERS, TAGS, Collection, Key, Node

INSTRUCTIONS_PER_NODE: Final = 5
"""Protocol 0 writes five for an item of a dict: the key, its PUT, the value, its PUT, SETITEM."""

STRIDE: Final = 1024
"""Instructions between two looks at what has grown."""

_OBJECTS_PER_NODE: Final = 2
"""An item of a dict is one node and two objects."""

COLLECTION_COST: Final = 1
OBJECT_COST: Final = 5
"""What making a set, or a value of a class, costs in objects: as many as its nodes leave room for."""

_WORD: Final = 64
"""Bits of an int that costs nothing to speak of."""

_STR_KEYS: Final = frozenset({str})
_STOP: Final = ord(".")
UNSET: Final = object()
"""Under the index 0 of a memo that is counted from 1."""

Handler: TypeAlias = "Callable[[Machine, int], int]"
"""Carries out one instruction: given where its argument begins, it says where the next instruction does.

The position is handed on, not kept in the machine: that takes a fifth off the time of a reading.
"""


class Machine:
    """Reads one pickle. Its parts are for `opcodes` alone; `run` and the findings below are for everyone."""

    __slots__ = (
        "binary",
        "copied_bytes",
        "data",
        "floor",
        "limits",
        "marks",
        "memo",
        "natural",
        "placed",
        "repeated_bytes",
        "size",
        "stack",
        "text_bytes",
        "tree",
    )

    def __init__(self, data: bytes, limits: CodecLimits) -> None:
        """`data` holds the pickle; bytes behind its STOP are ignored, as CPython does."""
        self.data = data
        self.size = len(data)
        self.limits = limits
        self.stack: list[Node] = []
        self.marks: list[int] = []
        self.floor = 0
        """What stands below the last mark is out of reach."""
        self.memo: list[Node] = []
        self.placed = 0
        """Objects put into containers so far, and what costs as much."""
        self.text_bytes = 0
        """Bytes of all strings pushed so far, also of those that are there already."""
        self.copied_bytes = 0
        """Bytes of strings handed to calls."""
        self.repeated_bytes = 0
        """Of those the ones that were there already."""
        self.tree = True
        """No container is reachable twice."""
        self.natural = True
        """Only types that JSON and msgpack both have (and bytes and floats, see `binary`)."""
        self.binary = False
        """bytes, NaN or an infinity: msgpack has them, JSON has not."""

    def run(self, start: int, table: Sequence[Handler]) -> Node:
        """The value of the pickle that begins at `start`. Raises UndecodableError.

        `table`: the handler of each opcode.
        """
        data, pos, nodes = self.data, start, self.limits.nodes
        try:
            for _ in range(nodes * INSTRUCTIONS_PER_NODE // STRIDE + 1):
                for _ in range(STRIDE):
                    opcode = data[pos]
                    if opcode == _STOP:
                        self.grow(0)
                        return self.pop()
                    pos = table[opcode](self, pos + 1)
                self.place(0)
                self.grow(0)
        except IndexError:
            raise UndecodableError("truncated pickle") from None
        raise UndecodableError(f"more than {nodes} nodes ([limits] nodes)")

    # -- bytes -----------------------------------------------------------------------------------------

    def take(self, pos: int, size: int) -> bytes:
        """The next `size` bytes, which must be there."""
        if pos + size > self.size:
            raise UndecodableError("truncated pickle")
        return self.data[pos : pos + size]

    def line(self, pos: int) -> bytes:
        """The next bytes up to a line feed, which must be there.

        It counts as one object more: of all arguments a line takes the longest to read.
        """
        end = self.data.find(b"\n", pos)
        if end < 0:
            raise UndecodableError("truncated pickle")
        self.placed += 1
        return self.data[pos:end]

    # -- stack -----------------------------------------------------------------------------------------

    def pop(self) -> Node:
        """Take the topmost object."""
        if len(self.stack) <= self.floor:
            raise UndecodableError("corrupt pickle: stack underflow")
        return self.stack.pop()

    def top(self) -> Node:
        """The topmost object, which stays."""
        if len(self.stack) <= self.floor:
            raise UndecodableError("corrupt pickle: stack underflow")
        return self.stack[-1]

    def pop_many(self, count: int) -> list[Node]:
        """Take the topmost objects, to go into a container."""
        if len(self.stack) - self.floor < count:
            raise UndecodableError("corrupt pickle: stack underflow")
        items = self.stack[-count:]
        del self.stack[-count:]
        self.placed += count
        return items

    def pop_items(self) -> list[Node]:
        """Take what stands above the last mark, to go into a container."""
        items = self.pop_mark()
        self.placed += len(items)
        return items

    def pop_mark(self) -> list[Node]:
        """Take what stands above the last mark, and the mark."""
        if not self.marks:
            raise UndecodableError("corrupt pickle: no mark")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        self.floor = self.marks[-1] if self.marks else 0
        return items

    # -- budgets ---------------------------------------------------------------------------------------

    def grow(self, size: int) -> None:
        """Count bytes of strings, and what costs as much. The loop looks too: short strings only add."""
        self.text_bytes += size
        if self.text_bytes > self.limits.decoded_bytes:
            raise UndecodableError(f"more than {self.limits.decoded_bytes} bytes ([limits] decoded_bytes)")

    def copy(self, size: int) -> None:
        """Count bytes of strings that are handed to a call, which may copy them."""
        self.copied_bytes += size
        if self.copied_bytes > self.limits.decoded_bytes:
            raise UndecodableError(f"more than {self.limits.decoded_bytes} bytes ([limits] decoded_bytes)")

    def place(self, count: int) -> None:
        """Count objects that go into containers, and look at what has grown."""
        self.placed += count
        nodes = self.limits.nodes
        if len(self.stack) + self.placed > nodes * _OBJECTS_PER_NODE + STRIDE:
            raise UndecodableError(f"more than {nodes} nodes ([limits] nodes)")

    # -- values ----------------------------------------------------------------------------------------

    def integer(self, number: int) -> None:
        """Push an int that may be long."""
        if number.bit_length() > _WORD:
            if not -INT_BOUND < number < INT_BOUND:
                raise UndecodableError(f"an int of more than {MAX_INT_DIGITS} digits")
            self.natural &= number >= JSON_INT_MIN
            self.grow(digits(number))
        self.stack.append(number)

    def real(self, number: float) -> None:
        """Push a float."""
        if number - number != 0.0:  # NaN and the infinities
            self.binary = True
        self.stack.append(number)

    def old_string(self, raw: bytes) -> None:
        """Push Python 2's str, which holds text or bytes: text where it is ASCII, which Python 3 reads, else bytes.

        Python 3 cannot load the latter but inside a datetime, date or time.
        """
        self.grow(len(raw))
        if raw.isascii():
            self.stack.append(raw.decode("ascii"))
        else:
            self.natural = False
            self.stack.append(shapes.OldBytes(raw))

    def collection(self, tag: str, items: list[Node]) -> None:
        """Push a set, frozenset or OrderedDict."""
        self.natural = False
        self.placed += COLLECTION_COST
        self.stack.append(Collection(tag, items))

    def set_items(self, items: list[Node]) -> None:
        """Put keys and values, in turns, into the dict on top."""
        if len(items) % 2:
            raise UndecodableError("corrupt pickle: a key without a value")
        target = self.top()
        if type(target) is Collection and target.tag == "py/ordereddict":
            target = target.items
        if type(target) is not dict:
            raise UndecodableError("corrupt pickle: items for what is no dict")
        if not items:
            return
        keys = items[::2]
        if not _STR_KEYS.issuperset(map(type, keys)):
            self.natural = False
            keys = [key if type(key) is str else Key(key) for key in keys]
            self.placed += len(keys)  # each `Key` is one more object
        target.update(zip(keys, items[1::2], strict=True))
        if len(target) == 1 and keys[0] in TAGS:
            self.natural = False

    # -- memo ------------------------------------------------------------------------------------------

    def put(self, index: int) -> None:
        """Remember the object on top under an index: the next one, or one that is there already."""
        node, memo = self.top(), self.memo
        if index == len(memo):
            memo.append(node)
        elif index == 1 and not memo:
            memo += (UNSET, node)  # cPickle of Python 2 counts from 1
        elif 0 <= index < len(memo):
            memo[index] = node
        else:
            raise UndecodableError("corrupt pickle: a memo with gaps")

    def get(self, index: int) -> None:
        """Push what is remembered under an index."""
        if not 0 <= index < len(self.memo) or self.memo[index] is UNSET:
            raise UndecodableError("corrupt pickle: not in the memo")
        self.again(self.memo[index])

    def again(self, node: Node) -> None:
        """Push what is there already: its bytes count again, and a container is then no tree's."""
        kind = type(node)
        if kind is str or kind is bytes or kind is shapes.OldBytes:
            self.grow(len(node))
            self.repeated_bytes += len(node)
        elif kind is int:
            if node.bit_length() > _WORD:
                self.grow(digits(node))
        elif kind in CONTAINERS or kind is bytearray:
            self.tree = False
        self.stack.append(node)
