"""Stored values that real stacks wrote, and hostile pickles, as the tests use them."""

import json
import pickle
from pathlib import Path
from typing import Any, NamedTuple

from proxy.codec import CodecLimits, Options, Transcoder

DATA = Path(__file__).parent.parent / "data"
EVERY_TAG = ("data", "markup", "response")
FORMATS = ("json", "msgpack")


class Vector(NamedTuple):
    """One value as one stack stored it."""

    stack: str
    name: str
    stored: bytes
    kind: str
    """The name of its type."""
    text: str
    """Its repr."""


class Hostile(NamedTuple):
    """A pickle made by hand."""

    name: str
    verdict: str
    """`reject`, `ok`, or `any`: whatever the reader likes."""
    stored: bytes


def _vectors() -> list[Vector]:
    stacks = json.loads((DATA / "stored_values.json").read_text())
    return [
        Vector(stack, name, bytes.fromhex(value["hex"]), *value["python"].split(" ", 1))
        for stack, content in stacks.items()
        for name, value in content["values"].items()
    ]


def _hostile() -> list[Hostile]:
    samples = json.loads((DATA / "hostile_pickles.json").read_text())
    return [Hostile(name, sample["class"], b"!" + bytes.fromhex(sample["hex"])) for name, sample in samples.items()]


VECTORS = _vectors()
HOSTILE = _hostile()


def transcoder(
    payload: str = "json",
    protocol: int = 4,
    accept_tags: tuple[str, ...] = EVERY_TAG,
    limits: CodecLimits | None = None,
    **more: Any,
) -> Transcoder:
    """With every tag accepted."""
    return Transcoder(
        Options(
            payload=payload,
            pickle_protocol=protocol,
            accept_tags=accept_tags,
            limits=limits or CodecLimits(),
            **more,
        )
    )


def encode(given: Any, **options: Any) -> Any:
    """What the app loads."""
    raw = given if isinstance(given, bytes) else json.dumps(given).encode()
    stored = transcoder(**options).encode(raw)
    return pickle.loads(stored[1:]) if stored.startswith(b"!") else int(stored)
