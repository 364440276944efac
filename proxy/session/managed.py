"""What a command that names managed keys may do with them: why it is refused, and what its reply will hold."""

from typing import Final

from proxy.commands import Command, Managed, Reply
from proxy.policy import As, Rule
from proxy.resp import writers
from proxy.session import words
from proxy.session.entries import PASS, Decode, Each, Entry, MustFail
from proxy.session.words import OURS

_NO_OPTION: Final = b"?"
"""An option that no command has."""


def forbidden(command: Command, rules: list[Rule | None], option: bytes | None) -> str | None:
    """Why a command may not name these keys; None: it may."""
    if command.managed is Managed.REFUSE:
        return f"{OURS}{words.name(command)} is refused on keys that hold cached values: it works on their stored bytes"
    if command.managed is Managed.SAME_RULE and any(rule is not rules[0] for rule in rules):
        return f"{OURS}{words.name(command)} must stay within the keys of one rule"
    if command.writes and any(rule is not None and rule.treats_as is As.READ_ONLY for rule in rules):
        return f"{OURS}{words.name(command)} is refused: the rule of this key is read-only"
    if option in command.refused_options:
        return f"{OURS}{option.decode()} is refused on cached values: equal values need not have equal bytes"
    return None


def odd_option(command: Command, args: list[bytes]) -> bytes | None:
    """The first option that is not known to be safe: it may do anything, with a NUL in it or on a newer Redis."""
    if command.options is None:
        return None
    at = command.options_at(args)
    while at < len(args):
        option = args[at].upper()
        operands = command.options.get(option)
        if operands is None:
            return option
        at += 1 + operands
    return None


def misspelt(command: Command, args: list[bytes]) -> bytes:
    """The request with an option that no Redis has, and without its values.

    A poison that inside MULTI is queued, as Redis queues what has a syntax error, and fails at its place in EXEC.
    """
    values = {place for _, place in command.values(args) or ()}
    kept = args[: command.options_at(args)]
    return writers.command(*(b"" if at in values else arg for at, arg in enumerate(kept)), _NO_OPTION)


def must_fail(command: Command, option: bytes) -> MustFail:
    """The poison's error, and what Redis would have said of `option`."""
    sent, instead = (writers.error(words.unknown_option(command.unknown_option, each)) for each in (_NO_OPTION, option))
    return MustFail(sent, instead)


def expected(command: Command, args: list[bytes], rules: list[Rule | None]) -> Entry:
    if command.reply is Reply.VALUES:
        elements = {id(rule): PASS if rule is None else Decode(rule, element=True) for rule in rules}
        return Each(tuple(elements[id(rule)] for rule in rules))
    rule = rules[0]
    if command.reply is Reply.RAW or rule is None:
        return PASS
    if command.reply is Reply.VALUE_IF_GET and b"GET" not in map(bytes.upper, args[3:]):
        return PASS
    return Decode(rule, applied=command.writes and command.name != b"GETEX")
