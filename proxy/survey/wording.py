"""The lines of the log about rules and about a sample of keys. Pure."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from proxy.survey.prefixes import Names
from proxy.survey.sample import Sample, SurveyedRule
from proxy.survey.starts import OWNERS

_MOST_RULES: Final = 50
"""Rules that are listed. A list for people need not be longer."""
_MOST_STRAYS: Final = 8
"""Prefixes in one line."""
_VERBS: Final = {"read-only": "reads", "untouched": "leaves"}
_LIST_THEM: Final = "flask-cache-proxy scan --prefixes"


class Line(NamedTuple):
    """A line of the log."""

    text: str
    is_warning: bool = False


def rule_lines(rules: Sequence[SurveyedRule], where: str) -> Iterator[Line]:
    """A line for each rule. `where`: the listeners, as in "json on 127.0.0.1:6380"."""
    for rule in rules[:_MOST_RULES]:
        yield Line(_rule(rule, where))
    if len(rules) > _MOST_RULES:
        yield Line(f"{len(rules) - _MOST_RULES} further rules are not listed (flask-cache-proxy check prints all)")
    if not any(rule.is_managed for rule in rules):
        yield Line("manages no key: no [[rule]] does", is_warning=True)
    if any(rule.is_managed and rule.keys == "*" for rule in rules):
        yield Line(
            "manages every key, so commands that store other types or raw bytes are refused: those for lists, hashes, "
            "sets, sorted sets and streams, and such as APPEND, SETRANGE and RESTORE"
        )


def sample_lines(sample: Sample, where: str, names: Names) -> Iterator[Line]:
    """The results for each rule, then the values of Flask that no rule manages. `names`: see `Names`."""
    for number, rule in enumerate(sample.rules[:_MOST_RULES]):
        yield Line(f"{_rule(rule, where)}: {_counts(sample, number)}")
    if sample.refused:
        yield Line(
            f"{sample.refused} of {sample.keys} sampled keys are hidden from the survey: Redis does not permit the "
            "proxy's user to read them"
        )
    if strays := sample.strays():
        yield _stray_line(sample, strays, names)


def read_line(prefix: str | None, rules: Sequence[SurveyedRule]) -> str:
    """The warning about a client that has read a value of Flask under a key without a rule."""
    if prefix is None:
        return f"a client has read a value of Flask whose key no rule matches: it got a pickle ({_LIST_THEM} helps)"
    how = _advice(rules, [prefix], replaces=False)
    return f"a client has read a value of Flask under {prefix}*, which no rule matches: it got a pickle; {how}"


def _rule(rule: SurveyedRule, where: str) -> str:
    if not rule.is_managed:
        return f"leaves {rule.keys} untouched"
    kinds = [rule.types]
    if rule.treats_as == "view":
        kinds.insert(0, "view")
    if rule.stored != "flask":
        kinds.append(f"stored as {rule.stored}")
    return f"{_VERBS.get(rule.treats_as, 'manages')} {rule.keys} ({', '.join(kinds)}; {where})"


def _counts(sample: Sample, number: int) -> str:
    rule, matching, fitting = sample.rules[number], sample.matching[number], sample.fitting[number]
    if not sample.keys:
        return (
            "the database is empty (if the app has cached before, upstream.url names another one)"
            if sample.is_whole
            else "no key was found in the part of the database that was looked at"
        )
    if not rule.is_managed:
        return f"{matching} of {sample.keys} sampled keys"
    others = f", and {matching - fitting} more match" if matching > fitting and not sample.refused else ""
    return f"{fitting} of {sample.keys} sampled keys are {OWNERS[rule.stored]}{others}"


def _stray_line(sample: Sample, strays: Sequence[tuple[str | None, int]], names: Names) -> Line:
    named = [(prefix, count) for prefix, count in strays if prefix is not None][:_MOST_STRAYS]
    named = [(prefix, count) for prefix, count in named if names.admit(prefix)]
    total = sum(count for _, count in strays)
    if not named:
        where, count, advice = "other keys hold", total, _LIST_THEM
    else:
        where = " and ".join(f"{prefix}*" for prefix, _ in named) + (" holds" if len(named) == 1 else " hold")
        count = sum(count for _, count in named)
        advice = _advice(sample.rules, [prefix for prefix, _ in named], replaces=not sample.fitted)
    left = f"; {total - count} more have other prefixes ({_LIST_THEM})" if total > count else ""
    found = f"Flask values ({count} of {sample.keys} sampled{left}): {advice}"
    if sample.fitted:
        return Line(f"{where} {found.replace('Flask values', 'Flask values without a rule', 1)}")
    rules = ", ".join(rule.keys for rule in sample.rules[:_MOST_STRAYS] if rule.is_managed) or "a rule"
    none = f"no value under {rules} is Flask's" if sample.managed else f"no key matches {rules}"
    return Line(f"{none}, but {where} {found}", is_warning=True)


def _advice(rules: Sequence[SurveyedRule], prefixes: Sequence[str], *, replaces: bool) -> str:
    """How to manage more prefixes. `replaces`: the present rules match no key, so they are not needed."""
    if not all(rule.is_simple for rule in rules):
        return f"add a [[rule]] for {' and '.join(f'{prefix}*' for prefix in prefixes)}"
    flags = " ".join(f"--prefix {shlex.quote(prefix)}" for prefix in prefixes)
    return f"serve {flags}" if replaces else f"add {flags} to the prefixes of serve"
