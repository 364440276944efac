"""The tags that writers may use: for each, how its content becomes part of a pickle (lossless, both ways).

Every writer checks its content and raises PayloadError with the tag's name; `Pickler` knows the opcodes.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, DecimalException
from http import HTTPStatus
from typing import Any, Final

from proxy.codec import collisions
from proxy.codec.errors import PayloadError
from proxy.codec.limits import HEADER_NODES, MAX_INT_DIGITS, OBJECT_NODES, RESPONSE_NODES, TAG_NODES
from proxy.codec.pickling import Pickler, Plan, TagWriter

_INT: Final = re.compile(rf"-?[0-9]{{1,{MAX_INT_DIGITS}}}")
_FLOATS: Final = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TINY_OFFSET: Final = re.compile(r"[+-]00:?00:?00[.,]")
"""fromisoformat() takes it for UTC."""
_MAX_DECIMAL_CHARS: Final = 4400


def _bad(tag: str, wanted: str) -> PayloadError:
    name = tag.removeprefix("py/")
    return PayloadError(
        f"the content of {tag} must be {wanted}; to write an object with that one key as it is, "
        f'escape it as {{"py/dict": [["py/{name}", ...]]}}'
    )


def _text(content: Any, tag: str, wanted: str) -> str:
    if type(content) is not str:
        raise _bad(tag, wanted)
    return content


def _items(content: Any, tag: str) -> list[Any]:
    if type(content) is not list:
        raise _bad(tag, "an array")
    return content


def _iso(content: Any, tag: str, wanted: str) -> str:
    text = _text(content, tag, wanted)
    if _TINY_OFFSET.search(text):
        raise _bad(tag, wanted)
    return text


def _raw(content: Any, tag: str) -> bytes:
    """Base64, or (in msgpack) bin."""
    if type(content) is bytes:
        return content
    try:
        return b64decode(_text(content, tag, "base64 text"), validate=True)
    except (binascii.Error, ValueError):
        raise _bad(tag, "base64 text") from None


# -- scalars -------------------------------------------------------------------------------------------


def _integer(content: Any, tag: str) -> int:
    if type(content) is not int and not (type(content) is str and _INT.fullmatch(content)):
        raise _bad(tag, f"an integer as text, of at most {MAX_INT_DIGITS} digits")
    return int(content)


def _int(pickler: Pickler, content: Any, tag: str) -> Plan:
    return Plan(pickler.integer(_integer(content, tag)))


def _float(pickler: Pickler, content: Any, tag: str) -> Plan:
    if type(content) in (int, float):
        try:
            return Plan(pickler.real(float(content)))
        except OverflowError:
            raise _bad(tag, "a number in the range of a double") from None
    if type(content) is not str or content not in _FLOATS:
        raise _bad(tag, 'a number, "nan", "inf" or "-inf"')
    return Plan(pickler.real(_FLOATS[content]))


def _complex(pickler: Pickler, content: Any, tag: str) -> Plan:
    if type(content) is not list or len(content) != 2:
        raise _bad(tag, "an array of two numbers")
    numbers = b""
    for part in content:
        if type(part) is dict and list(part) == ["py/float"]:
            pickler.count(TAG_NODES)
            part = part["py/float"]
        numbers += _float(pickler, part, tag).open
    return Plan(pickler.symbol("builtins", "complex") + numbers + b"\x86R")


def _bytes(pickler: Pickler, content: Any, tag: str) -> Plan:
    return Plan(pickler.binary(_raw(content, tag)))


def _bytearray(pickler: Pickler, content: Any, tag: str) -> Plan:
    raw = _raw(content, tag)
    if pickler.protocol == 5:
        return Plan(b"\x96" + len(raw).to_bytes(8, "little") + raw)
    return Plan(pickler.symbol("builtins", "bytearray") + pickler.binary(raw) + b"\x85R")


def _datetime(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "an ISO 8601 date and time"
    try:
        return Plan(pickler.moment(datetime.fromisoformat(_iso(content, tag, wanted))))
    except ValueError:
        raise _bad(tag, wanted) from None


def _date(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "an ISO 8601 date"
    try:
        day = date.fromisoformat(_text(content, tag, wanted))
    except ValueError:
        raise _bad(tag, wanted) from None
    state = pickler.symbol("datetime", "date"), pickler.binary(bytes([*divmod(day.year, 256), day.month, day.day]))
    return Plan(b"".join(state) + b"\x85R")


def _time(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "an ISO 8601 time"
    try:
        moment = time.fromisoformat(_iso(content, tag, wanted))
    except ValueError:
        raise _bad(tag, wanted) from None
    packed = bytes([moment.hour, moment.minute, moment.second]) + moment.microsecond.to_bytes(3, "big")
    code = pickler.symbol("datetime", "time") + pickler.binary(packed) + pickler.zone(moment.tzinfo)
    return Plan(code + (b"\x85R" if moment.tzinfo is None else b"\x86R"))


def _timedelta(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "[days, seconds, microseconds], integers"
    if type(content) is not list or len(content) != 3 or any(type(field) is not int for field in content):
        raise _bad(tag, wanted)
    try:
        return Plan(pickler.delta(timedelta(*content)))
    except OverflowError:
        raise _bad(tag, wanted + " within a billion days") from None


def _decimal(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "a decimal number as text"
    text = _text(content, tag, wanted)
    if len(text) > _MAX_DECIMAL_CHARS:
        raise _bad(tag, wanted)
    try:
        number = str(Decimal(text))
    except DecimalException:
        raise _bad(tag, wanted) from None
    return Plan(pickler.symbol("decimal", "Decimal") + pickler.string(number) + b"\x85R")


def _uuid(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "a UUID as text with hyphens"
    text = _text(content, tag, wanted)
    if not _UUID.fullmatch(text):
        raise _bad(tag, wanted)
    cls, attribute = pickler.symbol("uuid", "UUID"), pickler.string("int")
    return Plan(cls + b")\x81}" + attribute + pickler.integer(int(text.replace("-", ""), 16)) + b"sb")


def _markup(pickler: Pickler, content: Any, tag: str) -> Plan:
    text = _text(content, tag, "a string")
    return Plan(pickler.symbol("markupsafe", "Markup") + pickler.string(text) + b"\x85\x81")


# -- containers ----------------------------------------------------------------------------------------


def _list_of_pairs(content: Any, tag: str) -> list[list[Any]]:
    pairs = _items(content, tag)
    if any(type(pair) is not list or len(pair) != 2 for pair in pairs):
        raise _bad(tag, "an array of [key, value] pairs")
    return pairs


def _tuple(pickler: Pickler, content: Any, tag: str) -> Plan:
    return pickler.tuple_plan(_items(content, tag))


def _members(items: list[Any], opening: bytes, closing: bytes) -> Plan:
    return Plan(opening, items, closing, hashed=True) if items else Plan(opening + closing)


def _set(pickler: Pickler, content: Any, tag: str) -> Plan:
    if pickler.protocol >= 4:
        return _members(_items(content, tag), b"\x8f(", b"\x90")
    return _members(_items(content, tag), pickler.symbol("builtins", "set") + b"](", b"e\x85R")


def _frozenset(pickler: Pickler, content: Any, tag: str) -> Plan:
    if pickler.protocol >= 4:
        return _members(_items(content, tag), b"(", b"\x91")
    return _members(_items(content, tag), pickler.symbol("builtins", "frozenset") + b"](", b"e\x85R")


def _dict(pickler: Pickler, content: Any, tag: str) -> Plan:
    return pickler.pairs_plan(_list_of_pairs(content, tag), b"}")


def _ordered_dict(pickler: Pickler, content: Any, tag: str) -> Plan:
    return pickler.pairs_plan(_list_of_pairs(content, tag), pickler.symbol("collections", "OrderedDict") + b")R")


# -- responses -----------------------------------------------------------------------------------------


def _response(pickler: Pickler, content: Any, tag: str) -> Plan:
    """The one shape that every Flask and Werkzeug loads: the old path of Headers, and `_charset`."""
    wanted = '{"status": 200, "headers": [["Content-Type", "..."]], "body": "..." or {"py/bytes": ...}}'
    if type(content) is not dict or set(content) != {"status", "headers", "body"}:
        raise _bad(tag, wanted)
    status, headers, body = content["status"], content["headers"], content["body"]
    if type(status) is not int or not 100 <= status <= 999 or not _are_headers(headers):
        raise _bad(tag, wanted)
    if type(body) is dict and list(body) == ["py/bytes"]:
        body = _raw(body["py/bytes"], tag)
    if type(body) not in (str, bytes):
        raise _bad(tag, wanted)
    pickler.count(HEADER_NODES * len(headers))
    s = pickler.string
    return Plan(
        b"".join(
            (
                pickler.symbol("flask.wrappers", "Response") + b")\x81}(",
                s("_charset") + s("utf-8"),
                s("headers") + pickler.symbol("werkzeug.datastructures", "Headers") + b")\x81}",
                s("_list") + b"](" + b"".join(s(name) + s(value) + b"\x86" for name, value in headers) + b"esb",
                s("_status") + s(_status_line(status)),
                s("_status_code") + pickler.integer(status),
                s("direct_passthrough") + b"\x89",
                s("_on_close") + b"]",
                s("response") + b"]" + pickler.binary(body.encode() if type(body) is str else body) + b"a",
                b"ub",
            )
        )
    )


def _are_headers(headers: Any) -> bool:
    return type(headers) is list and all(
        type(pair) is list
        and len(pair) == 2
        and type(pair[0]) is type(pair[1]) is str
        and not any(char in text for text in pair for char in "\r\n\0")
        for pair in headers
    )


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase.upper()}"
    except ValueError:
        return f"{status} UNKNOWN"


def _never(_content: Any) -> bool:
    return False


def _is_not_signaling(content: Any) -> bool:
    """Python hashes a NaN, but not a signaling one."""
    return type(content) is not str or "snan" not in content.lower()


_WRITERS: Final = {
    "bytes": TagWriter(_bytes, compared=0),
    "bytearray": TagWriter(_bytearray, hashable=_never, nodes=TAG_NODES + 1),  # protocol 2 makes it in two calls
    "tuple": TagWriter(_tuple),
    "set": TagWriter(_set, hashable=_never),
    "frozenset": TagWriter(_frozenset),
    "dict": TagWriter(_dict, hashable=_never),
    "ordereddict": TagWriter(_ordered_dict, hashable=_never),
    "datetime": TagWriter(_datetime, nodes=OBJECT_NODES),
    "date": TagWriter(_date, compared=0, nodes=OBJECT_NODES),
    "time": TagWriter(_time, nodes=OBJECT_NODES),
    "timedelta": TagWriter(_timedelta, nodes=OBJECT_NODES),
    "decimal": TagWriter(_decimal, hashable=_is_not_signaling, nodes=OBJECT_NODES),
    "uuid": TagWriter(_uuid, compared=collisions.UUID, nodes=OBJECT_NODES),
    "complex": TagWriter(_complex, nodes=OBJECT_NODES),
    "float": TagWriter(_float, compared=collisions.NUMBER),
    "int": TagWriter(_int, compared=collisions.NUMBER),
    "markup": TagWriter(_markup, compared=0, nodes=OBJECT_NODES),
    "response": TagWriter(_response, hashable=_never, nodes=RESPONSE_NODES),
}

_INT_TAG: Final = "py/int"

NAMES: Final = frozenset(_WRITERS)
"""Every tag, without its `py/`."""

UNSAFE: Final = frozenset({"markup", "response"})
"""Not among "data": unescaped HTML and response headers are for writers who mean it."""


def _refused(_pickler: Pickler, _content: Any, tag: str) -> Plan:
    name = tag.removeprefix("py/")
    raise PayloadError(
        f"the tag {tag} is not accepted by this rule (accept_tags); to write an object with that one key as it "
        f'is, escape it as {{"py/dict": [["py/{name}", ...]]}}'
    )


def accepted(names: Iterable[str]) -> dict[str, TagWriter]:
    """The tags of a rule's `accept_tags`: names, and "data" for all but markup and response.

    With none at all every object is plain data; else a tag that is left out is an error.
    """
    wanted = {each for name in names for each in (NAMES - UNSAFE if name == "data" else {name})}
    if not wanted:
        return {}
    return {f"py/{name}": writer if name in wanted else TagWriter(_refused) for name, writer in _WRITERS.items()}


def top_level_int(tree: Any, tags: dict[str, TagWriter]) -> int | None:
    """The int that a whole payload is, plainly or by its tag; None: it is something else. Raises PayloadError."""
    if type(tree) is int:
        return tree
    if type(tree) is dict and tree.keys() == {_INT_TAG} and tags.get(_INT_TAG) is _WRITERS["int"]:
        return _integer(tree[_INT_TAG], _INT_TAG)
    return None
