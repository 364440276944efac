"""Commands that name managed keys: whether one is refused, and the entry of its reply."""

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, islice
from typing import Final

from proxy.commands import MOST_WORDS, Command, Managed, Reply, word
from proxy.policy import LONGEST_KEY, OVERSIZE, As, Policy, Rule
from proxy.resp import encode
from proxy.session import error_texts
from proxy.session.expected_replies import PASS, Decode, DecodePart, Entry, MustFail
from proxy.session.refusals import Reason, Refusal

_NO_OPTION: Final = b"?"
"""An option that no command has."""
_TOO_LONG: Final = f"its key begins as keys of cached values do, and is longer than {LONGEST_KEY} bytes"
_INDEX: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}")
"""An integer in the only spelling that Redis accepts (util.c, string2ll)."""
_INDEXES: Final = range(-(1 << 63), 1 << 63)
_NO_INDEX: Final = b"?"
_EXPIRY: Final = frozenset({b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL"})


def forbidden(command: Command, rules: Collection[Rule | None], option: bytes | None) -> Refusal | None:
    """The refusal of a command that must not name keys of these rules; None: it may.

    `rules`: each once. `option`: see `first_unknown_option`.
    """
    if OVERSIZE in rules:
        return Refusal(Reason.LONG_KEY, error_texts.refused(command, _TOO_LONG))
    if command.writes and any(rule is not None and rule.only_reads for rule in rules):
        return Refusal(Reason.LISTENER_ONLY_READS, error_texts.refused(command, error_texts.ONLY_READS))
    if command.managed is Managed.REFUSE:
        return Refusal(Reason.STORED_BYTES, error_texts.refused_on_managed(command))
    if command.managed is Managed.SAME_RULE and len(rules) > 1:
        return Refusal(Reason.ACROSS_RULES, error_texts.across_rules(command))
    if command.writes and any(rule is not None and rule.treats_as is As.READ_ONLY for rule in rules):
        return Refusal(Reason.RULE_ONLY_READS, error_texts.refused(command, "the rule of this key is read-only"))
    if command.counts and any(rule is not None and not rule.has_digits for rule in rules):
        return Refusal(
            Reason.PICKLED_INT, error_texts.refused(command, "the rule of this key pickles its ints (stored)")
        )
    if option is not None and (refused := option.upper()) in command.refused_options:
        return Refusal(Reason.COMPARES_BYTES, error_texts.refused_option(refused))
    return None


def refusal(
    command: Command, args: list[bytes], rule: Rule | None, found: Collection[Rule | None], option: bytes | None
) -> Refusal | None:
    """The refusal of a request; None: it may pass. `rule`: of its first key. `found`: of all, see `forbidden`."""
    if (refused := forbidden(command, found, option)) is not None or not command.counts:
        return refused
    if rule is None or rule.views is None or not rule.views(args[1]):
        return None
    return Refusal(Reason.UNSERVABLE, error_texts.refused(command, error_texts.NO_NUMBER_AS_VIEW))


def shows_part(command: Command, rule: Rule) -> bool:
    """Whether the client gets a part of the payload: by GETRANGE, on a plain listener.

    Redis GUIs open a string by its first bytes. They cannot show stored bytes.
    """
    return command.name == b"GETRANGE" and rule.only_reads


def partial_get(command: Command, args: list[bytes], rule: Rule) -> tuple[bytes, Entry]:
    """The request that goes upstream in place of a GETRANGE with four arguments, and the entry of its reply.

    With a bad index it is a GETRANGE still, so that Redis gives its own error at the right place, inside MULTI too.
    No server can read the index that is sent, so no stored byte comes back.
    """
    _, key, first, last = args
    if _is_index(first) and _is_index(last):
        return encode.command(b"GET", key), DecodePart(rule, command, first=int(first), last=int(last))
    return encode.command(b"GETRANGE", key, _NO_INDEX, _NO_INDEX), PASS


def _is_index(arg: bytes) -> bool:
    return _INDEX.fullmatch(arg) is not None and int(arg) in _INDEXES


def first_unknown_option(command: Command, args: list[bytes]) -> bytes | None:
    """The beginning of the first option that the table does not have; None: all are known.

    A newer Redis may know the option, and Redis reads options only up to a NUL. So an unknown option may do anything.
    No command takes more than MOST_WORDS words of options, so one beyond them is unknown too.
    """
    if command.options is None:
        return None
    at = command.options_at(args)
    stop = at + MOST_WORDS
    while at < len(args):
        option = args[at][: error_texts.SHOWN]
        operands = command.options.get(option.upper())
        if operands is None or at >= stop:
            return option
        at += 1 + operands
    return None


def with_unknown_option(command: Command, args: list[bytes]) -> tuple[int, Iterator[bytes]]:
    """The number of arguments, and the arguments, of the request without values and with an option that must fail.

    Inside MULTI, Redis queues a command with a syntax error, and it fails at its place in EXEC. So does this poison.
    """
    values, stop = command.values(args) or (), command.options_at(args)
    kept = (b"" if at in values else arg for at, arg in enumerate(islice(args, stop)))
    return min(stop, len(args)) + 1, chain(kept, (_NO_OPTION,))


def must_fail(command: Command, option: bytes) -> MustFail:
    """The entry for the poison: its error, and the error that Redis would have given for `option`."""
    sent, instead = (
        encode.error(error_texts.unknown_option(command.unknown_option, each)) for each in (_NO_OPTION, option)
    )
    return MustFail(sent, instead)


def with_expiry(command: Command, args: list[bytes], rule: Rule | None) -> list[bytes]:
    """The arguments that go upstream: a SET without an expiry gets the rule's `default_ttl`."""
    if rule is None or not rule.default_ttl or command.name != b"SET" or _EXPIRY.intersection(map(word, args[3:])):
        return args
    return [*args, b"EX", b"%d" % rule.default_ttl]


def _decoding(policy: Policy, rule: Rule, command: Command, *, applied: bool = False, element: bool = False) -> Decode:
    """The shared entry of all replies of a kind. The policy keeps it, so both are freed together."""
    kind = rule, command, applied, element
    entry: Decode = policy.plans.get(kind) or policy.plans.setdefault(kind, Decode(*kind))
    return entry


def elements(policy: Policy, command: Command, rules: Collection[Rule | None]) -> dict[Rule | None, Entry]:
    """The entry of an element, by the rule of its key, where the reply is an array with a value for each key."""
    return {rule: PASS if rule is None else _decoding(policy, rule, command, element=True) for rule in rules}


def expected(policy: Policy, command: Command, options: Iterable[bytes], rule: Rule | None) -> Entry:
    """The entry of a valid request whose reply is one value. `options`: the arguments after the value."""
    if command.reply is Reply.RAW or rule is None:
        return PASS
    if command.reply is Reply.VALUE_IF_GET and b"GET" not in map(word, options):
        return PASS
    return _decoding(policy, rule, command, applied=command.writes and command.name != b"GETEX")
