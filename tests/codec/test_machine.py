"""Hostile stored values: only UndecodableError leaves, instructions and memory stay within the budgets."""

import pickletools
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from proxy.codec import CodecLimits, UndecodableError, opcodes
from proxy.codec.machine import INSTRUCTIONS_PER_NODE, STRIDE, Handler, Machine
from tests.codec.samples import FORMATS, HOSTILE, VECTORS, Hostile, transcoder

LEGITIMATE = {"key_none", "key_float_nan", "float_text_nan"}
"""Labelled `reject`, but None and NaN are keys that Python takes, and `Fnan` is how protocol 0 writes it."""

MEGABYTE = 1 << 20
MEMORY = 64_000_000
"""At the default limits, beside the stored value itself."""

PART = CodecLimits(decoded_bytes=CodecLimits().decoded_bytes // 25, nodes=CodecLimits().nodes // 25)
"""What a flood costs grows with these two; it is counted and traced with a part of each."""

SMALL = CodecLimits(payload_bytes=1 << 16, decoded_bytes=1 << 16, depth=50, nodes=1000)


def refused(body: bytes, match: str = ".", limits: CodecLimits | None = None) -> None:
    """Both formats and both ways to read refuse a pickle."""
    for payload in FORMATS:
        for types in ("tagged", "plain"):
            with pytest.raises(UndecodableError, match=match):
                transcoder(payload, types=types, limits=limits).decode(b"!" + body)


def attempt(body: bytes, limits: CodecLimits | None = None, payload: str = "json") -> bool:
    """Whether a pickle is read; anything but UndecodableError fails the test."""
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


class Cost:
    """Instructions run and memory taken by one reading."""

    instructions = 0
    peak = 0


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Cost]:
    """Reads a pickle and says what it cost; fails if that is beyond the budgets."""
    counter = Cost()

    def counted(handler: Handler) -> Handler:
        def run(reader: Machine, pos: int) -> int:
            counter.instructions += 1
            return handler(reader, pos)

        return run

    monkeypatch.setattr(opcodes, "TABLE", [counted(handler) for handler in opcodes.TABLE])

    def measure(body: bytes, limits: CodecLimits = PART) -> Cost:
        stored = b"!" + body
        counter.instructions = 0
        tracemalloc.start()
        with suppress(UndecodableError):
            transcoder(limits=limits).decode(stored)
        counter.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert counter.peak < MEMORY * limits.nodes // CodecLimits().nodes + len(stored)
        assert counter.instructions <= limits.nodes * INSTRUCTIONS_PER_NODE + STRIDE
        return counter

    return measure


# -- samples -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", HOSTILE, ids=lambda each: each.name)
@pytest.mark.parametrize("payload", FORMATS)
def test_samples_made_by_hand(sample: Hostile, payload: str) -> None:
    read = attempt(sample.stored[1:], payload=payload)
    if sample.name in LEGITIMATE or sample.verdict == "ok":
        assert read
    elif sample.verdict == "reject":
        assert not read


@pytest.mark.parametrize("sample", HOSTILE, ids=lambda each: each.name)
def test_samples_cost_little(sample: Hostile, cost: Callable[..., Cost]) -> None:
    cost(sample.stored[1:])


def test_nothing_a_pickle_names_is_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    command = f"touch {touched}"
    line = command.encode()
    refused(call("posix", "system", text(command)), r"an object of class posix\.system")
    refused(call("builtins", "eval", text("1")), r"an object of class builtins\.eval")
    refused(b"(S'" + line + b"'\nios\nsystem\n.", r"an object of class os\.system")
    refused(b"(cos\nsystem\nS'" + line + b"'\no.", "os.system")
    refused(cls("os", "system") + b".", "os.system")
    refused(call("builtins", "getattr", cls("datetime", "datetime"), text("now")), "unknown shape")
    refused(call("builtins", "getattr", cls("zoneinfo", "ZoneInfo"), text("from_file")), "unknown shape")
    assert not touched.exists()


def test_errors_name_classes_without_what_could_hurt_a_terminal_or_a_log() -> None:
    refused(text("a\r\n\x1b[31m") + text("é" * 500) + b"\x93.", r"^an object of class a\?\?\?\?31m\.\?{100}$")


@pytest.mark.parametrize("body", [b"", b".", b"\x80", b"\x80\x04", b"\x80\x06N.", b"\x80\xffN.", b"{}", b"!N."])
def test_what_is_no_pickle_is_refused(body: bytes) -> None:
    refused(body)


# -- opcodes -------------------------------------------------------------------------------------------

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
REFUSED = {"INST", "OBJ", "PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEWOBJ_EX", "NEXT_BUFFER", "READONLY_BUFFER"}


def instruction(opcode: pickletools.OpcodeInfo) -> bytes:
    """One instruction, its argument small."""
    argument = b"" if opcode.arg is None else ARGUMENTS[opcode.arg.name]
    return opcode.code.encode("latin-1") + argument


@pytest.mark.parametrize("opcode", pickletools.opcodes, ids=lambda each: each.name)
@pytest.mark.parametrize("stack", STACKS)
def test_every_opcode_is_handled_or_refused_whatever_it_finds(opcode: pickletools.OpcodeInfo, stack: str) -> None:
    body = STACKS[stack] + instruction(opcode)
    for end in (b".", b"0.", b"", b"N.", b"\x940.", b"a.", b"s.", b"b.", b"R."):
        attempt(body + end)
    if opcode.name == "STOP":
        return
    if opcode.name in REFUSED:
        refused(body + b".", "no cache library writes|an object of class")
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


# -- floods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", pickletools.opcodes, ids=lambda each: each.name)
def test_a_flood_of_one_or_two_instructions_ends(first: pickletools.OpcodeInfo) -> None:
    limits = CodecLimits(decoded_bytes=2 * MEGABYTE, nodes=200)
    for unit in (instruction(first), *(instruction(first) + instruction(second) for second in pickletools.opcodes)):
        for prefix in (b"", b"N\x94"):
            attempt(prefix + unit * (MEGABYTE // len(unit)), limits)


FLOODS = {
    "lists": b"]",
    "dicts": b"}",
    "sets": b"\x8f",
    "marks": b"(",
    "memoized lists": b"]\x940",
    "memoized sets": b"\x8f\x940",
    "memoized dicts": b"}NNs\x940",
    "memoized dicts with text": b"}X\x01\0\0\0aNs\x940",
    "memoized lists of one": b"]Na\x940",
    "memos": b"\x94",
    "dicts of one": b"}NNs",
    "tuples": b"N\x85",
    "tuples of three": b"NNN\x87",
    "wide text": b"\x8c\x04\xf0\x9f\x98\x80",
    "memoized wide text": b"\x8c\x04\xf0\x9f\x98\x80\x940",
    "floats": b"G" + struct.pack(">d", 1.1),
    "ints": b"\x8a\x08" + b"\x11" * 8,
    "marks with ints": b"(N",
    "bytearrays": b"\x96" + b"\0" * 8,
    "memoized bytearrays": b"\x96" + b"\0" * 8 + b"\x940",
    "frozensets": b"(\x91",
    "appended frozensets": b"(N\x91",
    "python 2 text": b"U\x01\xff",
    "classes": b"h\0",
    "objects": b"h\0)\x81",
    "memoized objects": b"h\0)\x81\x940",
    "objects with state": b"h\0)\x81}NNsb",
}
PREFIXES = {"marks": b"N\x94", "memos": b"N"}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_costs_no_more_than_the_budgets(name: str, cost: Callable[..., Cost]) -> None:
    prefix = PREFIXES.get(name, b"cuuid\nUUID\n\x94")
    for start, end in ((b"", b"."), (b"(", b"t."), (b"}(", b"u."), (b"\x8f(", b"\x90.")):
        cost(prefix + start + FLOODS[name] * 25_000 + end)


# -- laughs, cycles and depth --------------------------------------------------------------------------

SHARERS: dict[str, Callable[[bytes], bytes]] = {
    "lists": lambda inner: b"](" + inner + b"e",
    "tuples": lambda inner: b"(" + inner + b"t",
    "dicts": lambda inner: b"}(" + b"".join(text(str(at)) + b"h\0" for at in range(9)) + b"u",
    "frozensets": lambda inner: b"(" + inner + b"\x91",
}


@pytest.mark.parametrize("kind", SHARERS)
@pytest.mark.parametrize("levels", [10, 60])
def test_a_billion_laughs_is_refused(kind: str, levels: int, cost: Callable[..., Cost]) -> None:
    body = SHARERS[kind](b"NNNNNNNNNN") if kind != "dicts" else b"]"
    for _ in range(levels):
        body += b"q\0" + SHARERS[kind](b"h\0" * 10)
    refused(body + b".", "nodes|deep|bytes|unhashable", PART)
    cost(body + b".")


@pytest.mark.parametrize(
    "laugh", [text("a" * 60_000), binary(b"a" * 60_000), long(10**4000), b"T\x60\xea\0\0" + b"\xff" * 60_000]
)
@pytest.mark.parametrize("inside", [b"%s", b"]%sa", b"%s\x85", b"}N%ss"])
def test_the_same_content_many_times_counts_each_time(laugh: bytes, inside: bytes, cost: Callable[..., Cost]) -> None:
    body = inside.replace(b"%s", laugh) + b"q\0(" + b"h\0" * 100_000 + b"l."
    refused(body, limits=PART)
    cost(body)
    body = laugh + b"q\0(" + b"2" * 100_000 + b"l."
    refused(body, limits=PART)
    cost(body)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (cls("builtins", "bytearray"), binary(b"a" * MEGABYTE)),
        (cls("_codecs", "encode"), text("a" * MEGABYTE) + text("latin1")),
        (cls("decimal", "Decimal"), text("1" * 4400)),
        (cls("builtins", "set"), b"](" + b"N" * 100_000 + b"e"),
        (cls("builtins", "frozenset"), b"](" + b"N" * 100_000 + b"e"),
        (cls("collections", "OrderedDict"), b"](" + b"](NNe" * 50_000 + b"e"),
    ],
)
def test_one_call_repeated_from_the_memo_costs_no_more(function: bytes, args: bytes, cost: Callable[..., Cost]) -> None:
    body = function + b"q\0(" + args + b"tq\x01"
    for each in (b"h\0h\x01R", b"h\0h\x01R\x940"):
        refused(body + b"(" + each * 100_000 + b"l.", limits=PART)
        cost(body + b"(" + each * 100_000 + b"l.")


@pytest.mark.parametrize(
    "body",
    [
        b"]q\0h\0a.",
        b"]q\0(h\0h\0e.",
        b"}q\0X\x01\0\0\0ah\0s.",
        b"}q\0K\x01h\0s.",
        b"}q\0h\0K\x01s.",
        b"]q\0h\0\x85a.",
        b"\x8fq\0(h\0\x90.",
        b"\x8fq\0(h\0\x85\x90.",
        b"ccollections\nOrderedDict\n)Rq\0X\x01\0\0\0ah\0s.",
        b"](]q\0}q\x01h\0K\x01h\x01sae.h\x01a",
        b"cuuid\nUUID\n)\x81q\0}X\x03\0\0\0inth\0sb.",
        response(response=b"]q\0h\0a") + b".",
        b"cflask.wrappers\nResponse\n)\x81q\0}X\x07\0\0\0headersh\0sb.",
    ],
)
def test_a_cycle_is_refused(body: bytes) -> None:
    for payload in FORMATS:
        if b".h" not in body:
            refused(body)
        attempt(body, payload=payload)


def towers() -> dict[str, Callable[[int], bytes]]:
    return {
        "lists": lambda depth: b"]" * depth + b"N" + b"a" * depth,
        "tuples": lambda depth: b"N" + b"\x85" * depth,
        "dicts": lambda depth: b"}X\x01\0\0\0a" * depth + b"N" + b"s" * depth,
        "int keys": lambda depth: b"}K\x01" * depth + b"N" + b"s" * depth,
        "tuple keys": lambda depth: b"}N" + b"\x85" * (depth - 1) + b"Ns",
        "frozensets": lambda depth: b"(" * depth + b"N" + b"\x91" * depth,
        "sets of tuples": lambda depth: b"\x8f(N" + b"\x85" * (depth - 1) + b"\x90",
        "sets by call": lambda depth: cls("builtins", "set") + b"](N" + b"\x85" * (depth - 1) + b"e\x85R",
        "ordered dicts": lambda depth: (cls("collections", "OrderedDict") + b")RK\x01") * depth + b"N" + b"s" * depth,
    }


@pytest.mark.parametrize("kind", towers())
def test_depth_is_limited_whatever_nests(kind: str) -> None:
    tower = towers()[kind]
    for payload in FORMATS:
        assert attempt(tower(100) + b".", payload=payload)
    refused(tower(101) + b".", "nested more than 100 deep" if "key" not in kind else ".")
    refused(tower(20_000) + b".")


# -- keys ----------------------------------------------------------------------------------------------


def test_keys_that_collide_cost_nothing_here(cost: Callable[..., Cost]) -> None:
    modulus = 2**61 - 1
    keys = b"".join(b"\x8a\x0b" + (modulus * at).to_bytes(11, "little") + b"N" for at in range(1, 50_000))
    assert attempt(b"}(" + keys + b"u.")
    cost(b"}(" + keys + b"u.")
    cost(b"\x8f(" + keys + b"\x90.")
    tuples = b"".join(long(modulus * at) + b"\x85N" for at in range(1, 20_000))
    cost(b"}(" + tuples + b"u.")


@pytest.mark.parametrize(
    "key",
    [
        b"]",
        b"}",
        b"\x8f",
        b"]\x85",
        b"N}\x86\x85",
        b"\x96" + b"\0" * 8,
        b"\x8f\x85",
        cls("collections", "OrderedDict") + b")R",
        response(),
    ],
)
def test_a_key_or_member_that_python_cannot_hash_is_refused(key: bytes) -> None:
    with pytest.raises(UndecodableError, match="unhashable"):
        transcoder().decode(b"!}" + key + b"Ns.")
    with pytest.raises(UndecodableError, match="unhashable"):
        transcoder().decode(b"!\x8f(" + key + b"\x90.")
    with pytest.raises(UndecodableError, match="unhashable"):
        transcoder().decode(b"!(" + key + b"\x91.")


# -- the shapes of classes and calls ---------------------------------------------------------------------

DATETIME = ("datetime", "datetime")
NOON = binary(b"\x07\xe8\x01\x02\x03\x04\x05\x00\x02\xa6")
HOUR = call("datetime", "timedelta", b"K\0", b"M\x10\x0e", b"K\0")


@pytest.mark.parametrize(
    "body",
    [
        call(*DATETIME),
        call(*DATETIME, NOON, b"N", b"N"),
        call(*DATETIME, binary(b"")),
        call(*DATETIME, binary(b"\xff" * 10)),
        call(*DATETIME, binary(b"\x07\xe8\x01\x02\xea\x04\x05\x00\x02\xa6")),
        call(*DATETIME, binary(b"\x07\xe8\x0d\x02\x03\x04\x05\x00\x02\xa6")),
        call(*DATETIME, binary(b"\x07\xe8\x02\x1e\x03\x04\x05\x00\x02\xa6")),
        call(*DATETIME, binary(b"\0\0\x01\x02\x03\x04\x05\x00\x02\xa6")),
        call(*DATETIME, binary(b"\x07\xe8\x01\x02\x03\x04\x05\xff\xff\xff")),
        call(*DATETIME, NOON, b"]"),
        call(*DATETIME, NOON, HOUR),
        call(*DATETIME, NOON, text("UTC")),
        call(*DATETIME, b"K\x01"),
        call(*DATETIME, b"M\xe8\x07", b"K\x01", b"K\x02"),
        call(*DATETIME, text("é" * 10)),
        call(*DATETIME, text("€" * 10)),
        call("datetime", "date", binary(b"\x07\xe8\x0d\x01")),
        call("datetime", "date", binary(b"\x07\xe8\x02\x1e")),
        call("datetime", "date", b"N"),
        call("datetime", "time", binary(b"\x18\0\0\0\0\0")),
        call("datetime", "time", binary(b"\x01\x3c\0\0\0\0")),
        call("datetime", "time", binary(b"\x01\0\0\x0f\x42\x40")),
        call("datetime", "time", binary(b"\0" * 5)),
        call("datetime", "timedelta", long(10**300), b"K\0", b"K\0"),
        call("datetime", "timedelta", b"J\xff\xff\xff\x7f", b"K\0", b"K\0"),
        call("datetime", "timedelta", b"K\0", long(10**4299), b"K\0"),
        call("datetime", "timedelta", b"K\0"),
        call("datetime", "timedelta", b"G" + struct.pack(">d", 1e308), b"K\0", b"K\0"),
        call("datetime", "timedelta", b"\x88", b"K\0", b"K\0"),
        call("datetime", "timezone"),
        call("datetime", "timezone", b"K\x01"),
        call("datetime", "timezone", call("datetime", "timedelta", b"K\x01", b"M\x10\x0e", b"K\0")),
        call("datetime", "timezone", call("datetime", "timedelta", b"K\x01", b"K\0", b"K\0")),
        call("datetime", "timezone", HOUR, b"K\x01"),
        call("decimal", "Decimal"),
        call("decimal", "Decimal", b"K\x01"),
        call("decimal", "Decimal", text("x")),
        call("decimal", "Decimal", text("1E+99999999999999999999")),
        call("decimal", "Decimal", text("1" * MEGABYTE)),
        call("decimal", "Decimal", b"(K\0(K\x01tK\0t"),
        obj("uuid", "UUID"),
        obj("uuid", "UUID", int=long(2**128)),
        obj("uuid", "UUID", int=long(-1)),
        obj("uuid", "UUID", int=text("1")),
        obj("uuid", "UUID", int=b"\x88"),
        obj("uuid", "UUID", hex=text("1" * 32)),
        obj("uuid", "UUID", int=b"K\x01", is_safe=b"K\x01"),
        obj("uuid", "UUID", int=b"K\x01", is_safe=text("x")),
        obj("uuid", "UUID", int=b"K\x01", more=b"N"),
        cls("uuid", "UUID") + b")\x81",
        cls("uuid", "UUID") + b")\x81Nb",
        cls("uuid", "UUID") + b")\x81]b",
        cls("uuid", "UUID") + b")\x81N}\x86b",
        cls("uuid", "UUID") + b")\x81}b}b",
        cls("uuid", "UUID") + b"K\x01\x85\x81",
        cls("uuid", "UUID") + b")R",
        cls("uuid", "UUID") + b")\x81}(" + b"".join(text(str(at)) + b"N" for at in range(100)) + b"ub",
        call("builtins", "complex", b"K\x01", b"K\x02"),
        call("builtins", "complex", text("1+2j")),
        call("builtins", "bytes", long(10**10)),
        call("builtins", "bytes", b"K\x05"),
        call("builtins", "bytearray", long(10**10)),
        call("builtins", "bytearray", text("a")),
        call("builtins", "bytearray", text("a"), text("utf-16")),
        call("builtins", "set", text("ab")),
        call("builtins", "set", b"K\x05"),
        call("builtins", "set", call("builtins", "range", long(10**10))),
        call("builtins", "frozenset"),
        call("builtins", "str", b"K\x01"),
        call("builtins", "object"),
        call("_codecs", "encode", text("a"), text("rot13")),
        call("_codecs", "encode", text("a"), text("idna")),
        call("_codecs", "encode", text("€"), text("latin1")),
        call("_codecs", "encode", binary(b"a"), text("latin1")),
        call("_codecs", "encode", text("a")),
        call("collections", "OrderedDict", b"]Na"),
        call("collections", "OrderedDict", b"](]e"),
        call("collections", "OrderedDict", b"}"),
        call("collections", "OrderedDict", b"(NNt\x85"),
        call("copyreg", "_reconstructor", cls("builtins", "object"), cls("builtins", "object"), b"N"),
        call("copyreg", "_reconstructor", cls("markupsafe", "Markup"), cls("builtins", "object"), b"N"),
        call("copyreg", "_reconstructor", cls("uuid", "UUID"), text("builtins") + text("object") + b"\x86", b"N"),
        call("copyreg", "_reconstructor", cls("uuid", "UUID"), cls("builtins", "object"), b"K\x01"),
        call("copyreg", "_reconstructor", b"N", b"N", b"N"),
        call("builtins", "getattr", text("zoneinfo") + text("ZoneInfo") + b"\x86", text("_unpickle")),
        call("pytz", "FixedOffset", long(10**4000)),
        call("pytz", "_p", text("Europe/Berlin")),
        call("zoneinfo", "ZoneInfo", text("UTC")),
        call("markupsafe", "Markup", text("a")),
        cls("markupsafe", "Markup") + b")\x81",
        cls("markupsafe", "Markup") + b"K\x01\x85\x81",
        cls("markupsafe", "Markup") + text("a") + text("b") + b"\x86\x81",
        response(headers=b""),
        response(headers=b"N"),
        response(headers=b"]"),
        response(headers=response()),
        response(headers=cls("werkzeug.datastructures", "Headers") + b")\x81"),
        response(headers=headers(b"K\x01")),
        response(headers=headers(text("a") + text("b") + text("c") + b"\x87")),
        response(headers=headers(text("a") + b"K\x01\x86")),
        response(headers=headers(binary(b"a") + text("b") + b"\x86")),
        response(headers=obj("werkzeug.datastructures", "Headers", _list=b")")),
        response(_status_code=b""),
        response(_status_code=text("200")),
        response(_status_code=b"\x88"),
        response(_status_code=long(10**4299)),
        response(_status_code=b"K\x01"),
        response(_status_code=b"J\xff\xff\xff\xff"),
        response(response=b""),
        response(response=b"N"),
        response(response=text("body")),
        response(response=b"]K\x01a"),
        response(response=b"]]a"),
        headers(),
        cls("flask.wrappers", "Response"),
        cls("datetime", "datetime"),
        call("datetime", "timezone", HOUR),
        call("pytz", "_UTC"),
    ],
)
def test_an_odd_shape_is_refused_by_name_only(body: bytes) -> None:
    for payload in FORMATS:
        with pytest.raises(UndecodableError) as caught:
            transcoder(payload).decode(b"!" + body + b".")
        assert len(str(caught.value)) < 250


ODD = [
    b"N",
    b"K\x01",
    text("a"),
    binary(b"a"),
    b"]",
    b"}",
    b")",
    b"\x8f",
    b"]\x85",
    cls("datetime", "date"),
    b"U\x01\xff",
    NOON,
]
KNOWN = [
    ("_codecs", "encode"),
    *(("builtins", name) for name in ("bytes", "bytearray", "complex", "set", "frozenset", "getattr", "object", "str")),
    ("collections", "OrderedDict"),
    ("copyreg", "_reconstructor"),
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    ("decimal", "Decimal"),
    ("pytz", "_UTC"),
    ("pytz", "_p"),
    ("pytz", "FixedOffset"),
    ("uuid", "UUID"),
    ("zoneinfo", "ZoneInfo"),
    ("markupsafe", "Markup"),
    ("flask.wrappers", "Response"),
    ("flask_caching", "CachedResponse"),
    ("werkzeug.datastructures", "Headers"),
]


@pytest.mark.parametrize(("module", "name"), KNOWN)
def test_known_names_take_any_arguments_without_harm(module: str, name: str) -> None:
    for first in ODD:
        one = cls(module, name) + b"(" + first + b"t"
        for end in (b"R.", b"\x81.", b"\x81}b.", b"R}b.", b"\x81R."):
            attempt(one + end)
        attempt(cls(module, name) + b")\x81" + first + b"b.")
        attempt(cls(module, name) + first + b"R.")
        attempt(cls(module, name) + first + b"\x81.")
        for second in ODD:
            two = cls(module, name) + b"(" + first + second
            for end in (b"tR.", b"t\x81.", b"NtR.", *(third + b"tR." for third in ODD)):
                attempt(two + end)


def test_a_set_is_what_its_list_was_when_it_was_made() -> None:
    body = b"cbuiltins\nset\n]q\0\x85Rh\0K\x01a0."
    assert transcoder().decode(b"!" + body) == b'{"py/set":[]}'


def test_an_object_is_what_its_state_was_when_it_was_built() -> None:
    body = b"cuuid\nUUID\n)\x81}q\0X\x03\0\0\0intK\x01sbh\0X\x03\0\0\0intK\x02s0."
    assert transcoder().decode(b"!" + body) == b'{"py/uuid":"00000000-0000-0000-0000-000000000001"}'


def test_one_response_many_times_costs_what_it_is_made_of(cost: Callable[..., Cost]) -> None:
    many = response(response=b"](" + b"C\0" * 100_000 + b"e")
    refused(many + b"q\0(" + b"h\0" * 50_000 + b"l.", "nodes", PART)
    cost(many + b"q\0(" + b"h\0" * 50_000 + b"l.")
    pairs = headers(*[text("") + text("") + b"\x86"] * 50_000)
    refused(response(headers=pairs) + b"q\0(" + b"h\0" * 50_000 + b"l.", "nodes", PART)
    old = b"T" + struct.pack("<i", MEGABYTE) + b"\xff" * MEGABYTE + b"q\0"
    cost(old + response(response=b"](" + b"h\0" * 100_000 + b"e") + b".")
    refused(old + response(response=b"](" + b"h\0" * 100_000 + b"e") + b".", "bytes", PART)


@pytest.mark.parametrize("raw", [b"\0", b'"', b"\xc3\xa9"], ids=["control", "quote", "accent"])
def test_text_as_large_as_a_value_may_be_costs_no_more(raw: bytes, cost: Callable[..., Cost]) -> None:
    size = CodecLimits().decoded_bytes - 100
    cost(text(raw * (size // len(raw))) + b".", CodecLimits())
    short = text(raw * (1000 // len(raw)))
    cost(b"(" + short * (size // len(short)) + b"l.", CodecLimits())
    cost(b"(" + short + b"q\0" + b"h\0" * (size // 1000) + b"l.", CodecLimits())
    cost(b"(" + short + b"q\0" + b"h\0" * (size // 1000) + b"t.", CodecLimits())


def test_bytes_as_large_as_a_value_may_be_cost_no_more(cost: Callable[..., Cost]) -> None:
    size = CodecLimits().decoded_bytes - 100
    cost(binary(b"a" * size) + b".", CodecLimits())
    cost(binary(b"a" * (size * 3 // 4 - 100)) + b".", CodecLimits())
    cost(b"\x96" + struct.pack("<Q", size) + b"a" * size + b".", CodecLimits())


# -- limits --------------------------------------------------------------------------------------------


def test_nodes_of_a_stored_value_are_counted_to_the_last_one() -> None:
    for nodes, read in ((1000, True), (1001, False)):
        rest = nodes - 1
        for body in (
            b"(" + b"N" * rest + b"l.",
            b"(" + b"N" * (rest - 1) + b"t.",
            b"](" + b"N" * rest + b"e.",
            b"]" + b"Na" * rest + b".",
            b"}(" + b"".join(text(str(at)) + b"N" for at in range(rest)) + b"u.",
            b"}" + b"".join(text(str(at)) + b"Ns" for at in range(rest)) + b".",
            b"(" + b"".join(b"(K%c\x91" % (at % 256) for at in range(rest // 3)) + b"N" * (rest % 3) + b"l.",
            b"N\x940(" + b"h\0" * rest + b"l.",
        ):
            assert attempt(body, SMALL) is read


def test_lines_of_protocol_0_count_as_they_are_read() -> None:
    items = [b"S'k%d'\np%d\nS'v%d'\np%d\ns" % (at, 2 * at + 2, at, 2 * at + 3) for at in range(999)]
    assert attempt(b"(dp1\n" + b"".join(items[:333]) + b".", SMALL) is True
    assert attempt(b"(dp1\n" + b"".join(items) + b".", SMALL) is False


# -- what was found by attack --------------------------------------------------------------------------


@pytest.mark.parametrize("payload", FORMATS)
@pytest.mark.parametrize("types", ["tagged", "plain"])
@pytest.mark.parametrize(
    "made",
    [
        b"cmarkupsafe\nMarkup\nX" + struct.pack("<I", 2_500_000) + b"a" * 2_500_000 + b"\x85\x81",
        b"cdecimal\nDecimal\nX" + struct.pack("<I", 4_000) + b"9" * 4_000 + b"\x85R",
    ],
    ids=["Markup", "Decimal"],
)
def test_a_scalar_taken_from_the_memo_over_and_over_does_not_balloon(made: bytes, types: str, payload: str) -> None:
    stored = b"!\x80\x04" + made + b"\x940(" + b"h\0" * 40_000 + b"t."
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableError, match="decoded_bytes"):
            transcoder(payload, types=types).decode(stored)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_state_that_is_built_in_over_and_over_is_counted_each_time() -> None:
    state = b"}\x94(" + b"".join(b"\x8c\x02%02dN" % number for number in range(64)) + b"u0"
    cls = b"\x8c\x0eflask.wrappers\x94\x8c\x08Response\x94\x93\x94"
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableError, match="nodes"):
            transcoder().decode(b"!\x80\x04" + cls + state + b"h\x02)\x81h\x03b" * 99_000 + b".")
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_an_old_style_instance_of_python_2_is_undecodable_by_name() -> None:
    with pytest.raises(UndecodableError, match=r"an object of class __main__\.Old"):
        transcoder().decode(b"!(i__main__\nOld\np1\n(dp2\nb.")


@pytest.mark.parametrize("content", [b"sNaN", b"-sNaN1"])
def test_a_signaling_nan_is_no_member(content: bytes) -> None:
    member = b"cdecimal\nDecimal\n\x8c" + bytes([len(content)]) + content + b"\x85R"
    transcoder().decode(b"!\x80\x04" + member + b".")
    with pytest.raises(UndecodableError, match="unhashable"):
        transcoder().decode(b"!\x80\x04(" + member + b"\x91.")
