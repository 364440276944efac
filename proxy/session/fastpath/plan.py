"""Plans: how to handle a command on any key of one rule. Each plan is made once, for all keys and values.

A plan holds only facts of the table and of the policy. There is no plan where a request needs a decision: then the
session handles it.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from weakref import ref

from proxy.codec.glob import Matcher
from proxy.codec.transcoder import Meter
from proxy.commands import COMMANDS, Command, Managed
from proxy.policy import LONGEST_KEY, As, Policy, Rule
from proxy.resp import encode
from proxy.session.expected_replies import PASS, Entry
from proxy.session.large_requests import AT_ONCE
from proxy.session.managed_keys import expected, forbidden

USUAL_EXPIRY: Final = (b"EX", b"PX", b"ex", b"px")
"""Options that are valid for every command with a `length_with_expiry`."""
_ANY_LENGTH: Final = 0
_GET: Final = COMMANDS[b"GET"]
_STORED_AS_JSON: Final = "json"

_STRAIGHT: Final = tuple(row for row in COMMANDS.values() if row.is_straight and b"|" not in row.name)
_NAMES: Final = {name: at for at, row in enumerate(_STRAIGHT) for name in (row.name, row.name.lower())}
"""The number of each row that may have a plan, by the usual spellings of its name."""


class Plan(NamedTuple):
    """The caller's part of a plan: how to record requests that were taken by it."""

    command: Command
    rule: Rule | None
    entry: Entry
    meter: Meter | None = None
    """Counts encoded values. None: the plan encodes none."""
    watches: bool = False
    """The reply may be watched: a GET without a rule."""


class Value(NamedTuple):
    """The value that a plan encodes."""

    at: int
    """Its index in the request. Options follow it."""
    codec: Any
    """The engine's codec: the native one, or the transcoder."""
    expiry: bytes
    """Two encoded arguments for requests without an expiry: the rule's `default_ttl`. Empty: there is none."""
    views: Matcher | None
    """See Rule."""


class Spec(NamedTuple):
    """The engine's part of a plan: which requests it takes, and how to write them."""

    plan: Plan
    length: int
    """Number of arguments without options; `_ANY_LENGTH`: any number from 2 to `TableSpec.longest`."""
    length_with_expiry: int
    """Number of arguments with one of `USUAL_EXPIRY` and its operand; 0: the command takes no expiry."""
    value: Value | None


class RuleKeys(NamedTuple):
    """The keys of one rule, for the engine. The first rule that matches a key decides."""

    prefix: bytes
    is_prefix: bool
    matches: Matcher
    is_managed: bool


class TableSpec(NamedTuple):
    """All that the engine's table of plans is made from."""

    names: dict[bytes, int]
    rules: list[RuleKeys]
    make: Callable[[int, int], Spec | None]
    """Makes the plan of a row for a rule: 0 for no rule, else one more than its number."""
    longest_key: int
    longest: int
    """Most arguments of a request: as many as are freed in one turn, and no more than the policy allows."""


def table_spec(policy: Policy, most_arguments: int = AT_ONCE) -> TableSpec:
    """The plans of a policy. They are made when they are first needed, while the policy is in use."""
    current = ref(policy)  # the policy keeps the table: a strong reference would be a cycle that nothing frees
    rules = [
        RuleKeys(rule.prefix, rule.is_prefix, rule.matches, rule.treats_as is not As.UNTOUCHED) for rule in policy.rules
    ]

    def make(row: int, number: int) -> Spec | None:
        command, policy = _STRAIGHT[row], current()
        if not number:
            return _unmanaged(command)
        return None if policy is None else _managed(policy, command, policy.rules[number - 1])

    most = min(most_arguments, policy.limits.request.arguments)
    return TableSpec(_NAMES, rules, make, LONGEST_KEY, most)


def _unmanaged(command: Command) -> Spec:
    return Spec(Plan(command, None, PASS, watches=command is _GET), _ANY_LENGTH, 0, None)


def _managed(policy: Policy, command: Command, rule: Rule) -> Spec | None:
    if forbidden(command, {rule}, None) is not None or command.managed is not Managed.TRANSCODE:
        return None
    index, options = command.value_index, command.options or {}
    entry = expected(policy, command, (), rule)
    if index is None:
        return Spec(Plan(command, rule, entry), 2, 0, None)
    if rule.transcoder.options.stored == _STORED_AS_JSON or rule.inline.codec is None:
        return None
    with_expiry = index + 3 if options.get(b"EX") == options.get(b"PX") == 1 else 0
    ttl = encode.arguments(b"EX", b"%d" % rule.default_ttl) if rule.default_ttl and with_expiry else b""
    plan = Plan(command, rule, entry, rule.inline.encoding)
    return Spec(plan, index + 1, with_expiry, Value(index, rule.inline.codec, ttl, rule.views))
