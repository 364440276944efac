"""A conversation with a cluster whose lanes are shared: when it needs other links, all lanes are closed."""

import pytest

from proxy.commands import Access, Command, Pin
from proxy.resp.encode import bulk, command
from proxy.session import Gate, Relink, Shared
from proxy.session.slots import key_slot
from tests.session.cluster.script import A, B, C, Script, key_of, slots
from tests.session.playbook import policy
from tests.session.sharing.script import NUMBER, SETUP, greeting
from tests.session.sharing.test_every_row import OPEN, ROWS, requests

OK = b"+OK\r\n"
ASKING = command(b"ASKING")
HELLO_3 = command(b"HELLO", b"3")
SHARED = Shared(greeting(2, mode=b"cluster"), True, 0, NUMBER)
KEYS = {node: key_of(node) for node in (A, B, C)}


def get(node: str, number: int = 0) -> bytes:
    return command(b"GET", key_of(node, number))


def script(**how: object) -> Script:
    return Script(shared=SHARED, **how)  # type: ignore[arg-type]


def test_it_begins_without_a_lane() -> None:
    played = script()
    assert played.dialled == []
    played.command(b"PING").to(A, command(b"PING"))
    played.replies(A, b"+PONG\r\n").to_client(b"+PONG\r\n").is_quiet()
    assert played.dialled == [A]


def test_a_lane_begins_with_nothing_of_ours() -> None:
    """The trunk has logged in. A client's name is kept here."""
    played = script().command(b"CLIENT", b"SETNAME", b"me").to_client(OK)
    played.sends(get(B), get(C)).to(B, get(B)).to(C, get(C))
    played.replies(C, b"$1\r\nc\r\n").replies(B, b"$1\r\nb\r\n").to_client(b"$1\r\nb\r\n$1\r\nc\r\n")
    played.command(b"CLIENT", b"GETNAME").to_client(bulk(b"me")).is_quiet()


def test_what_waits_for_a_lane_is_written_when_it_is_there() -> None:
    played = script(dials_at_once=False).sends(get(B), get(B, 1))
    assert not played.sent
    played.is_ready(B).to(B, get(B), get(B, 1))


def test_hello_shows_the_mode_of_the_cluster() -> None:
    script().command(b"HELLO").to_client(greeting(2, NUMBER, b"cluster"))


def test_another_protocol_closes_all_lanes() -> None:
    played = script().sends(get(A), get(B), HELLO_3, get(A))
    played.to(A, get(A)).to(B, get(B))
    assert not played.relinks
    before = set(played.addresses)
    played.replies(A, b"$-1\r\n").replies(B, b"$-1\r\n").asks_for(3)
    played.is_linked(greeting(3, mode=b"cluster"))
    played.to_client(b"$-1\r\n" * 2, greeting(3, NUMBER, b"cluster")).to(A, get(A))
    assert set(played.hung_up) == before
    played.replies(A, b"_\r\n").to_client(b"_\r\n").is_quiet()


def test_a_refused_protocol_stays() -> None:
    played = script().sends(HELLO_3, get(A)).asks_for(3).is_linked(b"-NOPROTO unsupported protocol version\r\n")
    played.to_client(b"-NOPROTO unsupported protocol version\r\n").to(A, get(A))
    played.replies(A, b"$-1\r\n").to_client(b"$-1\r\n").is_quiet()


def test_a_transaction_pins_its_client() -> None:
    """Each own lane begins with the proxy's login, and with what the client had set."""
    played = script().sends(HELLO_3).asks_for(3).is_linked(greeting(3, mode=b"cluster"))
    played.to_client(greeting(3, NUMBER, b"cluster")).command(b"CLIENT", b"SETNAME", b"me")
    played.command(b"CLIENT", b"SETINFO", b"lib-name", b"lib").to_client(OK * 2)
    again = (HELLO_3, command(b"CLIENT", b"SETNAME", b"me"), command(b"CLIENT", b"SETINFO", b"LIB-NAME", b"lib"))
    played.sends(get(B)).to(B, get(B)).command(b"MULTI").sends(get(B), get(C), command(b"EXEC"))
    assert not played.relinks
    lane = played.lane(B)
    played.replies(B, b"_\r\n").asks_for(3, "transaction").to_client(b"_\r\n")
    played.is_pinned(SETUP)
    assert lane in played.hung_up
    assert played.lane(B) != lane
    played.to(B, SETUP, *again, command(b"MULTI"), get(B), command(b"GET"), command(b"EXEC"))
    hello = greeting(3, mode=b"cluster")
    played.replies(B, OK + hello + OK * 3 + b"+QUEUED\r\n-ERR wrong\r\n-EXECABORT no\r\n")
    assert played.client.startswith(OK + b"+QUEUED\r\n-CROSSSLOT")
    assert played.client.endswith(b"-EXECABORT no\r\n")
    played.client = b""
    played.is_quiet(*again)


def test_a_lane_that_is_opened_later_gets_the_newest_name() -> None:
    old, new = (command(b"CLIENT", b"SETNAME", name) for name in (b"old", b"new"))
    played = script().sends(old).to_client(OK).command(b"WATCH", KEYS[B]).asks_for(2, "transaction").is_pinned()
    played.to(B, old, command(b"WATCH", KEYS[B])).replies(B, OK * 2).to_client(OK)
    played.command(b"UNWATCH").to(B, command(b"UNWATCH")).replies(B, OK).to_client(OK)
    played.sends(new).to(A, old, new).to(B, new).replies(B, OK).replies(A, OK * 2).to_client(OK)
    played.sends(get(C)).to(C, new, get(C)).replies(C, OK + b"$-1\r\n").to_client(b"$-1\r\n")
    played.is_quiet(new)


def test_a_refusal_pins_nobody() -> None:
    """Whatever its command: one that the guard refuses, and one that acts on one node only."""
    played = script().command(b"EVAL", b"return 1", b"0").command(b"WAIT", b"1", b"0").command(b"SUBSCRIBE")
    assert played.client.count(b"-ERR flask-cache-proxy:") == 2
    assert [relink.pin for relink in played.relinks] == ["subscription"]


def test_the_password_of_the_proxy_is_checked_here() -> None:
    played = script(gate=Gate([b"p"])).sends(get(A)).command(b"AUTH", b"wrong").command(b"AUTH", b"p").sends(get(A))
    assert played.client.startswith(b"-NOAUTH ")
    assert played.client.endswith(OK)
    played.to(A, get(A))


def test_a_redirect_and_its_asking_are_one_write() -> None:
    """Nothing of another client comes between them on the trunk."""
    slot = key_slot(KEYS[A])
    played = script().sends(get(A)).to(A, get(A)).replies(A, b"-ASK %d %b\r\n" % (slot, B.encode()))
    played.to(B, ASKING, get(A)).replies(B, OK + b"$1\r\n1\r\n").to_client(b"$1\r\n1\r\n").is_quiet()
    played.sends(get(A)).to(A, get(A)).replies(A, b"-MOVED %d %b\r\n" % (slot, C.encode()))
    played.to(C, get(A)).replies(C, b"$1\r\n2\r\n").to_client(b"$1\r\n2\r\n").is_quiet()


def test_a_lost_lane_costs_only_what_is_outstanding_on_it() -> None:
    played = script().sends(get(A), get(B), get(C)).loses(B).replies(A, b"$1\r\na\r\n").replies(C, b"$1\r\nc\r\n")
    assert played.client.startswith(b"$1\r\na\r\n-ERR flask-cache-proxy: ")
    assert played.client.endswith(b"$1\r\nc\r\n")
    played.client = b""
    played.sent.clear()
    played.sends(get(B)).to(B, get(B)).replies(B, b"$1\r\nb\r\n").to_client(b"$1\r\nb\r\n").is_quiet()


def test_a_pin_waits_while_slots_move() -> None:
    """The redirect is followed first, on the shared lanes."""
    slot = key_slot(KEYS[A])
    played = script().sends(get(A), command(b"MULTI")).to(A, get(A))
    played.replies(A, b"-MOVED %d %b\r\n" % (slot, B.encode()))
    assert not played.relinks
    played.to(B, get(A)).learns(slots(moved={slot: B})).replies(B, b"$1\r\n1\r\n").to_client(b"$1\r\n1\r\n")
    played.asks_for(2, "transaction").is_pinned().to_client(OK)
    played.sends(get(A)).to(B, command(b"MULTI"), get(A))


def test_a_large_request_pins() -> None:
    value = b"x" * 1_100_000
    played = script().command(b"SET", KEYS[A], value).takes_turns().asks_for(2, "large").is_pinned().takes_turns()
    played.to(A, command(b"SET", KEYS[A], value))
    keys = [b"key%d" % number for number in range(1001)]
    script().command(b"MGET", *keys).takes_turns().asks_for(2, "large")


def test_an_unknown_command_pins_if_it_is_one() -> None:
    played = script().command(b"NOSUCH", KEYS[B])
    played.finds("readonly", "fast").asks_for(2, "unknown").is_pinned()
    played.finds("readonly", "fast").to(B, command(b"NOSUCH", KEYS[B]))


REFUSED = {Access.NEVER, Access.UNKNOWN_SUBCOMMAND, Access.CLUSTER, Access.CLOSE}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.decode())
def test_every_row_travels_or_pins_or_is_answered(row: Command) -> None:
    """What is written on a lane is what the table lets travel, in parts perhaps."""
    for args in requests(row):
        played = Script(OPEN, shared=SHARED).sends(command(*args)).takes_turns()
        if played.sent:
            assert row.travels
            assert not played.relinks
        elif played.relinks:
            assert played.relinks == [Relink(2, row.pin.value if row.pin else Pin.LARGE.value)]
        else:
            assert played.client or played.session.pending or row.access in REFUSED or played.closed


def test_no_request_goes_out_while_the_links_change() -> None:
    played = script().command(b"MULTI").sends(get(A), get(B))
    played.asks_for(2, "transaction")
    assert not played.sent
    played.learns(slots(), asked=False)
    assert not played.sent
    played.is_pinned().sends(command(b"EXEC"))
    assert played.sent


def test_values_are_encoded() -> None:
    key = key_of(B, managed=True)
    played = Script(policy(), shared=SHARED).command(b"SET", key, b'"tea"')
    played.to(B, command(b"SET", key, b'!"tea"'))
