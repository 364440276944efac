"""The pickle instructions that push a number, a constant or a string. `opcodes` has all others."""

import struct
from typing import Final

from proxy.codec.errors import UndecodableError
from proxy.codec.limits import INT_BOUND, MAX_INT_DIGITS
from proxy.codec.nodes import Node
from proxy.codec.unpickle import text_literals
from proxy.codec.unpickle.machine import Handler, Machine

_MAX_INT_BYTES: Final = (INT_BOUND.bit_length() + 8) // 8
_NEGATIVE: Final = "corrupt pickle: a negative length"
_double: Final = struct.Struct(">d").unpack


# -- scalars -------------------------------------------------------------------------------------------


def _constant(value: Node) -> Handler:
    def push(machine: Machine, pos: int) -> int:
        machine.stack.append(value)
        return pos

    return push


def _binint1(machine: Machine, pos: int) -> int:
    machine.stack.append(machine.data[pos])
    return pos + 1


def _binint2(machine: Machine, pos: int) -> int:
    data = machine.data
    machine.stack.append(data[pos] | data[pos + 1] << 8)
    return pos + 2


def _binint(machine: Machine, pos: int) -> int:
    machine.stack.append(int.from_bytes(machine.take(pos, 4), "little", signed=True))
    return pos + 4


def _long(machine: Machine, pos: int, size: int) -> int:
    if size > _MAX_INT_BYTES:
        raise UndecodableError(f"an int of more than {MAX_INT_DIGITS} digits")
    machine.integer(int.from_bytes(machine.take(pos, size), "little", signed=True))
    return pos + size


def _long1(machine: Machine, pos: int) -> int:
    return _long(machine, pos + 1, machine.data[pos])


def _long4(machine: Machine, pos: int) -> int:
    size = int.from_bytes(machine.take(pos, 4), "little", signed=True)
    if size < 0:
        raise UndecodableError(_NEGATIVE)
    return _long(machine, pos + 4, size)


def _int_line(machine: Machine, pos: int) -> int:
    line = machine.line(pos)
    if line == b"00" or line == b"01":
        machine.stack.append(line == b"01")
    else:
        machine.integer(text_literals.integer(line))
    return pos + len(line) + 1


def _long_line(machine: Machine, pos: int) -> int:
    line = machine.line(pos)
    machine.integer(text_literals.integer(line.removesuffix(b"L")))
    return pos + len(line) + 1


def _binfloat(machine: Machine, pos: int) -> int:
    machine.real(_double(machine.take(pos, 8))[0])
    return pos + 8


def _float_line(machine: Machine, pos: int) -> int:
    line = machine.line(pos)
    machine.real(text_literals.real(line))
    return pos + len(line) + 1


# -- strings -------------------------------------------------------------------------------------------


def _short_text(machine: Machine, pos: int) -> int:
    """As `_text`, without its calls, because this is the most frequent instruction."""
    data = machine.data
    size = data[pos]
    start = pos + 1
    end = start + size
    if end > machine.size:
        raise UndecodableError("truncated pickle")
    machine.text_bytes += size
    try:
        machine.stack.append(data[start:end].decode())
    except UnicodeDecodeError:
        raise UndecodableError("a string that is not UTF-8 or has a lone surrogate") from None
    return end


def _text(width: int) -> Handler:
    """A str after a length of `width` bytes."""

    def push(machine: Machine, pos: int) -> int:
        size = int.from_bytes(machine.take(pos, width), "little")
        if size > machine.size - pos - width:
            raise UndecodableError("truncated pickle")
        machine.grow(size)
        try:
            with memoryview(machine.data) as view:  # without a copy, as it may be large
                machine.stack.append(str(view[pos + width : pos + width + size], "utf-8"))
        except UnicodeDecodeError:
            raise UndecodableError("a string that is not UTF-8 or has a lone surrogate") from None
        return pos + width + size

    return push


def _bytes(width: int) -> Handler:
    """A bytes object after a length of `width` bytes."""

    def push(machine: Machine, pos: int) -> int:
        size = int.from_bytes(machine.take(pos, width), "little")
        machine.stack.append(machine.take(pos + width, size))
        machine.grow(size)
        machine.binary = True
        return pos + width + size

    return push


def _bytearray8(machine: Machine, pos: int) -> int:
    size = int.from_bytes(machine.take(pos, 8), "little")
    machine.stack.append(bytearray(machine.take(pos + 8, size)))
    machine.grow(size)
    machine.natural = False
    return pos + 8 + size


def _unicode_line(machine: Machine, pos: int) -> int:
    r"""A str in protocol 0: Latin-1 with \uXXXX and \UXXXXXXXX escapes."""
    line = machine.line(pos)
    try:
        text = line.decode("raw-unicode-escape")
        size = len(text.encode())
    except UnicodeError:
        raise UndecodableError("a string with a lone surrogate or a broken escape") from None
    machine.grow(size)
    machine.stack.append(text)
    return pos + len(line) + 1


def _string_line(machine: Machine, pos: int) -> int:
    """A Python 2 str in protocol 0: its repr, with quotes."""
    line = machine.line(pos)
    machine.old_string(text_literals.string(line))
    return pos + len(line) + 1


def _short_binstring(machine: Machine, pos: int) -> int:
    size = machine.data[pos]
    machine.old_string(machine.take(pos + 1, size))
    return pos + 1 + size


def _binstring(machine: Machine, pos: int) -> int:
    size = int.from_bytes(machine.take(pos, 4), "little", signed=True)
    if size < 0:
        raise UndecodableError(_NEGATIVE)
    machine.old_string(machine.take(pos + 4, size))
    return pos + 4 + size


HANDLERS: Final[dict[bytes, Handler]] = {
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"K": _binint1,
    b"M": _binint2,
    b"J": _binint,
    b"\x8a": _long1,
    b"\x8b": _long4,
    b"I": _int_line,
    b"L": _long_line,
    b"G": _binfloat,
    b"F": _float_line,
    b"\x8c": _short_text,
    b"X": _text(4),
    b"\x8d": _text(8),
    b"C": _bytes(1),
    b"B": _bytes(4),
    b"\x8e": _bytes(8),
    b"\x96": _bytearray8,
    b"V": _unicode_line,
    b"S": _string_line,
    b"U": _short_binstring,
    b"T": _binstring,
}
"""By opcode."""
