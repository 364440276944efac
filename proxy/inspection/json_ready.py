"""Says why a value would not survive `stored = "json"`: JSON has no types of Python. Pure."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from proxy.codec import json_storage
from proxy.codec.nodes import TAGS

_MOST: Final = 3
"""Obstacles that are named."""

_Place = tuple[Any, str | int] | None
"""The place above, and the name or number in it."""


def obstacles(payload: bytes) -> list[str]:
    """The parts of a tagged JSON payload that JSON cannot store, each with its place. Empty: the value survives.

    Of each tag only the first place is named. At most a few tags are named.
    """
    found: dict[str, _Place] = {}
    for tag, place in _tags(msgspec.json.decode(payload)):
        found.setdefault(tag, place)
    named = [f"{tag} at {_spelt(place)}" for tag, place in list(found.items())[:_MOST]]
    return [*named, f"{len(found) - _MOST} more"] if len(found) > _MOST else named


def _tags(tree: Any) -> Iterator[tuple[str, _Place]]:
    """The outermost tags that JSON cannot store, in order. A tag may be followed by the name of a class."""
    todo: list[tuple[Any, _Place]] = [(tree, None)]
    while todo:
        value, place = todo.pop()
        if type(value) is list:
            todo += reversed([(item, (place, at)) for at, item in enumerate(value)])
        elif type(value) is dict:
            tag = next(iter(value)) if len(value) == 1 else ""
            meant = json_storage.held(tag, value[tag]) if tag in TAGS else value
            if meant is None:
                yield _described(tag, value[tag]), place
            elif type(meant) is dict:
                todo += reversed([(item, (place, name)) for name, item in meant.items()])


def _described(tag: str, content: Any) -> str:
    if tag == "py/instance":
        return f"{tag} of {content['class']}"
    return f"{tag} of {content}" if tag == "py/global" else tag


def _spelt(place: _Place) -> str:
    parts: list[str] = []
    while place is not None:
        place, part = place
        parts.append(f"[{part}]" if type(part) is int else f".{part}")
    return "$" + "".join(reversed(parts))
