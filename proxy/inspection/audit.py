"""Reads the names in the pickles of a cache. Pure. `suspicion` says which of them no cache library stores."""

from typing import Final, NamedTuple

from proxy.codec import CodecLimits
from proxy.codec.envelope import PICKLE_MARK, STORAGES, as_int
from proxy.inspection.entries import Entry
from proxy.inspection.pickle_names import Names, Use, names_of
from proxy.inspection.pickle_reader import DJANGO_MODEL
from proxy.inspection.storage_guess import budget, guess
from proxy.policy import Rule

_NO_PICKLE: Final = Names({}, {}, "")

PLUMBING: Final = frozenset(
    {
        *("_codecs.encode", "builtins.getattr", "builtins.object", DJANGO_MODEL),
        *("copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__"),
    }
)
"""Names that pickles need for other values. They are no classes of a value."""

_MOST_CLASSES: Final = 10_000
_MOST_EXAMPLES: Final = 16 * 1024 * 1024
"""Bytes of the keys that are kept as examples."""


def names_in(entry: Entry, rule: Rule | None, limits: CodecLimits) -> Names:
    """The names in the pickle of a value. Other values have no names.

    The rule's library says which values the app unpickles. Without a rule, the bytes do. `limits`: of a value that no
    rule has.
    """
    if rule is not None:
        limits = rule.limits
    if entry.type != "string":
        return _NO_PICKLE
    if entry.size > len(entry.stored):
        return Names({}, {}, f"it has {entry.size} bytes, over the limit of {len(entry.stored) - 1} (decoded_bytes)")
    stored = entry.stored
    if stored.startswith(PICKLE_MARK) and not _is_bare(rule):
        return names_of(stored[len(PICKLE_MARK) :], budget(limits))
    if as_int(stored) is not None:
        return _NO_PICKLE
    seen = guess(stored, limits)
    if not seen.fits:
        return Names({}, {}, f"it is {seen.text}")
    return names_of(stored, budget(limits)) if _is_bare(rule) or "pickle" in seen.fits else _NO_PICKLE


def _is_bare(rule: Rule | None) -> bool:
    """Whether the rule's library unpickles every value but digits."""
    if rule is None:
        return False
    storage = STORAGES[rule.transcoder.options.stored]
    return not storage.mark and not storage.is_json


class Count(NamedTuple):
    """How often a cache holds a class."""

    name: str
    objects: int
    """Its objects, or the places where it is a value itself."""
    keys: int
    """Values that hold it."""
    example: bytes | None
    """The key of one. None: there are too many classes for examples."""


class ClassCounts:
    """Counts the classes of a cache in bounded memory."""

    def __init__(self) -> None:
        self._counts: dict[str, Count] = {}
        self._room = _MOST_EXAMPLES
        self.left_out = 0
        """Values with classes that found no room."""

    def add(self, key: bytes, names: Names) -> None:
        """Add the classes of one value."""
        complete = True
        for name, use in names.uses.items():
            if name not in PLUMBING:
                complete &= self._add(key, name, use)
        self.left_out += not complete

    def _add(self, key: bytes, name: str, use: Use) -> bool:
        objects = use.calls or use.mentions
        known = self._counts.get(name)
        if known is not None:
            self._counts[name] = known._replace(objects=known.objects + objects, keys=known.keys + 1)
            return True
        if len(self._counts) >= _MOST_CLASSES:
            return False
        has_room = len(key) <= self._room
        self._room -= len(key) if has_room else 0
        self._counts[name] = Count(name, objects, 1, key if has_room else None)
        return True

    def rows(self) -> list[Count]:
        """The classes, the most frequent first."""
        return sorted(self._counts.values(), key=lambda count: (-count.keys, -count.objects, count.name))
