"""What a command that names managed keys may do with them: why it is refused, and what its reply will hold."""

from functools import lru_cache
from typing import Final, NamedTuple

from proxy.commands import Command, Managed, Reply
from proxy.policy import As, Rule
from proxy.resp import writers
from proxy.session import words
from proxy.session.entries import PASS, Each, Entry, MustFail, decoding
from proxy.session.words import OURS

_NO_OPTION: Final = b"?"
"""An option that no command has."""
_USUAL_EXPIRY: Final = frozenset({b"EX", b"PX", b"ex", b"px"})
_EXPIRY: Final = frozenset({b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL"})


def forbidden(command: Command, rules: list[Rule | None], option: bytes | None) -> str | None:
    """Why a command may not name these keys; None: it may."""
    if command.managed is Managed.REFUSE:
        return f"{OURS}{words.name(command)} is refused on keys that hold cached values: it works on their stored bytes"
    different = set(rules)  # there may be half a million
    if command.managed is Managed.SAME_RULE and len(different) > 1:
        return f"{OURS}{words.name(command)} must stay within the keys of one rule"
    if command.writes and any(rule is not None and rule.treats_as is As.READ_ONLY for rule in different):
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


def with_expiry(command: Command, args: list[bytes], rule: Rule) -> list[bytes]:
    """The arguments as they go upstream: a SET without any expiry gets the rule's."""
    if rule.default_ttl and command.name == b"SET" and not _EXPIRY.intersection(map(bytes.upper, args[3:])):
        return [*args, b"EX", b"%d" % rule.default_ttl]
    return args


def expected(command: Command, args: list[bytes], rules: list[Rule | None]) -> Entry:
    """What a request will be owed that has been found in order."""
    if command.reply is Reply.VALUES:
        elements = {rule: PASS if rule is None else decoding(rule, element=True) for rule in set(rules)}
        return Each(tuple(map(elements.__getitem__, rules)))
    rule = rules[0]
    if command.reply is Reply.RAW or rule is None:
        return PASS
    if command.reply is Reply.VALUE_IF_GET and b"GET" not in map(bytes.upper, args[3:]):
        return PASS
    return decoding(rule, applied=command.writes and command.name != b"GETEX")


class Plan(NamedTuple):
    """What becomes of a command on a key of one rule, whatever the key and the value."""

    value: int | None
    """The index of the value; None: there is none to encode."""
    length: int
    """Arguments that it has without options."""
    takes_expiry: bool
    entry: Entry

    def fits(self, args: list[bytes]) -> bool:
        """Whether the request has just an expiry as it is usually spelled: then it is in order, as without options."""
        return self.takes_expiry and len(args) == self.length + 2 and args[-2] in _USUAL_EXPIRY


UNMANAGED: Final = Plan(None, 0, False, PASS)
"""Of what names no managed key: it goes as it is."""


@lru_cache(maxsize=256)
def plan(command: Command, rule: Rule) -> Plan | None:
    """For a command whose one key stands first; None: it must be looked at more closely."""
    if forbidden(command, [rule], None) is not None or command.managed is not Managed.TRANSCODE:
        return None
    value = next((index for index in range(2, 4) if command.values([b""] * (index + 1))), None)
    args = [b""] * (2 if value is None else value + 1)
    options = command.options or {}
    takes_expiry = options.get(b"EX") == options.get(b"PX") == 1
    return Plan(value, len(args), takes_expiry, expected(command, args, [rule]))
