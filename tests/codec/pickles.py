"""Pickles made by hand, instruction by instruction, and whether they are read."""

import pickletools
import struct

import pytest

from proxy.codec import CodecLimits, UndecodableError
from tests.codec.samples import FORMATS, transcoder

MEGABYTE = 1 << 20
MEMORY = 64_000_000
"""Most bytes of memory with the default limits, without the stored value itself."""

PART = CodecLimits(decoded_bytes=CodecLimits().decoded_bytes // 100, nodes=CodecLimits().nodes // 100)
"""The cost of a flood grows with these two limits. Tests count and trace it with a hundredth of each."""

SMALL = CodecLimits(payload_bytes=1 << 16, decoded_bytes=1 << 16, depth=50, nodes=1000)


def refused(body: bytes, match: str = ".", limits: CodecLimits | None = None) -> None:
    """Both formats and both ways to read refuse a pickle."""
    for payload in FORMATS:
        for types in ("tagged", "plain"):
            with pytest.raises(UndecodableError, match=match):
                transcoder(payload, types=types, limits=limits).decode(b"!" + body)


def attempt(body: bytes, limits: CodecLimits | None = None, payload: str = "json") -> bool:
    """Whether a pickle is read. Any exception other than UndecodableError fails the test."""
    try:
        transcoder(payload, limits=limits).decode(b"!" + body)
    except UndecodableError:
        return False
    return True


def text(content: str | bytes) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return b"X" + struct.pack("<I", len(raw)) + raw


def binary(raw: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(raw)) + raw


def cls(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def call(module: str, name: str, *args: bytes) -> bytes:
    return cls(module, name) + b"(" + b"".join(args) + b"tR"


def long(number: int) -> bytes:
    raw = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<I", len(raw)) + raw


def obj(module: str, name: str, **state: bytes) -> bytes:
    """An object by NEWOBJ and BUILD."""
    items = b"".join(text(key) + value for key, value in state.items())
    return cls(module, name) + b")\x81}(" + items + b"ub"


def headers(*pairs: bytes) -> bytes:
    return obj("werkzeug.datastructures", "Headers", _list=b"](" + b"".join(pairs) + b"e")


def response(**changed: bytes) -> bytes:
    state = {"headers": headers(), "_status_code": b"K\xc8", "response": b"]" + binary(b"body") + b"a"}
    return obj("flask.wrappers", "Response", **{key: value for key, value in (state | changed).items() if value})


ARGUMENTS = {
    "uint1": b"\x01",
    "uint2": b"\x01\0",
    "uint4": b"\x01\0\0\0",
    "uint8": b"\x01" + b"\0" * 7,
    "int4": b"\x01\0\0\0",
    "float8": struct.pack(">d", 1.5),
    "floatnl": b"1.5\n",
    "decimalnl_short": b"1\n",
    "decimalnl_long": b"1L\n",
    "stringnl": b"'a'\n",
    "stringnl_noescape": b"a\n",
    "stringnl_noescape_pair": b"datetime\ndate\n",
    "unicodestringnl": b"a\n",
    **dict.fromkeys(("string1", "bytes1", "unicodestring1", "long1"), b"\x01a"),
    **dict.fromkeys(("string4", "bytes4", "unicodestring4", "long4"), b"\x01\0\0\0a"),
    **dict.fromkeys(("bytes8", "unicodestring8", "bytearray8"), b"\x01" + b"\0" * 7 + b"a"),
}


def instruction(opcode: pickletools.OpcodeInfo) -> bytes:
    """One instruction with a small argument."""
    argument = b"" if opcode.arg is None else ARGUMENTS[opcode.arg.name]
    return opcode.code.encode("latin-1") + argument
