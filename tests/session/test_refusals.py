"""Each refusal and failed conversion has a reason of the closed list. It is counted and reported, without keys."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.codec import Options, PayloadError, Transcoder, UndecodableError
from proxy.codec.errors import UncoveredError
from proxy.policy import LONGEST_KEY, As, Guard, OnUndecodable, SessionLimits
from proxy.resp.encode import bulk, command
from proxy.session import Gate, Half, SlotMap
from proxy.session.refusals import FAILURES, TEXTS, Reason, Report
from tests.session.playbook import Playbook, policy, rule

SESSION = Path(__file__).parents[2] / "proxy" / "session"
SECRET = b"m:secret"
CODEC = Transcoder(Options())
OK, QUEUED = b"+OK\r\n", b"+QUEUED\r\n"
APART = command(b"SET", b"k0", b"x") + command(b"GET", b"k1")
"""Keys of different nodes."""
Play = Callable[[], Playbook]


def sent(*args: bytes) -> Play:
    return lambda: Playbook(policy(rule(), rule(b"n:*"))).command(*args)


def under(*args: bytes, **changes: object) -> Play:
    return lambda: Playbook(policy(rule(**changes))).command(*args)


def in_multi(*args: bytes) -> Play:
    return lambda: Playbook().command(b"MULTI").replies(OK).command(*args)


def at_gate(*args: bytes) -> Play:
    return lambda: Playbook(gate=Gate([b"sesame"])).command(*args)


def unknown(*args: bytes, flags: tuple[str, ...] = ("write",), arity: int = -1) -> Play:
    return lambda: Playbook().command(*args).finds(*flags, arity=arity)


def after_monitor() -> Playbook:
    return Playbook().command(b"MONITOR").replies(OK).command(b"PING")


def full_multi() -> Playbook:
    with_policy = policy(limits=SessionLimits(pending_commands=1))
    return (
        Playbook(with_policy).command(b"MULTI").replies(OK).command(b"PING").replies(QUEUED).command(b"SET", b"k", b"v")
    )


def on_a_cluster() -> Playbook:
    return Playbook(slots=SlotMap(("a:1", "b:1"), tuple(slot % 2 for slot in range(16384))))


def read(stored: bytes = b"!bad", *args: bytes) -> Play:
    return lambda: Playbook().command(*(args or (b"GET", SECRET))).replies(bulk(stored))


def converted(result: PayloadError | UndecodableError) -> Play:
    """The converter answers for a large value."""
    is_payload = isinstance(result, PayloadError)
    half = Half.REQUESTS if is_payload else Half.REPLIES
    limits = SessionLimits(inline_encode_bytes=3, inline_decode_bytes=3)

    def play() -> Playbook:
        played = Playbook(policy(limits=limits))
        if is_payload:
            played.command(b"SET", SECRET, b"large")
        else:
            played.command(b"GET", SECRET).replies(bulk(b"!large"))
        played._take(played.session.converted(half, result))
        return played

    return play


REFUSED: list[tuple[Reason, str, str, Play]] = [
    (Reason.UNKNOWN_COMMAND, "other", "", sent(b"S\0ET", SECRET, b"x")),
    (Reason.UNKNOWN_SUBCOMMAND, "CONFIG", "", sent(b"CONFIG", b"S\0ET")),
    (Reason.UNKNOWN_SUBCOMMAND, "CLIENT|CAPA", "", sent(b"CLIENT", b"CAPA", b"redirect")),
    (Reason.UNKNOWN_SUBCOMMAND, "CONFIG", "", lambda: Playbook().command(b"CONFIG", b"XX").finds_nothing()),
    (Reason.UNKNOWN_OPTION, "SET", "m:*", sent(b"SET", SECRET, b"x", b"FOO")),
    (Reason.SYNTAX, "MSETEX", "m:*", sent(b"MSETEX", b"x", b"EX", SECRET)),
    (Reason.SYNTAX, "GETRANGE", "", under(b"GETRANGE", SECRET, b"0", only_reads=True)),
    (Reason.SYNTAX, "EXEC", "", sent(b"EXEC", *[b"x"] * 1001)),
    (Reason.SYNTAX, "CLUSTER|FAILOVER", "", unknown(b"CLUSTER", b"FAILOVER", b"x", arity=2)),
    (Reason.SYNTAX, "HELLO", "", at_gate(b"HELLO", b"3", b"FOO")),
    (Reason.NOT_AUTHENTICATED, "GET", "", at_gate(b"GET", SECRET)),
    (Reason.NOT_AUTHENTICATED, "EXEC", "", at_gate(b"EXEC")),
    (Reason.NOT_AUTHENTICATED, "other", "", at_gate(b"FOO", SECRET)),
    (Reason.NOT_AUTHENTICATED, "HELLO", "", at_gate(b"HELLO", b"3")),
    (Reason.LOGIN_FAILED, "AUTH", "", at_gate(b"AUTH", b"secret")),
    (Reason.LOGIN_FAILED, "HELLO", "", at_gate(b"HELLO", b"3", b"AUTH", b"default", b"secret")),
    (Reason.GUARD, "CONFIG|SET", "", sent(b"CONFIG", b"SET", b"secret", b"x")),
    (Reason.SCRIPT, "EVAL", "", sent(b"EVAL", b"return 'secret'", b"0")),
    (Reason.NEVER, "SYNC", "", sent(b"SYNC")),
    (Reason.NOT_KNOWN, "FOO", "", unknown(b"FOO", b"secret")),
    (Reason.NOT_KNOWN, "FOO", "m:*", unknown(b"FOO", SECRET)),
    (Reason.CLUSTER, "CLUSTER|FAILOVER", "", unknown(b"CLUSTER", b"FAILOVER")),
    (Reason.ONE_NODE_ONLY, "WAIT", "", lambda: on_a_cluster().command(b"WAIT", b"1", b"secret")),
    (Reason.CROSS_SLOT, "GET", "", lambda: on_a_cluster().sends(command(b"MULTI") + APART)),
    (Reason.AFTER_MONITOR, "PING", "", after_monitor),
    (Reason.AFTER_MONITOR, "other", "", lambda: Playbook().command(b"MONITOR").replies(OK).command(b"FOO")),
    (Reason.IN_MULTI, "SUBSCRIBE", "", in_multi(b"SUBSCRIBE", b"secret")),
    (Reason.IN_MULTI, "AUTH", "", in_multi(b"AUTH", b"secret")),
    (Reason.IN_MULTI, "CLIENT|REPLY", "", in_multi(b"CLIENT", b"REPLY", b"OFF")),
    (Reason.MULTI_IS_FULL, "SET", "", full_multi),
    (Reason.LISTENER_ONLY_READS, "SET", "m:*", under(b"SET", SECRET, b"x", only_reads=True)),
    (
        *(Reason.LISTENER_ONLY_READS, "FLUSHALL", ""),
        lambda: Playbook(policy(guard=Guard(only_reads=True))).command(b"FLUSHALL"),
    ),
    (Reason.RULE_ONLY_READS, "SET", "m:*", under(b"SET", SECRET, b"x", treats_as=As.READ_ONLY)),
    (Reason.STORED_BYTES, "APPEND", "m:*", sent(b"APPEND", SECRET, b"x")),
    (Reason.LONG_KEY, "GET", "", sent(b"GET", b"m:" + b"x" * LONGEST_KEY)),
    (Reason.ACROSS_RULES, "RENAME", "", sent(b"RENAME", SECRET, b"n:secret")),
    (Reason.PICKLED_INT, "INCR", "m:*", under(b"INCR", SECRET, has_digits=False)),
    (Reason.COMPARES_BYTES, "SET", "m:*", sent(b"SET", SECRET, b"x", b"IFEQ", b"secret")),
    (Reason.UNSERVABLE, "INCR", "m:*", under(b"INCR", SECRET, views=lambda _: True)),
    (Reason.UNSERVABLE, "SET", "m:*", under(b"SET", SECRET, b"5", views=lambda _: True, inline=CODEC)),
    (Reason.UNSERVABLE, "MSET", "m:*", under(b"MSET", SECRET, b"5", views=lambda _: True, inline=CODEC)),
    (Reason.PATTERN, "SORT", "", sent(b"SORT", b"k", b"BY", b"m:*")),
    (Reason.INVALID_PAYLOAD, "SET", "m:*", sent(b"SET", SECRET, b"bad")),
    (Reason.INVALID_PAYLOAD, "MSET", "n:*", sent(b"MSET", SECRET, b"x", b"k", b"x", b"n:a", b"bad")),
    (Reason.PAYLOAD_LIMIT, "SET", "m:*", converted(PayloadError("secret", "depth"))),
    (Reason.PAYLOAD_FAILED, "SET", "m:*", converted(PayloadError("secret", reason="failed"))),
]
FAILED: list[tuple[Reason, str, str, Play]] = [
    (Reason.UNDECODABLE, "GET", "m:*", read()),
    (Reason.UNDECODABLE, "GETDEL", "m:*", read(b"!bad", b"GETDEL", SECRET)),
    (Reason.UNDECODABLE, "MGET", "m:*", lambda: Playbook().command(b"MGET", SECRET).replies(b"*1\r\n" + bulk(b"!bad"))),
    (
        *(Reason.UNDECODABLE, "GET", "m:*"),
        lambda: in_multi(b"GET", SECRET)().replies(QUEUED).command(b"EXEC").replies(b"*1\r\n" + bulk(b"!bad")),
    ),
    (Reason.VALUE_LIMIT, "GET", "m:*", converted(UndecodableError("secret", "nodes"))),
    (Reason.VALUE_LIMIT, "GET", "m:*", read(b"x" * (64 << 20))),
    (Reason.VALUE_CLASS, "GET", "m:*", converted(UncoveredError("$", "secret"))),
    (Reason.VALUE_FAILED, "GET", "m:*", converted(UndecodableError("secret", reason="failed"))),
]
IDS = [f"{reason.value}-{label}-{number}" for number, (reason, label, *_) in enumerate([*REFUSED, *FAILED])]


def counted(played: Playbook) -> dict[tuple[str, Reason], int]:
    return {
        ("other" if each is None else each.name.decode(), reason): count
        for (each, reason), count in played.tally.refusals.items()
    }


@pytest.mark.parametrize(("reason", "label", "name", "play"), [*REFUSED, *FAILED], ids=IDS)
def test_it_is_reported_once_with_command_rule_and_reason(reason: Reason, label: str, name: str, play: Play) -> None:
    played = play()
    assert played.reports == [Report(reason, label, name)]
    assert b"secret" not in repr(played.reports).encode()


@pytest.mark.parametrize(("reason", "label", "name", "play"), REFUSED, ids=IDS[: len(REFUSED)])
def test_a_refusal_is_counted_by_command_and_reason(reason: Reason, label: str, name: str, play: Play) -> None:
    is_known = label != "FOO"  # the server knows this one, and the table does not
    assert counted(play()) == {(label if is_known else "other", reason): 1}


@pytest.mark.parametrize(("reason", "label", "name", "play"), FAILED, ids=IDS[len(REFUSED) :])
def test_a_value_that_cannot_be_read_is_no_refusal(reason: Reason, label: str, name: str, play: Play) -> None:
    tally = play().tally
    assert not tally.refusals
    [(labels, count)] = tally.failures.items()
    assert (labels[:3], count) == (("decode", "json", "m:*"), 1)


def test_each_reason_has_its_words_and_a_path_to_it() -> None:
    assert {reason for reason, *_ in REFUSED} | FAILURES == set(Reason) == TEXTS.keys()
    assert {reason for reason, *_ in FAILED} == FAILURES
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", reason.value) for reason in Reason)


def test_the_papers_explain_each_reason() -> None:
    text = (SESSION.parents[1] / "docs" / "operations.md").read_text()
    assert not [reason.value for reason in Reason if f"`{reason.value}`" not in text]


def test_each_call_that_refuses_names_a_reason() -> None:
    calls = [
        node
        for path in SESSION.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"refuse", "deny", "Refusal"}
    ]
    firsts = {ast.unparse(call.args[0]).rpartition(".")[0] or ast.unparse(call.args[0]) for call in calls}
    assert len(calls) > 30
    assert firsts == {"Reason", "*refusal"}


@pytest.mark.parametrize(
    ("error", "direction", "reason"),
    [
        (PayloadError("x"), "encode", "invalid"),
        (PayloadError("x", "depth"), "encode", "depth"),
        (UndecodableError("x", "decoded_bytes"), "decode", "decoded_bytes"),
        (UncoveredError("$", "x"), "decode", "read_classes"),
        (UndecodableError("x", reason="failed"), "decode", "failed"),
    ],
    ids=["invalid", "depth", "decoded_bytes", "read_classes", "failed"],
)
def test_failures_count_by_the_limit_that_was_met(
    error: PayloadError | UndecodableError, direction: str, reason: str
) -> None:
    assert converted(error)().tally.failures == {(direction, "json", "m:*", reason): 1}


@pytest.mark.parametrize("wanted", [OnUndecodable.NIL, OnUndecodable.RAW])
def test_a_failure_that_the_client_does_not_see_is_reported_all_the_same(wanted: OnUndecodable) -> None:
    played = Playbook(policy(rule(on_undecodable=wanted))).command(b"GET", SECRET).replies(bulk(b"!bad"))
    assert [report.reason for report in played.reports] == [Reason.UNDECODABLE]


def test_a_refusal_is_reported_in_the_step_that_refuses() -> None:
    played = Playbook().command(b"GET", b"k").command(b"SYNC")
    assert [report.command for report in played.reports] == ["SYNC"]
    assert played.replies(bulk(b"x")).client.startswith(bulk(b"x") + b"-ERR flask-cache-proxy: SYNC")
    assert len(played.reports) == 1


def test_a_pipeline_of_refusals_is_bounded_by_its_turns() -> None:
    played = Playbook()
    played.sends(command(b"SYNC") * 1000)
    assert len(played.reports) <= 101
    assert len(played.takes_turns().reports) == 1000


class TestReads:
    def test_a_value_that_is_not_there_is_a_miss_of_its_rule(self) -> None:
        played = Playbook(policy(rule(), rule(b"n:*"))).command(b"GET", b"m:a").replies(b"$-1\r\n")
        played.command(b"HELLO", b"3").replies(b"%0\r\n").command(b"GET", b"m:a").replies(b"_\r\n")
        assert played.tally.misses == {"m:*": 2}

    def test_each_element_counts(self) -> None:
        played = Playbook(policy(rule(), rule(b"n:*"))).command(b"MGET", b"m:a", b"n:a", b"k", b"m:b", b"n:b")
        played.replies(b"*5\r\n$-1\r\n$-1\r\n$-1\r\n" + bulk(b"!x") + b"$-1\r\n")
        assert played.tally.misses == {"m:*": 1, "n:*": 2}

    def test_so_do_those_of_exec(self) -> None:
        played = in_multi(b"GET", b"m:a")().command(b"MGET", b"m:a", b"m:b").command(b"GET", b"k")
        played.replies(QUEUED * 3).command(b"EXEC").replies(b"*3\r\n$-1\r\n*2\r\n$-1\r\n" + bulk(b"!x") + b"$-1\r\n")
        assert played.tally.misses == {"m:*": 2}

    def test_one_that_comes_in_pieces_counts_once(self) -> None:
        played = Playbook(cut=lambda data: [data[at : at + 1] for at in range(len(data))])
        played.command(b"GET", b"m:a").replies(b"$-1\r\n").command(b"GET", b"m:a").replies(b"_\r\n")
        assert played.tally.misses == {"m:*": 2}

    def test_a_part_of_what_is_not_there_is_a_miss(self) -> None:
        played = Playbook(policy(rule(only_reads=True))).command(b"GETRANGE", b"m:a", b"0", b"1").replies(b"$-1\r\n")
        assert played.tally.misses == {"m:*": 1}

    def test_an_error_is_none(self) -> None:
        assert not Playbook().command(b"GET", b"m:a").replies(b"-WRONGTYPE x\r\n").tally.misses


class TestKeys:
    @pytest.mark.parametrize(
        ("args", "counts"),
        [
            ((b"GET", b"m:a"), (1, 0)),
            ((b"SET", b"m:a", b"x"), (1, 0)),
            ((b"SET", b"m:a", b"bad"), (1, 0)),
            ((b"SET", b"m:a", b"x", b"NX"), (1, 0)),
            ((b"APPEND", b"m:a", b"x"), (1, 0)),
            ((b"MGET", b"k", b"m:a"), (1, 0)),
            ((b"MGET", *[b"m:a"] * 2000), (1, 0)),
            ((b"GET", b"k"), (0, 1)),
            ((b"DEL", *[b"k"] * 2000), (0, 1)),
            ((b"LPUSH", b"k", b"m:a"), (0, 1)),
            ((b"PING",), (0, 0)),
            ((b"GET",), (0, 0)),
            ((b"SYNC",), (0, 0)),
        ],
        ids=lambda each: b" ".join(each[:4]).decode() if isinstance(each[0], bytes) else "",
    )
    def test_a_command_counts_by_its_keys(self, args: tuple[bytes, ...], counts: tuple[int, int]) -> None:
        tally = Playbook().command(*args).takes_turns().tally
        assert (tally.managed, tally.untouched) == counts

    @pytest.mark.parametrize("words", [(b"SET", b"x"), (b"GET",)], ids=["SET", "GET"])
    def test_each_of_a_run_counts(self, words: tuple[bytes, ...]) -> None:
        played = Playbook()
        for key in (b"m:a", b"k"):
            played.sends(command(words[0], key, *words[1:]) * 100)
        assert (played.tally.managed, played.tally.untouched) == (100, 100)

    def test_one_that_the_server_knows_counts_too(self) -> None:
        played = unknown(b"FOO", b"k", flags=("readonly",))().command(b"FOO", b"m:a").finds("readonly")
        assert (played.tally.managed, played.tally.untouched) == (1, 1)
