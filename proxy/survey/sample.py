"""Counts the keys of a sample by the rule or the prefix that they have. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from proxy.codec.glob import Matcher
from proxy.survey import starts
from proxy.survey.prefixes import prefix_of


class SurveyedRule(NamedTuple):
    """A rule, as the survey needs it."""

    keys: str
    """Its glob, in printable characters."""
    matches: Matcher
    stored: str
    """As in the rule."""
    treats_as: str
    """The rule's `as`."""
    types: str
    is_simple: bool
    """It has no other settings than its keys, so `--prefix` may stand for it."""

    @property
    def is_managed(self) -> bool:
        """The rule manages its keys."""
        return self.treats_as != "untouched"


class Sample:
    """The counts of a sample."""

    def __init__(self, rules: Sequence[SurveyedRule]) -> None:
        """Nothing is counted yet."""
        self.rules = tuple(rules)
        self.keys = 0
        """All keys, even those that have no look at their values."""
        self.matching = [0] * len(self.rules)
        """For each rule, the keys whose first match it is."""
        self.fitting = [0] * len(self.rules)
        """Those of them that look like values of the rule's `stored`."""
        self.flask: Counter[str | None] = Counter()
        """Values of Flask's caches without a rule, by the prefix of their key. None: it has no prefix to tell."""
        self.refused = 0
        """Keys that the proxy's user may not read."""
        self.is_whole = False
        """These are all keys of the database."""
        self._rules_of: dict[bytes, int | None] = {}
        """A memo, because there may be many rules."""

    def rule_of(self, key: bytes) -> int | None:
        """The number of the first rule that matches."""
        if key not in self._rules_of:
            matching = (number for number, rule in enumerate(self.rules) if rule.matches(key))
            self._rules_of[key] = next(matching, None)
        return self._rules_of[key]

    def add(self, key: bytes, start: bytes | None, *, is_refused: bool = False) -> None:
        """Count a key. `start`: the first bytes of its string; None: another type.

        `is_refused`: Redis shows neither type nor value.
        """
        self.keys += 1
        self.refused += is_refused
        number = self.rule_of(key)
        if number is None:
            self.flask[prefix_of(key)] += start is not None and starts.is_flask(start)
            return
        self.matching[number] += 1
        self.fitting[number] += start is not None and starts.FITS[self.rules[number].stored](start)

    @property
    def managed(self) -> int:
        """The keys of all rules that manage keys."""
        return sum(count for rule, count in zip(self.rules, self.matching, strict=True) if rule.is_managed)

    @property
    def fitted(self) -> int:
        """Those of them that look like values of their rule's `stored`."""
        return sum(count for rule, count in zip(self.rules, self.fitting, strict=True) if rule.is_managed)

    def strays(self) -> list[tuple[str | None, int]]:
        """Prefixes whose values of Flask have no rule, with their number. The most frequent come first."""
        return [(prefix, count) for prefix, count in self.flask.most_common() if count]
