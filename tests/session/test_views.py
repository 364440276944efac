"""A value that Flask cannot serve is not stored under the key of a view, by any command that writes."""

import json
from collections.abc import Callable

import msgpack
import pytest

from proxy.codec import Options, Transcoder
from proxy.commands import COMMANDS
from proxy.engine import ENGINE, REFERENCE
from proxy.policy import Policy, SessionLimits
from proxy.policy.view_keys import keys_of_views
from proxy.resp.encode import command
from tests.session.playbook import POISON, Playbook, policy, rule

VIEW, OTHER = b"shop_view//stock", b"shop_stock"
SAID = (
    b"a number, bool or null under the key of a cached view: Flask would answer 500 to every visitor;"
    b" check_views = false in the rule allows it; nothing was stored\r\n"
)
OURS = b"-ERR flask-cache-proxy: "
NUMBERS = (b"5", b"-1.5", b"true", b"null", b'{"py/decimal": "1.10"}')
FORMATS = {"json": lambda text: text, "msgpack": lambda text: msgpack.packb(json.loads(text))}


@pytest.fixture(params=[ENGINE, REFERENCE], ids=["engine", "reference"])
def shop(request: pytest.FixtureRequest) -> Callable[..., Policy]:
    """The policy of a rule shop_*."""

    def make(payload: str = "json", *, checks: bool = True, limits: SessionLimits = SessionLimits()) -> Policy:  # noqa: B008
        codec = Transcoder(Options(payload=payload), request.param)
        views = keys_of_views(b"shop_*") if checks else None
        return policy(rule(b"shop_*", transcoder=codec, inline=codec, views=views), limits=limits)

    return make


def writes(key: bytes, value: bytes) -> list[list[bytes]]:
    """The requests that store a value under a key, whichever command they use."""
    return [
        [b"SET", key, value],
        [b"set", key, value, b"EX", b"60"],
        [b"SET", key, value, b"NX", b"GET"],
        [b"SETNX", key, value],
        [b"SETEX", key, b"60", value],
        [b"PSETEX", key, b"60000", value],
        [b"GETSET", key, value],
        [b"MSET", key, value],
        [b"MSETNX", key, value],
        [b"MSETEX", b"1", key, value, b"EX", b"60"],
    ]


def test_every_command_that_stores_values_is_tried() -> None:
    tried = {args[0].upper() for args in writes(VIEW, b"5")}
    assert tried == {name for name, row in COMMANDS.items() if row.values([b"", b"1", b"2", b"3"])}


@pytest.mark.parametrize("number", NUMBERS, ids=bytes.decode)
@pytest.mark.parametrize("payload", FORMATS)
def test_no_command_stores_a_number_as_a_view(shop: Callable[..., Policy], payload: str, number: bytes) -> None:
    under, value = shop(payload), FORMATS[payload](number)
    for args in writes(VIEW, value):
        Playbook(under).command(*args).to_upstream(POISON[:0]).to_client(OURS + SAID)
    for args in writes(OTHER, value):
        assert Playbook(under).command(*args).upstream
        assert not Playbook(under).command(*args).client


@pytest.mark.parametrize("payload", FORMATS)
def test_what_flask_serves_is_stored(shop: Callable[..., Policy], payload: str) -> None:
    under = shop(payload)
    for text in (b'"tea"', b'{"a": 1}', b"[1]", b'{"py/tuple": ["body", 201]}'):
        for args in writes(VIEW, FORMATS[payload](text)):
            played = Playbook(under).command(*args)
            assert played.upstream
            assert not played.client


def test_a_rule_may_let_them_through(shop: Callable[..., Policy]) -> None:
    for args in [*writes(VIEW, b"5"), [b"INCR", VIEW]]:
        played = Playbook(shop(checks=False)).command(*args)
        assert played.upstream
        assert not played.client


def test_the_value_of_many_is_named(shop: Callable[..., Policy]) -> None:
    args = [b"MSET", OTHER, b"5", b"unmanaged", b"7", VIEW, b"5", VIEW, b'"x"']
    Playbook(shop()).command(*args).to_upstream(b"").to_client(OURS + b"value 2 of 3: " + SAID)
    args = [b"MSETEX", b"2", VIEW, b'"x"', VIEW + b"2", b"5"]
    Playbook(shop()).command(*args).to_upstream(b"").to_client(OURS + b"value 2 of 2: " + SAID)


def test_a_value_of_the_converter_is_checked_too(shop: Callable[..., Policy]) -> None:
    under = shop(limits=SessionLimits(inline_encode_bytes=4))
    played = Playbook(under).command(b"SET", VIEW, b"12345678").to_client(b"")
    played.converts().to_upstream(b"").to_client(OURS + SAID)


def test_a_run_is_stored_but_for_the_numbers(shop: Callable[..., Policy]) -> None:
    values = [b'"a"', b'"b"', b"5", b'"c"', b"null", b'"d"', b'"e"']
    under = shop()
    played = Playbook(under)
    for _ in range(2):  # the second time with a long lookahead
        played.upstream = played.client = b""
        for value in values:
            played.sends(command(b"SET", OTHER, b'"x"'))
            played.sends(command(b"SET", VIEW, value))
        one_by_one, sent = (
            played.upstream,
            b"".join(command(b"SET", OTHER, b'"x"') + command(b"SET", VIEW, value) for value in values),
        )
        together = Playbook(under).sends(sent).takes_turns()
        assert together.upstream == one_by_one
        assert together.upstream.count(b"SET") == 2 * len(values) - 2
    replies = b"+OK\r\n" * (2 * len(values) - 2)
    assert Playbook(under).sends(sent).takes_turns().replies(replies).client.count(SAID) == 2


@pytest.mark.parametrize("name", [b"INCR", b"DECR", b"INCRBY", b"DECRBY"])
def test_a_view_is_not_counted(shop: Callable[..., Policy], name: bytes) -> None:
    amount = [b"2"] if name.endswith(b"BY") else []
    played = Playbook(shop()).command(name, VIEW, *amount).to_upstream(b"")
    assert played.client.startswith(OURS + name + b" is refused: Flask would answer 500 to every visitor of a view")
    request = command(name, OTHER, *amount)
    Playbook(shop()).sends(request).to_upstream(request).to_client(b"")


def test_inside_multi_it_aborts(shop: Callable[..., Policy]) -> None:
    played = Playbook(shop()).command(b"MULTI").replies(b"+OK\r\n").to_client(b"+OK\r\n")
    played.upstream = b""
    played.command(b"SET", VIEW, b"5").to_upstream(POISON)
    played.replies(b"-ERR wrong number of arguments for 'get' command\r\n").to_client(OURS + SAID)
