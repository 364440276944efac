"""One client's state never shows at another one that shares its connection, nor at those that come after it."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.proxy_process import wait_until
from tests.e2e.sharing.conftest import Share, Sharing
from tests.e2e.wire import Wire, pipeline, request

OK = b"+OK\r\n"
NULL = b"$-1\r\n"


def is_untouched(client: Wire) -> None:
    """Nothing of another client's state shows here."""
    assert client("SET", "own", "1") == OK
    assert client("GET", "own") == b"$1\r\n1\r\n"
    assert client("CLIENT", "GETNAME") == NULL
    assert client("GET", "none") == NULL  # RESP2
    assert client("PING") == b"+PONG\r\n"
    assert client.received == b""


def test_a_transaction_is_one_clients(sharing: Sharing) -> None:
    one, other = sharing.clients(2)
    assert one("MULTI") == OK
    assert one("SET", "own", "2") == b"+QUEUED\r\n"
    is_untouched(other)
    sharing.pins(1)
    assert one("EXEC") == b"*1\r\n+OK\r\n"
    assert other("GET", "own") == b"$1\r\n2\r\n"
    assert other("EXEC") == b"-ERR EXEC without MULTI\r\n"


def test_a_watch_sees_the_write_of_a_client_that_shares(sharing: Sharing) -> None:
    one, other = sharing.clients(2)
    assert one("WATCH", "own") == OK
    is_untouched(other)
    assert one("MULTI") == OK
    one("PING")
    assert one("EXEC") == b"*-1\r\n"
    assert other("MULTI") == OK
    other("PING")
    assert other("EXEC") == b"*1\r\n+PONG\r\n"


def test_a_database_is_one_clients(sharing: Sharing) -> None:
    one, other = sharing.clients(2)
    assert one("SELECT", "5") == OK
    assert one("SET", "own", "five") == OK
    is_untouched(other)
    assert one("GET", "own") == b"$4\r\nfive\r\n"
    assert other("SELECT", "0") == OK
    sharing.pins(1)


def test_a_protocol_and_a_name_are_one_clients(sharing: Sharing) -> None:
    one, other = sharing.clients(2)
    assert b"\r\n$5\r\nproto\r\n:3\r\n" in one("HELLO", "3", "SETNAME", "me")
    is_untouched(other)
    assert one("CLIENT", "GETNAME") == b"$2\r\nme\r\n"
    assert one("GET", "none") == b"_\r\n"
    assert one("RESET") == b"+RESET\r\n"
    assert one("CLIENT", "GETNAME") == NULL
    assert sharing.number("pinned_clients") == 0


def test_each_client_has_an_id_of_its_own(sharing: Sharing) -> None:
    clients = sharing.clients(5)
    ids = [client("CLIENT", "ID") for client in clients]
    assert len(set(ids)) == 5
    for client, number in zip(clients, ids, strict=True):
        assert b"\r\n$2\r\nid\r\n" + number in client("HELLO")


def test_invalidations_reach_only_who_asked_for_them(sharing: Sharing) -> None:
    one, other = sharing.clients(2)
    one("HELLO", "3")
    other("HELLO", "3")
    assert one("CLIENT", "TRACKING", "ON", "BCAST") == OK
    assert other("SET", "own", "1") == OK
    assert one.reply() == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nown\r\n"
    assert other("ECHO", "next") == b"$4\r\nnext\r\n"
    assert other.received == b""
    sharing.pins(1)


@pytest.mark.parametrize("mode", ["OFF", "SKIP"])
def test_replies_that_are_off_are_off_for_one_client(sharing: Sharing, mode: str) -> None:
    one, other = sharing.clients(2)
    one.send(pipeline(f"CLIENT REPLY {mode}", "SET silent never-seen"))
    is_untouched(other)
    one.send(pipeline("CLIENT REPLY ON", "ECHO on"))
    assert one.replies(2) == OK + b"$2\r\non\r\n"
    is_untouched(other)


def test_messages_reach_only_who_has_subscribed(sharing: Sharing) -> None:
    one, other = sharing.clients(2)
    assert one("SUBSCRIBE", "c") == b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
    assert other("PUBLISH", "c", "hello") == b":1\r\n"
    assert one.reply() == b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n"
    is_untouched(other)
    one.close()
    wait_until(lambda: other("PUBLISH", "c", "x") == b":0\r\n", "the subscriber to be gone")


def test_a_client_that_waits_holds_up_nobody(sharing: Sharing) -> None:
    one, other, third = sharing.clients(3)
    one.send(request("BLPOP", "list", "0") + request("GET", "own"))
    sharing.pins(1)
    is_untouched(other)
    assert third("RPUSH", "list", "job") == b":1\r\n"
    assert one.replies(2) == b"*2\r\n$4\r\nlist\r\n$3\r\njob\r\n" + b"$1\r\n1\r\n"


REFUSED = (
    "SHUTDOWN NOSAVE", "DEBUG SLEEP 100", "CONFIG SET timeout 1", "REPLICAOF NO ONE", "SYNC", "PSYNC ? -1", "FAILOVER",
    "CLIENT KILL TYPE normal", "CLIENT PAUSE 100000", "EVAL x 0", "SCRIPT FLUSH", "FUNCTION FLUSH", "CLUSTER RESET",
)  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_refused_pins_nobody(sharing: Sharing, line: str) -> None:
    one, other = sharing.clients(2)
    before = sharing.number("upstream_connections")
    assert one(*line.split()).startswith(b"-")
    is_untouched(one)
    is_untouched(other)
    assert sharing.number("pinned_clients") == 0
    assert sharing.number("upstream_connections") == before


PINS = {
    "transaction": "MULTI", "database": "SELECT 3", "subscription": "PSUBSCRIBE *", "tracking": "CLIENT TRACKING ON",
    "client": "CLIENT NO-TOUCH", "keyspace": "KEYS *", "unknown": "NOSUCH", "blocking": "XREAD COUNT 1 STREAMS s 0",
}  # fmt: skip


def test_pins_are_counted_by_their_reason_up_and_down(sharing: Sharing) -> None:
    clients = sharing.clients(len(PINS))
    for count, (reason, line) in enumerate(PINS.items(), 1):
        clients[count - 1].send(pipeline(line))
        clients[count - 1].reply()
        assert sharing.number(f'pinned_clients{{reason="{reason}"}}') == 1
        assert sharing.number("pinned_clients") == count
    assert sharing.number("upstream_connections") == sharing.number("upstream_trunks") + len(PINS)
    sharing.leave()
    sharing.pins(0)


def test_a_pinned_client_keeps_what_it_was_told(sharing: Sharing) -> None:
    one = sharing.client()
    one.send(
        pipeline("HELLO 3 SETNAME me", "SET flask_cache_a 1", "MULTI", "GET flask_cache_a", "CLIENT GETNAME", "EXEC")
    )
    assert b"proto\r\n:3\r\n" in one.reply()
    assert one.replies(5) == OK + OK + b"+QUEUED\r\n" * 2 + b"*2\r\n$1\r\n1\r\n$2\r\nme\r\n"
    assert one("GET", "none") == b"_\r\n"


def test_a_login_admits_one_client(share: Share, sharing: Sharing, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[[listener]]\nbind = "127.0.0.1:0"\npassword = "sesame"\n')
    own = share("--config", str(config), upstream=f"unix://{sharing.redis.unix}")
    with Wire(own.proxy.json) as one, Wire(own.proxy.json) as other, Wire(own.proxy.json) as third:
        assert one("AUTH", "sesame") == OK
        assert other("GET", "own").startswith(b"-NOAUTH")
        assert third("AUTH", "wrong").startswith(b"-WRONGPASS")
        assert third("HELLO", "3", "AUTH", "default", "wrong").startswith(b"-WRONGPASS")
        assert b"proto\r\n:3\r\n" in other("HELLO", "3", "AUTH", "default", "sesame")
        assert third("GET", "own").startswith(b"-NOAUTH")
        assert third("MULTI").startswith(b"-NOAUTH")
        assert one("MULTI") == OK
        assert one("EXEC") == b"*0\r\n"
        assert one("RESET") == b"+RESET\r\n"
        assert one("PING").startswith(b"-NOAUTH")
        assert other("GET", "own") == b"_\r\n"
        assert own.number("pinned_clients") == 1


def test_many_clients_that_leave_the_trunks_at_once_disturb_nobody(sharing: Sharing) -> None:
    def changes(number: int) -> None:
        with Wire(sharing.proxy.json) as wire:
            line = request("ECHO", str(number))
            wire.send(line * 20 + pipeline("HELLO 3") + line * 20 + pipeline("MULTI") + line + pipeline("EXEC") + line)
            got = b"$%d\r\n%d\r\n" % (len(str(number)), number)
            assert wire.replies(20) == got * 20
            wire.reply()
            assert wire.replies(20) == got * 20
            assert wire.replies(4) == OK + b"+QUEUED\r\n" + b"*1\r\n" + got + got
            done.append(number)

    done: list[int] = []
    threads = [threading.Thread(target=changes, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(100))


Leaving = Callable[[Wire], None]


@pytest.mark.parametrize("leave", [Wire.close, Wire.send_no_more], ids=["closes", "sends no more"])
def test_a_client_may_leave_while_it_changes_its_connection(sharing: Sharing, leave: Leaving) -> None:
    bystander = sharing.client()
    for line in ("MULTI", "HELLO 3", "SUBSCRIBE c", "HELLO 3|MULTI", "SELECT 3|HELLO 3"):
        wire = Wire(sharing.proxy.json)
        wire.send(pipeline(*line.split("|")))
        leave(wire)
        is_untouched(bystander)
        if leave is not Wire.close:
            assert wire.until_closed().startswith((b"+OK", b"*", b"%"))
        wire.close()
    sharing.pins(0)
