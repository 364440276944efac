"""What lies under a key, and what the rules make of it. Pure."""

from typing import Final, NamedTuple

import msgspec

from proxy.codec import CodecLimits, Options, Transcoder, UndecodableError
from proxy.codec.nodes import TAGS
from proxy.policy import Policy, Rule

EVERY_TAG: Final = ("data", "markup", "response")
_KINDS: Final = {ord('"'): "str", ord("["): "list", ord("t"): "bool", ord("f"): "bool", ord("n"): "None"}
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Entry(NamedTuple):
    """A key of Redis, at one moment."""

    key: bytes
    type: str
    """As TYPE calls it; `string` is what caches write."""
    size: int
    """Bytes of the string; 0 for other types."""
    ttl: int | None
    """Milliseconds; None: it stays until it is deleted."""
    stored: bytes
    """The string, or a piece beyond the limit of what is read."""


class Finding(NamedTuple):
    """An entry, decoded."""

    entry: Entry
    rule: Rule | None
    """None: the key is not managed."""
    payload: bytes | None
    """JSON, tagged; None: there is none, because of `fault`."""
    fault: str
    """Why a client gets an error for it: another type of Redis, or what the codec says. With a payload, too, where the
    rule wants what it cannot be, a view for instance."""

    @property
    def is_foreign(self) -> bool:
        """The proxy could not have written it, whatever its limits were."""
        return self.payload is None and "([limits] " not in self.fault

    @property
    def kind(self) -> str | None:
        """The value's type in Python; None: it is not known."""
        return None if self.payload is None else kind_of(self.payload)


def lossless(limits: CodecLimits) -> Transcoder:
    """Reads and writes every type, whatever the rules say of clients."""
    return Transcoder(Options(accept_tags=EVERY_TAG, limits=limits))


def find(entry: Entry, policy: Policy, reader: Transcoder) -> Finding:
    """What an entry holds. `reader`: see `lossless`."""
    rule = policy.match(entry.key)
    if entry.type != "string":
        return Finding(entry, rule, None, f"a {entry.type}, which Flask cannot read as a value")
    if entry.size > len(entry.stored):
        most = reader.options.limits.decoded_bytes
        return Finding(entry, rule, None, f"{entry.size} bytes, over the limit of {most} ([limits] decoded_bytes)")
    payload = None
    try:
        payload = reader.decode(entry.stored)
        if rule is not None and _may_refuse(rule.transcoder.options):
            rule.transcoder.decode(entry.stored)
    except UndecodableError as error:
        return Finding(entry, rule, payload, str(error))
    return Finding(entry, rule, payload, "")


def _may_refuse(options: Options) -> bool:
    """Whether clients may be refused what can be read without a loss."""
    return options.view is not None or options.types == "plain"


def kind_of(payload: bytes) -> str:
    """The type in Python of a tagged JSON payload."""
    first = payload[0]
    if first in _KINDS:
        return _KINDS[first]
    if first != ord("{"):
        return "float" if any(mark in payload for mark in b".eE") else "int"
    names = list(_fields(payload))
    return names[0].removeprefix("py/") if len(names) == 1 and names[0] in TAGS else "dict"
