"""Lists the names that a pickle imports, and the use of each, without loading it. Pure: bytes in, names out.

The codec's machine refuses much that Python loads: a memo with gaps, a call with wrong arguments. Python runs every
call that stands before the place where it fails. So this reader takes all that Python might take. It follows the
stack, but keeps only the parts that names are made of: short texts, names, and the first parts of tuples. The
arguments of the instructions are read by the standard library's `pickletools`, which loads nothing.

It is bounded by a number of instructions. Where it cannot go on, it says so, and the names up to there are known.
"""

from typing import Any, Final, NamedTuple

from proxy.inspection.pickle_reader import MOST_NAME, OTHER, PROTO, Made, Reader, Step, UnreadableError, several

_REFUSED: Final = {
    **dict.fromkeys(("PERSID", "BINPERSID"), "it refers to an object outside itself"),
    **dict.fromkeys(("NEXT_BUFFER", "READONLY_BUFFER"), "it refers to a buffer outside itself"),
}


class Use(NamedTuple):
    """The use of a name in a pickle."""

    calls: int
    """The objects that are made of it are calls too."""
    mentions: int
    """Places where it is imported."""


class Names(NamedTuple):
    """The names that a pickle imports."""

    uses: dict[str, Use]
    """By dotted name."""
    findings: dict[str, str]
    """The reasons against names that no cache library stores. Some findings have a description in place of a name."""
    fault: str
    """Why the rest could not be read. Empty: it was read to its end."""


def names_of(data: bytes, budget: int) -> Names:
    """List the names of a pickle that begins at the first byte.

    `budget`: instructions that are read at most, those of pickles in its bytes included.
    """
    reader = Reader(budget, _STEPS)
    reader.read(data)
    return Names({name: Use(*counts) for name, counts in reader.counts.items()}, reader.findings, reader.fault)


# -- instructions --------------------------------------------------------------------------------------


def _push(reader: Reader, _argument: Any) -> None:
    reader.stack.append(OTHER)


def _text(reader: Reader, argument: str) -> None:
    reader.stack.append(argument if len(argument) <= MOST_NAME else OTHER)


def _bytes(reader: Reader, argument: bytes) -> None:
    reader.remember(argument)
    reader.stack.append(OTHER)


def _old_text(reader: Reader, argument: str) -> None:
    """Python 2's str: pickletools gives its bytes as Latin-1."""
    if argument[:1] == chr(PROTO):
        reader.remember(argument.encode("latin-1", "replace"))
    _text(reader, argument)


def _nothing(_reader: Reader, _argument: Any) -> None:
    pass


def _protocol(reader: Reader, argument: int) -> None:
    reader.protocol = argument


def _stop(reader: Reader, _argument: Any) -> None:
    reader.pop()


def _mark(reader: Reader, _argument: Any) -> None:
    reader.marks.append(len(reader.stack))


def _pop(reader: Reader, _argument: Any) -> None:
    if reader.marks and reader.marks[-1] == len(reader.stack):
        reader.marks.pop()
    else:
        reader.pop()


def _pop_mark(reader: Reader, _argument: Any) -> None:
    reader.pop_mark()


def _dup(reader: Reader, _argument: Any) -> None:
    top = reader.pop()
    reader.stack += (top, top)


def _container(reader: Reader, _argument: Any) -> None:
    reader.pop_mark()
    reader.stack.append(OTHER)


def _items(reader: Reader, _argument: Any) -> None:
    """APPENDS, SETITEMS and ADDITEMS."""
    reader.pop_mark()
    _item(0)(reader, None)


def _item(size: int) -> Step:
    """APPEND, SETITEM and BUILD take so many objects, and leave the one below."""

    def put(reader: Reader, _argument: Any) -> None:
        for _ in range(size):
            reader.pop()
        target = reader.pop()
        reader.stack.append(target)
        reader.write_to(target)

    return put


def _tuple(reader: Reader, _argument: Any) -> None:
    items = reader.pop_mark()
    reader.stack.append(several(items))


def _tuple_of(size: int) -> Step:
    def push(reader: Reader, _argument: Any) -> None:
        parts = [reader.pop() for _ in range(size)]
        reader.stack.append(several(parts[::-1]))

    return push


def _put(reader: Reader, argument: int) -> None:
    top = reader.pop()
    reader.stack.append(top)
    reader.memo[argument] = top


def _memoize(reader: Reader, _argument: Any) -> None:
    _put(reader, len(reader.memo))


def _get(reader: Reader, argument: int) -> None:
    if argument not in reader.memo:
        raise UnreadableError("corrupt pickle: not in the memo")
    reader.stack.append(reader.memo[argument])


def _global(reader: Reader, argument: str) -> None:
    reader.stack.append(reader.imported(*_two(argument)))


def _two(argument: str) -> tuple[str, str]:
    """The two lines of GLOBAL and INST: pickletools joins them with a space."""
    module, _, name = argument.partition(" ")
    return module, name


def _stack_global(reader: Reader, _argument: Any) -> None:
    name, module = reader.pop(), reader.pop()
    if type(name) is str and type(module) is str:
        reader.stack.append(reader.imported(module, name))
    elif isinstance(name, Made) or isinstance(module, Made):
        reader.find("a name that is the result of a call", "nobody can say what it imports")
        reader.stack.append(OTHER)
    else:
        raise UnreadableError(f"a class with a name of more than {MOST_NAME} characters, or without one")


def _reduce(reader: Reader, _argument: Any) -> None:
    arguments, function = reader.pop(), reader.pop()
    reader.stack.append(reader.call(function, arguments))


def _inst(reader: Reader, argument: str) -> None:
    items = reader.pop_mark()
    function = reader.imported(*_two(argument))
    reader.stack.append(reader.call(function, several(items)))


def _obj(reader: Reader, _argument: Any) -> None:
    function, *items = reader.pop_mark() or [OTHER]
    reader.stack.append(reader.call(function, several(items)))


def _newobj_ex(reader: Reader, argument: Any) -> None:
    reader.pop()  # the keyword arguments
    _reduce(reader, argument)


def _extension(reader: Reader, argument: int) -> None:
    reader.find(f"extension code {argument}", "names a class of a registry that no pickle shows")
    reader.stack.append(OTHER)


def _refuse(why: str) -> Step:
    def refuse(_reader: Reader, _argument: Any) -> None:
        raise UnreadableError(why)

    return refuse


_STEPS: Final[dict[str, Step]] = {
    "PROTO": _protocol,
    "FRAME": _nothing,
    "STOP": _stop,
    "MARK": _mark,
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": _dup,
    "MEMOIZE": _memoize,
    "EMPTY_TUPLE": _tuple_of(0),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": _tuple,
    "APPEND": _item(1),
    "SETITEM": _item(2),
    "BUILD": _item(1),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "INST": _inst,
    "OBJ": _obj,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _newobj_ex,
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"), _push),
    **dict.fromkeys(("NONE", "NEWTRUE", "NEWFALSE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"), _push),
    **dict.fromkeys(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _text),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _old_text),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _bytes),
    **dict.fromkeys(("LIST", "DICT", "FROZENSET"), _container),
    **dict.fromkeys(("APPENDS", "SETITEMS", "ADDITEMS"), _items),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _extension),
    **{name: _refuse(why) for name, why in _REFUSED.items()},
}
"""By pickletools' name of the opcode."""
