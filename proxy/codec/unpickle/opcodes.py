"""The pickle instructions of a `Machine`: protocols 0 to 5, as in CPython's pickletools.

`scalar_opcodes` has those that push a number or a string. Every handler takes the position of its argument and returns
the position of the next instruction. GLOBAL pushes a `Symbol`. REDUCE, NEWOBJ and the like push a value of
`known_classes`, or an `Instance` that describes an object of any other class. Handlers raise only UndecodableError. A
missing byte raises IndexError, which the machine's loop reports as a truncated pickle.
"""

from typing import Final, NoReturn

from proxy.codec.errors import UndecodableError
from proxy.codec.limits import digits
from proxy.codec.nodes import RESERVED, Collection, Damaged, Instance, Node, OldBytes, Scalar, Symbol
from proxy.codec.unpickle import known_classes, scalar_opcodes, text_literals
from proxy.codec.unpickle.machine import COLLECTION_COST, OBJECT_COST, UNSET, WORD, ZONED_COST, Handler, Machine

_COSTS: Final = dict.fromkeys((Scalar, Instance, Damaged, Symbol), OBJECT_COST) | {Collection: COLLECTION_COST}

_FEW_ARGS: Final = 3
"""So many arguments do not count, because the call costs more."""


def _refuse(_machine: Machine, _pos: int) -> NoReturn:
    raise UndecodableError("corrupt pickle: an instruction that no cache library writes")


def _proto(machine: Machine, pos: int) -> int:
    machine.protocol = machine.data[pos]
    machine.symbols.clear()  # the mapping of names depends on the protocol
    if machine.protocol > 5:
        raise UndecodableError("a pickle protocol beyond 5")
    return pos + 1


def _frame(machine: Machine, pos: int) -> int:
    """A hint for reading ahead. It may be too short, but not beyond the end. Picklers write one for each 64 KiB."""
    machine.placed += 1
    if int.from_bytes(machine.take(pos, 8), "little") > machine.size - pos - 8:
        raise UndecodableError("truncated pickle")
    return pos + 8


# -- stack ---------------------------------------------------------------------------------------------


def _mark(machine: Machine, pos: int) -> int:
    machine.floor = len(machine.stack)
    machine.marks.append(machine.floor)
    return pos


def _pop(machine: Machine, pos: int) -> int:
    if len(machine.stack) > machine.floor:
        machine.stack.pop()
    elif machine.marks:
        machine.pop_mark()
    else:
        raise UndecodableError("corrupt pickle: stack underflow")
    return pos


def _pop_mark(machine: Machine, pos: int) -> int:
    machine.pop_mark()
    return pos


def _dup(machine: Machine, pos: int) -> int:
    machine.again(machine.top())
    return pos


# -- containers ----------------------------------------------------------------------------------------


def _empty_list(machine: Machine, pos: int) -> int:
    machine.stack.append([])
    return pos


def _list(machine: Machine, pos: int) -> int:
    machine.stack.append(machine.pop_items())
    return pos


def _list_on_top(machine: Machine) -> list[Node]:
    """The list to which items are appended; for an `Instance`, its `items`."""
    target: Node = machine.top()
    machine.grown(target)
    if type(target) is Instance:
        if target.items is None:
            target.items = []
        return target.items
    if type(target) is Collection and target.tag == "py/deque":
        target = target.items
    if type(target) is not list:
        raise UndecodableError("corrupt pickle: append to what is no list")
    return target


def _append(machine: Machine, pos: int) -> int:
    item = machine.pop()
    machine.placed += 1
    _list_on_top(machine).append(item)
    return pos


def _appends(machine: Machine, pos: int) -> int:
    items = machine.pop_items()
    _list_on_top(machine).extend(items)
    return pos


def _empty_dict(machine: Machine, pos: int) -> int:
    machine.stack.append({})
    return pos


def _dict(machine: Machine, pos: int) -> int:
    items = machine.pop_items()
    machine.stack.append({})
    machine.set_items(items)
    return pos


def _setitem(machine: Machine, pos: int) -> int:
    stack = machine.stack
    if len(stack) > machine.floor + 2 and type(stack[-2]) is str and type(stack[-3]) is dict:
        value, key = stack.pop(), stack.pop()  # the usual case, in half the time of `set_items`
        target = stack[-1]
        machine.grown(target)
        target[key] = value
        machine.placed += 2
        if len(target) == 1 and key.startswith(RESERVED):
            machine.natural = False
    else:
        machine.set_items(machine.pop_many(2))
    return pos


def _setitems(machine: Machine, pos: int) -> int:
    machine.set_items(machine.pop_items())
    return pos


def _empty_tuple(machine: Machine, pos: int) -> int:
    machine.natural = False
    machine.stack.append(())
    return pos


def _tuple_of(count: int) -> Handler:
    def push(machine: Machine, pos: int) -> int:
        machine.natural = False
        machine.stack.append(tuple(machine.pop_many(count)))
        return pos

    return push


def _tuple(machine: Machine, pos: int) -> int:
    machine.natural = False
    machine.stack.append(tuple(machine.pop_items()))
    return pos


def _empty_set(machine: Machine, pos: int) -> int:
    machine.collection("py/set", [])
    return pos


def _additems(machine: Machine, pos: int) -> int:
    items = machine.pop_items()
    target = machine.top()
    if type(target) is Instance:
        _list_on_top(machine).extend(items)
    elif type(target) is Collection and target.tag == "py/set":
        machine.grown(target)
        target.items.extend(items)
    else:
        raise UndecodableError("corrupt pickle: members for what is no set")
    return pos


def _frozenset(machine: Machine, pos: int) -> int:
    machine.collection("py/frozenset", machine.pop_items())
    return pos


# -- memo ----------------------------------------------------------------------------------------------


def _memoize(machine: Machine, pos: int) -> int:
    """Store the object on top in the memo. No pickler mixes it with PUTs that count from 1.

    Half of the instructions of a modern pickle are MEMOIZE, so it checks the stack itself, without a call.
    """
    stack, memo = machine.stack, machine.memo
    if len(stack) <= machine.floor:
        raise UndecodableError("corrupt pickle: stack underflow")
    if memo and memo[0] is UNSET:
        raise UndecodableError("corrupt pickle: a memo with gaps")
    memo.append(stack[-1])
    return pos


def _put_line(machine: Machine, pos: int) -> int:
    line = machine.line(pos)
    machine.put(text_literals.integer(line))
    return pos + len(line) + 1


def _binput(machine: Machine, pos: int) -> int:
    machine.put(machine.data[pos])
    return pos + 1


def _long_binput(machine: Machine, pos: int) -> int:
    machine.put(int.from_bytes(machine.take(pos, 4), "little"))
    return pos + 4


def _get_line(machine: Machine, pos: int) -> int:
    line = machine.line(pos)
    machine.get(text_literals.integer(line))
    return pos + len(line) + 1


def _binget(machine: Machine, pos: int) -> int:
    machine.get(machine.data[pos])
    return pos + 1


def _long_binget(machine: Machine, pos: int) -> int:
    machine.get(int.from_bytes(machine.take(pos, 4), "little"))
    return pos + 4


# -- objects -------------------------------------------------------------------------------------------


def _push_symbol(machine: Machine, module: Node, name: Node) -> None:
    if type(module) is not str or type(name) is not str:
        raise UndecodableError("corrupt pickle: a class without a name")
    machine.natural = False
    machine.placed += 1  # it takes as long as an object in a container
    machine.stack.append(machine.symbol(module, name))


def _global(machine: Machine, pos: int) -> int:
    module, name, pos = _two_lines(machine, pos)
    _push_symbol(machine, module, name)
    return pos


def _two_lines(machine: Machine, pos: int) -> tuple[str, str, int]:
    """A module, a name, and the position of the next instruction."""
    module = machine.line(pos)
    name = machine.line(pos + len(module) + 1)
    try:
        return module.decode(), name.decode(), pos + len(module) + len(name) + 2
    except UnicodeDecodeError:
        raise UndecodableError("corrupt pickle: a class without a name") from None


def _stack_global(machine: Machine, pos: int) -> int:
    name = machine.pop()
    _push_symbol(machine, machine.pop(), name)
    return pos


def _reduce(machine: Machine, pos: int) -> int:
    args = machine.pop()
    function = machine.pop()
    if type(args) is not tuple:
        raise UndecodableError("corrupt pickle: a call of what is no function")
    _count_copies(machine, args)
    if type(function) is Symbol:
        made = known_classes.reduce(function, args)
    elif type(function) is Instance:  # the result of another call: the innermost function names the class
        made = Instance(function.symbol, args, is_called=True)
    else:
        raise UndecodableError("corrupt pickle: a call of what is no function")
    _push_made(machine, made)
    return pos


def _push_made(machine: Machine, made: Node) -> None:
    if type(made) is Instance:
        machine.objects |= known_classes.is_other(made)
    machine.placed += ZONED_COST if type(made) is Scalar and made.tag == "py/zoned" else _COSTS.get(type(made), 0)
    if type(made) is Symbol:  # an attribute: its name is a new one
        machine.grow(len(made.text))
    machine.stack.append(made)


def _count_copies(machine: Machine, args: tuple[Node, ...]) -> None:
    """Count arguments again, because the call may copy them and their tuple may come from the memo."""
    if len(args) > _FEW_ARGS:
        machine.place(len(args))
    for arg in args:
        kind = type(arg)
        if kind is str or kind is bytes or kind is OldBytes:
            machine.copy(len(arg))
        elif kind is list or kind is dict:
            machine.place(len(arg))
        elif kind is int and arg.bit_length() > WORD:
            machine.copy(digits(arg))


def _inst(machine: Machine, pos: int) -> int:
    """Protocol 0: an instance of an old-style class of Python 2, or the result of a function."""
    module, name, pos = _two_lines(machine, pos)
    _make(machine, machine.symbol(module, name), machine.pop_items())
    return pos


def _obj(machine: Machine, pos: int) -> int:
    """Protocol 1: the same, with the class below its arguments on the stack."""
    items = machine.pop_items()
    if not items or type(items[0]) is not Symbol:
        raise UndecodableError("corrupt pickle: an object of what is no class")
    _make(machine, items[0], items[1:])
    return pos


def _make(machine: Machine, cls: Symbol, args: list[Node]) -> None:
    machine.natural = False
    _count_copies(machine, tuple(args))
    made = known_classes.reduce(cls, tuple(args))
    if type(made) is Instance:
        made.is_called = False  # in Python 2 these are classes
    _push_made(machine, made)


def _newobj(machine: Machine, pos: int) -> int:
    args = machine.pop()
    _push_object(machine, machine.pop(), args)
    return pos


def _newobj_ex(machine: Machine, pos: int) -> int:
    kwargs = machine.pop()
    args = machine.pop()
    made = _push_object(machine, machine.pop(), args)
    if type(kwargs) is not dict or type(made) is not Instance:
        raise UndecodableError("corrupt pickle: an object of what is no class")
    machine.placed += len(kwargs)
    made.kwargs = kwargs
    return pos


def _push_object(machine: Machine, cls: Node, args: Node) -> Node:
    if type(args) is not tuple or type(cls) not in (Symbol, Instance):
        raise UndecodableError("corrupt pickle: an object of what is no class")
    _count_copies(machine, args)
    made = known_classes.new(cls, args) if type(cls) is Symbol else Instance(cls.symbol, args)
    _push_made(machine, made)
    return made


def _build(machine: Machine, pos: int) -> int:
    state = machine.pop()
    target = machine.top()
    if type(target) is Collection and type(state) is dict:
        return pos  # attributes do not matter: Python compares only the items
    if type(target) is not Instance or target.state is not None:
        raise UndecodableError("corrupt pickle: state for what has none")
    machine.grown(target)
    known_classes.build(target, state)
    if target.state is not state and type(state) is dict:
        machine.placed += len(state)  # it is a copy
    return pos


# Every opcode of pickletools.opcodes, except those that refer outside the pickle: PERSID, EXT, NEXT_BUFFER and the like
# are refused.
_HANDLERS: Final[dict[bytes, Handler]] = scalar_opcodes.HANDLERS | {
    b"\x80": _proto,
    b"\x95": _frame,
    b"(": _mark,
    b"0": _pop,
    b"1": _pop_mark,
    b"2": _dup,
    b"]": _empty_list,
    b"l": _list,
    b"a": _append,
    b"e": _appends,
    b"}": _empty_dict,
    b"d": _dict,
    b"s": _setitem,
    b"u": _setitems,
    b")": _empty_tuple,
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"t": _tuple,
    b"\x8f": _empty_set,
    b"\x90": _additems,
    b"\x91": _frozenset,
    b"\x94": _memoize,
    b"p": _put_line,
    b"q": _binput,
    b"r": _long_binput,
    b"g": _get_line,
    b"h": _binget,
    b"j": _long_binget,
    b"c": _global,
    b"\x93": _stack_global,
    b"R": _reduce,
    b"i": _inst,
    b"o": _obj,
    b"\x81": _newobj,
    b"\x92": _newobj_ex,
    b"b": _build,
}
TABLE: Final = [_HANDLERS.get(bytes([code]), _refuse) for code in range(256)]
"""By opcode."""
