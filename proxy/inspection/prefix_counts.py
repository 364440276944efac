"""Counts the keys of a cache by prefix and rule, and proposes rules for prefixes that have none. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from proxy.inspection.entries import Entry, Finding
from proxy.policy import Rule
from proxy.survey import starts
from proxy.survey.prefixes import prefix_of

MOST_ROWS: Final = 1000
"""Prefixes that are counted apart. Keys of further prefixes are counted together with those that have none."""


class Row(NamedTuple):
    """The keys with one prefix and one rule."""

    prefix: str | None
    """None: the keys have no prefix, or one of too many."""
    rule: str | None
    """The name of the rule. None: no rule matches the keys."""
    keys: int
    flask: int
    """Values that look like Flask's, or fit `stored` of the rule."""
    unreadable: int
    """Values that clients cannot read, although a rule manages their keys or they look like Flask's."""


class PrefixCounts:
    """See the module."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self._counts: dict[tuple[str | None, str | None], list[int]] = {}

    def add(self, found: Finding, untouched: str | None = None) -> None:
        """Count a key. `untouched`: the name of the rule that leaves it so."""
        entry, rule = found.entry, found.rule
        is_flask = _is_of_cache(entry, rule)
        is_unreadable = found.fault != "" and (is_flask or rule is not None)
        counts = self._of(prefix_of(entry.key), untouched if rule is None else rule.name)
        for at, more in enumerate((1, is_flask, is_unreadable)):
            counts[at] += more

    def _of(self, prefix: str | None, rule: str | None) -> list[int]:
        if (prefix, rule) not in self._counts and len(self._counts) >= MOST_ROWS:
            prefix = None
        return self._counts.setdefault((prefix, rule), [0, 0, 0])

    def rows(self) -> list[Row]:
        """The rows. Those with most values of Flask come first."""
        rows = [Row(prefix, rule, *counts) for (prefix, rule), counts in self._counts.items()]
        return sorted(rows, key=lambda row: (-row.flask, -row.keys, row.prefix or "~", row.rule or ""))


def proposed(rows: Sequence[Row]) -> list[str]:
    """Prefixes with values of Flask that no rule matches."""
    return sorted({row.prefix for row in rows if row.flask and row.rule is None and row.prefix is not None})


def _is_of_cache(entry: Entry, rule: Rule | None) -> bool:
    if entry.type != "string":
        return False
    start = entry.stored[: starts.BYTES + 1]
    if rule is None:
        return starts.is_flask(start)
    return starts.FITS[rule.transcoder.options.stored](start)
