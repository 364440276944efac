"""Responses of Flask and Werkzeug, their subclasses, and exceptions that hold a response, found by attributes."""

from collections.abc import Callable
from typing import Any, Final

from proxy.codec.nodes import Damaged, Instance, Node, OldBytes, Scalar
from proxy.codec.unpickle.known_classes import RESPONSES, UUID

_PIECES: Final = frozenset({bytes, str, OldBytes})
"""Types of the pieces of a body."""

_FEW: Final = 8
"""So many pieces of a body do not count as parts."""


def response(instance: Instance, count: Callable[[int], None]) -> Scalar | Damaged | None:
    """The `py/response` of an object; None: it is not a response.

    `count`: called with the number of parts before they are read.
    """
    if instance.symbol.text in RESPONSES:
        found = _response(instance.state, count)
        if found is None or instance.args or instance.is_called:
            return Damaged(instance.symbol)
        return found
    state = instance.state
    if type(state) is not dict:
        return None
    held = state.get("response")
    if type(held) is Instance and instance.is_called and not instance.args:  # werkzeug.exceptions.HTTPException
        return _response(held.state, count)
    return None if instance.is_called or instance.args else _response(state, count)


def is_known(instance: Instance) -> bool:
    """Whether every rule reads the class of an object: a UUID, or a response of Flask itself."""
    return instance.symbol.text in RESPONSES or instance.symbol.text == UUID


def _response(state: Node, count: Callable[[int], None]) -> Scalar | None:
    """A response, by its attributes; None: they are not those of a response."""
    if type(state) is not dict:
        return None
    parts: Node
    pairs, parts, status = _headers(state.get("headers")), state.get("response"), state.get("_status_code")
    if pairs is None or type(parts) not in (list, tuple) or type(status) is not int or not 100 <= status <= 999:
        return None
    count(len(pairs) + len(parts))
    if not all(map(_is_header, pairs)) or not _PIECES.issuperset(map(type, parts)):
        return None
    content: dict[str, Any] = {"status": status, "headers": [list(pair) for pair in pairs], "body": _body(parts)}
    return Scalar("py/response", content, len(pairs) + max(0, len(parts) - _FEW))


def _headers(node: Node) -> list[Node] | None:
    """The pairs of Werkzeug's Headers; None: another object."""
    if type(node) is not Instance or node.symbol.name != "Headers" or type(node.state) is not dict:
        return None
    pairs = node.state.get("_list")
    return pairs if type(pairs) is list else None


def _is_header(pair: Node) -> bool:
    return type(pair) is tuple and len(pair) == 2 and type(pair[0]) is type(pair[1]) is str


def _body(parts: list[Node] | tuple[Node, ...]) -> str | bytes:
    """The joined pieces of a body: str if they are UTF-8, else bytes."""
    body = b"".join(part.encode() if type(part) is str else part for part in parts)
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body
