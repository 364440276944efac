"""The data-only pickle machine: its state, its budgets and its loop. `opcodes` has the instructions.

It executes no code and imports no module. An instruction budget bounds it: each instruction creates at most one object,
so the budget also bounds stack, marks and memo. Lengths are checked against the bytes left, the memo has no gaps, there
is no recursion, and only strings are hashed. The presenter checks depth and counts nodes exactly, because a value may
contain another one many times. `tree` is true if it does not.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from proxy.codec.errors import UndecodableError
from proxy.codec.limits import INT_BOUND, JSON_INT_MIN, MAX_INT_DIGITS, CodecLimits, digits
from proxy.codec.nodes import CONTAINERS, RESERVED, Collection, Instance, Key, Node, OldBytes, Symbol
from proxy.codec.unpickle import names

INSTRUCTIONS_PER_NODE: Final = 5
"""Protocol 0 writes five instructions for an item of a dict: the key, its PUT, the value, its PUT, SETITEM."""

STRIDE: Final = 1024
"""Instructions between two checks of the budgets."""

_OBJECTS_PER_NODE: Final = 2
"""An item of a dict is one node and two objects."""

COLLECTION_COST: Final = 1
ZONED_COST: Final = 13
OBJECT_COST: Final = 5
"""A set, a datetime of a zone with rules, or another value of a class counts as so many more objects. It takes longer
to create."""

_CYCLE_COST: Final = 12
"""A reference counts as so many more objects if its container grows afterwards, because it may close a cycle."""

_FEW_SYMBOLS: Final = 64
"""So many names of classes do not count in the budgets."""

WORD: Final = 64
"""Ints of up to so many bits do not count in the budget of bytes."""

_STR_KEYS: Final = frozenset({str})
_STOP: Final = ord(".")
UNSET: Final = object()
"""The object at index 0 of a memo that counts from 1."""

Handler: TypeAlias = "Callable[[Machine, int], int]"
"""Executes one instruction. It takes the position of its argument and returns the position of the next instruction.

The position is an argument and not an attribute of the machine, which saves a fifth of the time.
"""


class Machine:
    """Reads one pickle. Only `opcodes` uses the stack and the memo. Other code uses `run` and the facts below."""

    __slots__ = (
        "binary",
        "copied_bytes",
        "data",
        "floor",
        "limits",
        "marks",
        "memo",
        "natural",
        "objects",
        "placed",
        "protocol",
        "repeated_bytes",
        "shared",
        "size",
        "stack",
        "symbols",
        "text_bytes",
        "tree",
    )

    def __init__(self, data: bytes, limits: CodecLimits) -> None:
        """`data` holds the pickle. Bytes after its STOP are ignored, as in CPython."""
        self.data = data
        self.size = len(data)
        self.limits = limits
        self.stack: list[Node] = []
        self.marks: list[int] = []
        self.floor = 0
        """The height of the stack at the last mark. Objects below it are out of reach."""
        self.memo: list[Node] = []
        self.symbols: dict[tuple[str, str], Symbol] = {}
        self.protocol = 0
        """The argument of the last PROTO."""
        self.placed = 0
        """Objects put into containers so far, and other work that counts the same."""
        self.text_bytes = 0
        """Bytes of all strings pushed so far, including those from the memo."""
        self.copied_bytes = 0
        """Bytes of strings that were arguments of calls."""
        self.repeated_bytes = 0
        """Bytes of the strings that came from the memo."""
        self.shared: dict[int, tuple[Node, int]] = {}
        """Containers that were pushed again, by id, with the number of times since they last grew."""
        self.tree = True
        """No container is reachable twice."""
        self.objects = False
        """The value has objects of classes without tags of their own."""
        self.natural = True
        """The value has only types that JSON and msgpack both have (and bytes and floats, see `binary`)."""
        self.binary = False
        """The value has bytes, NaN or an infinity, which msgpack has and JSON does not."""

    def run(self, start: int, table: Sequence[Handler]) -> Node:
        """The node of the pickle that begins at `start`. Raises UndecodableError.

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
        raise UndecodableError(f"more than {nodes} nodes ([limits] nodes)", "nodes")

    # -- bytes -----------------------------------------------------------------------------------------

    def take(self, pos: int, size: int) -> bytes:
        """The next `size` bytes. Raises UndecodableError if they are missing."""
        if pos + size > self.size:
            raise UndecodableError("truncated pickle")
        return self.data[pos : pos + size]

    def line(self, pos: int) -> bytes:
        """The next bytes up to a line feed. Raises UndecodableError if it is missing.

        A line counts as one more object, because it takes the longest to read of all arguments.
        """
        end = self.data.find(b"\n", pos)
        if end < 0:
            raise UndecodableError("truncated pickle")
        self.placed += 1
        return self.data[pos:end]

    # -- stack -----------------------------------------------------------------------------------------

    def pop(self) -> Node:
        """Remove and return the topmost object."""
        if len(self.stack) <= self.floor:
            raise UndecodableError("corrupt pickle: stack underflow")
        return self.stack.pop()

    def top(self) -> Node:
        """The topmost object, which stays on the stack."""
        if len(self.stack) <= self.floor:
            raise UndecodableError("corrupt pickle: stack underflow")
        return self.stack[-1]

    def pop_many(self, count: int) -> list[Node]:
        """Remove the topmost `count` objects, for a container."""
        if len(self.stack) - self.floor < count:
            raise UndecodableError("corrupt pickle: stack underflow")
        items = self.stack[-count:]
        del self.stack[-count:]
        self.placed += count
        return items

    def pop_items(self) -> list[Node]:
        """Remove the objects above the last mark, and the mark, for a container."""
        items = self.pop_mark()
        self.placed += len(items)
        return items

    def pop_mark(self) -> list[Node]:
        """Remove the objects above the last mark, and the mark."""
        if not self.marks:
            raise UndecodableError("corrupt pickle: no mark")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        self.floor = self.marks[-1] if self.marks else 0
        return items

    # -- budgets ---------------------------------------------------------------------------------------

    def grow(self, size: int) -> None:
        """Count bytes of strings, or equal work, and check. Short strings only add; the loop checks them."""
        self.text_bytes += size
        if self.text_bytes > self.limits.decoded_bytes:
            raise self._too_large()

    def copy(self, size: int) -> None:
        """Count bytes of strings that are arguments of a call, which may copy them."""
        self.copied_bytes += size
        if self.copied_bytes > self.limits.decoded_bytes:
            raise self._too_large()

    def _too_large(self) -> UndecodableError:
        most = self.limits.decoded_bytes
        return UndecodableError(f"more than {most} bytes ([limits] decoded_bytes)", "decoded_bytes")

    def place(self, count: int) -> None:
        """Count objects that go into containers, and check the budget."""
        self.placed += count
        nodes = self.limits.nodes
        if len(self.stack) + self.placed > nodes * _OBJECTS_PER_NODE + STRIDE:
            raise UndecodableError(f"more than {nodes} nodes ([limits] nodes)", "nodes")

    def grown(self, target: Node) -> None:
        """Count a container that gets parts or a state: the references to it may then be on cycles."""
        if self.shared:
            _, references = self.shared.pop(id(target), (None, 0))
            self.place(references * _CYCLE_COST)

    # -- values ----------------------------------------------------------------------------------------

    def integer(self, number: int) -> None:
        """Push an int that may be long."""
        if number.bit_length() > WORD:
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
        """Push a str of Python 2: as text if it is ASCII, else as bytes.

        Python 3 can load such bytes only inside a datetime, date or time.
        """
        self.grow(len(raw))
        if raw.isascii():
            self.stack.append(raw.decode("ascii"))
        else:
            self.natural = False
            self.stack.append(OldBytes(raw))

    def collection(self, tag: str, items: list[Node]) -> None:
        """Push a set or frozenset."""
        self.natural = False
        self.placed += COLLECTION_COST
        self.stack.append(Collection(tag, items))

    def symbol(self, module: str, name: str) -> Symbol:
        """The symbol of a class or function. Raises UndecodableError."""
        known = self.symbols.get((module, name))
        if known is None:
            known = self.symbols[module, name] = names.symbol(module, name, self.protocol)
            if len(self.symbols) > _FEW_SYMBOLS:
                self.placed += OBJECT_COST
                self.grow(len(known.text))
        return known

    def set_items(self, items: list[Node]) -> None:
        """Put alternating keys and values into the dict on top."""
        if len(items) % 2:
            raise UndecodableError("corrupt pickle: a key without a value")
        target: Node = self.top()
        self.grown(target)
        if type(target) is Instance:
            if target.pairs is None:
                target.pairs = {}
            target = target.pairs
        elif type(target) is Collection:
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
        if len(target) == 1 and type(keys[0]) is str and keys[0].startswith(RESERVED):
            self.natural = False

    # -- memo ------------------------------------------------------------------------------------------

    def put(self, index: int) -> None:
        """Store the object on top in the memo, under the next index or an existing one."""
        node, memo = self.top(), self.memo
        if index == len(memo):
            memo.append(node)
        elif index == 1 and not memo:
            memo += (UNSET, node)  # Python 2's cPickle counts from 1
        elif 0 <= index < len(memo):
            memo[index] = node
        else:
            raise UndecodableError("corrupt pickle: a memo with gaps")

    def get(self, index: int) -> None:
        """Push the object at an index of the memo."""
        if not 0 <= index < len(self.memo) or self.memo[index] is UNSET:
            raise UndecodableError("corrupt pickle: not in the memo")
        self.again(self.memo[index])

    def again(self, node: Node) -> None:
        """Push an existing object. Its bytes count again, and a second reference to a container means no tree."""
        kind = type(node)
        if kind is str or kind is bytes or kind is OldBytes:
            self.grow(len(node))
            self.repeated_bytes += len(node)
        elif kind is int:
            if node.bit_length() > WORD:
                self.grow(digits(node))
        elif kind is bytearray or (kind in CONTAINERS and not (kind is Instance and node.zone is not None)):
            self.tree = False  # but datetimes may share their zone
            self.shared[id(node)] = (node, self.shared.get(id(node), (node, 0))[1] + 1)
        self.stack.append(node)
