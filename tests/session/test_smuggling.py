"""Framing that parsers read differently, cut in two at every byte: only canonical requests go upstream."""

import hiredis
import pytest

from proxy.resp.encode import command
from tests.e2e.attempts import EVIL, PREFIX
from tests.e2e.framing import SMUGGLED, SMUGGLING
from tests.session.playbook import Playbook, policy, rule


def commands(data: bytes) -> list[list[bytes]]:
    """The requests that a server reads."""
    reader = hiredis.Reader()
    reader.feed(data)
    return list(iter(reader.gets, False))


@pytest.mark.parametrize("name", [name for name, smuggling in SMUGGLING.items() if len(smuggling.data) < 1000])
def test_no_cut_lets_anything_through(name: str) -> None:
    data = SMUGGLING[name].data
    for at in range(len(data)):
        played = Playbook(policy(rule(PREFIX + b"*"))).sends(data[:at]).sends(data[at:])
        sent = commands(played.upstream)
        assert played.upstream == b"".join(command(*args) for args in sent), at
        assert [b"SET", SMUGGLED, EVIL] not in sent, at


def test_without_a_rule_what_is_no_protocol_error_is_let_through() -> None:
    through = {
        name
        for name, smuggling in SMUGGLING.items()
        if [b"SET", SMUGGLED, EVIL] in commands(Playbook(policy(rule(b"other"))).sends(smuggling.data).upstream)
    }
    assert through == {
        "a negative count",
        "a count below all",
        "a count of none",
        "empty lines",
        "behind a command",
        "an inline command",
        "an inline command with a bare LF",
        "an inline command behind an empty line",
        "an inline command behind what begins a conversation",
        "an inline command, then another",
        "a command behind an inline one",
        "a command behind a value that looks like one",
    }
