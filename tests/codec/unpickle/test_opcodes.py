"""Every instruction: valid and invalid arguments, forms of text, wrong lengths."""

import pickletools
import struct
from collections.abc import Callable
from typing import Any

import pytest

from proxy.codec import UndecodableError
from proxy.codec.unpickle import opcodes
from tests.codec.conftest import Cost
from tests.codec.pickles import MEGABYTE, attempt, cls, instruction, long, refused
from tests.codec.samples import VECTORS, transcoder

# -- opcodes -------------------------------------------------------------------------------------------

STACKS = {
    "mark": b"(",
    "nothing": b"",
    "list": b"](",
    "dict": b"}(K\x01K\x02",
    "object": cls("uuid", "UUID") + b")\x81",
}
STACKS |= {
    "int": b"K\x01",
    "set": b"\x8f(",
    "tuple": b")",
    "class": cls("datetime", "date") + b")",
    "text": b"X\0\0\0\0" * 3,
}
REFUSED = {"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}


@pytest.mark.parametrize("opcode", pickletools.opcodes, ids=lambda each: each.name)
@pytest.mark.parametrize("stack", STACKS)
def test_every_opcode_is_handled_or_refused_whatever_it_finds(opcode: pickletools.OpcodeInfo, stack: str) -> None:
    body = STACKS[stack] + instruction(opcode)
    for end in (b".", b"0.", b"", b"N.", b"\x940.", b"a.", b"s.", b"b.", b"R."):
        attempt(body + end)
    if opcode.name == "STOP":
        return
    if opcode.name in REFUSED:
        refused(body + b".", "no cache library writes")
    else:
        assert opcodes.TABLE[ord(opcode.code)] is not opcodes._refuse


def test_every_other_byte_is_refused() -> None:
    known = {ord(opcode.code) for opcode in pickletools.opcodes}
    for code in set(range(256)) - known:
        refused(bytes([code]) + b".", "no cache library writes")


def lengths(width: int) -> list[int]:
    top = 256**width
    return [
        size
        for size in (2, 5, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, top // 2, top - 1)
        if size < top
    ]


@pytest.mark.parametrize(
    ("code", "width"),
    [
        *((code, 1) for code in (b"U", b"C", b"\x8c", b"\x8a")),
        *((code, 4) for code in (b"T", b"B", b"X", b"\x8b")),
        *((code, 8) for code in (b"\x8e", b"\x8d", b"\x96", b"\x95")),
    ],
)
def test_a_declared_length_that_lies_is_refused_before_it_costs(
    code: bytes, width: int, cost: Callable[..., Cost]
) -> None:
    for size in lengths(width):
        body = code + size.to_bytes(width, "little") + b"x"
        assert not attempt(body)
        assert cost(body).peak < MEGABYTE


@pytest.mark.parametrize("index", [1, 2, 255, 256, 2**24, 2**31 - 1, 2**32 - 1])
def test_a_memo_with_gaps_is_refused_before_it_costs(index: int, cost: Callable[..., Cost]) -> None:
    for body in (
        b"NNq\0r" + struct.pack("<I", index),
        b"NNp0\np%d\n" % index,
        b"Nj" + struct.pack("<I", index),
        b"Ng%d\n" % index,
    ):
        if index > 1:
            refused(body + b".", "memo")
        assert cost(body + b".").peak < MEGABYTE
    refused(b"Np-1\n.", "memo")
    refused(b"Ng-1\n.", "memo")


def test_a_memo_that_counts_from_1_is_python_2s() -> None:
    assert attempt(b"(lp1\nI1\na.")
    refused(b"(lp1\ng0\n.", "memo")
    refused(b"(lp1\nI1\n\x94.", "memo with gaps")


@pytest.mark.parametrize(
    "line",
    [b"9" * 4301, b"-" + b"9" * 4301, b"9" * MEGABYTE, b"1" + b"_1" * 99, b"0x1", b"", b"-", b" 1", b"01", b"1.0"],
)
def test_ints_as_text_are_as_python_writes_them(line: bytes) -> None:
    for body in (b"I" + line + b"\n.", b"L" + line + b"L\n."):
        if body != b"I01\n.":
            refused(body, "an int of more than 4300 digits|not an int")
    refused(b"Np" + line + b"\n.")
    refused(b"Ng" + line + b"\n.")


def test_the_longest_ints_are_read() -> None:
    for number in (10**4300 - 1, 1 - 10**4300):
        assert attempt(b"I%d\n." % number)
        assert attempt(b"L%dL\n." % number)
        assert attempt(long(number) + b".")
    refused(long(10**4300) + b".", "an int of more than 4300 digits")
    refused(long(-(10**4300)) + b".", "an int of more than 4300 digits")


@pytest.mark.parametrize(
    "line",
    [b"1" * MEGABYTE, b"1e999", b"-1e999", b"1e9999", b"", b".", b"1.", b"0x1p1", b"infinity", b"1_0", b" 1", b"NaN"],
)
def test_floats_as_text_are_as_python_writes_them(line: bytes) -> None:
    refused(b"F" + line + b"\n.", "float")


@pytest.mark.parametrize("line", [b"a", b"'a", b"'a\"", b"", b"'", b"'\\'", b"'\\x4'", b"'\\400'", b"'\\", b"'a\\\n'"])
def test_strings_as_text_are_as_python_2_writes_them(line: bytes) -> None:
    refused(b"S" + line + b"\n.")


@pytest.mark.parametrize("line", [b"\\ud800", b"\\udc00x", b"\\U00110000", b"\\u12", b"\\U0000d800"])
def test_unicode_as_text_has_no_lone_surrogates(line: bytes) -> None:
    refused(b"V" + line + b"\n.", "lone surrogate or a broken escape")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: f"{each.stack}-{each.name}")
def test_a_stored_value_cut_short_anywhere_is_refused(vector: Any) -> None:
    codec = transcoder()
    for size in range(1, len(vector.stored)):
        if vector.stored.startswith(b"!"):
            with pytest.raises(UndecodableError):
                codec.decode(vector.stored[:size])


def test_what_stands_behind_the_end_does_not_matter() -> None:
    assert transcoder().decode(b"!N.garbage") == b"null"


@pytest.mark.parametrize("body", [b"\x95" + b"\xff" * 8 + b"N.", b"\x95\x03" + b"\0" * 7 + b"N."])
def test_a_frame_that_leads_beyond_the_end_is_refused(body: bytes) -> None:
    refused(body, "truncated")
