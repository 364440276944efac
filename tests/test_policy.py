"""Which rule a key belongs to, and what the guard says."""

import pytest

from proxy.commands import COMMANDS
from proxy.policy import As, Guard, Policy
from tests.session.playbook import policy, rule


def test_the_first_rule_that_matches_wins() -> None:
    first, second = rule(b"a:*"), rule(b"*")
    found = Policy((first, second))
    assert found.match(b"a:x") is first
    assert found.match(b"b:x") is second


def test_an_untouched_rule_hides_the_ones_behind_it() -> None:
    found = policy(rule(b"m:lock:*", treats_as=As.UNTOUCHED), rule(b"m:*"))
    assert found.match(b"m:lock:1") is None
    assert found.match(b"m:1") is not None


@pytest.mark.parametrize(
    ("pattern", "reaches"),
    [(b"m:*", True), (b"*", True), (b"m*", True), (b"m:a*b", True), (b"n*", False), (b"x", False)],
)
def test_a_pattern_reaches_a_rule_if_their_beginnings_agree(pattern: bytes, reaches: bool) -> None:
    assert policy().may_reach(pattern) is reaches


def test_the_guard_allows_a_container_as_a_whole_or_one_subcommand() -> None:
    config_set, config_rewrite = COMMANDS[b"CONFIG|SET"], COMMANDS[b"CONFIG|REWRITE"]
    assert Guard().refuses(config_set)
    assert not Guard(allowed_commands=frozenset({b"CONFIG"})).refuses(config_set)
    one = Guard(allowed_commands=frozenset({b"CONFIG|SET"}))
    assert not one.refuses(config_set)
    assert one.refuses(config_rewrite)


def test_nothing_allows_replication() -> None:
    assert Guard(allowed_commands=frozenset({b"PSYNC"})).refuses(COMMANDS[b"PSYNC"])
