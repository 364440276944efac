"""Payload <-> stored value, as one rule wants it. Bytes in, bytes out.

The native engine comes first, where it runs; what it does not handle, and every error of a writer's, is left to the
reference, which is all that follows.
"""

import pickle
from types import ModuleType
from typing import Any, Final, NamedTuple

from proxy import engine
from proxy.codec import json_payload, msgpack_payload, present, stored, tags
from proxy.codec.errors import PayloadError, UndecodableError
from proxy.codec.limits import CodecLimits
from proxy.codec.pickling import Pickler
from proxy.codec.plain import PlainPresenter
from proxy.codec.views import View

_FORMATS: Final[dict[str, tuple[Any, present.Format]]] = {
    "json": (json_payload, present.JSON),
    "msgpack": (msgpack_payload, present.MSGPACK),
}


class Options(NamedTuple):
    """What one rule and one listener make of a value; plain data, so that it can cross to another process."""

    payload: str = "json"
    """`json` or `msgpack`."""
    pickle_protocol: int = 4
    """2 to 5."""
    accept_tags: tuple[str, ...] = ("data",)
    """Tags that writers may use, without their `py/`; `data` is all but markup and response."""
    big_ints: str = "number"
    """`number` or `tagged`: how ints beyond 2^53 read."""
    types: str = "tagged"
    """`tagged` (lossless) or `plain` (natural types, reads only)."""
    view: str | None = None
    """The Content-Type of what is written, where values are cached views; None: the payload is the value."""
    limits: CodecLimits = CodecLimits()

    def check(self) -> None:
        """Raises ValueError for what is none of the above."""
        for name, value, allowed in (
            ("payload", self.payload, tuple(_FORMATS)),
            ("pickle_protocol", self.pickle_protocol, (2, 3, 4, 5)),
            ("big_ints", self.big_ints, ("number", "tagged")),
            ("types", self.types, ("tagged", "plain")),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
        unknown = {*self.accept_tags} - tags.NAMES - {"data"}
        if isinstance(self.accept_tags, str) or unknown:
            raise ValueError(f"accept_tags must be a tuple of tags without their py/, got {self.accept_tags!r}")


class Transcoder:
    """Encodes and decodes under one set of options. It keeps nothing between calls."""

    __slots__ = ("_format", "_native", "_presenter", "_tags", "_target", "_view", "options")

    def __init__(self, options: Options, native: ModuleType | None = engine.NATIVE) -> None:
        """`native`: the native engine; None: the reference alone. Raises ValueError for options that do not exist."""
        options.check()
        self.options = options
        self._native: Any = None if native is None else _native_codec(native, options)
        self._format, target = _FORMATS[options.payload]
        self._target = present.with_safe_integers(target) if options.big_ints == "tagged" else target
        self._tags = tags.accepted(options.accept_tags)
        self._presenter = PlainPresenter if options.types == "plain" else present.Presenter
        self._view = None if options.view is None else View(options.payload, options.view, options.limits)

    def encode(self, payload: bytes) -> bytes:
        """The stored value of a payload. Raises PayloadError, and nothing else."""
        if self._native is not None:
            stored_value: bytes | None = self._native.encode(payload)
            if stored_value is not None:
                return stored_value
        value = self._encode(payload)
        if len(value) > self.options.limits.decoded_bytes:  # protocol 2 takes two bytes for one beyond ASCII
            raise PayloadError(
                f"the value would take {len(value)} bytes, which could not be read again ([limits] decoded_bytes)"
            )
        return value

    def _encode(self, payload: bytes) -> bytes:
        limits = self.options.limits
        if len(payload) > limits.payload_bytes:
            raise PayloadError(
                f"a payload of {len(payload)} bytes is over the limit of {limits.payload_bytes}"
                " ([limits] payload_bytes)"
            )
        if self._view is not None:
            return stored.PICKLE_MARK + self._view.pickled(payload, self.options.pickle_protocol)
        tagged = bool(self._tags) and self._format.may_have_tags(payload)
        tree, keyed = self._format.read(payload, limits)
        number = tags.top_level_int(tree, self._tags)
        if number is not None:
            return stored.write_int(number)
        protocol = self.options.pickle_protocol
        if not keyed and not tagged:
            # CPython's own pickler is the fastest, and right for what it knows.
            self._check_tree(payload, tree)
            try:
                return stored.PICKLE_MARK + pickle.dumps(tree, protocol)
            except RecursionError:
                pass  # its limit is some 300 levels, ours is configured
        return stored.PICKLE_MARK + Pickler(protocol, self._tags, limits).dumps(tree)

    def _check_tree(self, payload: bytes, tree: Any) -> None:
        """Depth and nodes; JSON's nodes have been counted. Raises PayloadError."""
        limits = self.options.limits
        if self._format is not json_payload or not json_payload.is_shallow(payload, limits.depth):
            present.check_tree(tree, limits, PayloadError, self._format.weigh)

    def decode(self, value: bytes) -> bytes:
        """The payload of a stored value. Raises UndecodableError, and nothing else."""
        if self._native is not None:
            native_payload: bytes | None = self._native.decode(value)
            if native_payload is not None:
                return native_payload
        limits = self.options.limits
        if len(value) > limits.decoded_bytes:
            raise UndecodableError(
                f"a stored value of {len(value)} bytes is over the limit of {limits.decoded_bytes}"
                " ([limits] decoded_bytes)"
            )
        reading = stored.read(value, limits)
        payload = self._present(value, reading) if self._view is None else self._view.payload(reading.root)
        if len(payload) > limits.decoded_bytes:
            raise UndecodableError(f"more than {limits.decoded_bytes} bytes ([limits] decoded_bytes)")
        return payload

    @property
    def takes_many(self) -> bool:
        """Whether `encode_some` and `decode_some` are worth a call."""
        return self._native is not None

    def encode_some(self, payloads: list[bytes], limit: int) -> list[bytes]:
        """As `encode`, of as many of the first as the native engine does at once; none, where it does not run.

        It stops where there is something to say, and before the bytes of more than `limit`.
        """
        return [] if self._native is None else self._native.encode_some(payloads, limit)

    def decode_some(self, values: list[bytes], limit: int) -> list[bytes]:
        """Likewise for `decode`; `limit` counts what the values become, too."""
        return [] if self._native is None else self._native.decode_some(values, limit)

    def _present(self, value: bytes, reading: stored.Reading) -> bytes:
        limits = self.options.limits
        fits = not reading.binary or (self._target.bytes and self.options.types == "tagged")
        if reading.natural and reading.tree and fits and self._target in (present.JSON, present.MSGPACK):
            present.check_tree(reading.root, limits)
            if self._format is json_payload and _may_outgrow(value, reading, limits):
                present.check_text(reading.root, limits)
            try:
                return self._write(reading.root)
            except OverflowError:
                pass  # msgpack has no int beyond 64 bits: it gets its tag below
        text_fits = reading.tree and reading.text_bytes * json_payload.MOST_BYTES_FOR_ONE <= limits.decoded_bytes
        return self._write(self._presenter(self._target, limits, text_fits).present(reading.root))

    def _write(self, tree: Any) -> bytes:
        """The tree's payload. Raises UndecodableError, and OverflowError as the format's `write` does."""
        try:
            payload: bytes = self._format.write(tree)
        except (RecursionError, ValueError):  # a level of a set or dict takes two or three in the payload
            raise UndecodableError("nested too deep for a payload") from None
        return payload


def _native_codec(native: ModuleType, options: Options) -> Any:
    limits = options.limits
    return native.Codec(
        UndecodableError,
        payload=options.payload,
        types=options.types,
        big_ints=options.big_ints,
        pickle_protocol=options.pickle_protocol,
        accept_tags=options.accept_tags,
        view=options.view,
        limits=(limits.payload_bytes, limits.decoded_bytes, limits.depth, limits.nodes),
    )


def _may_outgrow(value: bytes, reading: stored.Reading, limits: CodecLimits) -> bool:
    """Whether JSON's escapes may make the payload larger than its limit."""
    if reading.text_bytes * json_payload.MOST_BYTES_FOR_ONE <= limits.decoded_bytes:
        return False
    escaped = len(value) - len(value.translate(None, json_payload.ESCAPED))
    return reading.text_bytes + 5 * (escaped + reading.repeated_bytes) > limits.decoded_bytes
