"""Requests that are too large for one turn of the event loop, keys that are too long, and their error texts."""

import pytest

from proxy.commands import COMMANDS
from proxy.policy import LONGEST_KEY, As, SessionLimits
from proxy.resp.encode import command
from proxy.session import error_texts
from tests.conftest import RawRedis, RedisServer
from tests.session.playbook import POISON, Playbook, policy, rule

LIMITS = SessionLimits(turn_steps=10)
WRONG = b"-ERR wrong number of arguments for 'get' command\r\n"
KEYS = [b"m:%d" % number for number in range(100)]
FREE = [b"n:%d" % number for number in range(100)]
PAIRS = [part for key in KEYS for part in (key, b"1")]
ENCODED = [part for key in KEYS for part in (key, b"!1")]
CLASS = rule(b"*_[0-9]*")


def large(*rules: object, **limits: int) -> Playbook:
    return Playbook(policy(*rules, limits=LIMITS._replace(**limits)))  # type: ignore[arg-type]


def turns(played: Playbook) -> int:
    """The number of turns until the session needs no more. No other request is read meanwhile."""
    count = 0
    while played.wants_turn:
        assert not played.session.wants_client
        assert not played.session.is_idle
        assert played.session.memory > 0
        played._take(played.session.take_turn())
        count += 1
    return count


class TestTurns:
    @pytest.mark.parametrize(
        ("asked", "sent"),
        [
            ([b"EXISTS", *FREE], [b"EXISTS", *FREE]),
            ([b"EXISTS", *KEYS], [b"EXISTS", *KEYS]),
            ([b"MGET", *KEYS], [b"MGET", *KEYS]),
            ([b"MSET", *PAIRS], [b"MSET", *ENCODED]),
            ([b"MSET", *FREE], [b"MSET", *FREE]),
            ([b"MSETEX", b"100", *PAIRS, b"NX"], [b"MSETEX", b"100", *ENCODED, b"NX"]),
            ([b"MSETEX", b"100", *PAIRS, b"NEW"], [b"MSETEX", b"100", *[b"" if a == b"1" else a for a in PAIRS], b"?"]),
            ([b"BLPOP", *FREE, b"0"], [b"BLPOP", *FREE, b"0"]),
            ([b"XREAD", b"STREAMS", *FREE], [b"XREAD", b"STREAMS", *FREE]),
            ([b"SORT", b"n", *[b"GET", b"n_*"] * 50], [b"SORT", b"n", *[b"GET", b"n_*"] * 50]),
            ([b"NOSUCH", *FREE], [b"NOSUCH", *FREE]),
        ],
        ids=lambda args: str(args[0]),
    )
    def test_a_large_request_is_dealt_with_in_turns_and_goes_as_a_small_one(
        self, asked: list[bytes], sent: list[bytes]
    ) -> None:
        played = large().command(*asked)
        if played.lookups:
            played.finds("readonly")
        played.to_upstream(b"")
        assert turns(played) >= 4
        played.to_upstream(command(*sent))
        assert played.session.pending == 1
        assert played.session.wants_client
        few = Playbook().command(*asked)
        if few.lookups:
            few.finds("readonly")
        few.to_upstream(command(*sent))

    @pytest.mark.parametrize(
        "asked",
        [
            [b"SUNION", *FREE, b"m:a"],
            [b"MSETNX", *PAIRS[:-1], b"bad"],
            [b"SORT", b"n", *[b"GET", b"n_*"] * 50, b"GET", b"m*"],
            [b"MGET", *FREE, b"m:" + b"x" * LONGEST_KEY],
            [b"NOSUCH", *FREE, b"m:a"],
        ],
        ids=lambda args: str(args[0]),
    )
    def test_what_is_refused_is_refused_in_the_same_words(self, asked: list[bytes]) -> None:
        said = []
        for played in (large(), Playbook()):
            played.command(*asked)
            if played.lookups:
                played.finds("readonly")
            turns(played)
            said.append(played.to_upstream(b"").client)
        assert said[0] == said[1]
        assert said[0].startswith(b"-ERR flask-cache-proxy: ")

    def test_what_is_behind_waits_and_replies_keep_their_order(self) -> None:
        played = large().sends(command(b"MSET", *PAIRS) + command(b"MGET", *KEYS) + command(b"PING"))
        turns(played)
        played.to_upstream(command(b"MSET", *ENCODED) + command(b"MGET", *KEYS) + command(b"PING"))
        played.replies(b"+OK\r\n*100\r\n" + b"$2\r\n!1\r\n" * 100 + b"+PONG\r\n").takes_turns()
        played.to_client(b"+OK\r\n*100\r\n" + b"$1\r\n1\r\n" * 100 + b"+PONG\r\n")

    def test_nothing_goes_before_all_is_encoded_and_then_piece_by_piece(self) -> None:
        pairs = [part for key in KEYS for part in (key, b"x" * 4000)]
        played = large(rule(), turn_steps=10).command(*[b"MSET", *pairs[:-1], b"bad"])
        turns(played)
        played.to_upstream(b"")
        assert b"value 100 of 100: a bad payload; nothing was stored" in played.client
        played = large().command(b"MSET", *pairs)
        pieces = 0
        while played.wants_turn:
            before = len(played.upstream)
            played._take(played.session.take_turn())
            pieces += len(played.upstream) > before
            assert len(played.upstream) - before < 200_000
            assert played.session.pending == bool(played.upstream)
        assert pieces > 3
        played.to_upstream(command(b"MSET", *[b"!" + a if a.startswith(b"x") else a for a in pairs]))

    def test_a_value_for_the_converter_stands_among_the_others(self) -> None:
        played = large(inline_encode_bytes=100).command(b"MSET", *PAIRS, b"m:a", b"x" * 1000, *PAIRS)
        turns(played)
        assert len(played.conversions) == 1
        assert played.session.memory > 0
        played.to_upstream(b"").converts()
        turns(played)
        played.to_upstream(command(b"MSET", *ENCODED, b"m:a", b"!" + b"x" * 1000, *ENCODED))

    @pytest.mark.parametrize("asked", [[b"EXISTS", *FREE, *KEYS], [b"MSET", *FREE, *PAIRS], [b"SORT", *FREE]])
    def test_a_reload_between_two_turns_changes_nothing_for_it(self, asked: list[bytes]) -> None:
        played = large().command(*asked)
        played.session.set_policy(policy(rule(b"n:*", treats_as=As.READ_ONLY), limits=LIMITS), None)
        turns(played)
        played.to_upstream(command(*[b"!1" if arg == b"1" else arg for arg in asked]))
        played.command(b"SET", b"n:a", b"1").to_upstream(b"")

    def test_it_is_counted_and_dropped_with_its_client(self) -> None:
        played = large().command(b"MSET", *PAIRS)
        assert played.session.memory > len(command(*PAIRS))
        played.session.end()
        assert played.session.memory == 0
        played._take(played.session.take_turn())
        played.to_upstream(b"")

    def test_replies_do_not_hold_it_up_nor_does_it_hold_up_them(self) -> None:
        played = large().sends(command(b"PING") + command(b"EXISTS", *KEYS)).replies(b"+PONG\r\n")
        played.to_client(b"+PONG\r\n").to_upstream(command(b"PING"))
        turns(played)
        played.to_upstream(command(b"EXISTS", *KEYS)).replies(b":0\r\n").to_client(b":0\r\n")

    def test_what_multi_holds_is_full_is_one_poison(self) -> None:
        played = large(pending_commands=1).sends(command(b"MULTI")).replies(b"+OK\r\n")
        played.command(b"GET", b"m:a").replies(b"+QUEUED\r\n")
        played.upstream = b""
        played.command(b"MSET", *[part for key in KEYS for part in (key, b"x" * 4000)])
        turns(played)
        played.to_upstream(POISON)

    def test_bytes_of_keys_count_as_their_number_does(self) -> None:
        played = Playbook(policy(CLASS)).command(b"EXISTS", *[b"x" * LONGEST_KEY] * 20)
        assert turns(played) >= 19

    @pytest.mark.parametrize("key", [b"n:a", b"m:a"])
    def test_many_values_of_one_key_are_let_go_in_turns(self, key: bytes) -> None:
        played = Playbook().command(b"RPUSH", key, *[b"x"] * 50_000)
        turns(played)
        played.command(b"RPUSH", key, *[b"x"] * 50_000)
        assert turns(played) >= 4
        passed = command(b"RPUSH", key, *[b"x"] * 50_000) if key == b"n:a" else b""
        played.to_upstream(passed * 2)

    def test_conditions_of_exec_are_not_so_many(self) -> None:
        played = large().command(b"EXEC", *FREE).to_upstream(b"")
        played.to_client(b"-ERR wrong number of arguments for 'exec' command\r\n")


class TestNothingTwice:
    """A request that leaves the fast path is not handled again from the start."""

    @pytest.mark.parametrize(
        "args",
        [
            [b"SET", b"m:a", b"1"],
            [b"SET", b"m:a", b"1", b"NX"],
            [b"SET", b"m:a", b"x" * 1_000_000],
            [b"SET", b"m:a", b"x" * 1_000_000, b"EX", b"5"],
            [b"GETEX", b"m:a", b"PERSIST"],
            [b"RPUSH", b"m:a", *[b"x"] * 20_000],
        ],
        ids=lambda args: f"{args[0].decode()} of {len(args)}, {len(args[2])}",
    )
    def test_a_key_is_matched_once(self, args: list[bytes]) -> None:
        looks = 0

        def matches(key: bytes) -> bool:
            nonlocal looks
            looks += 1
            return key.startswith(b"m:")

        played = Playbook(policy(rule(matches=matches)))
        raw = command(*args)
        for at in range(0, len(raw), 65536):
            played.sends(raw[at : at + 65536])
        turns(played)
        assert played.converts().upstream or played.client
        assert looks == 1


class TestLongKeys:
    LONG = b"m:" + b"x" * LONGEST_KEY

    @pytest.mark.parametrize("name", [b"GET", b"DEL", b"EXISTS", b"MGET", b"TYPE", b"SADD", b"WATCH", b"SUNION"])
    @pytest.mark.parametrize("inside", [(), (b"n:a",)])
    def test_one_that_begins_as_managed_keys_do_is_refused(self, name: bytes, inside: tuple[bytes, ...]) -> None:
        played = Playbook().command(name, self.LONG, *inside)
        turns(played)
        played.to_upstream(b"")
        assert b" is refused: its key begins as keys of cached values do" in played.client
        assert len(played.client) < 250

    @pytest.mark.parametrize("name", [b"GET", b"DEL", b"SADD"])
    def test_another_passes(self, name: bytes) -> None:
        played = Playbook().command(name, b"n:" + self.LONG)
        turns(played)
        played.to_upstream(command(name, b"n:" + self.LONG))

    def test_values_under_it_are_refused_too(self) -> None:
        for args in (
            [b"SET", self.LONG, b"1"],
            [b"MSET", b"m:a", b"1", self.LONG, b"1"],
            [b"RENAME", b"m:a", self.LONG],
        ):
            played = Playbook().command(*args)
            turns(played)
            played.to_upstream(b"")

    def test_it_hides_from_no_glob(self) -> None:
        played = Playbook(policy(CLASS)).command(b"SET", b"x" * LONGEST_KEY + b"_1", b"raw")
        turns(played)
        played.to_upstream(b"")


class TestEchoes:
    """Redis' texts, to the byte, from every server. We shorten a long option, which Redis repeats whole."""

    LONG = b"Ab" * 1000

    @pytest.mark.parametrize(
        "args",
        [
            [LONG],
            [LONG, LONG],
            [b"no such", LONG, LONG],
            [b"no such", *[b"a" * 50] * 4],
            *([b"no such", b"a" * size, b"bc"] for size in range(123, 130)),
            [b"no such", *[b""] * 2000],
            [b"no\r\nsuch", b"a\0b", b"\xff\r\n", b"c"],
            [b"no\0such", b"\0"],
            [b"", b"a"],
            [b"CONFIG", LONG],
            [b"config", b"no\0such", b"a"],
            [b"Object", b"no\r\nsuch", b"a"],
        ],
        ids=repr,
    )
    def test_unknown_names(self, each_server: RedisServer, args: list[bytes]) -> None:
        played = Playbook().command(*args).to_upstream(b"")
        played.to_client(RawRedis(each_server.unix).exchange(command(*args)))

    @pytest.mark.parametrize("name", [b"EXPIRE", b"pexpireat"])
    @pytest.mark.parametrize("option", [b"new", b"Z" * 128, LONG, b"z\0z", b"z\r\n\xff", b""], ids=repr)
    def test_unknown_options(self, each_server: RedisServer, name: bytes, option: bytes) -> None:
        played = Playbook().command(name, b"m:a", b"10", option)
        raw = RawRedis(each_server.unix)
        said = raw.exchange(command(name, b"m:a", b"10", option))
        most = len(b"-ERR Unsupported option ") + error_texts.SHOWN
        played.replies(raw.exchange(played.upstream)).to_client(said if len(said) <= most else said[:most] + b"\r\n")

    @pytest.mark.parametrize(
        "args", [[b"SET", b"m:a", b"1", LONG], [b"GETEX", b"m:a", LONG], [b"COPY", b"m:a", b"m:b", LONG]]
    )
    def test_options_that_are_not_repeated(self, each_server: RedisServer, args: list[bytes]) -> None:
        raw = RawRedis(each_server.unix)
        played = Playbook().command(*args)
        played.replies(raw.exchange(played.upstream)).to_client(raw.exchange(command(*args)))

    @pytest.mark.parametrize(
        "args",
        [[b"N" * 1_000_000], [b"CONFIG", b"N" * 1_000_000], [b"EXPIRE", b"m:a", b"10", b"N" * 1_000_000]],
        ids=lambda args: str(args[0][:10]),
    )
    def test_nothing_is_kept_of_what_was_too_long(self, args: list[bytes]) -> None:
        played = Playbook().command(*args)
        assert len(played.upstream) < 1000
        assert played.session.memory < 1000

    def test_options_beyond_so_many_are_unknown(self) -> None:
        played = Playbook().command(b"SET", b"m:a", b"1", *[b"NX"] * 2000)
        turns(played)
        played.to_upstream(command(b"SET", b"m:a", b"", b"?"))


def test_the_names_of_the_table_are_no_longer_than_names_are() -> None:
    assert max(map(len, COMMANDS)) <= 64
