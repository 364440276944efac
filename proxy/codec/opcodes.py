"""What each pickle instruction does to a `Machine`: protocols 0 to 5, as in CPython's pickletools. For those that push
a number or a string see `scalars`.

Every handler is given where its argument begins and returns where the next instruction does. A GLOBAL yields a
`Symbol` if its name is one of the few in `shapes`, REDUCE, NEWOBJ and BUILD know only the shapes there; everything else
is an UndecodableError, the only exception that leaves. A byte that is not there is an IndexError, which the
machine's loop knows as a truncated pickle.
"""

from typing import Final, NoReturn

from proxy.codec import scalars, shapes, spelled
from proxy.codec.errors import UndecodableError
from proxy.codec.machine import COLLECTION_COST, OBJECT_COST, UNSET, Handler, Machine
from proxy.codec.nodes import TAGS, Collection, Instance, Node, Scalar, Symbol

_COSTS: Final = {Scalar: OBJECT_COST, Collection: COLLECTION_COST}


def _refuse(_machine: Machine, _pos: int) -> NoReturn:
    raise UndecodableError("corrupt pickle: an instruction that no cache library writes")


def _proto(machine: Machine, pos: int) -> int:
    if machine.data[pos] > 5:
        raise UndecodableError("a pickle protocol beyond 5")
    return pos + 1


def _frame(machine: Machine, pos: int) -> int:
    """Only a hint for reading ahead: it may be too short, but not lead beyond the end. Picklers write one in 64 KiB."""
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
    target = machine.top()
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
        value, key = stack.pop(), stack.pop()  # the common case, by itself: half the time of `set_items`
        target = stack[-1]
        target[key] = value
        machine.placed += 2
        if key in TAGS and len(target) == 1:
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
    if type(target) is not Collection or target.tag != "py/set":
        raise UndecodableError("corrupt pickle: members for what is no set")
    target.items.extend(items)
    return pos


def _frozenset(machine: Machine, pos: int) -> int:
    machine.collection("py/frozenset", machine.pop_items())
    return pos


# -- memo ----------------------------------------------------------------------------------------------


def _memoize(machine: Machine, pos: int) -> int:
    """Remember the object on top under the next index. No pickler mixes it with PUTs that count from 1.

    Every other instruction of a modern pickle, so that it looks at the stack by itself.
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
    machine.put(spelled.integer(line))
    return pos + len(line) + 1


def _binput(machine: Machine, pos: int) -> int:
    machine.put(machine.data[pos])
    return pos + 1


def _long_binput(machine: Machine, pos: int) -> int:
    machine.put(int.from_bytes(machine.take(pos, 4), "little"))
    return pos + 4


def _get_line(machine: Machine, pos: int) -> int:
    line = machine.line(pos)
    machine.get(spelled.integer(line))
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
    machine.placed += 1  # it takes as long
    machine.stack.append(shapes.symbol(module, name))


def _global(machine: Machine, pos: int) -> int:
    module = machine.line(pos)
    name = machine.line(pos + len(module) + 1)
    try:
        _push_symbol(machine, module.decode(), name.decode())
    except UnicodeDecodeError:
        raise UndecodableError("corrupt pickle: a class without a name") from None
    return pos + len(module) + len(name) + 2


def _stack_global(machine: Machine, pos: int) -> int:
    name = machine.pop()
    _push_symbol(machine, machine.pop(), name)
    return pos


def _reduce(machine: Machine, pos: int) -> int:
    args = machine.pop()
    function = machine.pop()
    if type(function) is not Symbol or type(args) is not tuple:
        raise UndecodableError("corrupt pickle: a call of what is no function")
    for arg in args:
        _count_copy(machine, arg)
    made = shapes.reduce(function, args)
    machine.placed += _COSTS.get(type(made), 0)
    machine.stack.append(made)
    return pos


def _count_copy(machine: Machine, arg: Node) -> None:
    """Count an argument again: the call may copy it, and its tuple may come from the memo."""
    kind = type(arg)
    if kind is str or kind is bytes or kind is shapes.OldBytes:
        machine.copy(len(arg))
    elif kind is list:
        machine.place(len(arg))


def _inst(machine: Machine, pos: int) -> int:
    """Python 2's instances of old-style classes: none is known."""
    module = machine.line(pos)
    name = machine.line(pos + len(module) + 1)
    raise UndecodableError(f"an object of class {shapes.printable(module)}.{shapes.printable(name)}")


def _newobj(machine: Machine, pos: int) -> int:
    args = machine.pop()
    cls = machine.pop()
    if type(cls) is not Symbol or type(args) is not tuple:
        raise UndecodableError("corrupt pickle: an object of what is no class")
    machine.placed += OBJECT_COST
    machine.stack.append(shapes.new(cls, args))
    return pos


def _build(machine: Machine, pos: int) -> int:
    state = machine.pop()
    target = machine.top()
    if type(target) is not Instance or target.state is not None:
        raise UndecodableError("corrupt pickle: state for what has none")
    target.state = shapes.build(target.symbol, state)
    machine.placed += len(state)  # it is a copy
    return pos


# Every opcode of pickletools.opcodes; what is missing (OBJ, PERSID, EXT, NEWOBJ_EX, NEXT_BUFFER ...) no
# cache library writes, and is refused.
_HANDLERS: Final[dict[bytes, Handler]] = scalars.HANDLERS | {
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
    b"\x81": _newobj,
    b"b": _build,
}
TABLE: Final = [_HANDLERS.get(bytes([code]), _refuse) for code in range(256)]
"""By opcode."""
