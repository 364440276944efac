"""The costliest values within the default limits: stored values to decode, and payloads to encode.

A *flood* repeats one small pattern as often as the node budget allows. For a refused value, the time until its refusal
counts.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

import msgpack

from benchmarks import worst_frames
from proxy.codec import CodecLimits
from proxy.codec.limits import OBJECT_NODES

_UUID: Final = b"h\x00)\x81}h\x01\x8a\x10" + bytes(range(16)) + b"sb"


class Worst(NamedTuple):
    """One value."""

    name: str
    payload: str
    """`json` or `msgpack`."""
    types: str
    encode: bool
    """True if `make` gives a payload, False if it gives a stored value."""
    make: Callable[[], bytes]
    is_flood: bool = False


class _Flood(NamedTuple):
    """`head`, `pattern` (given its number) as often as there is room, `tail`."""

    pattern: bytes | Callable[[int], bytes]
    nodes: int
    """The nodes of one pattern in the budget, so that the flood just fits."""
    head: bytes = b"\x80\x04]("
    tail: bytes = b"e."

    def fill(self, limits: CodecLimits) -> bytes:
        count = (limits.nodes - 4) // self.nodes
        pattern = self.pattern
        body = pattern * count if isinstance(pattern, bytes) else b"".join(map(pattern, range(count)))
        return b"!" + self.head + body + self.tail


def _python2_item(number: int) -> bytes:
    return b"S'k%d'\np%d\nS'v%d'\np%d\ns" % (number, 2 * number + 1, number, 2 * number + 2)


def _python2_text_item(number: int) -> bytes:
    return b"Vk%d\np%d\nI%d\ns" % (number, number + 1, number)


def _called(module: bytes, name: bytes, arguments: bytes, nodes: int) -> _Flood:
    """A list of the same call again and again, its function in the memo."""
    return _Flood(b"h\x00" + arguments + b"R", nodes, b"\x80\x04c%s\n%s\n\x940](" % (module, name))


_OBJECT: Final = 1 + OBJECT_NODES

_ZONED: Final = b"h\x00C\x0a\x07\xe8\x07\x02\x03\x04\x05\0\0\x06h\x01\x86R"
_ZONES: Final = (
    b"\x80\x04cdatetime\ndatetime\n\x940\x8c\x08zoneinfo\x8c\x12ZoneInfo._unpickle\x93"
    b"\x8c\x0dEurope/BerlinK\x01\x86R\x940]("
)
"""A datetime and a zone, in the memo."""
_SCALAR: Final = b"h\x00h\x01C\x08" + b"\x9a\x99\x99\x99\x99\x99\xf1?" + b"\x86R"
_SCALARS: Final = (
    b"\x80\x04cnumpy._core.multiarray\nscalar\n\x940cnumpy\ndtype\n\x8c\x02f8\x89\x88\x87R"
    b"(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x940]("
)
"""numpy's function and a dtype, in the memo."""

_DECODED: Final = {
    "ints": _Flood(b"K\x01", 1),
    "floats": _Flood(b"G\x3f\xf8\0\0\0\0\0\0", 1),
    "long ints": _Flood(b"\x8a\x08" + b"\x7f" * 8, 1),
    "big ints": _Flood(b"\x8b\xd0\x06\0\0" + b"\x7f" * 1744, 250),
    "short strings": _Flood(b"\x8c\x04spam", 1),
    "short memoised strings": _Flood(b"\x8c\x04spam\x94", 1),
    "strings of the memo": _Flood(b"h\x00", 1, b"\x80\x04\x8c\x04spam\x940]("),
    "short bytes": _Flood(b"C\x04spam", 2),
    "bytearrays": _Flood(b"\x96\x04\0\0\0\0\0\0\0spam", 2),
    "empty lists": _Flood(b"]", 1),
    "empty dicts": _Flood(b"}", 1),
    "empty tuples": _Flood(b")", 2),
    "empty sets": _Flood(b"\x8f", 2),
    "frozensets": _Flood(b"(\x91", 2),
    "lists of one": _Flood(b"](K\x01e", 2),
    "lists of an appended one": _Flood(b"]K\x01a", 2),
    "tuples of two": _Flood(b"K\x01K\x02\x86", 4),
    "sets of one": _Flood(b"\x8f(K\x01\x90", 3),
    "dicts of one": _Flood(b"}(\x8c\x01kK\x01u", 2),
    "dicts of one int key": _Flood(b"}(K\x01K\x01u", 5),
    "one dict": _Flood(lambda number: b"\x8c\x06%06d\x94K\x01" % number, 1, b"\x80\x04}(", b"u."),
    "one dict of int keys": _Flood(
        lambda number: b"J" + number.to_bytes(4, "little") + b"K\x01", 3, b"\x80\x04}(", b"u."
    ),
    "one dict of tuple keys": _Flood(
        lambda number: b"J" + number.to_bytes(4, "little") + b"\x85K\x01", 5, b"\x80\x04}(", b"u."
    ),
    "a dict of Python 2": _Flood(_python2_item, 3, b"(dp0\n", b"."),
    "a text dict of Python 2": _Flood(_python2_text_item, 3, b"(dp0\n", b"."),
    "strings of Python 2": _Flood(lambda number: b"S'v%d'\np%d\na" % (number, number + 1), 2, b"(lp0\n", b"."),
    "ints of Python 2": _Flood(lambda number: b"I%d\na" % number, 1, b"(lp0\n", b"."),
    "floats of Python 2": _Flood(lambda number: b"F%d.5\na" % number, 1, b"(lp0\n", b"."),
    "datetimes": _called(b"datetime", b"datetime", b"C\x0a\x07\xe8\x01\x02\x03\x04\x05\0\0\x06\x85", _OBJECT),
    "dates": _called(b"datetime", b"date", b"C\x04\x07\xe8\x01\x02\x85", _OBJECT),
    "times": _called(b"datetime", b"time", b"C\x06\x01\x02\x03\0\0\x01\x85", _OBJECT),
    "timedeltas": _called(b"datetime", b"timedelta", b"K\x01K\x02K\x03\x87", _OBJECT),
    "decimals": _called(b"decimal", b"Decimal", b"\x8c\x051.234\x85", _OBJECT),
    "complexes": _called(b"builtins", b"complex", b"G\x3f\xf8\0\0\0\0\0\0G\x3f\xf8\0\0\0\0\0\0\x86", _OBJECT),
    "sets of a call": _called(b"builtins", b"set", b"]\x85", 2),
    "ordered dicts": _called(b"collections", b"OrderedDict", b")", 2),
    "UUIDs": _Flood(_UUID, _OBJECT, b"\x80\x04cuuid\nUUID\n\x940\x8c\x03int\x940]("),
    "markups": _Flood(b"h\x00\x8c\x01x\x85\x81", _OBJECT, b"\x80\x04cmarkupsafe\nMarkup\n\x940]("),
    "objects": _called(b"shop", b"P", b"K\x01\x85", 6),
    "objects with a state": _Flood(b"h\x00)\x81}\x8c\x01aK\x01sb", 7, b"\x80\x04cshop\nP\n\x940]("),
    "objects inside themselves": _Flood(
        lambda _: b"h\x00)\x81q\x01}\x8c\x01ah\x01sb", 21, b"\x80\x04cshop\nP\n\x940]("
    ),
    "zoned datetimes": _Flood(_ZONED, _OBJECT + 3, _ZONES),
    "scalars of numpy": _Flood(_SCALAR, _OBJECT + 1, _SCALARS),
    "PROTO": _Flood(b"\x80\x04" * 5, 1, b"\x80\x04", b"N."),
    "PUTs": _Flood(b"q\x00" * 5, 1, b"\x80\x04N", b"."),
    "MARKs": _Flood(b"(1" * 5, 2, b"\x80\x04N", b"."),
    "GETs and POPs": _Flood(b"h\x000" * 5, 2, b"\x80\x04Nq\x00", b"."),
    "DUPs and POPs": _Flood(b"20" * 5, 2, b"\x80\x04N", b"."),
    "FRAMEs": _Flood(b"\x95\0\0\0\0\0\0\0\0" * 2, 1, b"\x80\x04N", b"."),
    "classes": _Flood(b"cdatetime\ndatetime\n0" * 2, 3, b"\x80\x04N", b"."),
    "lists in lists": _Flood(b"]" * 99 + b"a" * 98, 99),
    "sets never used": _Flood(b"\x8f", 1, b"\x80\x04", b"."),
}


def _long_texts(limits: CodecLimits) -> dict[str, Callable[[], bytes]]:
    size = limits.decoded_bytes - 16
    small = limits.decoded_bytes // 16 - 64
    return {
        "one text: ASCII": lambda: _text(b"a" * size),
        "one text: quotes": lambda: _text(b'"' * size),
        "one text: controls": lambda: _text(b"\1" * size),
        "one text: Latin": lambda: _text("é".encode() * (size // 2)),
        "one text: CJK": lambda: _text("字".encode() * (size // 3)),
        "one text: ASCII and an emoji": lambda: _text(b"a" * (size - 4) + "😀".encode()),
        "one bytes": lambda: b"!B" + size.to_bytes(4, "little") + b"\xff" * size + b".",
        "raw bytes": lambda: b"\xff" * size,
        "a text 16 times": lambda: b"!\x80\x04](" + _text(b"a" * small)[1:-1] + b"\x94" + b"h\x00" * 15 + b"e.",
        "digits": lambda: b"!L" + b"9" * size + b"L\n.",
        "a quoted text of Python 2": lambda: b"!S'" + b"\\x41" * (size // 4 - 1) + b"'\n.",
        "an escaped text of Python 2": lambda: b"!V" + b"\\u0041" * (size // 6) + b"\n.",
    }


def _text(raw: bytes) -> bytes:
    return b"!X" + len(raw).to_bytes(4, "little") + raw + b"."


def decoded(limits: CodecLimits) -> Iterator[Worst]:
    """Stored values."""
    for name, flood in _DECODED.items():
        for payload, types in (("json", "tagged"), ("msgpack", "tagged"), ("json", "plain")):
            yield Worst(name, payload, types, False, partial(flood.fill, limits), True)
    for name, make in _long_texts(limits).items():
        for payload in ("json", "msgpack"):
            yield Worst(name, payload, "tagged", False, make)
    for payload, types in (("json", "tagged"), ("msgpack", "tagged"), ("json", "plain")):
        for name, make in worst_frames.values(limits, types).items():
            yield Worst(name, payload, types, False, make)


_ENCODED: Final[dict[str, tuple[str, int]]] = {
    # JSON patterns, and what each counts as
    "ints": ("1", 1),
    "floats": ("1.5", 1),
    "short strings": ('"spam"', 1),
    "empty arrays": ("[]", 1),
    "empty objects": ("{}", 1),
    "arrays of one": ("[1]", 2),
    "objects of one": ('{"k":1}', 2),
    "tuples": ('{"py/tuple":[]}', 2),
    "tuples of one": ('{"py/tuple":[1]}', 3),
    "sets": ('{"py/set":[]}', 2),
    "sets of one": ('{"py/set":[1]}', 3),
    "dicts": ('{"py/dict":[]}', 2),
    "dicts of one": ('{"py/dict":[[1,1]]}', 5),
    "bytes": ('{"py/bytes":"aaaa"}', 2),
    "floats by tag": ('{"py/float":"nan"}', 2),
    "datetimes": ('{"py/datetime":"2024-01-02T03:04:05.000006+01:00"}', _OBJECT),
    "dates": ('{"py/date":"2024-01-02"}', _OBJECT),
    "times": ('{"py/time":"03:04:05"}', _OBJECT),
    "timedeltas": ('{"py/timedelta":[1,2,3]}', _OBJECT),
    "decimals": ('{"py/decimal":"1.234"}', _OBJECT),
    "UUIDs": ('{"py/uuid":"00112233-4455-6677-8899-aabbccddeeff"}', _OBJECT),
    "complexes": ('{"py/complex":[1.5,1.5]}', _OBJECT),
}


def _json_flood(pattern: str, count: int) -> bytes:
    return b"[" + b",".join([pattern.encode()] * count) + b"]"


def msgpack_flood(pattern: str, count: int) -> bytes:
    packed: bytes = msgpack.packb(json.loads(pattern))
    return b"\xdd" + count.to_bytes(4, "big") + packed * count


def _nested(opening: bytes, closing: bytes, size: int) -> bytes:
    levels = size // len(opening + closing)
    return opening * levels + b"1" + closing * levels


_MODULUS: Final = 2**61 - 1


def _of_one_hash(count: int, bits: int = 61) -> list[str]:
    """Ints of about so many bits, as JSON."""
    return [str(12345 + _MODULUS * (2 ** (bits - 61) + number)) for number in range(count)]


def _decimals(numbers: list[str]) -> list[str]:
    return [f'{{"py/decimal":"{number}"}}' for number in numbers]


def _pairs(keys: list[str]) -> str:
    return ",".join(f"[{key},1]" for key in keys)


_COLLIDING: Final[dict[str, Callable[[], str]]] = {
    # About as many as are accepted.
    "a frozenset's ints of one hash": lambda: f'{{"py/set":[{{"py/frozenset":[{",".join(_of_one_hash(5500))}]}}]}}',
    "an OrderedDict's ints of one hash": lambda: f'{{"py/ordereddict":[{_pairs(_of_one_hash(3200))}]}}',
    "long ints and decimals of one hash": lambda: (
        f'{{"py/set":[{",".join(_of_one_hash(34, 14_280) + _decimals(_of_one_hash(34)))}]}}'
    ),
    "floats and decimals": lambda: (
        f'{{"py/set":[{",".join([str(5e-324 * at) for at in range(1, 280)] + _decimals(_of_one_hash(280)))}]}}'
    ),
    "one tuple of ints as a key": lambda: f'{{"py/dict":[[{{"py/tuple":[{",".join(["1"] * 240_000)}]}},1]]}}',
}


def _monsters(limits: CodecLimits) -> dict[tuple[str, str], Callable[[], bytes]]:
    """By name and payload format."""
    size, nodes = limits.payload_bytes, limits.nodes
    return {
        ("one object", "json"): lambda: b"{" + ",".join(f'"{at}":1' for at in range(nodes - 2)).encode() + b"}",
        ("one dict of float keys", "json"): lambda: (
            b'{"py/dict":[' + ",".join(f"[{at}.5,1]" for at in range(2048)).encode() + b"]}"
        ),
        ("nested arrays", "json"): lambda: _nested(b"[", b"]", size),
        ("nested objects", "json"): lambda: _nested(b'{"a":', b"}", size),
        ("nested tuples", "json"): lambda: _nested(b'{"py/tuple":[', b"]}", size),
        ("nested arrays", "msgpack"): lambda: b"\x91" * (size - 1) + b"\x01",
        ("too many maps", "msgpack"): lambda: b"\xdd" + (size - 5).to_bytes(4, "big") + b"\x80" * (size - 5),
        ("too many maps", "json"): lambda: b"[" + b"{}," * (size // 3 - 1) + b"{}]",
        ("digits", "json"): lambda: b"1" * size,
        ("declared lengths", "msgpack"): lambda: b"\xdd\xff\xff\xff\xff" * (size // 5),
        ("one text: ASCII", "json"): lambda: b'"' + b"a" * (size - 2) + b'"',
        ("one text: escapes", "json"): lambda: b'"' + b"\\u0001" * (size // 6 - 1) + b'"',
        ("one text: backslashes", "json"): lambda: b'"' + b"\\\\" * (size // 2 - 1) + b'"',
        ("one text: CJK", "json"): lambda: b'"' + "字".encode() * (size // 3 - 1) + b'"',
        ("quotes", "json"): lambda: b'"' * size,
        ("brackets in strings", "json"): lambda: b"[" + b'"[{",' * (nodes - 2) + b"1]",
    }


def encoded(limits: CodecLimits) -> Iterator[Worst]:
    """Payloads."""
    for name, (pattern, nodes) in _ENCODED.items():
        count = (limits.nodes - 2) // nodes
        yield Worst(name, "json", "tagged", True, partial(_json_flood, pattern, count), True)
        yield Worst(name, "msgpack", "tagged", True, partial(msgpack_flood, pattern, count), True)
    for (name, payload), make in _monsters(limits).items():
        yield Worst(name, payload, "tagged", True, make)
    for name, text in _COLLIDING.items():
        yield Worst(name, "json", "tagged", True, partial(_encoded_text, text))


def _encoded_text(text: Callable[[], str]) -> bytes:
    return text().encode()
