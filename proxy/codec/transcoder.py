"""Payload <-> stored value, with the options of one rule. Bytes in, bytes out.

If the native engine runs, it tries first. The reference (the code below) handles all values that the native engine does
not, and makes the error for every payload that cannot be encoded.
"""

import pickle
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from proxy.codec import envelope, json_storage
from proxy.codec.errors import PayloadError, UndecodableError
from proxy.codec.glob import name_matcher
from proxy.codec.limits import CodecLimits
from proxy.codec.payload import budgets, formats, json_payload, msgpack_payload, presenter, written_places
from proxy.codec.payload.plain_presenter import PlainPresenter, UtcPresenter
from proxy.codec.payload.views import View
from proxy.codec.pickler import tags
from proxy.codec.pickler.pickler import Pickler
from proxy.engine import ENGINE, Engine

_FORMATS: Final[dict[str, tuple[Any, formats.Format]]] = {
    "json": (json_payload, formats.JSON),
    "msgpack": (msgpack_payload, formats.MSGPACK),
}


class Options(NamedTuple):
    """Options of one rule and one listener. Plain data, so they can be sent to another process."""

    payload: str = "json"
    """`json` or `msgpack`."""
    pickle_protocol: int = 4
    """2 to 5."""
    accept_tags: tuple[str, ...] = ("data",)
    """Tags that writers may use, without their `py/`. `data` is all tags except markup, response and zoned."""
    big_ints: str = "number"
    """`number` or `tagged`: the form in which clients read ints beyond 2^53."""
    types: str = "tagged"
    """`tagged` (lossless) or `plain` (natural types, reads only)."""
    read_classes: tuple[str, ...] = ("*",)
    """Globs on the dotted names of classes and functions that may be read. Classes with a tag are always read."""
    view: str | None = None
    """The Content-Type of written views, if values are cached views; None: the payload is the value."""
    limits: CodecLimits = CodecLimits()
    stored: str = "flask"
    """The format of stored values: `flask`, `pickle`, `django` or `json` (`proxy.codec.envelope`)."""
    naive: str = ""
    """`utc`: with plain types, datetimes without a zone get a Z. Empty: they do not."""
    limits_of_rule: tuple[str, ...] = ()
    """The names of the limits that the rule itself sets. Errors name these as settings of the rule."""

    def check(self) -> None:
        """Raise ValueError for an option that does not exist."""
        for name, value, allowed in (
            ("payload", self.payload, tuple(_FORMATS)),
            ("pickle_protocol", self.pickle_protocol, (2, 3, 4, 5)),
            ("big_ints", self.big_ints, ("number", "tagged")),
            ("types", self.types, ("tagged", "plain")),
            ("stored", self.stored, tuple(envelope.STORAGES)),
            ("naive", self.naive, ("", "utc")),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
        unknown = {*self.accept_tags} - tags.NAMES - {"data"}
        if isinstance(self.accept_tags, str) or unknown:
            raise ValueError(f"accept_tags must be a tuple of tags without their py/, got {self.accept_tags!r}")
        if self.view is not None and not (self.view.strip() and tags.is_header_value(self.view)):
            raise ValueError(f"view must be a Content-Type in Latin-1 without control characters, got {self.view!r}")
        if self.view is not None and self.stored != "flask":
            raise ValueError(f"view goes with stored = 'flask' only, got {self.stored!r}")
        if isinstance(self.read_classes, str) or not all(type(glob) is str and glob for glob in self.read_classes):
            raise ValueError(f"read_classes must be a tuple of globs, got {self.read_classes!r}")


class Counted(Protocol):
    """A number that grows."""

    count: int


class Meter(NamedTuple):
    """Counts the values of one direction."""

    values: Counted
    observe: Callable[[float], None]
    """Takes the seconds that one value took."""


class _Nobody:
    """A number that nobody reads."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Transcoder:
    """Encodes and decodes with one set of options. It keeps no state between calls."""

    __slots__ = (
        "_format",
        "_native",
        "_presenter",
        "_reads",
        "_storage",
        "_tags",
        "_target",
        "_view",
        "decoding",
        "encoding",
        "options",
    )

    def __init__(self, options: Options, engine: Engine = ENGINE) -> None:
        """`engine` has the hot functions. Raises ValueError for options that do not exist."""
        options.check()
        self.options = options
        self.encoding, self.decoding = (Meter(_Nobody(), lambda _: None) for _ in range(2))
        self._native = _native_codec(engine, options)
        self._format, target = _FORMATS[options.payload]
        self._target = formats.with_safe_integers(target) if options.big_ints == "tagged" else target
        self._tags = tags.accepted(options.accept_tags)
        self._reads = name_matcher(options.read_classes)
        self._presenter = _presenter(options)
        self._storage = envelope.STORAGES[options.stored]
        self._view = None if options.view is None else View(options.payload, options.view, options.limits, self._reads)

    def encode(self, payload: bytes) -> bytes:
        """The stored value of a payload. Raises only PayloadError."""
        try:
            if self._native is not None:
                stored_value: bytes | None = self._native.encode(payload)
                if stored_value is not None:
                    return stored_value
            return self._encode(payload)
        except PayloadError as error:
            raise error.named(self.options.limits_of_rule) from None

    def _encode(self, payload: bytes) -> bytes:
        value = self._value(payload)
        if len(value) > self.options.limits.decoded_bytes:  # protocol 2 writes a byte beyond ASCII as two
            raise PayloadError(
                f"the value would take {len(value)} bytes, which could not be read again ([limits] decoded_bytes)",
                "decoded_bytes",
            )
        return value

    def _value(self, payload: bytes) -> bytes:
        limits = self.options.limits
        if len(payload) > limits.payload_bytes:
            raise PayloadError(
                f"a payload of {len(payload)} bytes is over the limit of {limits.payload_bytes}"
                " ([limits] payload_bytes)",
                "payload_bytes",
            )
        if self._view is not None:
            return envelope.PICKLE_MARK + self._view.pickled(payload, self.options.pickle_protocol)
        tagged = bool(self._tags) and self._format.may_have_tags(payload)
        tree, keyed = self._format.read(payload, limits)
        try:
            return self._stored(payload, tree, keyed, tagged)
        except PayloadError as error:
            place = None if error.part is None else written_places.place_of(tree, error.part)
            if place is None:
                raise
            raise error.at(place) from None

    def _stored(self, payload: bytes, tree: Any, keyed: bool, tagged: bool) -> bytes:
        """The stored value of a payload's tree. Raises PayloadError, with the part that is wrong."""
        limits = self.options.limits
        if self._storage.is_json:
            return self._as_json(payload, tree, keyed)
        number = tags.top_level_int(tree, self._tags) if self._storage.has_digits else None
        if number is not None:
            return envelope.write_int(number)
        mark, protocol = self._storage.mark, self.options.pickle_protocol
        if not keyed and not tagged:
            # For natural types, CPython's own pickler writes the right bytes, and it is the fastest.
            self._check_tree(payload, tree)
            try:
                return mark + pickle.dumps(tree, protocol)
            except RecursionError:
                pass  # its limit is about 300 levels; ours is in the configuration
        return mark + Pickler(protocol, self._tags, limits).dumps(tree)

    def _as_json(self, payload: bytes, tree: Any, keyed: bool) -> bytes:
        if keyed:
            raise PayloadError('a map with keys other than strings cannot be JSON (stored = "json")')
        self._check_tree(payload, tree)
        return json_storage.write(tree, self._tags)

    def _check_tree(self, payload: bytes, tree: Any) -> None:
        """Check depth and nodes. (The nodes of JSON have been counted before.) Raises PayloadError."""
        limits = self.options.limits
        if self._format is not json_payload or not json_payload.is_shallow(payload, limits.depth):
            budgets.check_tree(tree, limits, PayloadError, self._format.weigh)

    def decode(self, value: bytes) -> bytes:
        """The payload of a stored value. Raises only UndecodableError."""
        try:
            if self._native is not None:
                native_payload: bytes | None = self._native.decode(value)
                if native_payload is not None:
                    return native_payload
            return self._decode(value)
        except UndecodableError as error:
            raise error.named(self.options.limits_of_rule) from None

    def _decode(self, value: bytes) -> bytes:
        limits = self.options.limits
        if len(value) > limits.decoded_bytes:
            raise UndecodableError(
                f"a stored value of {len(value)} bytes is over the limit of {limits.decoded_bytes}"
                " ([limits] decoded_bytes)",
                "decoded_bytes",
            )
        reading = self._storage.read(value, limits)
        payload = self._present(value, reading) if self._view is None else self._view.payload(reading.root)
        if len(payload) > limits.decoded_bytes:
            raise budgets.too_large(limits)
        return payload

    @property
    def codec(self) -> Any:
        """The native codec, for small values. Without the native engine, the transcoder itself. None: neither."""
        return self if self._native is None else self._native

    def _present(self, value: bytes, reading: envelope.Reading) -> bytes:
        limits = self.options.limits
        fits = not reading.binary or (self._target.bytes and self.options.types == "tagged")
        if reading.natural and reading.tree and fits and self._target in (formats.JSON, formats.MSGPACK):
            budgets.check_tree(reading.root, limits)
            if self._format is json_payload and _may_outgrow(value, reading, limits):
                budgets.check_text(reading.root, limits)
            try:
                return self._write(reading.root)
            except OverflowError:
                pass  # msgpack has no int beyond 64 bits: the code below writes it with a tag
        text_fits = reading.tree and reading.text_bytes * json_payload.MOST_BYTES_FOR_ONE <= limits.decoded_bytes
        shown = self._presenter(self._target, limits, text_fits, self._reads)
        return self._write(shown.present(reading.root, reading.tree, reading.objects))

    def _write(self, tree: Any) -> bytes:
        """The payload of a tree. Raises UndecodableError, and OverflowError like the format's `write`."""
        try:
            payload: bytes = self._format.write(tree)
        except (RecursionError, ValueError):  # a level of a set or dict is two or three levels of the payload
            raise UndecodableError("nested too deep for a payload") from None
        return payload


def _native_codec(engine: Engine, options: Options) -> Any:
    limits = options.limits
    return engine.codec(
        UndecodableError,
        payload=options.payload,
        types=options.types,
        big_ints=options.big_ints,
        pickle_protocol=options.pickle_protocol,
        accept_tags=options.accept_tags,
        read_classes=options.read_classes,
        view=options.view,
        stored=options.stored,
        naive_is_utc=options.naive == "utc",
        limits=(limits.payload_bytes, limits.decoded_bytes, limits.depth, limits.nodes),
    )


def _presenter(options: Options) -> type[presenter.Presenter]:
    if options.types != "plain":
        return presenter.Presenter
    return UtcPresenter if options.naive == "utc" else PlainPresenter


def _may_outgrow(value: bytes, reading: envelope.Reading, limits: CodecLimits) -> bool:
    """Whether JSON's escapes may make the payload larger than its limit."""
    if reading.text_bytes * json_payload.MOST_BYTES_FOR_ONE <= limits.decoded_bytes:
        return False
    escaped = len(value) - len(value.translate(None, json_payload.ESCAPED))
    return reading.text_bytes + 5 * (escaped + reading.repeated_bytes) > limits.decoded_bytes
