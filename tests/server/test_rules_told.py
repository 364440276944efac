"""Doubts about rules that are valid, but cannot be meant."""

import pytest

from proxy.config import Rule
from proxy.server.rules_told import doubts


def doubted(*keys: str) -> list[str]:
    return [line.text for line in doubts([Rule(keys=each, name=f"rule {at}") for at, each in enumerate(keys)])]


@pytest.mark.parametrize("keys", ["shop_", "shop:", "cache/", "a\\*_"])
def test_a_rule_without_a_star_that_looks_like_a_prefix(keys: str) -> None:
    (doubt,) = doubted(keys)
    assert doubt.startswith("rule[0].keys: ")
    assert "has no star, so it matches this one key; did you mean " in doubt


def test_the_doubt_names_the_keys_that_may_be_meant() -> None:
    assert doubted("shop_")[0].endswith('did you mean "shop_*"?')


@pytest.mark.parametrize("keys", ["shop_*", "shop", "shop_?", "[s]hop_", "shop_*_", "a_*", "*"])
def test_other_rules_are_not_doubted(keys: str) -> None:
    assert doubted(keys) == []


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("*", "shop_*"),
        ("shop_*", "shop_view_*"),
        ("shop_*", "shop_x"),
        ("shop_*", "shop_[ab]?"),
        ("shop_*", "shop_*_x"),
        ("*_x", "a*_x"),
        ("*_x", "a_x"),
        ("a[bc]*", "ab"),
        ("a[bc]*", "a[bc]*"),
        ("a\\[*", "a\\[1\\]*"),
    ],
)
def test_a_rule_that_an_earlier_one_shadows(earlier: str, later: str) -> None:
    (doubt,) = doubted("other*", earlier, later)
    assert doubt.startswith("rule[2].keys: ")
    assert "has no effect, because rule[1] (" in doubt


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("shop_view_*", "shop_*"),
        ("shop_*", "blog_*"),
        ("*_x", "a*"),
        ("a?", "a*"),
        ("*a*", "[ab]x"),
        ("a\\*", "a*"),
        ("ab", "a[bc]"),
    ],
)
def test_a_rule_with_keys_of_its_own_is_not_doubted(earlier: str, later: str) -> None:
    assert doubted(earlier, later) == []


def test_very_many_rules_are_compared_in_a_bounded_time() -> None:
    rules = [Rule(keys=f"{number:05}*") for number in range(20_000)]
    assert list(doubts([*rules, Rule(keys="00001x")])) == []
