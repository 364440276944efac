"""Stored values that real stacks wrote, and hostile pickles, as the tests use them."""

import json
import pickle
from pathlib import Path
from typing import Any, NamedTuple

from proxy.codec import CodecLimits, Options, Transcoder

DATA = Path(__file__).parent.parent / "data"
EVERY_TAG = ("data", "markup", "response", "zoned")
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
    """`reject`, `ok`, or `any`: the reader may do either."""
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


def _real_values() -> dict[str, dict[str, dict[str, Any]]]:
    values: dict[str, dict[str, dict[str, Any]]] = json.loads((DATA / "real_values.json").read_text())
    return values


VECTORS = _vectors()
_STORED = _real_values()
_ARRAYS = ("numpy", "pandas")
REAL_VALUES = {library: vectors for library, vectors in _STORED.items() if not library.startswith(_ARRAYS)}
REAL_ARRAYS = {
    library: {name: vector for name, vector in vectors.items() if "tagged" in vector}
    for library, vectors in _STORED.items()
    if library.startswith(_ARRAYS)
}
"""Arrays and frames."""
UNDECODABLE = {
    f"{library} {name}": vector
    for library, vectors in _STORED.items()
    for name, vector in vectors.items()
    if "tagged" not in vector
}
"""Structured arrays and decimals of Arrow: the reason stands in the place of what is read."""
"""Library and version, then name and protocol, then the value: see test_real_values."""
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
    """The value that the app loads."""
    raw = given if isinstance(given, bytes) else json.dumps(given).encode()
    stored = transcoder(**options).encode(raw)
    return pickle.loads(stored[1:]) if stored.startswith(b"!") else int(stored)
