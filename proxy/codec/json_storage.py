"""`stored = "json"`: values as JSON, as Flask-Caching 2.5 stores them with its JSONSerializer (cachelib 0.17).

Reader and writer are strict (RFC 8259). Python's `json.dumps` may also write NaN and lone surrogates, which are
undecodable. JSON has no types of Python, so tags are errors for a writer. Two are not, because readers get them of
values that JSON can hold: the escape of an object that looks like a tag, and an int beyond 2^53.
"""

import re
from collections.abc import Collection
from typing import Any, Final

from proxy.codec.errors import PayloadError, UndecodableError
from proxy.codec.limits import MAX_INT_DIGITS, CodecLimits
from proxy.codec.nodes import RESERVED, Node
from proxy.codec.payload import json_payload, mistakes
from proxy.codec.payload.formats import SAFE_INTEGER

_LARGE: Final = re.compile(rf"-?[1-9][0-9]{{15,{MAX_INT_DIGITS - 2}}}")
"""An int as a reader gets it in `py/int`. With its sign it has as many characters as a number in JSON."""


def read(stored: bytes, limits: CodecLimits) -> Node:
    """The tree of a stored value, without a check of its depth. Raises UndecodableError."""
    try:
        tree, _ = json_payload.read(stored, limits)
    except PayloadError as error:
        text, _, _ = str(error).replace("the payload", "the value", 1).partition(";")  # hints for writers
        text = text.replace(mistakes.EMPTY, "it is empty")
        raise UndecodableError(text, error.limit) from None
    return tree


def write(tree: Any, tags: Collection[str]) -> bytes:
    """The stored value of a payload's tree, which may be changed. `tags`: keys that are tags. Raises PayloadError."""
    json_payload.check_natural(tree, 'stored = "json"')
    return json_payload.write(_untagged(tree, tags) if tags else tree)


def held(tag: str, content: Any) -> dict[str, Any] | int | None:
    """The value that JSON can hold and that readers get in a tag: the escaped object, the large int. None: another."""
    if tag == "py/dict" and type(content) is list and len(content) == 1:
        pair = content[0]
        if type(pair) is list and len(pair) == 2 and type(pair[0]) is str and pair[0].startswith(RESERVED):
            return {pair[0]: pair[1]}
    if tag == "py/int" and type(content) is str and _LARGE.fullmatch(content) and abs(int(content)) > SAFE_INTEGER:
        return int(content)
    return None


def _untagged(tree: Any, tags: Collection[str]) -> Any:
    """The tree without the tags that readers get. Raises PayloadError for others, before the tree is changed."""
    holder = [tree]
    todo: list[Any] = [holder]
    changes: list[tuple[Any, Any, Any]] = []
    while todo:
        value = todo.pop()
        for at, part in enumerate(value) if type(value) is list else value.items():
            meant = _meant(part, tags) if type(part) is dict and len(part) == 1 else part
            if meant is not part:
                changes.append((value, at, meant))
            if type(meant) is dict or type(meant) is list:
                todo.append(meant)
    for value, at, meant in changes:
        value[at] = meant
    return holder[0]


def _meant(part: dict[str, Any], tags: Collection[str]) -> Any:
    """The value that an object with one key stands for: what a reader's tag holds, or the object itself."""
    ((name, content),) = part.items()
    if not name.startswith(RESERVED):
        return part
    meant = held(name, content)
    if meant is not None:
        return meant
    error = PayloadError(
        f'the tag {name} cannot be stored: stored = "json" keeps the types of JSON only;'
        " with accept_tags = [] in the rule every object is plain data"
        if name in tags
        else f"an object whose only key begins with {RESERVED} has a tag, and this key is not one; "
        'to write the object as it is, escape it as {"py/dict": [[key, value]]}'
    )
    error.part = part
    raise error
