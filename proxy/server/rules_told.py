"""The rules of the settings in words for people: doubts about them, and what the survey needs of them."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from proxy.codec.glob import compile_glob, hides, is_literal
from proxy.config import Rule
from proxy.config.printable import printable
from proxy.config.values import toml_value
from proxy.survey.sample import SurveyedRule
from proxy.survey.wording import Line

_ENDS: Final = ("_", ":", "/", "-", ".", "|")
"""The last characters of prefixes."""
_ESCAPED_STAR: Final = r"\**"
"""The end of the rule that `--prefix shop_*` makes, whose star stands for itself."""
_MOST_COMPARED: Final = 200
"""Rules that are compared with the rules before them: it takes quadratic time."""


def surveyed(rules: Sequence[Rule]) -> list[SurveyedRule]:
    """The rules, as the survey needs them."""
    return [
        SurveyedRule(
            keys=printable(rule.keys),
            matches=compile_glob(rule.pattern),
            stored=rule.stored,
            treats_as=rule.as_,
            types=rule.types,
            is_simple=rule == Rule(keys=rule.keys),
        )
        for rule in rules
    ]


def doubts(rules: Sequence[Rule]) -> Iterator[Line]:
    """Warnings about rules that are valid, but cannot be meant."""
    for number, rule in enumerate(rules):
        if is_literal(rule.pattern) and rule.keys.endswith(_ENDS):
            yield Line(
                f"rule[{number}].keys: {toml_value(rule.keys)} has no star, so it matches this one key; "
                f"did you mean {toml_value(rule.keys + '*')}?",
                is_warning=True,
            )
        if rule.keys.endswith(_ESCAPED_STAR):
            yield Line(
                f"rule[{number}].keys: {toml_value(rule.keys)} matches keys that have a star themselves; a prefix "
                f"stands without one, so did you mean --prefix {shlex.quote(rule.keys.removesuffix(_ESCAPED_STAR))}?",
                is_warning=True,
            )
    for number, rule in enumerate(rules[:_MOST_COMPARED]):
        for earlier, other in enumerate(rules[:number]):
            if hides(other.pattern, rule.pattern):
                yield Line(
                    f"rule[{number}].keys: {toml_value(rule.keys)} has no effect, because rule[{earlier}] "
                    f"({toml_value(other.keys)}) matches all of its keys first; put the narrower rule first",
                    is_warning=True,
                )
                break
