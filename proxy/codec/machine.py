"""The data-only pickle machine: reads protocols 0 to 5, runs nothing, imports nothing.

It knows every opcode of CPython's pickletools. A GLOBAL yields a `Symbol` if its name is one of the few in
`shapes`, REDUCE, NEWOBJ and BUILD know only the shapes there; everything else is an UndecodableError, the
only exception that leaves. What bounds it: an instruction budget (each instruction makes at most one new
object, so stack, marks and memo are bounded with it), lengths checked against the bytes left, a dense memo,
no recursion, no hashing of anything but strings. Depth and exact nodes are the presenter's to check, because a
value may contain another many times over; `tree` says when it cannot.
"""

import struct
from collections.abc import Callable
from typing import Final

from proxy.codec import shapes, spelled
from proxy.codec.errors import UndecodableError
from proxy.codec.limits import INT_BOUND, JSON_INT_MIN, MAX_INT_DIGITS, CodecLimits
from proxy.codec.nodes import CONTAINERS, TAGS, Collection, Instance, Key, Node, Symbol

_INSTRUCTIONS_PER_NODE: Final = 6
"""Python 2 writes five for an item of a dict: the key, its PUT, the value, its PUT, SETITEM."""

_OBJECTS_PER_NODE: Final = 2
"""An item of a dict is one node and two objects."""

_STRIDE: Final = 1024
"""Instructions between two looks at what has grown."""

_WORD: Final = 64
"""Bits of an int that costs nothing to speak of."""

_MAX_INT_BYTES: Final = (INT_BOUND.bit_length() + 8) // 8

_double: Final = struct.Struct(">d").unpack
_STR_KEYS: Final = frozenset({str})


class Machine:
    """Reads one pickle."""

    __slots__ = (
        "_data",
        "_floor",
        "_limits",
        "_marks",
        "_memo",
        "_placed",
        "_pos",
        "_stack",
        "binary",
        "natural",
        "repeated_bytes",
        "text_bytes",
        "tree",
    )

    def __init__(self, data: bytes, start: int, limits: CodecLimits) -> None:
        """`data[start:]` is the pickle; bytes behind its STOP are ignored, as CPython does."""
        self._data = data
        self._pos = start
        self._limits = limits
        self._stack: list[Node] = []
        self._marks: list[int] = []
        self._floor = 0
        self._memo: list[Node] = []
        self._placed = 0  # objects put into containers so far
        self.text_bytes = 0
        """Bytes of all strings pushed so far, also of those that are there already."""
        self.repeated_bytes = 0
        """Of those the ones that were there already."""
        self.tree = True
        """No container is reachable twice."""
        self.natural = True
        """Only types that JSON and msgpack both have (and bytes and floats, see `binary`)."""
        self.binary = False
        """bytes, NaN or an infinity: msgpack has them, JSON has not."""

    def run(self) -> Node:
        """The value. Raises UndecodableError."""
        data, table, nodes = self._data, _TABLE, self._limits.nodes
        try:
            for _ in range(nodes * _INSTRUCTIONS_PER_NODE // _STRIDE + 1):
                for _ in range(_STRIDE):
                    opcode = data[self._pos]
                    self._pos += 1
                    if opcode == _STOP:
                        return self._pop()
                    table[opcode](self)
                self._place(0)
        except IndexError:
            raise UndecodableError("truncated pickle") from None
        raise UndecodableError(f"more than {nodes} nodes ([limits] nodes)")

    # -- bytes -----------------------------------------------------------------------------------------

    def _take(self, size: int) -> bytes:
        end = self._pos + size
        if end > len(self._data):
            raise UndecodableError("truncated pickle")
        taken = self._data[self._pos : end]
        self._pos = end
        return taken

    def _unsigned(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _line(self) -> bytes:
        end = self._data.find(b"\n", self._pos)
        if end < 0:
            raise UndecodableError("truncated pickle")
        line = self._data[self._pos : end]
        self._pos = end + 1
        return line

    def _number(self) -> int:
        return spelled.integer(self._line())

    # -- stack -----------------------------------------------------------------------------------------

    def _push(self, node: Node) -> None:
        self._stack.append(node)

    def _pop(self) -> Node:
        if len(self._stack) <= self._floor:
            raise UndecodableError("corrupt pickle: stack underflow")
        return self._stack.pop()

    def _top(self) -> Node:
        if len(self._stack) <= self._floor:
            raise UndecodableError("corrupt pickle: stack underflow")
        return self._stack[-1]

    def _pop_items(self) -> list[Node]:
        """What stands above the last mark, to go into a container."""
        items = self._pop_mark()
        self._placed += len(items)
        return items

    def _pop_mark(self) -> list[Node]:
        if not self._marks:
            raise UndecodableError("corrupt pickle: no mark")
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        self._floor = self._marks[-1] if self._marks else 0
        return items

    def _pop_many(self, count: int) -> list[Node]:
        if len(self._stack) - self._floor < count:
            raise UndecodableError("corrupt pickle: stack underflow")
        items = self._stack[-count:]
        del self._stack[-count:]
        self._placed += count
        return items

    def _mark(self) -> None:
        self._floor = len(self._stack)
        self._marks.append(self._floor)

    def _drop(self) -> None:
        if len(self._stack) > self._floor:
            self._stack.pop()
        elif self._marks:
            self._pop_mark()
        else:
            raise UndecodableError("corrupt pickle: stack underflow")

    def _dup(self) -> None:
        self._again(self._top())

    # -- scalars ---------------------------------------------------------------------------------------

    def _text(self, raw: bytes) -> None:
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise UndecodableError("a string that is not UTF-8 or has a lone surrogate") from None
        self._grow(len(raw))
        self._stack.append(text)

    def _binary(self, raw: bytes) -> None:
        self._grow(len(raw))
        self.binary = True
        self._stack.append(raw)

    def _bytearray8(self) -> None:
        raw = self._take(self._unsigned(8))
        self._grow(len(raw))
        self.natural = False
        self._stack.append(bytearray(raw))

    def _unicode_line(self) -> None:
        r"""Protocol 0: Latin-1 with \uXXXX and \UXXXXXXXX escapes."""
        try:
            text = self._line().decode("raw-unicode-escape")
            size = len(text.encode())
        except UnicodeError:
            raise UndecodableError("a string with a lone surrogate or a broken escape") from None
        self._grow(size)
        self._stack.append(text)

    def _string_line(self) -> None:
        """Python 2's str: a repr, quoted."""
        self._old_string(spelled.string(self._line()))

    def _old_string(self, raw: bytes) -> None:
        """Python 2's str holds text or bytes: text where it is ASCII, which Python 3 reads, else bytes.

        Python 3 cannot load the latter but inside a datetime, date or time.
        """
        self._grow(len(raw))
        if raw.isascii():
            self._stack.append(raw.decode("ascii"))
        else:
            self.natural = False
            self._stack.append(shapes.OldBytes(raw))

    def _binstring(self) -> None:
        size = int.from_bytes(self._take(4), "little", signed=True)
        if size < 0:
            raise UndecodableError("corrupt pickle: a negative length")
        self._old_string(self._take(size))

    def _int_line(self) -> None:
        line = self._line()
        if line in (b"00", b"01"):
            self._stack.append(line == b"01")
        else:
            self._integer(spelled.integer(line))

    def _long_line(self) -> None:
        self._integer(spelled.integer(self._line().removesuffix(b"L")))

    def _long(self, size: int) -> None:
        if size > _MAX_INT_BYTES:
            raise UndecodableError(f"an int of more than {MAX_INT_DIGITS} digits")
        number = int.from_bytes(self._take(size), "little", signed=True)
        self._integer(number)

    def _integer(self, number: int) -> None:
        if number.bit_length() > _WORD:
            if not -INT_BOUND < number < INT_BOUND:
                raise UndecodableError(f"an int of more than {MAX_INT_DIGITS} digits")
            self.natural &= number >= JSON_INT_MIN
            self._grow(number.bit_length())  # several times its digits, because to write them takes time
        self._stack.append(number)

    def _long4(self) -> None:
        size = int.from_bytes(self._take(4), "little", signed=True)
        if size < 0:
            raise UndecodableError("corrupt pickle: a negative length")
        self._long(size)

    def _binint(self) -> None:
        self._stack.append(int.from_bytes(self._take(4), "little", signed=True))

    def _binint1(self) -> None:
        self._stack.append(self._data[self._pos])
        self._pos += 1

    def _float(self, number: float) -> None:
        if number - number != 0.0:  # NaN and the infinities
            self.binary = True
        self._stack.append(number)

    def _float_line(self) -> None:
        self._float(spelled.real(self._line()))

    def _grow(self, size: int) -> None:
        self.text_bytes += size
        if self.text_bytes > self._limits.decoded_bytes:
            raise UndecodableError(f"more than {self._limits.decoded_bytes} bytes ([limits] decoded_bytes)")

    # -- containers ------------------------------------------------------------------------------------

    def _tuple(self, items: list[Node]) -> None:
        self.natural = False
        self._stack.append(tuple(items))

    def _place(self, count: int) -> None:
        """Count objects that go into containers, and look at what has grown."""
        self._placed += count
        nodes = self._limits.nodes
        if len(self._stack) + self._placed > nodes * _OBJECTS_PER_NODE + _STRIDE:
            raise UndecodableError(f"more than {nodes} nodes ([limits] nodes)")

    def _append(self) -> None:
        item = self._pop()
        self._placed += 1
        self._list().append(item)

    def _appends(self) -> None:
        items = self._pop_items()
        self._list().extend(items)

    def _list(self) -> list[Node]:
        target = self._top()
        if type(target) is not list:
            raise UndecodableError("corrupt pickle: append to what is no list")
        return target

    def _dict(self, items: list[Node]) -> None:
        self._stack.append({})
        self._set_items(items)

    def _set_items(self, items: list[Node]) -> None:
        if len(items) % 2:
            raise UndecodableError("corrupt pickle: a key without a value")
        target = self._top()
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
            self._placed += len(keys)  # each `Key` is one more object
        target.update(zip(keys, items[1::2], strict=True))
        if len(target) == 1 and keys[0] in TAGS:
            self.natural = False

    def _add_items(self) -> None:
        items = self._pop_items()
        target = self._top()
        if type(target) is not Collection or target.tag != "py/set":
            raise UndecodableError("corrupt pickle: members for what is no set")
        target.items.extend(items)

    def _collection(self, tag: str, items: list[Node]) -> None:
        self.natural = False
        self._stack.append(Collection(tag, items))

    # -- memo ------------------------------------------------------------------------------------------

    def _put(self, index: int) -> None:
        node = self._top()
        if index == len(self._memo) + 1 and not self._memo:
            self._memo.append(_UNSET)  # cPickle of Python 2 counts from 1
        if index == len(self._memo):
            self._memo.append(node)
        elif 0 <= index < len(self._memo):
            self._memo[index] = node
        else:
            raise UndecodableError("corrupt pickle: a memo with gaps")

    def _memoize(self) -> None:
        """Protocol 4: the next index. No pickler mixes it with PUTs that count from 1."""
        memo = self._memo
        if memo and memo[0] is _UNSET:
            raise UndecodableError("corrupt pickle: a memo with gaps")
        memo.append(self._top())

    def _get(self, index: int) -> None:
        if not 0 <= index < len(self._memo) or self._memo[index] is _UNSET:
            raise UndecodableError("corrupt pickle: not in the memo")
        self._again(self._memo[index])

    def _again(self, node: Node) -> None:
        """Push what is there already: its bytes count again, and a container is then no tree's."""
        kind = type(node)
        if kind is str or kind is bytes or kind is shapes.OldBytes:
            self._grow(len(node))
            self.repeated_bytes += len(node)
        elif kind is int:
            if node.bit_length() > _WORD:
                self._grow(node.bit_length())
        elif kind in CONTAINERS or kind is bytearray:
            self.tree = False
        self._stack.append(node)

    # -- objects ---------------------------------------------------------------------------------------

    def _global(self, module: Node, name: Node) -> None:
        if type(module) is not str or type(name) is not str:
            raise UndecodableError("corrupt pickle: a class without a name")
        self.natural = False
        self._stack.append(shapes.symbol(module, name))

    def _global_lines(self) -> None:
        try:
            module, name = self._line().decode(), self._line().decode()
        except UnicodeDecodeError:
            raise UndecodableError("corrupt pickle: a class without a name") from None
        self._global(module, name)

    def _stack_global(self) -> None:
        name = self._pop()
        self._global(self._pop(), name)

    def _reduce(self) -> None:
        args = self._pop()
        function = self._pop()
        if type(function) is not Symbol or type(args) is not tuple:
            raise UndecodableError("corrupt pickle: a call of what is no function")
        for arg in args:
            self._copy(arg)
        self._stack.append(shapes.reduce(function, args))

    def _copy(self, arg: Node) -> None:
        """Count an argument again: the call may copy it, and its tuple may come from the memo."""
        kind = type(arg)
        if kind is str or kind is bytes or kind is shapes.OldBytes:
            self._grow(len(arg))
        elif kind is list:
            self._place(len(arg))

    def _newobj(self) -> None:
        args = self._pop()
        cls = self._pop()
        if type(cls) is not Symbol or type(args) is not tuple:
            raise UndecodableError("corrupt pickle: an object of what is no class")
        self._stack.append(shapes.new(cls, args))

    def _build(self) -> None:
        state = self._pop()
        target = self._top()
        if type(target) is not Instance or target.state is not None:
            raise UndecodableError("corrupt pickle: state for what has none")
        target.state = shapes.build(target.symbol, state)

    def _refuse(self) -> None:
        raise UndecodableError("corrupt pickle: an instruction that no cache library writes")

    def _proto(self) -> None:
        if self._unsigned(1) > 5:
            raise UndecodableError("a pickle protocol beyond 5")

    def _frame(self) -> None:
        """Only a hint for reading ahead: it may be too short, but not lead beyond the end."""
        if self._unsigned(8) > len(self._data) - self._pos:
            raise UndecodableError("truncated pickle")


_UNSET: Final = object()
_STOP: Final = ord(".")

# Every opcode of pickletools.opcodes; what is missing (INST, OBJ, PERSID, EXT, NEWOBJ_EX, NEXT_BUFFER ...) no
# cache library writes, and is refused.
_OPCODES: Final[dict[bytes, Callable[[Machine], None]]] = {
    b"(": Machine._mark,
    b"0": Machine._drop,
    b"1": lambda m: (m._pop_mark(), None)[1],
    b"2": Machine._dup,
    b"N": lambda m: m._push(None),
    b"\x88": lambda m: m._push(True),
    b"\x89": lambda m: m._push(False),
    b"I": Machine._int_line,
    b"L": Machine._long_line,
    b"J": Machine._binint,
    b"K": Machine._binint1,
    b"M": lambda m: m._push(m._unsigned(2)),
    b"\x8a": lambda m: m._long(m._unsigned(1)),
    b"\x8b": Machine._long4,
    b"F": Machine._float_line,
    b"G": lambda m: m._float(_double(m._take(8))[0]),
    b"S": Machine._string_line,
    b"T": Machine._binstring,
    b"U": lambda m: m._old_string(m._take(m._unsigned(1))),
    b"V": Machine._unicode_line,
    b"X": lambda m: m._text(m._take(m._unsigned(4))),
    b"\x8c": lambda m: m._text(m._take(m._unsigned(1))),
    b"\x8d": lambda m: m._text(m._take(m._unsigned(8))),
    b"B": lambda m: m._binary(m._take(m._unsigned(4))),
    b"C": lambda m: m._binary(m._take(m._unsigned(1))),
    b"\x8e": lambda m: m._binary(m._take(m._unsigned(8))),
    b"\x96": Machine._bytearray8,
    b")": lambda m: m._tuple([]),
    b"\x85": lambda m: m._tuple(m._pop_many(1)),
    b"\x86": lambda m: m._tuple(m._pop_many(2)),
    b"\x87": lambda m: m._tuple(m._pop_many(3)),
    b"t": lambda m: m._tuple(m._pop_items()),
    b"]": lambda m: m._push([]),
    b"l": lambda m: m._push(m._pop_items()),
    b"a": Machine._append,
    b"e": Machine._appends,
    b"}": lambda m: m._push({}),
    b"d": lambda m: m._dict(m._pop_items()),
    b"s": lambda m: m._set_items(m._pop_many(2)),
    b"u": lambda m: m._set_items(m._pop_items()),
    b"\x8f": lambda m: m._collection("py/set", []),
    b"\x90": Machine._add_items,
    b"\x91": lambda m: m._collection("py/frozenset", m._pop_items()),
    b"p": lambda m: m._put(m._number()),
    b"q": lambda m: m._put(m._unsigned(1)),
    b"r": lambda m: m._put(m._unsigned(4)),
    b"\x94": Machine._memoize,
    b"g": lambda m: m._get(m._number()),
    b"h": lambda m: m._get(m._unsigned(1)),
    b"j": lambda m: m._get(m._unsigned(4)),
    b"c": Machine._global_lines,
    b"\x93": Machine._stack_global,
    b"R": Machine._reduce,
    b"\x81": Machine._newobj,
    b"b": Machine._build,
    b"\x80": Machine._proto,
    b"\x95": Machine._frame,
}
_TABLE: Final = [_OPCODES.get(bytes([code]), Machine._refuse) for code in range(256)]
