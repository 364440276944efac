"""Conversations as scripts of bytes, whole, byte by byte and in random chunks."""

import random
from collections.abc import Callable

import pytest

from proxy.codec import CodecLimits, Options, UndecodableError
from proxy.policy import As, Guard, OnUndecodable, Policy, Rule, SessionLimits
from proxy.resp import RequestLimits
from proxy.resp.encode import command
from tests.session.playbook import POISON, Playbook, StubCodec, policy, rule

MULTI, EXEC, DISCARD, RESET = command(b"MULTI"), command(b"EXEC"), command(b"DISCARD"), command(b"RESET")
Play = Callable[..., Playbook]


def whole(data: bytes) -> list[bytes]:
    return [data]


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def chunked(data: bytes) -> list[bytes]:
    rng = random.Random(len(data))
    pieces = []
    while data:
        size = rng.randint(1, 9)
        pieces.append(data[:size])
        data = data[size:]
    return pieces


@pytest.fixture(params=[whole, bytewise, chunked])
def play(request: pytest.FixtureRequest) -> Play:
    def make(with_policy: Policy | None = None, *, setup: tuple[bytes, ...] = ()) -> Playbook:
        return Playbook(with_policy, setup=setup, cut=request.param)

    return make


class TestForwarding:
    def test_what_names_no_managed_key_passes_as_it_stands(self, play: Play) -> None:
        raw = command(b"set", b"other", bytes(range(256)))
        play().sends(raw).to_upstream(raw).replies(b"+OK\r\n").to_client(b"+OK\r\n")

    @pytest.mark.parametrize(
        "reply",
        [
            b"+OK\r\n", b"-ERR no\r\n", b":1\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"$2\r\nOK\r\n", b"*-1\r\n", b"*0\r\n",
            b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"(12345678901234567890\r\n",
            b"!5\r\nERR x\r\n", b"=5\r\ntxt:a\r\n", b"%1\r\n+a\r\n:1\r\n", b"~2\r\n:1\r\n:2\r\n",
            b"|1\r\n+ttl\r\n:3\r\n$1\r\na\r\n", b"*2\r\n|1\r\n+a\r\n:1\r\n:5\r\n>1\r\n+x\r\n:6\r\n",
        ],
    )  # fmt: skip
    def test_a_reply_reaches_the_client_byte_for_byte(self, play: Play, reply: bytes) -> None:
        played = play().command(b"LRANGE", b"l", b"0", b"-1").command(b"PING")
        played.replies(reply + b"+PONG\r\n").to_client(reply + b"+PONG\r\n")
        assert played.session.is_idle

    def test_a_long_reply_is_streamed(self) -> None:
        played = Playbook().command(b"GET", b"big").replies(b"$1000000\r\n" + b"x" * 10)
        played.to_client(b"$1000000\r\n" + b"x" * 10)
        assert played.session.memory < 100

    def test_a_reply_to_nothing_closes(self, play: Play) -> None:
        assert play().replies(b"+OK\r\n").closed

    @pytest.mark.parametrize("odd", [b"\0", b"?1\r\n", b"$?\r\n"])
    def test_a_reply_of_no_known_kind_closes(self, play: Play, odd: bytes) -> None:
        played = play().command(b"GET", b"m:a").command(b"PING").replies(b"$2\r\n!v\r\n" + odd)
        played.to_client(b"$1\r\nv\r\n")
        assert played.closed

    def test_an_error_before_any_request_reaches_the_client(self, play: Play) -> None:
        played = play().replies(b"-ERR max number of clients reached\r\n")
        played.to_client(b"-ERR max number of clients reached\r\n")
        assert played.closed

    @pytest.mark.parametrize("start", [b"-ASK ", b"-MOVED ", b"-MOV", b"-REDIRECT "])
    def test_a_long_error_that_begins_like_a_redirection_passes(self, play: Play, start: bytes) -> None:
        error = start + b"x" * 70_000 + b"\r\n"
        played = play().command(b"EVAL_RO", b"s", b"0").command(b"PING").replies(error + b"+PONG\r\n")
        played.to_client(error + b"+PONG\r\n")

    @pytest.mark.parametrize("error", [b"-MOVED 1 10.0.0.1:6379", b"-ASK 1 h:1", b"-REDIRECT h:1"])
    def test_a_redirection_does_not_lead_the_client_around_us(self, play: Play, error: bytes) -> None:
        played = play().command(b"GET", b"k").replies(error + b"\r\n")
        assert played.client.startswith(b"-ERR flask-cache-proxy: Redis redirected")
        assert played.session.is_idle


class TestValues:
    def test_set_is_encoded_and_get_decoded(self, play: Play) -> None:
        played = play().command(b"SET", b"m:a", b"v", b"ex", b"60")
        played.to_upstream(command(b"SET", b"m:a", b"!v", b"ex", b"60")).replies(b"+OK\r\n").to_client(b"+OK\r\n")
        played.command(b"GET", b"m:a").to_upstream(command(b"GET", b"m:a"))
        played.replies(b"$2\r\n!v\r\n").to_client(b"$1\r\nv\r\n")

    @pytest.mark.parametrize(
        ("sent", "stored"),
        [
            ((b"SETEX", b"m:a", b"9", b"v"), (b"SETEX", b"m:a", b"9", b"!v")),
            ((b"psetex", b"m:a", b"9", b"v"), (b"psetex", b"m:a", b"9", b"!v")),
            ((b"SETNX", b"m:a", b"v"), (b"SETNX", b"m:a", b"!v")),
            ((b"MSET", b"m:a", b"v", b"x", b"v", b"m:b", b"w"), (b"MSET", b"m:a", b"!v", b"x", b"v", b"m:b", b"!w")),
            ((b"MSETNX", b"m:a", b"v"), (b"MSETNX", b"m:a", b"!v")),
            ((b"GETSET", b"m:a", b"v"), (b"GETSET", b"m:a", b"!v")),
        ],
    )
    def test_writers_are_encoded(self, play: Play, sent: tuple[bytes, ...], stored: tuple[bytes, ...]) -> None:
        play().command(*sent).to_upstream(command(*stored))

    @pytest.mark.parametrize("null", [b"$-1\r\n", b"_\r\n"])
    def test_a_miss_passes(self, play: Play, null: bytes) -> None:
        play().command(b"GET", b"m:a").replies(null).to_client(null)

    def test_mget_is_decoded_by_element(self, play: Play) -> None:
        played = play().command(b"MGET", b"m:a", b"x", b"m:b", b"m:c")
        played.replies(b"*4\r\n$2\r\n!v\r\n$2\r\n!v\r\n$-1\r\n$4\r\n!bad\r\n")
        played.to_client(b"*4\r\n$1\r\nv\r\n$2\r\n!v\r\n$-1\r\n$-1\r\n")

    def test_an_mget_of_another_length_closes(self, play: Play) -> None:
        assert play().command(b"MGET", b"m:a", b"m:b").replies(b"*1\r\n$2\r\n!v\r\n").closed

    def test_set_get_is_decoded_only_with_get(self, play: Play) -> None:
        played = play().command(b"SET", b"m:a", b"v", b"GET").command(b"SET", b"m:a", b"v")
        played.replies(b"$2\r\n!o\r\n+OK\r\n").to_client(b"$1\r\no\r\n+OK\r\n")

    def test_a_bad_payload_stores_nothing_and_the_conversation_goes_on(self, play: Play) -> None:
        played = play().command(b"SET", b"m:a", b"bad").command(b"PING").to_upstream(command(b"PING"))
        played.replies(b"+PONG\r\n")
        played.to_client(b"-ERR flask-cache-proxy: a bad payload; nothing was stored\r\n+PONG\r\n")

    @pytest.mark.parametrize(
        ("wanted", "reply"),
        [
            (OnUndecodable.ERROR, b"-ERR flask-cache-proxy: cannot decode the stored value: a bad value\r\n"),
            (OnUndecodable.NIL, b"$-1\r\n"),
            (OnUndecodable.RAW, b"$4\r\n!bad\r\n"),
        ],
    )
    def test_what_cannot_be_decoded(self, play: Play, wanted: OnUndecodable, reply: bytes) -> None:
        played = play(policy(rule(on_undecodable=wanted))).command(b"GET", b"m:a")
        played.replies(b"$4\r\n!bad\r\n").to_client(reply)

    def test_nil_is_in_the_protocols_own_null(self, play: Play) -> None:
        played = play(policy(rule(on_undecodable=OnUndecodable.NIL)))
        played.command(b"HELLO", b"3").replies(b"%0\r\n").to_client(b"%0\r\n")
        played.command(b"GET", b"m:a").replies(b"$4\r\n!bad\r\n").to_client(b"_\r\n")

    def test_an_undecodable_reply_to_a_write_says_that_it_was_applied(self, play: Play) -> None:
        played = play().command(b"GETDEL", b"m:a").replies(b"$4\r\n!bad\r\n")
        assert played.client.endswith(b"; the command was applied\r\n")

    @pytest.mark.parametrize("option", [b"EX\0x", b"\0", b"SOON", b"KEEPTTL\0"])
    def test_an_option_that_we_do_not_know_fails_at_its_place_and_with_nothing_to_store(
        self, play: Play, option: bytes
    ) -> None:
        misspelt, failure = command(b"SET", b"m:a", b"", b"?"), b"-ERR syntax error\r\n"
        played = play().command(b"SET", b"m:a", b"v", b"NX", option).to_upstream(misspelt)
        played.replies(failure).to_client(failure)
        played.sends(MULTI + command(b"SET", b"m:a", b"v", option) + EXEC).to_upstream(MULTI + misspelt + EXEC)
        played.replies(b"+OK\r\n+QUEUED\r\n*1\r\n" + failure)
        played.to_client(b"+OK\r\n+QUEUED\r\n*1\r\n" + failure)

    @pytest.mark.parametrize(
        ("sent", "misspelt"),
        [
            ((b"GETEX", b"m:a", b"ex", b"1", b"NX"), (b"GETEX", b"m:a", b"?")),
            ((b"MSETEX", b"1", b"m:a", b"v", b"GET"), (b"MSETEX", b"1", b"m:a", b"", b"?")),
            ((b"MSETEX", b"2", b"m:a", b"v", b"GET"), (b"MSETEX", b"2", b"?")),
        ],
    )
    def test_any_command_with_options_can_be_misspelt(
        self, play: Play, sent: tuple[bytes, ...], misspelt: tuple[bytes, ...]
    ) -> None:
        play().command(*sent).to_upstream(command(*misspelt))

    def test_a_misspelt_command_that_does_not_fail_closes(self, play: Play) -> None:
        assert play().command(b"SET", b"m:a", b"v", b"SOON").replies(b"+OK\r\n").closed

    @pytest.mark.parametrize(
        ("args", "error"),
        [
            ((b"EXPIRE", b"m:a", b"1", b"NX\0x"), b"-ERR Unsupported option NX\r\n"),
            ((b"PEXPIREAT", b"m:a", b"1", b"xx", b"{0}"), b"-ERR Unsupported option {0}\r\n"),
            ((b"COPY", b"m:a", b"m:b", b"REPLACE\0"), b"-ERR syntax error\r\n"),
            ((b"COPY", b"m:a", b"m:b", b"DB", b"1", b"SOON"), b"-ERR syntax error\r\n"),
            ((b"MEMORY", b"USAGE", b"m:a", b"SAMPLES\0", b"1"), b"-ERR syntax error\r\n"),
        ],
    )
    def test_so_is_one_of_a_command_that_passes(self, play: Play, args: tuple[bytes, ...], error: bytes) -> None:
        of_ours = b"-ERR Unsupported option ?\r\n" if b"EXPIRE" in args[0] else b"-ERR syntax error\r\n"
        played = play().command(*args).replies(of_ours).to_client(error)
        assert played.upstream.endswith(b"$1\r\n?\r\n")
        play().command(*args).replies(b"-NOAUTH x\r\n").to_client(b"-NOAUTH x\r\n")

    @pytest.mark.parametrize(
        "args", [(b"EXPIRE", b"m:a", b"1", b"nx"), (b"COPY", b"m:a", b"m:b", b"db", b"1", b"replace")]
    )
    def test_known_options_pass(self, play: Play, args: tuple[bytes, ...]) -> None:
        play().command(*args).to_upstream(command(*args))

    def test_default_ttl_is_given_to_a_set_without_expiry(self, play: Play) -> None:
        played = (
            play(policy(rule(default_ttl=7)))
            .command(b"SET", b"m:a", b"v", b"NX")
            .command(b"SET", b"m:a", b"v", b"KEEPTTL")
        )
        played.to_upstream(
            command(b"SET", b"m:a", b"!v", b"NX", b"EX", b"7") + command(b"SET", b"m:a", b"!v", b"KEEPTTL")
        )


class TestRefusing:
    @pytest.mark.parametrize(
        "args",
        [
            (b"APPEND", b"m:a", b"x"), (b"setrange", b"m:a", b"0", b"x"), (b"HSET", b"m:a", b"f", b"v"),
            (b"RENAME", b"x", b"m:a"), (b"RESTORE", b"m:a", b"0", b"x"), (b"SORT", b"x", b"STORE", b"m:a"),
            (b"SORT", b"x", b"BY", b"nosort", b"GET", b"m:*"), (b"BITOP", b"AND", b"m:a", b"x"),
            (b"EVAL", b"return 1", b"0"), (b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0"), (b"CONFIG", b"SET", b"dir", b"/"),
            (b"REPLICAOF", b"h", b"1"), (b"MODULE", b"LOAD", b"x"), (b"PSYNC", b"?", b"-1"),
        ],
    )  # fmt: skip
    def test_a_refused_command_never_goes_upstream(self, play: Play, args: tuple[bytes, ...]) -> None:
        played = play().command(*args).to_upstream(b"")
        assert played.client.startswith(b"-ERR flask-cache-proxy: ")

    @pytest.mark.parametrize("name", [b"SET\x00319", b"GET\r\n", b"s e t", "gét".encode(), b"config|get", b"SET|"])
    def test_a_name_with_odd_bytes_is_unknown(self, play: Play, name: bytes) -> None:
        played = play().command(name, b"m:a", b"!evil").to_upstream(b"")
        assert played.client.startswith(b"-ERR unknown command '")

    @pytest.mark.parametrize("name", [b"config|set", b"NEW|x", b"|", b"CLIENT|"])
    def test_a_subcommands_name_is_no_command(self, play: Play, name: bytes) -> None:
        played = play().command(name).to_upstream(b"")
        played.to_client(b"-ERR unknown command '%b', with args beginning with: \r\n" % name)
        assert not played.lookups

    def test_an_odd_subcommand_is_unknown(self, play: Play) -> None:
        played = play().command(b"CONFIG", b"SET\0x", b"dir", b"/").to_upstream(b"")
        played.to_client(b"-ERR unknown subcommand 'SET'. Try CONFIG HELP.\r\n")

    def test_a_refused_command_inside_multi_is_an_error_while_queueing_and_exec_aborts(self, play: Play) -> None:
        played = play().sends(MULTI + command(b"SET", b"m:a", b"bad") + EXEC).to_upstream(MULTI + POISON + EXEC)
        played.replies(b"+OK\r\n-ERR wrong number\r\n-EXECABORT Transaction discarded\r\n")
        played.to_client(
            b"+OK\r\n-ERR flask-cache-proxy: a bad payload; nothing was stored\r\n-EXECABORT Transaction discarded\r\n"
        )
        played.command(b"GET", b"m:a").replies(b"$2\r\n!v\r\n").to_client(b"$1\r\nv\r\n")

    def test_a_poison_that_does_not_fail_closes(self, play: Play) -> None:
        played = play().sends(MULTI + command(b"APPEND", b"m:a", b"x")).replies(b"+OK\r\n")
        assert played.replies(b"$1\r\nx\r\n").closed

    def test_guard_allow_lets_a_command_through(self, play: Play) -> None:
        raw = command(b"CONFIG", b"SET", b"maxmemory", b"1")
        play(policy(guard=Guard(allowed_commands=frozenset({b"CONFIG|SET"})))).sends(raw).to_upstream(raw)

    def test_a_script_passes_by_its_sha1(self, play: Play) -> None:
        allowed = Guard(allowed_scripts=frozenset({b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"}))
        raw = command(b"EVAL", b"return 1", b"0") + command(
            b"EVALSHA", b"E0E1F9FABFC9D4800C877A703B823AC0578FF8DB", b"0"
        )
        play(policy(guard=allowed)).sends(raw).to_upstream(raw)

    def test_an_unknown_command_is_looked_up_and_the_rest_waits(self, play: Play) -> None:
        played = play().command(b"new.read", b"k").command(b"PING").to_upstream(b"")
        assert played.lookups == [b"NEW.READ"]
        assert not played.session.wants_client
        played.finds("readonly").to_upstream(command(b"new.read", b"k") + command(b"PING"))

    @pytest.mark.parametrize(
        "flags",
        [
            (), ("write",), ("readonly", "write"), ("readonly", "admin"), ("readonly", "noscript"),
            ("readonly", "movablekeys"), ("readonly", "pubsub"), ("readonly", "blocking"),
        ],
    )  # fmt: skip
    def test_an_unknown_command_that_is_not_a_plain_read_is_refused(self, play: Play, flags: tuple[str, ...]) -> None:
        play().command(b"NEW", b"k").finds(*flags).to_upstream(b"")

    @pytest.mark.parametrize(
        ("first_key", "categories"),
        [
            (0, ("@read",)),  # KeyDB's RREPLAY, which runs any command
            (1, ()),
            (1, ("@write", "@fast")),
            (1, ("@read", "@write")),
            (1, ("@read", "@dangerous")),
        ],
    )
    def test_the_flag_of_a_read_alone_is_not_believed(
        self, play: Play, first_key: int, categories: tuple[str, ...]
    ) -> None:
        played = play().command(b"NEW", b"k").finds("readonly", first_key=first_key, categories=categories)
        played.to_upstream(b"")
        allowed = policy(guard=Guard(allowed_commands=frozenset({b"NEW"})))
        allowing = play(allowed).command(b"NEW", b"k").finds("readonly", first_key=first_key, categories=categories)
        allowing.to_upstream(command(b"NEW", b"k"))

    def test_an_unknown_command_with_a_managed_key_is_refused(self, play: Play) -> None:
        play().command(b"NEW", b"m:a").finds("readonly").to_upstream(b"")

    def test_an_unknown_subcommand_is_looked_up_like_a_command(self, play: Play) -> None:
        played = play().command(b"client", b"nope", b"m:a")
        assert played.lookups == [b"CLIENT|NOPE"]
        played.finds_nothing().to_upstream(b"")
        played.to_client(b"-ERR unknown subcommand 'nope'. Try CLIENT HELP.\r\n")
        play().command(b"CONFIG", b"NEW").finds("admin").to_upstream(b"")
        play().command(b"CONFIG").to_upstream(command(b"CONFIG"))

    def test_an_unknown_command_that_redis_says_nothing_of_is_refused_with_the_reason(self, play: Play) -> None:
        played = play().command(b"NEW", b"k").finds(unknown_because="NOAUTH Authentication required.")
        played.to_upstream(b"").to_client(
            b"-ERR flask-cache-proxy: NEW is not known here, and Redis does not say what it is (NOAUTH Authentication"
            b' required.); "NEW" in [guard] allow lets it through\r\n'
        )
        allowed = policy(guard=Guard(allowed_commands=frozenset({b"NEW"})))
        play(allowed).command(b"NEW", b"k").finds(unknown_because="NOAUTH").to_upstream(command(b"NEW", b"k"))

    def test_a_name_that_the_server_does_not_know_gets_its_own_error(self, play: Play) -> None:
        play().command(b"NOPE", b"k").finds_nothing().to_upstream(command(b"NOPE", b"k"))


class TestTransactions:
    def test_exec_decodes_each_element_by_its_own_command(self, play: Play) -> None:
        sent = MULTI + b"".join(
            command(*args)
            for args in [
                (b"GET", b"m:a"),
                (b"GET", b"x"),
                (b"MGET", b"m:a", b"x"),
                (b"SET", b"m:a", b"v", b"GET"),
                (b"INCR", b"n"),
            ]
        )
        played = play().sends(sent + EXEC).replies(b"+OK\r\n" + b"+QUEUED\r\n" * 5)
        played.replies(b"*5\r\n$2\r\n!v\r\n$2\r\n!v\r\n*2\r\n$2\r\n!w\r\n$2\r\n!w\r\n_\r\n:1\r\n")
        played.to_client(
            b"+OK\r\n" + b"+QUEUED\r\n" * 5 + b"*5\r\n$1\r\nv\r\n$2\r\n!v\r\n*2\r\n$1\r\nw\r\n$2\r\n!w\r\n_\r\n:1\r\n"
        )
        assert played.session.is_idle

    @pytest.mark.parametrize("end", [b"*-1\r\n", b"_\r\n", b"-EXECABORT x\r\n"])
    def test_an_exec_that_does_not_run_clears_the_queue(self, play: Play, end: bytes) -> None:
        played = play().sends(MULTI + command(b"GET", b"m:a") + EXEC).replies(b"+OK\r\n+QUEUED\r\n" + end)
        played.sends(MULTI + EXEC).replies(b"+OK\r\n*0\r\n").to_client(b"+OK\r\n+QUEUED\r\n" + end + b"+OK\r\n*0\r\n")
        assert played.closed is None

    def test_discard_and_reset_clear_the_queue(self, play: Play) -> None:
        for end, reply in ((DISCARD, b"+OK\r\n"), (RESET, b"+RESET\r\n")):
            played = play().sends(MULTI + command(b"GET", b"m:a")).replies(b"+OK\r\n+QUEUED\r\n")
            played.sends(end).replies(reply).sends(MULTI + EXEC).replies(b"+OK\r\n*0\r\n")
            assert played.closed is None

    def test_a_discard_that_fails_leaves_the_queue(self, play: Play) -> None:
        played = play().sends(MULTI + command(b"GET", b"m:a") + DISCARD + EXEC)
        played.replies(b"+OK\r\n+QUEUED\r\n-NOPERM no\r\n*1\r\n$2\r\n!v\r\n")
        played.to_client(b"+OK\r\n+QUEUED\r\n-NOPERM no\r\n*1\r\n$1\r\nv\r\n")

    def test_queued_outside_multi_is_only_a_status(self, play: Play) -> None:
        played = play().command(b"ECHO", b"x").replies(b"+QUEUED\r\n").to_client(b"+QUEUED\r\n")
        played.sends(MULTI + EXEC).replies(b"+OK\r\n*0\r\n")
        assert played.closed is None

    def test_an_exec_of_another_length_closes(self, play: Play) -> None:
        played = play().sends(MULTI + command(b"GET", b"m:a") + EXEC).replies(b"+OK\r\n+QUEUED\r\n*2\r\n")
        assert played.closed

    def test_a_push_inside_exec_is_no_element(self, play: Play) -> None:
        played = play().sends(MULTI + command(b"PUBLISH", b"c", b"x") + command(b"GET", b"m:a") + EXEC)
        push = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"
        played.replies(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + push + b":1\r\n" + push + b"$2\r\n!v\r\n" + push)
        played.to_client(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + push + b":1\r\n" + push + b"$1\r\nv\r\n" + push)
        assert played.session.is_idle

    def test_hello_inside_multi_changes_the_protocol_at_its_place(self, play: Play) -> None:
        nil = policy(rule(on_undecodable=OnUndecodable.NIL))
        played = play(nil).sends(
            MULTI + command(b"GET", b"m:a") + command(b"HELLO", b"3") + command(b"GET", b"m:a") + EXEC
        )
        played.replies(b"+OK\r\n" + b"+QUEUED\r\n" * 3 + b"*3\r\n$4\r\n!bad\r\n%1\r\n+a\r\n:1\r\n$4\r\n!bad\r\n")
        played.to_client(b"+OK\r\n" + b"+QUEUED\r\n" * 3 + b"*3\r\n$-1\r\n%1\r\n+a\r\n:1\r\n_\r\n")


class TestConversation:
    def test_hello_in_mid_pipeline_changes_only_what_follows(self, play: Play) -> None:
        nil = policy(rule(on_undecodable=OnUndecodable.NIL))
        get, hello = command(b"GET", b"m:a"), command(b"HELLO", b"3")
        played = play(nil).sends(get + hello + get).to_upstream(get + hello + get)
        played.replies(b"$4\r\n!bad\r\n%1\r\n+proto\r\n:3\r\n$4\r\n!bad\r\n")
        played.to_client(b"$-1\r\n%1\r\n+proto\r\n:3\r\n_\r\n")

    def test_a_refused_hello_changes_nothing(self, play: Play) -> None:
        nil = policy(rule(on_undecodable=OnUndecodable.NIL))
        played = play(nil).command(b"HELLO", b"3", b"AUTH", b"u", b"p").command(b"GET", b"m:a")
        played.replies(b"-WRONGPASS no\r\n").replies(b"$4\r\n!bad\r\n").to_client(b"-WRONGPASS no\r\n$-1\r\n")

    @pytest.mark.parametrize(
        "login", [(b"AUTH", b"pw"), (b"auth", b"u", b"pw"), (b"HELLO", b"3", b"AUTH", b"u", b"pw")]
    )
    def test_a_login_is_sent_when_nothing_else_is_outstanding(self, play: Play, login: tuple[bytes, ...]) -> None:
        """Since 7.2, Redis does not answer a failing login while output is pending."""
        ping = command(b"PING")
        played = play().sends(ping + command(*login) + ping).to_upstream(ping)
        played.replies(b"+PONG\r\n").to_upstream(command(*login))
        played.replies(b"-WRONGPASS no\r\n").to_upstream(ping)
        played.replies(b"+PONG\r\n").to_client(b"+PONG\r\n-WRONGPASS no\r\n+PONG\r\n")

    def test_resp3_subscriptions_end_with_their_own_confirmations(self, play: Play) -> None:
        hello = play().command(b"HELLO", b"3").replies(b"%0\r\n").to_client(b"%0\r\n")
        hello.sends(command(b"SUBSCRIBE", b"a", b"b") + command(b"GET", b"m:a"))
        one = b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
        news = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"
        two = b">3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
        hello.replies(one + news + two + news).replies(b"$2\r\n!v\r\n")
        hello.to_client(one + news + two + news + b"$1\r\nv\r\n")
        assert hello.session.is_idle

    def test_resp2_messages_come_between_replies(self, play: Play) -> None:
        played = play().sends(command(b"SUBSCRIBE", b"a"))
        one = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
        news = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"
        played.replies(one + news).to_client(one + news)
        pong = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
        played.command(b"PING").replies(news + pong + news).to_client(news + pong + news)
        gone = b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n"
        played.command(b"UNSUBSCRIBE").command(b"LRANGE", b"l", b"0", b"-1").replies(news + gone).to_client(news + gone)
        played.replies(news).to_client(news)  # the list only looks like a message
        assert played.session.is_idle

    @pytest.mark.parametrize(
        "reply",
        [b"*-1\r\n", b"*0\r\n", b"*1\r\n:1\r\n", b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:" + b"9" * 5000 + b"\r\n"],
        ids=["null", "empty", "short", "huge"],
    )
    def test_what_is_no_confirmation_ends_the_conversation(self, play: Play, reply: bytes) -> None:
        played = play().command(b"SUBSCRIBE", b"a").replies(reply)
        assert played.closed == "Redis' reply cannot be framed: a confirmation without a count"

    def test_unsubscribe_of_nothing_has_one_confirmation(self, play: Play) -> None:
        none = b"*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:0\r\n"
        played = play().command(b"PUNSUBSCRIBE").replies(none).to_client(none)
        assert played.session.is_idle

    @pytest.mark.parametrize("args", [(b"SUBSCRIBE", b"a"), (b"CLIENT", b"REPLY", b"OFF"), (b"punsubscribe",)])
    def test_what_makes_the_reply_of_exec_odd_is_refused_inside_multi(
        self, play: Play, args: tuple[bytes, ...]
    ) -> None:
        played = play().sends(MULTI + command(*args)).to_upstream(MULTI).replies(b"+OK\r\n").to_upstream(POISON)
        played.replies(b"-ERR x\r\n")
        name = args[0].upper() if len(args) < 3 else b"CLIENT REPLY"
        assert played.client.startswith(b"+OK\r\n-ERR flask-cache-proxy: %b is refused inside MULTI, because " % name)

    def test_client_reply_off_is_ours_alone(self, play: Play) -> None:
        on = command(b"CLIENT", b"REPLY", b"ON")
        played = play().command(b"client", b"reply", b"off\0x").command(b"SET", b"m:a", b"v").to_upstream(on)
        played.replies(b"+OK\r\n").to_upstream(command(b"SET", b"m:a", b"!v")).replies(b"+OK\r\n").to_client(b"")
        push = b">2\r\n$10\r\ninvalidate\r\n_\r\n"
        played.command(b"MGET", b"m:a", b"x").replies(push + b"*2\r\n$2\r\n!v\r\n$-1\r\n").to_client(push)
        played.command(b"CLIENT", b"REPLY", b"ON").command(b"PING").replies(b"+OK\r\n").replies(b"+PONG\r\n")
        played.to_client(b"+OK\r\n+PONG\r\n")

    def test_client_reply_skip_silences_one_reply(self, play: Play) -> None:
        played = play().command(b"CLIENT", b"REPLY", b"SKIP").replies(b"+OK\r\n")
        played.command(b"GET", b"m:a").command(b"PING").replies(b"$2\r\n!v\r\n+PONG\r\n").to_client(b"+PONG\r\n")

    def test_monitor_takes_only_reset_and_quit(self, play: Play) -> None:
        played = play().command(b"MONITOR").replies(b"+OK\r\n").to_client(b"+OK\r\n")
        line = b'+1700000000.123456 [0 127.0.0.1:1] "PING"\r\n'
        refused = b"-ERR flask-cache-proxy: after MONITOR only RESET and QUIT are allowed\r\n"
        played.replies(line).command(b"PING").replies(line).to_client(line + refused + line)
        played.replies(line[:9]).command(b"PING").replies(line[9:]).to_client(line + refused)
        played.command(b"RESET").replies(line + b"+RESET\r\n").command(b"PING").replies(b"+PONG\r\n")
        played.to_client(line + b"+RESET\r\n+PONG\r\n")

    def test_quit_closes_behind_its_reply(self, play: Play) -> None:
        played = play().sends(command(b"PING") + command(b"QUIT") + command(b"PING"))
        played.to_upstream(command(b"PING") + command(b"QUIT")).replies(b"+PONG\r\n+OK\r\n").to_client(
            b"+PONG\r\n+OK\r\n"
        )
        assert played.closed == "QUIT"

    def test_a_protocol_error_is_told_behind_the_replies_before_it(self, play: Play) -> None:
        played = play().sends(command(b"PING") + b"*1\r\n:1\r\n").to_client(b"")
        assert played.closed is None
        played.replies(b"+PONG\r\n").to_client(b"+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n")
        assert played.closed

    @pytest.mark.parametrize("mode", [b"OFF", b"SKIP"])
    def test_a_protocol_error_is_not_told_to_a_client_that_wants_no_replies(self, play: Play, mode: bytes) -> None:
        played = play().command(b"CLIENT", b"REPLY", mode).replies(b"+OK\r\n").sends(b"*x\r\n").to_client(b"")
        assert played.closed

    def test_http_is_closed_without_a_word(self, play: Play) -> None:
        played = play().sends(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n").to_client(b"").to_upstream(b"")
        assert played.closed

    def test_the_proxys_own_commands_stay_between_it_and_redis(self, play: Play) -> None:
        select = command(b"SELECT", b"2")
        played = play(setup=(select,)).to_upstream(select).command(b"PING").to_upstream(b"")
        assert not played.session.wants_client
        played.replies(b"+OK\r\n").to_client(b"").to_upstream(command(b"PING"))
        played.replies(b"+PONG\r\n").to_client(b"+PONG\r\n")
        played.sends(RESET + command(b"PING")).to_upstream(RESET)
        played.replies(b"+RESET\r\n").to_upstream(select).to_client(b"+RESET\r\n")
        played.replies(b"+OK\r\n").to_upstream(command(b"PING")).to_client(b"")

    def test_nothing_goes_out_behind_one_of_them_that_redis_refuses(self, play: Play) -> None:
        played = play(setup=(command(b"SELECT", b"99"),)).command(b"SET", b"a", b"1")
        played.replies(b"-ERR DB index is out of range\r\n").to_upstream(command(b"SELECT", b"99"))
        assert played.closed

    def test_a_reset_that_fails_leaves_the_database_alone(self, play: Play) -> None:
        select, bad = command(b"SELECT", b"2"), command(b"RESET", b"x")
        played = play(setup=(select,)).replies(b"+OK\r\n").sends(MULTI).replies(b"+OK\r\n").sends(bad + EXEC)
        played.replies(b"-ERR wrong number\r\n").to_upstream(select + MULTI + bad + EXEC)
        played.replies(b"-EXECABORT x\r\n").to_client(b"+OK\r\n-ERR wrong number\r\n-EXECABORT x\r\n")

    def test_a_select_that_fails_is_no_choice_of_a_database(self, play: Play) -> None:
        select, auth = command(b"SELECT", b"2"), command(b"AUTH", b"pw")
        played = play(setup=(select,)).replies(b"-NOAUTH x\r\n").to_upstream(select)
        played.command(b"SELECT", b"1").replies(b"-NOAUTH x\r\n").to_upstream(command(b"SELECT", b"1"))
        played.sends(auth).to_upstream(auth + select).replies(b"+OK\r\n+OK\r\n")
        played.to_client(b"-NOAUTH x\r\n+OK\r\n")

    def test_a_skipped_subscription_spends_the_skip(self, play: Play) -> None:
        gone = b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"
        played = play().command(b"CLIENT", b"REPLY", b"SKIP").replies(b"+OK\r\n").command(b"UNSUBSCRIBE").replies(gone)
        played.command(b"PING").replies(b"+PONG\r\n").to_client(gone + b"+PONG\r\n")

    def test_a_skipped_reset_is_silent_and_one_that_ends_silence_is_heard(self, play: Play) -> None:
        played = play().command(b"CLIENT", b"REPLY", b"SKIP").replies(b"+OK\r\n").sends(RESET).replies(b"+RESET\r\n")
        played.command(b"CLIENT", b"REPLY", b"OFF").replies(b"+OK\r\n").command(b"RESET", b"x").replies(b"-ERR x\r\n")
        played.to_client(b"").sends(RESET).replies(b"+RESET\r\n").to_client(b"+RESET\r\n")

    def test_a_blocking_command_is_known_to_block(self, play: Play) -> None:
        played = play().command(b"PING").command(b"BLPOP", b"l", b"0")
        assert played.session.is_blocked
        played.replies(b"+PONG\r\n*-1\r\n").to_client(b"+PONG\r\n*-1\r\n")
        assert not played.session.is_blocked

    def test_the_database_is_selected_again_once_the_client_is_known(self, play: Play) -> None:
        select, auth = command(b"SELECT", b"2"), command(b"AUTH", b"pw")
        played = play(setup=(select,)).to_upstream(select).replies(b"-NOAUTH Authentication required.\r\n")
        played.sends(auth + command(b"PING")).to_upstream(auth + select).replies(b"+OK\r\n+OK\r\n")
        played.to_client(b"+OK\r\n").to_upstream(command(b"PING"))

    def test_a_database_that_redis_refuses_closes(self, play: Play) -> None:
        played = play(setup=(command(b"SELECT", b"99"),)).replies(b"-ERR DB index is out of range\r\n")
        assert played.client.startswith(b"-ERR flask-cache-proxy: Redis refused the database")
        assert played.closed
        assert played.redis_fails

    def test_that_redis_cannot_be_understood_is_its_fault_and_what_the_client_does_is_not(self, play: Play) -> None:
        assert play().sends(command(b"PING")).replies(b"?\r\n").redis_fails
        assert not play().sends(command(b"QUIT")).replies(b"+OK\r\n").redis_fails
        assert not play().sends(b"*x\r\n").redis_fails


class TestStalling:
    BIG = SessionLimits(inline_encode_bytes=4, inline_decode_bytes=4)

    def test_a_stalled_conversion_holds_back_what_is_behind_it_and_nothing_else(self, play: Play) -> None:
        get, ping = command(b"GET", b"m:a"), command(b"PING")
        played = play(policy(limits=self.BIG)).sends(get + ping + get).replies(b"$10\r\n!123456789\r\n+PONG\r\n")
        played.to_client(b"")
        assert not played.session.wants_upstream
        assert played.session.wants_client
        played.replies(b"$2\r\n!v\r\n").to_client(b"")
        played.converts().to_client(b"$9\r\n123456789\r\n+PONG\r\n$1\r\nv\r\n")
        assert played.session.wants_upstream

    def test_a_big_set_stalls_parsing_but_not_replies(self, play: Play) -> None:
        get, big, ping = command(b"GET", b"m:a"), command(b"SET", b"m:a", b"123456789"), command(b"PING")
        played = play(policy(limits=self.BIG)).sends(get + big + ping).to_upstream(get)
        assert not played.session.wants_client
        played.replies(b"$2\r\n!v\r\n").to_client(b"$1\r\nv\r\n")
        played.converts().to_upstream(command(b"SET", b"m:a", b"!123456789") + ping)

    def test_conversions_inside_exec_keep_their_order(self, play: Play) -> None:
        played = play(policy(limits=self.BIG)).sends(
            MULTI + command(b"GET", b"m:a") + command(b"MGET", b"m:a", b"m:b") + EXEC
        )
        played.replies(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$6\r\n!12345\r\n*2\r\n$6\r\n!12345\r\n$6\r\n!54321\r\n")
        for _ in range(3):
            played.converts()
        played.to_client(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$5\r\n12345\r\n*2\r\n$5\r\n12345\r\n$5\r\n54321\r\n")
        assert played.session.is_idle

    def test_a_small_value_that_becomes_a_large_one_uses_up_the_turn(self, play: Play) -> None:
        class Grows(StubCodec):
            def decode(self, value: bytes) -> bytes:
                return b"x" * 100

        some = SessionLimits(inline_decode_bytes=50)
        grows = rule(inline=Grows(Options()), transcoder=Grows(Options()))
        played = Playbook(policy(grows, limits=some)).sends(command(b"GET", b"m:a") * 3)
        reply = b"$100\r\n" + b"x" * 100 + b"\r\n"
        played.replies(b"$2\r\n!v\r\n" * 3).to_client(reply)
        assert played.wants_turn
        played._take(played.session.take_turn())
        played.to_client(reply)
        assert not played.takes_turns().to_client(reply).conversions

    def test_small_values_beyond_a_turns_worth_wait_for_the_next_and_hold_up_what_is_behind(self) -> None:
        get = command(b"GET", b"m:a")
        played = Playbook(policy(limits=self.BIG)).sends(get + get + command(b"PING") + get)
        played.replies(b"$3\r\n!ab\r\n$3\r\n!cd\r\n+PONG\r\n$3\r\n!ef\r\n").to_client(b"$2\r\nab\r\n")
        assert played.wants_turn
        assert not played.session.wants_upstream
        assert not played.session.awaits_reply
        assert played.session.memory > 0
        played.takes_turns().to_client(b"$2\r\ncd\r\n+PONG\r\n$2\r\nef\r\n")
        assert played.session.wants_upstream
        assert played.session.is_idle
        assert not played.conversions

    def test_likewise_small_payloads(self) -> None:
        one, ping = command(b"SET", b"m:a", b"123"), command(b"PING")
        played = Playbook(policy(limits=SessionLimits(inline_encode_bytes=3))).sends(one + one + ping + one)
        stored = command(b"SET", b"m:a", b"!123")
        played.to_upstream(stored)
        assert not played.session.wants_client
        assert not played.session.is_idle
        played._take(played.session.take_turn())
        played.to_upstream(stored + ping)
        played.takes_turns().to_upstream(stored)
        assert played.session.wants_client
        assert not played.conversions

    def test_no_more_requests_are_taken_in_a_turn_than_may_be(self) -> None:
        ping = command(b"PING")
        played = Playbook(policy(limits=SessionLimits(turn_steps=3))).sends(ping * 7).to_upstream(ping * 3)
        assert played.wants_turn
        played._take(played.session.take_turn())
        played.to_upstream(ping * 3)
        played.takes_turns().to_upstream(ping)
        assert played.session.wants_client

    def test_nor_more_replies(self) -> None:
        error = b"-ERR no\r\n"
        played = Playbook(policy(limits=SessionLimits(turn_steps=3))).sends(command(b"GET", b"m:a") * 3)
        played.takes_turns().sends(command(b"GET", b"m:a") * 3).takes_turns().replies(error * 6).to_client(error * 3)
        assert played.wants_turn
        assert not played.session.wants_upstream
        played._take(played.session.take_turn())
        played.to_client(error * 3)
        assert not played.wants_turn
        assert played.session.wants_upstream

    def test_nor_values_of_one_request_and_it_goes_out_once_it_is_whole(self) -> None:
        pairs = [b"m:a", b"1"] * 10
        played = Playbook(policy(limits=SessionLimits(turn_steps=3))).sends(command(b"MSET", *pairs)).to_upstream(b"")
        assert played.session.memory > 0
        turns = 0
        while played.wants_turn:
            played.to_upstream(b"")
            played._take(played.session.take_turn())
            turns += 1
        assert turns == 6  # three to match the keys, and three to encode the values
        played.to_upstream(command(b"MSET", *[b"m:a", b"!1"] * 10))

    def test_one_bad_value_among_many_is_one_refusal(self) -> None:
        pairs = [b"m:a", b"1"] * 4 + [b"m:a", b"bad"] + [b"m:a", b"1"] * 4
        played = Playbook(policy(limits=SessionLimits(turn_steps=3))).sends(command(b"MSET", *pairs)).takes_turns()
        played.to_upstream(b"")
        assert played.client == b"-ERR flask-cache-proxy: value 5 of 9: a bad payload; nothing was stored\r\n"

    def test_a_turn_that_nobody_waits_for_changes_nothing(self, play: Play) -> None:
        played = play(policy(limits=self.BIG)).sends(command(b"GET", b"m:a")).replies(b"$10\r\n!123456789\r\n")
        played._take(played.session.take_turn())
        played.to_client(b"").converts().to_client(b"$9\r\n123456789\r\n")

    def test_a_value_beyond_the_brief_limits_goes_to_the_converter(self, play: Play) -> None:
        class SmallLimits(StubCodec):
            def decode(self, value: bytes) -> bytes:
                raise UndecodableError("more than 4 nodes ([limits] nodes)", "nodes")

        played = play(policy(rule(inline=SmallLimits(Options())))).command(b"GET", b"m:a").replies(b"$2\r\n!v\r\n")
        played.to_client(b"").converts().to_client(b"$1\r\nv\r\n")

    def test_a_failed_conversion_is_a_refusal_in_its_turn(self, play: Play) -> None:
        tiny = SessionLimits(inline_encode_bytes=1)
        played = play(policy(limits=tiny)).sends(command(b"SET", b"m:a", b"bad") + command(b"PING")).converts()
        played.to_upstream(command(b"PING")).replies(b"+PONG\r\n")
        played.to_client(b"-ERR flask-cache-proxy: a bad payload; nothing was stored\r\n+PONG\r\n")

    def test_no_more_replies_are_outstanding_than_may_be(self, play: Play) -> None:
        few = SessionLimits(pending_commands=2)
        ping = command(b"PING")
        played = play(policy(limits=few)).sends(ping * 5).to_upstream(ping * 2)
        assert not played.session.wants_client
        played.replies(b"+PONG\r\n").to_upstream(ping)
        played.replies(b"+PONG\r\n" * 2).to_upstream(ping * 2)

    def test_a_value_over_the_limit_is_not_held(self, play: Play) -> None:
        small = rule(transcoder=StubCodec(Options(limits=CodecLimits(decoded_bytes=8))))
        played = play(policy(small)).sends(command(b"GET", b"m:a") + command(b"PING"))
        played.replies(b"$9\r\n!12345678\r\n+PONG\r\n")
        played.to_client(
            b"-ERR flask-cache-proxy: cannot decode the stored value: 9 bytes are over the limit of 8 ([limits]"
            b" decoded_bytes)\r\n+PONG\r\n"
        )

    def test_each_rule_has_its_own_limit(self, play: Play) -> None:
        small = rule(b"s:*", transcoder=StubCodec(Options(limits=CodecLimits(decoded_bytes=8))))
        played = play(policy(small, rule())).sends(command(b"MGET", b"m:a", b"s:a"))
        played.replies(b"*2\r\n$9\r\n!12345678\r\n$9\r\n!12345678\r\n")
        played.to_client(b"*2\r\n$8\r\n12345678\r\n$-1\r\n")

    def test_a_request_over_the_limit_closes(self, play: Play) -> None:
        small = SessionLimits(request=RequestLimits(request_bytes=64))
        played = play(policy(limits=small)).sends(b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$100\r\n")
        assert b"[limits] request_bytes" in played.client
        assert played.closed


class TestReloading:
    def test_a_new_policy_holds_from_the_next_request_and_what_is_under_way_keeps_its_rule(self, play: Play) -> None:
        played = play().command(b"GET", b"m:a").reloads(policy(rule(b"n:*"))).command(b"GET", b"m:a")
        played.replies(b"$2\r\n!v\r\n$2\r\n!v\r\n").to_client(b"$1\r\nv\r\n$2\r\n!v\r\n")

    def test_a_transaction_goes_on_if_the_same_keys_are_managed(self, play: Play) -> None:
        played = play().sends(MULTI + command(b"GET", b"m:a")).replies(b"+OK\r\n+QUEUED\r\n")
        played.reloads(policy(rule(default_ttl=5), limits=SessionLimits(turn_steps=9)))
        played.sends(EXEC).to_upstream(MULTI + command(b"GET", b"m:a") + EXEC)
        played.replies(b"*1\r\n$2\r\n!v\r\n").to_client(b"+OK\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n")

    @pytest.mark.parametrize("is_answered", [True, False])
    @pytest.mark.parametrize(
        "now",
        [(rule(), rule(b"n:*")), (rule(treats_as=As.UNTOUCHED),), (rule(b"n:*"), rule())],
        ids=["more", "fewer", "others"],
    )
    def test_a_transaction_aborts_if_other_keys_are_managed(
        self, play: Play, now: tuple[Rule, ...], is_answered: bool
    ) -> None:
        """Otherwise a client could write bytes under a managed key, at a time that it chooses."""
        raw = MULTI + command(b"SET", b"n:a", b"raw")
        answers = b"+OK\r\n+QUEUED\r\n"
        played = play().sends(raw).replies(answers if is_answered else b"")
        played.reloads(policy(*now)).replies(b"" if is_answered else answers)
        played.sends(EXEC + EXEC).to_upstream(raw + POISON + EXEC + EXEC)
        aborted = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
        played.replies(b"-ERR wrong number of arguments\r\n" + aborted + b"-ERR EXEC without MULTI\r\n")
        played.to_client(answers + aborted + b"-ERR EXEC without MULTI\r\n")
        assert played.session.pending == 0

    @pytest.mark.parametrize("end", [b"DISCARD", b"RESET"])
    def test_a_transaction_that_is_given_up_aborts_no_later_one(self, play: Play, end: bytes) -> None:
        played = play().sends(MULTI).replies(b"+OK\r\n").reloads(policy(rule(b"n:*")))
        played.command(end).replies(b"+OK\r\n")
        played.sends(MULTI + EXEC).to_upstream(MULTI + command(end) + MULTI + EXEC)
