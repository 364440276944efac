"""Everything about one value: its reading by its rule, the information in its bytes, and its raw parts. Pure."""

from typing import Any, NamedTuple

from proxy.codec import CodecLimits, PayloadError, UndecodableError, envelope
from proxy.inspection import provenance
from proxy.inspection.entries import Entry, Finding, find, kind_of, lossless
from proxy.inspection.pickle_names import names_of
from proxy.inspection.provenance import Origin
from proxy.inspection.raw_parts import raw_parts
from proxy.inspection.storage_guess import Guess, budget, guess
from proxy.policy import Policy


class Look(NamedTuple):
    """One value, in all details."""

    found: Finding
    """The reading by its rule, as clients get it."""
    origin: Origin | None
    """None: it is no string of Redis."""
    guess: Guess | None
    """How it seems to be stored, if the rule says otherwise."""
    payload: bytes | None
    """Tagged JSON, as the rule or else the guess says. None: it cannot be read."""
    raw: Any
    """Its parts as the pickle has them. None: it holds no objects, or cannot be read."""
    names: list[str]
    """The classes and functions that it names, if it cannot be read."""

    @property
    def kind(self) -> str | None:
        """The value's type in Python. None if it is unknown."""
        return None if self.payload is None else kind_of(self.payload)


def closer_look(entry: Entry, policy: Policy) -> Look:
    """Look at an entry. Where no rule says how it is stored, its bytes do."""
    rule = policy.match(entry.key)
    limits = policy.limits.codec if rule is None else rule.limits
    guessed = guess(entry.stored, limits)
    found = find(entry, policy, lossless(limits, guessed.storage))
    if entry.type != "string":
        return Look(found, None, None, None, None, [])
    told = guessed.storage if found.rule is None else found.rule.transcoder.options.stored
    is_odd = found.rule is not None and told not in guessed.fits
    payload, storage = found.payload, told
    if payload is None and is_odd:
        payload, storage = _decoded(entry.stored, limits, guessed.storage), guessed.storage
    is_whole = entry.size == len(entry.stored)
    raw = _raw(entry.stored, limits, storage) if is_whole else None
    names = names_of(_pickle(entry.stored, storage), budget(limits)).uses if is_whole and raw is payload is None else {}
    origin = provenance.of(entry.stored, found.kind, found.is_foreign or _is_read_only(found, limits), storage)
    if storage != told:  # the warnings are for an app that reads this storage
        origin = origin._replace(warning=None)
    return Look(found, origin, guessed if is_odd else None, payload, raw, sorted(names))


def _decoded(stored: bytes, limits: CodecLimits, storage: str) -> bytes | None:
    try:
        return lossless(limits, storage).decode(stored)
    except UndecodableError:
        return None


def _raw(stored: bytes, limits: CodecLimits, storage: str) -> Any:
    try:
        return raw_parts(envelope.read(stored, limits, storage).root)
    except UndecodableError:
        return None


def _pickle(stored: bytes, storage: str) -> bytes:
    """The bytes where a pickle begins, if there is one."""
    return stored.removeprefix(envelope.STORAGES[storage].mark)


def _is_read_only(found: Finding, limits: CodecLimits) -> bool:
    """Whether no client can have written the value through the proxy."""
    if found.payload is None:
        return False
    try:
        lossless(limits).encode(found.payload)
    except PayloadError as error:
        return error.limit is None
    return False
