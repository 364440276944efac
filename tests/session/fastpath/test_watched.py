"""Values of Flask under keys without a rule: the session tells them, and the client gets them unchanged."""

import pytest

from proxy.policy import As
from proxy.resp.encode import bulk, command
from tests.session.playbook import Playbook, policy, rule

FLASK = bulk(b"!\x80\x04N.")
TEXT = bulk(b"text")


class Told(Playbook):
    """A conversation, and the keys that it has told."""

    keys: list[bytes]

    def __init__(self, **how: object) -> None:
        super().__init__(**how)  # type: ignore[arg-type]
        self.keys = []
        self.tally.on_flask_value = self.keys.append


def test_the_key_of_a_value_of_flask_is_told_and_the_value_passes() -> None:
    played = Told().command(b"GET", b"shop_1").replies(FLASK).command(b"get", b"shop_2").replies(FLASK)
    assert played.keys == [b"shop_1", b"shop_2"]
    assert played.client == FLASK * 2


@pytest.mark.parametrize(
    "reply", [TEXT, b"$-1\r\n", b"$0\r\n\r\n", b"-ERR no\r\n", b"+!\x80\x04N.\r\n", bulk(b"!"), bulk(b"!x")]
)
def test_other_replies_are_not_told(reply: bytes) -> None:
    played = Told().command(b"GET", b"shop_1").replies(reply)
    assert (played.keys, played.client) == ([], reply)


@pytest.mark.parametrize(
    "words", [(b"GETRANGE", b"shop_1", b"0", b"9"), (b"HGET", b"shop_1", b"f"), (b"ECHO", b"x"), (b"LPOP", b"shop_1")]
)
def test_only_get_is_looked_at(words: tuple[bytes, ...]) -> None:
    assert Told().command(*words).replies(FLASK).keys == []


def test_a_managed_key_is_not_told() -> None:
    played = Told(with_policy=policy(rule(b"m:*"), rule(b"u:*", treats_as=As.UNTOUCHED)))
    assert played.command(b"GET", b"m:1").replies(bulk(b"!x")).keys == []


def test_of_a_pipeline_only_the_first_is_looked_at() -> None:
    played = Told().sends(command(b"GET", b"a_1") + command(b"GET", b"a_2") + command(b"SET", b"a_3", b"x"))
    played.replies(TEXT + FLASK + b"+OK\r\n")
    assert played.keys == []
    played.sends(command(b"GET", b"a_1") + command(b"GET", b"a_2")).replies(FLASK * 2)
    assert played.keys == [b"a_1"]
    assert played.client == TEXT + FLASK + b"+OK\r\n" + FLASK * 2


def test_the_key_is_that_of_the_reply_however_replies_come() -> None:
    played = Told().sends(command(b"SET", b"s_1", b"x") + command(b"GET", b"a_1") + command(b"GET", b"a_2"))
    played.replies(b"+OK\r\n").replies(FLASK).replies(FLASK)
    assert played.keys == [b"a_1"]
    for byte in command(b"GET", b"b_1"):
        played.sends(bytes([byte]))
    assert played.replies(FLASK).keys == [b"a_1", b"b_1"]


def test_a_reply_in_pieces_passes_without_a_look() -> None:
    played = Told().command(b"GET", b"a_1").replies(FLASK[:4]).replies(FLASK[4:])
    assert (played.keys, played.client) == ([], FLASK)
    assert played.command(b"GET", b"a_2").replies(FLASK).keys == [b"a_2"]


@pytest.mark.parametrize("words", [(b"GET",), (b"GET", b"a_1", b"x")])
def test_a_get_that_redis_refuses_is_not_looked_at(words: tuple[bytes, ...]) -> None:
    error = b"-ERR wrong number of arguments for 'get' command\r\n"
    played = Told().command(*words).replies(error)
    assert (played.keys, played.client, played.closed) == ([], error, None)


def test_a_client_that_always_has_a_request_outstanding_is_watched_again() -> None:
    played = Told().command(b"GET", b"a_0")
    for number in range(1, 9):
        played.command(b"GET", b"a_%d" % number).replies(FLASK)
    assert played.keys == [b"a_0", b"a_2", b"a_4", b"a_6"]


def test_a_reply_that_is_not_wanted_is_not_told() -> None:
    played = Told().command(b"CLIENT", b"REPLY", b"OFF").replies(b"+OK\r\n")
    assert played.command(b"GET", b"a_1").replies(FLASK).keys == []


def test_a_long_key_is_not_kept() -> None:
    assert Told().command(b"GET", b"k" * 513).replies(FLASK).keys == []
    assert Told().command(b"GET", b"k" * 512).replies(FLASK).keys == [b"k" * 512]
