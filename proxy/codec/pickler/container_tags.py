"""Writers for the tags of containers.

Every writer raises PayloadError, with the name of the tag, for content that the tag cannot hold.
"""

import sys
from typing import Any, Final

from proxy.codec.limits import TAG_NODES
from proxy.codec.pickler import contents, hash_cost
from proxy.codec.pickler.pickler import Pickler, Plan, Table, TagWriter

_FACTORIES: Final = frozenset({"list", "dict", "set", "int", "float", "str", "bool", "tuple", "frozenset"})
"""Factories of a defaultdict. Each only creates an empty value."""
_DEFAULTDICT: Final = f'{{"factory": "list", "dict": {{...}}}}; the factory is {", ".join(sorted(_FACTORIES))} or null'
_DEQUE: Final = '{"items": [...], "maxlen": null}; maxlen is null, or an integer not less than the number of items'
_MEMBER_NODES: Final = 1
"""Nodes for each named part of a tag's content. The parts inside count when they are written."""


def _list_of_pairs(content: Any, tag: str) -> list[list[Any]]:
    pairs = contents.items(content, tag)
    if any(type(pair) is not list or len(pair) != 2 for pair in pairs):
        raise contents.bad(tag, "an array of [key, value] pairs")
    return pairs


def _tuple(pickler: Pickler, content: Any, tag: str) -> Plan:
    return pickler.tuple_plan(contents.items(content, tag))


def _members(items: list[Any], opening: bytes, closing: bytes, kind: int | None) -> Plan:
    return Plan(opening, items, closing, kind, hashed=True) if items else Plan(opening + closing, kind=kind)


def _set(pickler: Pickler, content: Any, tag: str) -> Plan:
    if pickler.protocol >= 4:
        return _members(contents.items(content, tag), b"\x8f(", b"\x90", None)
    return _members(contents.items(content, tag), pickler.symbol("builtins", "set") + b"](", b"e\x85R", None)


def _frozenset(pickler: Pickler, content: Any, tag: str) -> Plan:
    kind = hash_cost.FROZENSET
    if pickler.protocol >= 4:
        return _members(contents.items(content, tag), b"(", b"\x91", kind)
    return _members(contents.items(content, tag), pickler.symbol("builtins", "frozenset") + b"](", b"e\x85R", kind)


def _dict(pickler: Pickler, content: Any, tag: str) -> Plan:
    return pickler.pairs_plan(_list_of_pairs(content, tag))


def _ordered_dict(pickler: Pickler, content: Any, tag: str) -> Plan:
    empty = pickler.symbol("collections", "OrderedDict") + b")R"
    return pickler.pairs_plan(_list_of_pairs(content, tag), Table(empty, times=hash_cost.ORDERED))


def _entries(pickler: Pickler, content: Any, tag: str, table: Table) -> Plan:
    """The entries of a kind of dict: an object or a `py/dict`, even where a rule does not accept `py/dict` itself."""
    if type(content) is dict and list(content) == ["py/dict"]:
        pickler.count(TAG_NODES)
        return pickler.pairs_plan(_list_of_pairs(content["py/dict"], "py/dict"), table)
    if type(content) is not dict or pickler.tag_of(content) is not None:
        raise contents.bad(tag, "an object or a py/dict")
    return pickler.object_plan(content, table)


def _counter(pickler: Pickler, content: Any, tag: str) -> Plan:
    """Counter(dict), as CPython pickles it."""
    empty = pickler.symbol("collections", "Counter") + b"}"
    return _entries(pickler, content, tag, Table(empty, b"\x85R", hash_cost.COUNTED))


def _defaultdict(pickler: Pickler, content: Any, tag: str) -> Plan:
    if type(content) is not dict or set(content) != {"factory", "dict"}:
        raise contents.bad(tag, _DEFAULTDICT)
    factory = content["factory"]
    if factory is not None and (type(factory) is not str or factory not in _FACTORIES):
        raise contents.bad(tag, _DEFAULTDICT)
    empty = pickler.symbol("collections", "defaultdict")
    empty += b")R" if factory is None else pickler.symbol("builtins", factory) + b"\x85R"
    return _entries(pickler, content["dict"], tag, Table(empty))


def _deque(pickler: Pickler, content: Any, tag: str) -> Plan:
    if type(content) is not dict or set(content) != {"items", "maxlen"} or type(content["items"]) is not list:
        raise contents.bad(tag, _DEQUE)
    items, most = content["items"], content["maxlen"]
    if type(most) is dict and list(most) == ["py/int"]:
        most = contents.integer(most["py/int"], "py/int")
    if most is not None and not (type(most) is int and len(items) <= most <= sys.maxsize):
        raise contents.bad(tag, _DEQUE)
    empty = pickler.symbol("collections", "deque")
    empty += b")R" if most is None else b")" + pickler.integer(most) + b"\x86R"
    return Plan(empty + b"(", items, b"e") if items else Plan(empty)


WRITERS: Final = {
    "tuple": TagWriter(_tuple),
    "set": TagWriter(_set),
    "frozenset": TagWriter(_frozenset),
    "dict": TagWriter(_dict),
    "ordereddict": TagWriter(_ordered_dict),
    "counter": TagWriter(_counter),
    "defaultdict": TagWriter(_defaultdict, nodes=TAG_NODES + 2 * _MEMBER_NODES),
    "deque": TagWriter(_deque, nodes=TAG_NODES + 2 * _MEMBER_NODES),
}
