"""Commands that go to all masters, and SCAN, which goes to one after the other."""

import pytest

from proxy.resp.encode import bulk, command, error
from proxy.session import error_texts
from tests.session.cluster.conftest import Play
from tests.session.cluster.script import NODES, A, B, C, Script, key_of, slots

OK = b"+OK\r\n"
SHA = bulk(b"a" * 40)


def everywhere(played: Script, raw: bytes) -> Script:
    for node in NODES:
        played.to(node, raw)
    return played


def array(*elements: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(elements), b"".join(elements))


class TestGathered:
    @pytest.mark.parametrize(
        ("request_", "said", "shown"),
        [
            ((b"DBSIZE",), (b":3\r\n", b":4\r\n", b":0\r\n"), b":7\r\n"),
            ((b"FLUSHALL",), (OK, OK, OK), OK),
            ((b"FLUSHDB", b"ASYNC"), (OK, b"-ERR b\r\n", b"-ERR c\r\n"), b"-ERR b\r\n"),
            ((b"SCRIPT", b"LOAD", b"x"), (SHA, SHA, SHA), SHA),
            (
                (b"SCRIPT", b"EXISTS", b"x", b"y"),
                (array(b":1\r\n", b":0\r\n"), array(b":0\r\n", b":0\r\n"), array(b":1\r\n", b":1\r\n")),
                array(b":0\r\n", b":0\r\n"),
            ),
            (
                (b"PUBSUB", b"NUMSUB", b"a"),
                (array(bulk(b"a"), b":1\r\n"), array(bulk(b"a"), b":0\r\n"), array(bulk(b"a"), b":2\r\n")),
                array(bulk(b"a"), b":3\r\n"),
            ),
            ((b"PUBSUB", b"NUMPAT"), (b":1\r\n", b":1\r\n", b":1\r\n"), b":3\r\n"),
        ],
    )
    def test_all_masters_are_asked(
        self, play: Play, request_: tuple[bytes, ...], said: tuple[bytes, ...], shown: bytes
    ) -> None:
        played = everywhere(play().sends(command(*request_)), command(*request_))
        for node, reply in reversed(tuple(zip(NODES, said, strict=True))):
            played.to_client().replies(node, reply)
        played.to_client(shown).is_quiet()

    def test_one_that_is_lost_is_the_error(self, play: Play) -> None:
        played = play().command(b"DBSIZE").replies(A, b":1\r\n").replies(C, b":1\r\n").loses(B)
        played.to_client(error(error_texts.lane_lost(B)))
        assert played.session.is_idle

    @pytest.mark.parametrize("said", [b"+OK\r\n", b"*1\r\n:1\r\n", b":x\r\n", b"$1\r\n1\r\n"])
    def test_a_reply_that_is_no_number_ends_it(self, play: Play, said: bytes) -> None:
        assert play().command(b"DBSIZE").replies(A, said).closed is not None

    def test_arrays_of_other_lengths_end_it(self, play: Play) -> None:
        played = play().command(b"SCRIPT", b"EXISTS", b"x").replies(A, b"*1\r\n:1\r\n").replies(B, b"*0\r\n")
        assert played.closed is not None

    def test_inside_multi_they_are_refused(self, play: Play) -> None:
        for request in ((b"DBSIZE",), (b"KEYS", b"*"), (b"SCAN", b"0"), (b"HELLO",)):
            played = play().command(b"MULTI").to_client(OK).command(*request)
            assert b"it acts on all nodes of the cluster" in played.client
            played.client = b""
            played.command(b"SET", key_of(B), b"x").replies(B, OK + b"-ERR poison\r\n+QUEUED\r\n")
            played.to_client(b"+QUEUED\r\n").command(b"EXEC").replies(B, b"-EXECABORT x\r\n")
            played.to_client(b"-EXECABORT x\r\n")


class TestStreamed:
    def test_one_header_and_the_elements_of_all(self, play: Play) -> None:
        played = play().sends(command(b"KEYS", b"*") + command(b"PING"))
        played.to(A, command(b"KEYS", b"*"), command(b"PING")).to(B, command(b"KEYS", b"*"))
        played.replies(A, b"*2\r\n" + bulk(b"a1")).to_client().replies(B, b"*0\r\n").to_client()
        played.replies(C, b"*1\r\n").to_client(b"*3\r\n", bulk(b"a1")).replies(A, bulk(b"a2") + b"+PONG\r\n")
        played.to_client(bulk(b"a2")).replies(C, bulk(b"c1")).to_client(bulk(b"c1") + b"+PONG\r\n")
        played.sent.clear()
        played.is_quiet()

    def test_an_error_of_one_is_the_reply(self, play: Play) -> None:
        played = play().command(b"KEYS", b"*").replies(A, b"*1\r\n" + bulk(b"a")).replies(B, b"-ERR b\r\n")
        played.to_client(b"-ERR b\r\n").replies(C, b"*1\r\n" + bulk(b"c")).to_client()
        assert played.session.is_idle

    def test_one_that_is_lost_before_the_header_is_an_error(self, play: Play) -> None:
        played = play().command(b"PUBSUB", b"CHANNELS").replies(A, b"*0\r\n").replies(C, b"*0\r\n").loses(B)
        played.to_client(error(error_texts.lane_lost(B)))
        assert played.session.is_idle
        assert played.closed is None

    def test_one_that_is_lost_behind_it_closes_the_client(self, play: Play) -> None:
        played = (
            play().command(b"KEYS", b"*").replies(A, b"*0\r\n").replies(B, b"*1\r\n").replies(C, b"*0\r\n").loses(B)
        )
        played.to_client(b"*1\r\n")
        assert played.closed is not None

    @pytest.mark.parametrize("said", [b"*", b"-ERR"])
    def test_one_that_is_lost_in_its_first_line_is_an_error(self, play: Play, said: bytes) -> None:
        played = play().command(b"KEYS", b"*").replies(A, b"*0\r\n").replies(C, b"*0\r\n").replies(B, said).loses(B)
        played.to_client(error(error_texts.lane_lost(B)))
        assert played.session.is_idle
        assert played.closed is None

    def test_one_that_is_lost_in_the_reply_to_our_opening_is_an_error(self, play: Play) -> None:
        login = command(b"AUTH", b"sesame")
        played = play(setup=(login,)).replies(A, OK).command(b"KEYS", b"*").replies(C, OK + b"*0\r\n")
        played.replies(B, b"+").loses(B).replies(A, b"*0\r\n").to_client(error(error_texts.lane_lost(B)))
        assert played.closed is None
        assert played.session.is_idle

    def test_a_push_may_come_before_the_array_of_home(self, play: Play) -> None:
        confirmed = b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
        push = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"
        played = play(home=B).command(b"HELLO", b"3").replies(B, b"%0\r\n").command(b"SUBSCRIBE", b"c")
        played.replies(B, confirmed).to_client(b"%0\r\n" + confirmed).command(b"KEYS", b"*")
        played.replies(A, b"%0\r\n*1\r\n" + bulk(b"a")).replies(C, b"%0\r\n*0\r\n")
        played.replies(B, push + b"*1\r\n" + push + bulk(b"b") + push)
        played.to_client(push, b"*2\r\n", bulk(b"b"), bulk(b"a"), push, push)
        assert played.session.is_idle

    def test_of_no_elements(self, play: Play) -> None:
        played = play().command(b"KEYS", b"*").replies(A, b"*0\r\n").replies(B, b"*0\r\n").replies(C, b"*0\r\n")
        played.to_client(b"*0\r\n")
        assert played.session.is_idle

    def test_nothing_is_held_whole(self) -> None:
        played = Script().command(b"KEYS", b"*").replies(B, b"*0\r\n").replies(C, b"*0\r\n").replies(A, b"*9999\r\n")
        for _ in range(9999):
            played.replies(A, bulk(b"x" * 100)).takes_turns()
            assert played.session.memory < 2000
        assert played.session.is_idle

    def test_another_kind_of_reply_ends_it(self, play: Play) -> None:
        assert play().command(b"KEYS", b"*").replies(A, b"+OK\r\n").closed is not None


class TestScan:
    def test_the_nodes_take_turns(self, play: Play) -> None:
        usual = slots()
        order = sorted(zip(usual.ids, usual.nodes, strict=True))
        played, cursor, seen = play(), b"0", []
        for at, (number, node) in enumerate(order):
            following = order[at + 1][0] if at + 1 < len(order) else 0
            for said, shown in ((17, 17 * 1024 + number), (0, following)):
                asked = command(b"SCAN", b"%d" % (int(cursor) // 1024), b"COUNT", b"5")
                played.command(b"SCAN", cursor, b"COUNT", b"5").to(node, asked)
                page = array(bulk(node.encode()))
                played.replies(node, b"*2\r\n" + bulk(b"%d" % said) + page)
                cursor = b"%d" % shown
                played.to_client(b"*2\r\n" + bulk(cursor) + page).is_quiet()
            seen.append(node)
        assert cursor == b"0"
        assert sorted(seen) == sorted(NODES)

    def test_its_ids_depend_on_the_addresses_only(self) -> None:
        usual = slots()
        assert slots(nodes=NODES[:2]).ids == usual.ids[:2]
        assert len(set(usual.ids)) == 3
        assert all(1 <= number <= 1023 for number in usual.ids)

    @pytest.mark.parametrize("cursor", [b"x", b"", b"-1", b"1" * 21])
    def test_no_cursor(self, play: Play, cursor: bytes) -> None:
        play().command(b"SCAN", cursor).to_client(b"-ERR invalid cursor\r\n").is_quiet()

    def test_a_cursor_of_another_cluster(self, play: Play) -> None:
        foreign = next(number for number in range(1, 1024) if number not in slots().ids)
        play().command(b"SCAN", b"%d" % (1024 + foreign)).to_client(error(error_texts.FOREIGN_CURSOR)).is_quiet()

    def test_a_cursor_that_is_too_large_is_an_error(self, play: Play) -> None:
        number, node = min(zip(slots().ids, NODES, strict=True))
        for cursor, fits in ((((1 << 63) - 1 - number) // 1024, True), (1 << 53, False)):
            played = play().command(b"SCAN", b"0").replies(node, b"*2\r\n" + bulk(b"%d" % cursor) + b"*0\r\n")
            shown = b"*2\r\n" + bulk(b"%d" % (cursor * 1024 + number)) + b"*0\r\n"
            played.to_client(shown if fits else error(error_texts.CURSOR_TOO_LARGE))
            assert played.session.is_idle

    @pytest.mark.parametrize("said", [b"-ERR x\r\n", b"*2\r\n$1\r\nx\r\n*0\r\n", b"*1\r\n$1\r\n1\r\n"])
    def test_other_replies(self, play: Play, said: bytes) -> None:
        node = min(zip(slots().ids, NODES, strict=True))[1]
        played = play().command(b"SCAN", b"0").replies(node, said)
        assert (played.closed is None) == said.startswith(b"-")
