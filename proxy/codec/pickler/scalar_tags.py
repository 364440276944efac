"""Writers for the tags of values that are not containers.

Every writer raises PayloadError, with the name of the tag, for content that the tag cannot hold.
"""

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal, DecimalException
from typing import Any, Final

from proxy.codec.limits import OBJECT_NODES, TAG_NODES
from proxy.codec.pickler import contents, hash_cost
from proxy.codec.pickler.pickler import Pickler, Plan, TagWriter

_FLOATS: Final = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MAX_DECIMAL_CHARS: Final = 4400


def _int(pickler: Pickler, content: Any, tag: str) -> Plan:
    number = contents.integer(content, tag)
    return Plan(pickler.integer(number), kind=hash_cost.of_int(number))


def _float(pickler: Pickler, content: Any, tag: str) -> Plan:
    if type(content) in (int, float):
        try:
            return Plan(pickler.real(float(content)), kind=hash_cost.FLOAT)
        except OverflowError:
            raise contents.bad(tag, "a number in the range of a double") from None
    if type(content) is not str or content not in _FLOATS:
        raise contents.bad(tag, 'a number, "nan", "inf" or "-inf"')
    return Plan(pickler.real(_FLOATS[content]), kind=hash_cost.FLOAT)


def _complex(pickler: Pickler, content: Any, tag: str) -> Plan:
    if type(content) is not list or len(content) != 2:
        raise contents.bad(tag, "an array of two numbers")
    numbers = b""
    for part in content:
        if type(part) is dict and list(part) == ["py/float"]:
            pickler.count(TAG_NODES)
            part = part["py/float"]
        numbers += _float(pickler, part, tag).open
    return Plan(pickler.symbol("builtins", "complex") + numbers + b"\x86R", kind=hash_cost.COMPLEX)


def _bytes(pickler: Pickler, content: Any, tag: str) -> Plan:
    raw = contents.raw(content, tag)
    return Plan(pickler.binary(raw), kind=hash_cost.of_raw(len(raw)))


def _bytearray(pickler: Pickler, content: Any, tag: str) -> Plan:
    raw = contents.raw(content, tag)
    if pickler.protocol == 5:
        return Plan(b"\x96" + len(raw).to_bytes(8, "little") + raw)
    return Plan(pickler.symbol("builtins", "bytearray") + pickler.binary(raw) + b"\x85R")


def _datetime(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "an ISO 8601 date and time"
    try:
        return pickler.moment(datetime.fromisoformat(contents.iso(content, tag, wanted)))
    except ValueError:
        raise contents.bad(tag, wanted) from None


def _date(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "an ISO 8601 date"
    try:
        day = date.fromisoformat(contents.text(content, tag, wanted))
    except ValueError:
        raise contents.bad(tag, wanted) from None
    state = pickler.symbol("datetime", "date"), pickler.binary(bytes([*divmod(day.year, 256), day.month, day.day]))
    return Plan(b"".join(state) + b"\x85R", kind=hash_cost.RAW)


def _time(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "an ISO 8601 time"
    try:
        moment = time.fromisoformat(contents.iso(content, tag, wanted))
    except ValueError:
        raise contents.bad(tag, wanted) from None
    packed = bytes([moment.hour, moment.minute, moment.second]) + moment.microsecond.to_bytes(3, "big")
    code = pickler.symbol("datetime", "time") + pickler.binary(packed)
    return pickler.in_zone(code, moment.tzinfo)


def _timedelta(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "[days, seconds, microseconds], integers"
    if type(content) is not list or len(content) != 3 or any(type(field) is not int for field in content):
        raise contents.bad(tag, wanted)
    try:
        return Plan(pickler.delta(timedelta(*content)), kind=hash_cost.DELTA)
    except OverflowError:
        raise contents.bad(tag, wanted + " within a billion days") from None


def _decimal(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "a decimal number as text"
    text = contents.text(content, tag, wanted)
    if len(text) > _MAX_DECIMAL_CHARS:
        raise contents.bad(tag, wanted)
    try:
        number = str(Decimal(text))
    except DecimalException:
        raise contents.bad(tag, wanted) from None
    code = pickler.symbol("decimal", "Decimal") + pickler.string(number) + b"\x85R"
    return Plan(code, kind=hash_cost.of_decimal(number))


def _uuid(pickler: Pickler, content: Any, tag: str) -> Plan:
    wanted = "a UUID as text with hyphens"
    text = contents.text(content, tag, wanted)
    if not _UUID.fullmatch(text):
        raise contents.bad(tag, wanted)
    cls, attribute = pickler.symbol("uuid", "UUID"), pickler.string("int")
    code = cls + b")\x81}" + attribute + pickler.integer(int(text.replace("-", ""), 16)) + b"sb"
    return Plan(code, kind=hash_cost.UUID)


def _markup(pickler: Pickler, content: Any, tag: str) -> Plan:
    text = contents.text(content, tag, "a string")
    code = pickler.symbol("markupsafe", "Markup") + pickler.string(text) + b"\x85\x81"
    return Plan(code, kind=hash_cost.of_raw(len(text.encode())))


WRITERS: Final = {
    "bytes": TagWriter(_bytes),
    "bytearray": TagWriter(_bytearray, nodes=TAG_NODES + 1),  # protocol 2 needs two calls for it
    "datetime": TagWriter(_datetime, nodes=OBJECT_NODES),
    "date": TagWriter(_date, nodes=OBJECT_NODES),
    "time": TagWriter(_time, nodes=OBJECT_NODES),
    "timedelta": TagWriter(_timedelta, nodes=OBJECT_NODES),
    "decimal": TagWriter(_decimal, nodes=OBJECT_NODES),
    "uuid": TagWriter(_uuid, nodes=OBJECT_NODES),
    "complex": TagWriter(_complex, nodes=OBJECT_NODES),
    "float": TagWriter(_float),
    "int": TagWriter(_int),
    "markup": TagWriter(_markup, nodes=OBJECT_NODES),
}
