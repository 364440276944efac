"""One set of options for both engines, and what each makes of a value."""

import random
from itertools import product
from typing import NamedTuple

from proxy import _native
from proxy.codec import CodecError, CodecLimits, Options, Transcoder
from proxy.engine import REFERENCE, Engine

SMALL = CodecLimits(payload_bytes=1 << 20, decoded_bytes=1 << 18, nodes=5000)
TIGHT = CodecLimits(payload_bytes=5000, decoded_bytes=3000, nodes=200, depth=5)
TINY = CodecLimits(payload_bytes=300, decoded_bytes=400, nodes=30, depth=3)
LIMITS = (CodecLimits(), SMALL, TIGHT, TINY)
ACCEPTED = ((), ("data",), ("data", "markup", "response"), ("markup",), ("datetime", "tuple", "int"))


class Pair(NamedTuple):
    """Both engines under the same options."""

    options: Options
    reference: Transcoder
    native: Transcoder


def pair(options: Options) -> Pair:
    return Pair(options, Transcoder(options, engine=REFERENCE), Transcoder(options, engine=Engine(_native)))


WRITERS = [
    pair(Options(payload=payload, pickle_protocol=protocol, accept_tags=tags, limits=limits))
    for payload, protocol, tags, limits in product(("json", "msgpack"), (2, 3, 4, 5), ACCEPTED, LIMITS)
]
WRITERS += [
    pair(Options(payload=payload, pickle_protocol=protocol, view=view, limits=limits))
    for payload, protocol, view, limits in product(("json", "msgpack"), (2, 4), ("application/json", "text/x"), LIMITS)
]
WRITERS += [
    pair(Options(payload=payload, pickle_protocol=protocol, accept_tags=tags, limits=limits, stored=stored))
    for payload, stored, protocol, tags, limits in product(
        ("json", "msgpack"), ("pickle", "django", "json"), (2, 4), ACCEPTED[:2], LIMITS
    )
]
READERS = [
    pair(Options(payload=payload, types=types, big_ints=big_ints, limits=limits, view=view))
    for payload, types, big_ints, limits in product(
        ("json", "msgpack"), ("tagged", "plain"), ("number", "tagged"), LIMITS
    )
    for view in (None, *(("application/json", "text/html") if (types, big_ints) == ("tagged", "number") else ()))
]
READERS += [
    pair(Options(payload=payload, types=types, limits=limits, stored=stored, naive="utc"))
    for payload, types, limits, stored in product(
        ("json", "msgpack"), ("tagged", "plain"), LIMITS, ("flask", "pickle", "django", "json")
    )
]


def native_codec(pair: Pair) -> _native.Codec:
    """The native half alone: what it leaves to the reference is None."""
    codec: _native.Codec = pair.native._native
    return codec


def as_stored(pair: Pair, stored: bytes) -> bytes:
    """Flask's bytes, as the rule of a pair stores the same pickle."""
    return stored if pair.options.stored == "flask" else stored.removeprefix(b"!")


def some(rng: random.Random, pairs: list[Pair], payload: str = "") -> list[Pair]:
    """A few of them."""
    return rng.sample([each for each in pairs if payload in ("", each.options.payload)], 5)


def outcome(transcoder: Transcoder, value: bytes, encode: bool) -> bytes | type[CodecError]:
    """The bytes, or the class of the error. Anything else that is raised fails the test."""
    try:
        return transcoder.encode(value) if encode else transcoder.decode(value)
    except CodecError as error:
        return type(error)
