"""The order of requests while slots move: redirects, barriers, maps. See `trouble`."""

import gc

import pytest

from proxy.resp.encode import bulk, command, error
from proxy.session import error_texts, key_slot
from proxy.session.cluster.lanes import NodeLane
from tests.session.cluster.conftest import Play
from tests.session.cluster.script import A, B, C, Script, key_of, slots

K = key_of(A)
SLOT = key_slot(K)
ON_B, ON_C = key_of(B), key_of(C)
MOVED = slots(moved={SLOT: B})
OK = b"+OK\r\n"
ASKING = command(b"ASKING")
NOT_FOLLOWED = error(error_texts.NOT_FOLLOWED)
STRANGER = "10.6.6.6:6379"


def put(value: bytes, key: bytes = K) -> bytes:
    return command(b"SET", key, value)


def moved(to: str, slot: int = SLOT) -> bytes:
    return b"-MOVED %d %b\r\n" % (slot, to.encode())


def ask(to: str, slot: int = SLOT) -> bytes:
    return b"-ASK %d %b\r\n" % (slot, to.encode())


class TestOrder:
    def test_replies_keep_the_clients_order(self, play: Play) -> None:
        played = play().sends(put(b"1", ON_B), put(b"2"), put(b"3", ON_B)).to(B, put(b"1", ON_B), put(b"3", ON_B))
        played.to(A, put(b"2")).replies(A, b"+a\r\n").to_client().replies(B, b"+b\r\n").to_client(b"+b\r\n+a\r\n")
        played.replies(B, b"+c\r\n").to_client(b"+c\r\n").is_quiet()

    def test_a_new_map_does_not_let_a_later_request_overtake(self, play: Play) -> None:
        """SET k 1, 2, 3 left the value 2 when the map changed as soon as it came."""
        played = play().sends(put(b"1"), put(b"2")).to(A, put(b"1"), put(b"2"))
        played.replies(A, moved(B)).to(B, put(b"1")).learns(MOVED).sends(put(b"3")).to(B)
        played.replies(B, b"+1\r\n").to_client(b"+1\r\n").to(B)
        played.replies(A, moved(B)).to(B, put(b"2")).replies(B, b"+2\r\n").to_client(b"+2\r\n")
        played.to(B, put(b"3")).replies(B, b"+3\r\n").to_client(b"+3\r\n").is_quiet()

    def test_a_map_that_comes_before_any_redirect_waits_too(self, play: Play) -> None:
        played = play().sends(put(b"1")).to(A, put(b"1")).learns(MOVED, asked=False).sends(put(b"2")).to(A, put(b"2"))
        played.replies(A, OK).replies(A, moved(B)).to(B, put(b"2")).replies(B, OK).to_client(OK * 2)
        played.sends(put(b"3")).to(B, put(b"3")).replies(B, OK).to_client(OK).is_quiet()

    def test_after_a_redirect_nothing_new_is_routed_until_all_is_answered(self, play: Play) -> None:
        played = play().sends(put(b"1"), put(b"2", ON_C)).to(A, put(b"1")).to(C, put(b"2", ON_C))
        played.replies(A, moved(B)).to(B, put(b"1")).sends(put(b"3", ON_B), command(b"PING"))
        played.replies(B, OK).to_client(OK).to(B).replies(C, OK).to_client(OK).to(B, put(b"3", ON_B))
        played.to(A, command(b"PING")).replies(A, b"+PONG\r\n").replies(B, OK).to_client(OK, b"+PONG\r\n").is_quiet()

    def test_so_do_answers_of_ours(self, play: Play) -> None:
        played = play().sends(put(b"1"), put(b"2", ON_C)).replies(A, moved(B)).to(B, put(b"1"))
        played.sends(command(b"MULTI", b"x"), put(b"3"), command(b"CLUSTER", b"KEYSLOT", b"x")).to_client()
        played.replies(C, b"+2\r\n").replies(B, b"+1\r\n").to(A, put(b"1"), put(b"3")).replies(A, b"+3\r\n")
        wrong = b"-ERR wrong number of arguments for 'multi' command\r\n"
        played.to_client(b"+1\r\n+2\r\n", wrong, b"+3\r\n", b":%d\r\n" % key_slot(b"x"))

    def test_a_value_that_is_being_encoded_waits_for_the_barrier(self) -> None:
        key = key_of(A, managed=True)
        slot = key_slot(key)
        played = Script().sends(put(b"1"), put(b"2", ON_C)).to(A, put(b"1")).to(C, put(b"2", ON_C))
        played.sends(command(b"SET", key, b"x" * 100_000), put(b"3"))
        [conversion] = played.conversions
        played.replies(A, moved(B)).to(B, put(b"1"))
        played.take(played.session.converted(conversion.half, b"stored"))
        played.replies(B, OK).to_client(OK)
        assert not played.sent
        played.learns(slots(moved={slot: C, SLOT: B})).replies(C, OK).to_client(OK)
        played.to(C, command(b"SET", key, b"stored")).to(B, put(b"3")).replies(B, OK).replies(C, OK)
        played.to_client(OK * 2).is_quiet()

    def test_a_request_that_is_sent_again_does_not_wait_behind_later_ones(self, play: Play) -> None:
        """Its reply is the next that the client gets, so it takes another lane if the node owes replies already."""
        played = play().sends(put(b"1"), put(b"2", ON_B)).to(A, put(b"1")).to(1, put(b"2", ON_B))
        played.replies(A, moved(B)).to(2, put(b"1"))
        assert played.dialled == [B, B]
        played.replies(1, b"+later\r\n").to_client().replies(2, b"+first\r\n").to_client(b"+first\r\n+later\r\n")
        assert played.hung_up == [2]
        played.is_quiet()

    def test_a_lane_that_holds_bytes_which_nobody_asked_for_is_no_detour(self, play: Play) -> None:
        played = Script().sends(put(b"1", ON_B)).replies(B, OK + b"+stale\r\n").to_client(OK)
        played.sends(put(b"1")).replies(A, moved(B)).to(2, put(b"1")).replies(2, OK).to_client(OK)

    def test_memory_counts_the_requests_that_are_kept(self) -> None:
        played = Script().sends(put(b"x" * 5000))
        assert played.session.memory > 5000
        played.replies(A, OK)
        assert played.session.memory == 0


class TestRedirects:
    def test_asking_and_the_command_are_one_write(self, play: Play) -> None:
        played = play().sends(put(b"1")).to(A, put(b"1")).replies(A, ask(B)).to(B, ASKING, put(b"1"))
        played.replies(B, OK).to_client().replies(B, b"+done\r\n").to_client(b"+done\r\n").is_quiet()
        assert played.tally.redirects == {"ask": 1}
        assert played.asks_for_map == 0

    def test_a_read_is_decoded_after_its_redirect(self, play: Play) -> None:
        key = key_of(A, managed=True)
        played = play().command(b"GET", key).to(A, command(b"GET", key)).replies(A, moved(B, key_slot(key)))
        played.to(B, command(b"GET", key)).replies(B, bulk(b"!v")).to_client(bulk(b"v")).is_quiet()
        assert played.tally.redirects == {"moved": 1}
        assert played.asks_for_map == 1

    @pytest.mark.parametrize("host", [b"", b"?"])
    def test_an_unknown_host_is_that_of_the_lane(self, play: Play, host: bytes) -> None:
        nodes = ("h:1", "h:2")
        key = next(key for i in range(99) if key_slot(key := b"k%d" % i) < 8192)
        played = play(first=slots(nodes=nodes), home="h:1").command(b"GET", key).to("h:1", command(b"GET", key))
        played.replies("h:1", b"-MOVED %d %b:2\r\n" % (key_slot(key), host)).to("h:2", command(b"GET", key))

    def test_hops_end(self, play: Play) -> None:
        played = play().sends(put(b"1"))
        for hop in range(16):
            played.replies((A, B)[hop % 2], moved((B, A)[hop % 2]))
        played.to_client().replies(A, moved(B)).to_client(error(error_texts.TOO_MANY_HOPS))
        assert played.session.is_idle

    def test_the_pipeline_behind_a_large_redirect_goes_on(self, play: Play) -> None:
        played = play().sends(*[put(b"%d" % n) for n in range(30)])
        played.replies(A, moved(B) * 30)
        for n in range(30):
            played.to(B, put(b"%d" % n)) if n else None
            played.sent.clear()
            played.replies(B, OK).to_client(OK)
        played.is_quiet()

    @pytest.mark.parametrize("said", [b"-READONLY x\r\n", b"-CLUSTERDOWN x\r\n"])
    def test_others_pass_and_make_the_map_old(self, play: Play, said: bytes) -> None:
        played = play().sends(put(b"1")).to(A, put(b"1")).replies(A, said).to_client(said).is_quiet()
        assert played.asks_for_map == 1

    @pytest.mark.parametrize("said", [b"-LOADING x\r\n", b"-MOVEDx 1 a:1\r\n", b"-ERR MOVED\r\n"])
    def test_others_pass(self, play: Play, said: bytes) -> None:
        played = play().sends(put(b"1")).to(A, put(b"1")).replies(A, said).to_client(said).is_quiet()
        assert played.asks_for_map == 0


class TestFalseRedirects:
    """A script of a client can answer with the bytes of a redirect. The proxy must not give a stranger its password."""

    @pytest.mark.parametrize(
        "said",
        [
            moved(STRANGER, SLOT + 1),
            moved(B, SLOT + 1),
            b"-MOVED %d nowhere\r\n" % SLOT,
            b"-MOVED x y:1\r\n",
            b"-MOVED %d b:x\r\n" % SLOT,
            b"-MOVED 123456 b:1\r\n",
            b"-MOVED \r\n",
        ],
    )
    def test_another_slot_or_form_is_not_followed(self, play: Play, said: bytes) -> None:
        played = play().sends(put(b"1")).to(A, put(b"1")).replies(A, said).to_client(NOT_FOLLOWED).is_quiet()
        assert played.dialled == []

    def test_a_command_without_a_key_is_not(self, play: Play) -> None:
        played = play().command(b"EVAL_RO", b"x", b"0").replies(A, moved(B, 0)).to_client(NOT_FOLLOWED)
        assert played.dialled == []

    def test_a_script_goes_where_a_map_that_is_fetched_later_says(self, play: Play) -> None:
        raw = command(b"EVAL_RO", b"x", b"1", K)
        played = play().sends(raw, command(b"PING")).to(A, raw, command(b"PING")).replies(A, moved(B) + b"+PONG\r\n")
        played.to_client()
        assert (played.asks_for_map, played.dialled) == (1, [])
        played.learns(MOVED, asked=False).to_client().learns(MOVED).to(B, raw)
        played.replies(B, bulk(b"v")).to_client(bulk(b"v"), b"+PONG\r\n").is_quiet()

    @pytest.mark.parametrize("said", [moved(STRANGER), moved(B), ask(B), ask(STRANGER)])
    def test_a_script_that_lies_dials_nobody_and_is_not_run_twice(self, play: Play, said: bytes) -> None:
        raw = command(b"EVAL_RO", b"x", b"1", K)
        played = play().sends(raw).to(A, raw).replies(A, said).to_client().learns(slots()).to_client(NOT_FOLLOWED)
        assert played.dialled == []
        played.is_quiet()

    @pytest.mark.parametrize("said", [moved(A), ask(A)])
    def test_a_script_cannot_name_the_node_that_runs_it(self, play: Play, said: bytes) -> None:
        raw = command(b"EVAL_RO", b"x", b"1", K)
        played = play().sends(raw).to(A, raw).replies(A, said).to_client(NOT_FOLLOWED).is_quiet()
        assert played.asks_for_map == 0

    def test_a_client_that_gives_up_makes_the_map_old(self, play: Play) -> None:
        played = play().sends(put(b"1")).to(A, put(b"1"))
        played.take(played.session.fail("Redis has not answered for 3 s"))
        assert played.asks_for_map == 1

    def test_an_unknown_command_is_like_a_script(self, play: Play) -> None:
        raw = command(b"FOO", K)
        played = play().sends(raw)
        played.finds("readonly").to(A, raw).replies(A, moved(B)).to_client().learns(slots())
        played.to_client(NOT_FOLLOWED).is_quiet()

    def test_a_node_that_nobody_knows_waits_for_a_map(self, play: Play) -> None:
        nodes = (*slots().nodes, STRANGER)
        owners = slots(moved={SLOT: B})
        later = slots(nodes=nodes, moved={SLOT: STRANGER})
        assert not owners.has(STRANGER)
        played = play().sends(put(b"1")).to(A, put(b"1")).replies(A, moved(STRANGER)).to_client()
        assert played.dialled == []
        played.learns(later).to(STRANGER, put(b"1")).replies(STRANGER, OK).to_client(OK).is_quiet()

    def test_if_the_map_does_not_have_it_the_owner_gets_the_command(self, play: Play) -> None:
        played = play().sends(put(b"1")).to(A, put(b"1")).replies(A, moved(STRANGER)).learns(MOVED)
        played.to(B, put(b"1")).replies(B, OK).to_client(OK).is_quiet()

    def test_without_a_map_it_is_an_error(self, play: Play) -> None:
        played = play().sends(put(b"1")).to(A, put(b"1")).replies(A, moved(STRANGER))
        played.take(played.session.no_slots())
        played.to_client(NOT_FOLLOWED).is_quiet()

    def test_a_part_of_a_sum_gets_the_error_in_its_place(self, play: Play) -> None:
        played = play().command(b"DEL", K, ON_B, ON_C).replies(A, moved(STRANGER, 1)).replies(B, moved(STRANGER, 1))
        played.to_client().replies(C, b":1\r\n").to_client(NOT_FOLLOWED)
        assert played.session.is_idle

    def test_a_part_of_an_array_gets_it_for_each_element(self, play: Play) -> None:
        tagged = [b"{%b}%d" % (K, number) for number in range(3)]
        played = play().command(b"MGET", *tagged, ON_B).replies(B, b"*1\r\n" + bulk(b"b"))
        played.replies(A, moved(STRANGER, 1)).to_client(b"*4\r\n", NOT_FOLLOWED * 3, bulk(b"b"))

    def test_a_node_that_redirects_a_command_to_all_masters_is_an_error(self, play: Play) -> None:
        for at in range(3):
            played = play().command(b"KEYS", b"*").command(b"DBSIZE")
            for number, node in enumerate((A, B, C)):
                played.replies(node, moved(STRANGER, 1) * 2 if number == at else b"*0\r\n:1\r\n")
            played.to_client(NOT_FOLLOWED * 2)
            assert played.session.is_idle
            assert STRANGER not in played.dialled

    @pytest.mark.parametrize(
        "said", [b"!21\r\nMOVED 1 10.6.6.6:6379\r\n", b"-MOVED 1 10.6.6.6:6379%b\r\n" % (b" " * 600)]
    )
    def test_a_redirect_in_another_form_is_no_part_either(self, play: Play, said: bytes) -> None:
        play().command(b"DEL", K, ON_B).replies(A, said).replies(B, b":1\r\n").to_client(NOT_FOLLOWED)
        if said.startswith(b"-"):
            played = play().command(b"MGET", K, ON_B).replies(A, said).replies(B, b"*1\r\n$-1\r\n")
            played.to_client(b"*2\r\n", NOT_FOLLOWED, b"$-1\r\n")

    def test_a_redirect_that_nobody_has_asked_for_is_not_shown(self, play: Play) -> None:
        played = play().replies(A, moved(STRANGER)).to_client(NOT_FOLLOWED)
        assert played.closed is not None

    def test_errors_in_place_of_redirects_leave_no_memory(self) -> None:
        raw = command(b"EVAL_RO", b"x", b"1", K)
        played = Script()
        for said in (moved(A), moved(STRANGER)):
            for _ in range(50):
                played.sends(raw).replies(A, said)
                played.learns(slots())
        gc.collect()
        assert sum(isinstance(each, NodeLane) and each.address == A for each in gc.get_objects()) < 10
        assert played.client == NOT_FOLLOWED * 100

    def test_a_node_without_slots_is_followed_if_the_map_knows_it(self, play: Play) -> None:
        played = play(first=slots(others=(STRANGER,))).sends(put(b"1")).to(A, put(b"1")).replies(A, ask(STRANGER))
        played.to(STRANGER, ASKING, put(b"1"))

    @pytest.mark.parametrize(
        "said", [b"!%d\r\nMOVED %d 10.0.0.2:7000\r\n" % (len(b"MOVED %d 10.0.0.2:7000" % SLOT), SLOT)]
    )
    def test_no_redirect_arrives_in_another_form(self, play: Play, said: bytes) -> None:
        played = play().sends(put(b"1")).to(A, put(b"1")).replies(A, said).to_client(NOT_FOLLOWED).is_quiet()
        assert played.dialled == []


class TestBlocking:
    POP = command(b"BLPOP", K, b"0")

    def test_it_is_sent_again_when_its_slot_leaves(self, play: Play) -> None:
        played = play().sends(self.POP).to(A, self.POP)
        assert played.session.is_blocked
        played.replies(A, moved(B)).to(B, self.POP)
        assert played.session.is_blocked
        played.replies(B, b"*-1\r\n").to_client(b"*-1\r\n").is_quiet()

    def test_a_new_map_waits_behind_it_for_a_bounded_time(self, play: Play) -> None:
        played = play().sends(self.POP).to(A, self.POP).replies(A, moved(B)).to(B, self.POP).learns(MOVED)
        played.sends(put(b"1"))
        assert played.session.waits_behind_blocking
        played.take(played.session.waited())
        assert not played.session.waits_behind_blocking
        played.to(B, put(b"1")).replies(B, b"*-1\r\n" + OK).to_client(b"*-1\r\n" + OK).is_quiet()

    def test_not_while_it_waits_for_a_map(self, play: Play) -> None:
        played = play().sends(self.POP).replies(A, moved(STRANGER))
        assert played.session.is_blocked
        assert not played.session.waits_behind_blocking
        played.take(played.session.waited())
        played.learns(MOVED).to(B, self.POP)

    def test_not_while_others_are_outstanding(self, play: Play) -> None:
        played = play().sends(self.POP, put(b"1", ON_C)).replies(A, moved(B)).sends(put(b"2", ON_C))
        assert not played.session.waits_behind_blocking
        played.take(played.session.waited())
        played.to(C, put(b"1", ON_C))
