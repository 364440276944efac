"""The rule of a key, and the commands that the guard refuses."""

import pytest

from proxy.commands import COMMANDS
from proxy.policy import LONGEST_KEY, OVERSIZE, As, Guard, Policy
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


LONG = b"x" * LONGEST_KEY


@pytest.mark.parametrize(
    ("patterns", "key", "expected"),
    [
        ([b"m:*"], b"m:" + LONG, OVERSIZE),
        ([b"m:*"], b"n:" + LONG, None),
        ([b"m:*[0-9]"], b"m:" + LONG, OVERSIZE),
        ([b"*_cache"], LONG + b"x", OVERSIZE),
        ([b"m:k"], b"m:k" + LONG, OVERSIZE),
        ([b"-m:lock:*", b"m:*"], b"m:lock:" + LONG, None),
        ([b"-m:lock:*", b"m:*"], b"m:other" + LONG, OVERSIZE),
        ([b"-m:lock", b"m:*"], b"m:lock" + LONG, OVERSIZE),
        ([b"-*:lock", b"m:*"], b"m:" + LONG + b":lock", OVERSIZE),
        ([b"m:*", b"-m:lock:*"], b"m:lock:" + LONG, OVERSIZE),
        ([b"-*"], LONG + b"x", None),
        ([], LONG + b"x", None),
    ],
)
def test_a_key_that_is_too_long_is_of_every_rule_as_whose_keys_it_begins(
    patterns: list[bytes], key: bytes, expected: object
) -> None:
    rules = [
        rule(pattern.removeprefix(b"-"), treats_as=As.UNTOUCHED if pattern.startswith(b"-") else As.VALUE)
        for pattern in patterns
    ]
    assert Policy(tuple(rules)).match(key) is expected


def test_a_key_of_just_the_length_is_matched() -> None:
    found = policy(rule(b"m:*"), rule(b"x*[0-9]"))
    assert found.match(LONG) is None
    assert found.match(LONG[:-1] + b"1") is found.rules[1]
    assert found.match(LONG + b"1") is OVERSIZE


@pytest.mark.parametrize(
    ("pattern", "reaches"),
    [(b"m:*", True), (b"*", True), (b"m*", True), (b"m:a*b", True), (b"n*", False), (b"x", False), (b"m:a", False)],
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
