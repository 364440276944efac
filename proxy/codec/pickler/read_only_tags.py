"""Tags of values that can be read but never written.

If a writer could choose the class of an object, the app would run code of the writer's choice when it loads the object.
"""

from typing import Any, Final

from proxy.codec.errors import ReadOnlyError, with_article
from proxy.codec.nodes import READ_ONLY_TAGS, TAGS
from proxy.codec.pickler import hash_cost
from proxy.codec.pickler.pickler import Pickler, Plan, TagWriter
from proxy.codec.unpickle.names import printable


def _refused(_pickler: Pickler, content: Any, tag: str) -> Plan:
    raise ReadOnlyError(
        _described(content, tag),
        f'to write an object with that one key as it is, escape it as {{"py/dict": [["{tag}", ...]]}}',
    )


def _described(content: Any, tag: str) -> str:
    """The value in words, for an error text."""
    if tag == "py/global" and type(content) is str:
        return f"the class or function {printable(content)}"
    named = content.get("class") if tag == "py/instance" and type(content) is dict else None
    return with_article(printable(named)) if type(named) is str and named else f"a {tag}"


def _instance(_pickler: Pickler, content: Any, _tag: str) -> Plan:
    """The pair of class and value. Python hashes the stand-in as such a pair, or by the text of the pair."""
    kind = hash_cost.TUPLE if _is_hashable(content["value"]) else hash_cost.RAW
    return Plan(b"", [content["class"], content["value"]], b"\x86", kind)


def _is_hashable(tree: Any) -> bool:
    """Whether the Python value of a tree has a hash. It does not look into stand-ins, which always have one."""
    if type(tree) is not dict:
        return type(tree) is not list
    if len(tree) != 1:
        return False
    ((tag, content),) = tree.items()
    if tag == "py/tuple":
        return all(map(_is_hashable, content))
    return type(tag) is str and tag in TAGS and tag not in _UNHASHABLE


_UNHASHABLE: Final = frozenset(
    {
        *("py/bytearray", "py/counter", "py/defaultdict", "py/deque", "py/dict", "py/ordereddict"),
        *("py/response", "py/set"),
    }
)


def _name(_pickler: Pickler, content: Any, _tag: str) -> Plan:
    return Plan(b"", [content], b"\x85", hash_cost.TUPLE)


def _scalar(_pickler: Pickler, content: Any, _tag: str) -> Plan:
    """A scalar of numpy or a Timestamp: a pair, or one text."""
    parts = list(content.values()) if type(content) is dict else [content]
    return Plan(b"", parts, b"\x85" if len(parts) == 1 else b"\x86", hash_cost.TUPLE)


def _unhashable(pickler: Pickler, content: Any, _tag: str) -> Plan:
    """An array or a frame."""
    return pickler.object_plan(content)


REFUSED: Final = dict.fromkeys(READ_ONLY_TAGS, TagWriter(_refused))
"""Writers that raise PayloadError, by tag with `py/`."""

STAND_INS: Final = {
    "py/instance": TagWriter(_instance),
    "py/global": TagWriter(_name),
    "py/cycle": TagWriter(_name),
    **dict.fromkeys(("py/numpy", "py/timestamp"), TagWriter(_scalar)),
    **dict.fromkeys(("py/ndarray", "py/series", "py/dataframe"), TagWriter(_unhashable)),
}
"""Writers for the stand-ins of `python_values`. They only check that Python can hash them; no pickle is stored."""
