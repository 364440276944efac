"""A key's entry in Redis, and its decoding by the rules. Pure."""

from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from proxy.codec import CodecLimits, Options, PayloadError, Transcoder, UndecodableError
from proxy.codec.envelope import STORAGES
from proxy.codec.errors import UncoveredError
from proxy.codec.nodes import READ_ONLY_TAGS, TAGS
from proxy.policy import LONGEST_KEY, OVERSIZE, Policy, Rule

EVERY_TAG: Final = ("data", "markup", "response", "zoned")
_KINDS: Final = {ord('"'): "str", ord("["): "list", ord("t"): "bool", ord("f"): "bool", ord("n"): "None"}
_READ_ONLY: Final = tuple(f'{{"{tag}":'.encode() for tag in READ_ONLY_TAGS)
_RARELY_REFUSED: Final = (b'{"py/cycle":', b'{"py/zoned":')
"""Tags that a writer may not use, or not with every content, although `read_classes` does not hide them.

In texts the quotes are escaped, so only tags are found."""
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Entry(NamedTuple):
    """A key of Redis and its value at one moment."""

    key: bytes
    type: str
    """The answer of TYPE. Caches write `string`."""
    size: int
    """The length of the string in bytes. 0 for other types."""
    ttl: int | None
    """Time to live in milliseconds. None: no expiry."""
    stored: bytes
    """The string. If it is over the limit, only its first bytes, one more than the limit."""


class Finding(NamedTuple):
    """A decoded entry."""

    entry: Entry
    rule: Rule | None
    """None: the key is not managed."""
    payload: bytes | None
    """Tagged JSON. None: the entry cannot be decoded, see `fault`."""
    fault: str
    """The reason why a client gets an error: another Redis type, or an error of the codec. Empty if there is no error.

    An entry may have both a payload and a fault, if it does not fit its rule: for example, it is not a view."""
    limit: str | None = None
    """If the fault is a limit, the name of the setting in `[limits]`."""
    is_unwritable: bool = False
    """True if the proxy reads the value, but never writes it. Only a reader without classes tells it."""

    @property
    def is_foreign(self) -> bool:
        """True if the proxy cannot have written the entry, under any limits."""
        return self.limit is None and (self.payload is None or self.payload.startswith(_READ_ONLY))

    @property
    def kind(self) -> str | None:
        """The value's type in Python. None if it is unknown."""
        return None if self.payload is None else kind_of(self.payload)


@lru_cache(maxsize=2 * len(STORAGES))
def lossless(
    limits: CodecLimits,
    stored: str = "flask",
    read_classes: tuple[str, ...] = ("*",),
    limits_of_rule: tuple[str, ...] = (),
) -> Transcoder:
    """A transcoder that keeps every type, independent of the rules. `stored`, `limits_of_rule`: as in a rule.

    Without `read_classes` it reads only values that it can write.
    """
    return Transcoder(
        Options(
            accept_tags=EVERY_TAG,
            limits=limits,
            stored=stored,
            read_classes=read_classes,
            limits_of_rule=limits_of_rule,
        )
    )


def find(entry: Entry, policy: Policy, reader: Transcoder) -> Finding:
    """Decode an entry. `reader`: see `lossless`."""
    rule = policy.match(entry.key)
    if rule is OVERSIZE:
        return Finding(entry, rule, None, oversize(entry.key))
    if entry.type != "string":
        return Finding(entry, rule, None, f"a {entry.type}, which Flask cannot read as a value")
    limits = reader.options.limits if rule is None else rule.limits
    if entry.size > min(len(entry.stored), limits.decoded_bytes):
        most = limits.decoded_bytes
        fault = f"{entry.size} bytes, over the limit of {most} ([limits] decoded_bytes)"
        over = UndecodableError(fault, "decoded_bytes").named(() if rule is None else rule.limits_of_rule)
        return Finding(entry, rule, None, str(over), over.limit)
    if rule is not None:
        given = reader.options
        reader = lossless(limits, rule.transcoder.options.stored, given.read_classes, rule.limits_of_rule)
    payload = None
    try:
        payload = reader.decode(entry.stored)
        if reason := _refusal(payload, reader):
            return Finding(entry, rule, None, f"it cannot be written back: {reason}", is_unwritable=True)
        if rule is not None and _may_refuse(rule.transcoder.options):
            rule.transcoder.decode(entry.stored)
    except UncoveredError as error:
        if payload is None:  # the reader has refused it, not the rule
            return Finding(entry, rule, None, f"{error.what}, which cannot be written back", is_unwritable=True)
        return Finding(entry, rule, payload, str(error))
    except UndecodableError as error:
        return Finding(entry, rule, payload, str(error), error.limit)
    return Finding(entry, rule, payload, "")


def _refusal(payload: bytes, reader: Transcoder) -> str:
    """The reason why the proxy never writes the value that a reader without classes has read. Empty: it does."""
    if reader.options.read_classes or not any(tag in payload for tag in _RARELY_REFUSED):
        return ""
    try:
        reader.encode(payload)
    except PayloadError as error:
        return "" if error.limit else str(error).partition("; to write")[0]  # without the hint to escape a tag
    return ""


def oversize(key: bytes) -> str:
    """The error for a key of the rule OVERSIZE."""
    return f"its key has {len(key)} bytes; the proxy refuses managed keys of more than {LONGEST_KEY}"


def _may_refuse(options: Options) -> bool:
    """True if a rule with these options may refuse a value that `lossless` can read."""
    return options.view is not None or options.types == "plain" or options.read_classes != ("*",)


def kind_of(payload: bytes) -> str:
    """The type in Python of a tagged JSON payload."""
    first = payload[0]
    if first in _KINDS:
        return _KINDS[first]
    if first != ord("{"):
        return "float" if any(mark in payload for mark in b".eE") else "int"
    names = list(_fields(payload))
    return names[0].removeprefix("py/") if len(names) == 1 and names[0] in TAGS else "dict"
