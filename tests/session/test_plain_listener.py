"""A plain listener only reads: every command of the table that writes a managed key is refused, and no other is."""

import pytest

from proxy.commands import COMMANDS, Access, Command
from proxy.policy import Guard, OnUndecodable, Policy, SessionLimits
from proxy.resp.encode import command, error
from tests.session.playbook import POISON, Playbook, policy, rule

ALLOWED = frozenset(name.partition(b"|")[0] for name in COMMANDS)
OPEN = Guard(allow_all_scripts=True, allowed_commands=ALLOWED)
"""Everything that `[guard]` can allow."""
USUAL = policy(rule(), guard=OPEN)
READS = policy(rule(only_reads=True), guard=OPEN._replace(only_reads=True))
ROWS = [row for row in COMMANDS.values() if row.subcommands is None]
MANAGED, OTHER = b"m:1", b"other"
MOST_ARGUMENTS = 8


def asked(row: Command, key: bytes) -> tuple[bytes, ...]:
    """A request in which every argument is a managed key. So its keys are managed, whatever their positions."""
    return (*row.name.split(b"|"), *[key] * MOST_ARGUMENTS)


def outcome(under: Policy, request: tuple[bytes, ...]) -> tuple[object, ...]:
    played = Playbook(under).command(*request)
    return played.upstream, played.client, played.lookups, played.closed


def only_reads(row: Command) -> bytes:
    name = row.name.decode().replace("|", " ")
    return error(f"ERR flask-cache-proxy: {name} is refused: this listener only reads")


def refused(under: Policy, *requests: tuple[bytes, ...]) -> bytes:
    """The client's replies to refused requests. Only poisons go upstream for them."""
    played = Playbook(under).sends(b"".join(command(*each) for each in requests)).takes_turns()
    poisons = played.upstream.count(POISON)
    assert played.upstream == POISON * poisons
    return played.replies(b"-ERR no\r\n" * poisons).client


def named(rows: list[Command]) -> dict[str, list[object]]:
    return {"argvalues": rows, "ids": [row.name.decode() for row in rows]}


WRITERS = [row for row in ROWS if row.writes and any(True for _ in row.keys(asked(row, MANAGED)))]
NEVER = [row for row in ROWS if row.writes_unnamed or row.access is Access.SCRIPT]


@pytest.mark.parametrize("row", **named(WRITERS))
def test_a_write_of_a_managed_key_is_refused(row: Command) -> None:
    assert refused(READS, asked(row, MANAGED)) == only_reads(row)


@pytest.mark.parametrize("row", **named(NEVER))
def test_scripts_and_writes_of_a_whole_database_are_refused_whatever_the_guard_says(row: Command) -> None:
    for key in (MANAGED, OTHER):
        assert refused(READS, asked(row, key)) == only_reads(row)
    assert refused(READS, tuple(row.name.split(b"|"))) == only_reads(row)


def test_those_are_the_commands_that_every_gui_has_a_button_for() -> None:
    names = {row.name for row in NEVER}
    assert names >= {b"FLUSHALL", b"FLUSHDB", b"SWAPDB", b"EVAL", b"EVALSHA", b"FCALL", b"SCRIPT|FLUSH"}
    assert names >= {b"FUNCTION|LOAD", b"FUNCTION|RESTORE", b"FUNCTION|DELETE", b"FUNCTION|FLUSH"}
    assert not names & {b"EVAL_RO", b"EVALSHA_RO", b"FCALL_RO", b"SCRIPT|LOAD"}


@pytest.mark.parametrize("name", [b"RESET", b"FLUSHSLOTS", b"ADDSLOTS", b"SETSLOT"])
def test_no_change_of_a_cluster_is_sent_whatever_the_guard_says(name: bytes) -> None:
    stand_in = command(b"CLUSTER", b"KEYSLOT", b"")
    disabled = error("ERR This instance has cluster support disabled")
    for under in (USUAL, READS):
        played = Playbook(under).command(b"CLUSTER", name, b"1").finds("admin", arity=-2).to_upstream(stand_in)
        played.replies(b":0\r\n").to_client(disabled)


AS_USUAL = [row for row in ROWS if row not in NEVER and row.name != b"GETRANGE"]
"""GETRANGE shows a part of the payload here: see below."""


@pytest.mark.parametrize("row", **named(AS_USUAL))
def test_nothing_else_is_refused(row: Command) -> None:
    for key in (MANAGED, OTHER):
        if not (row.writes and key is MANAGED and row in WRITERS):
            assert outcome(READS, asked(row, key)) == outcome(USUAL, asked(row, key))


@pytest.mark.parametrize(
    "request_",
    [
        (b"SET", MANAGED, b"v"),
        (b"set", MANAGED, b"v", b"EX", b"5"),
        (b"SETEX", MANAGED, b"5", b"v"),
        (b"MSET", OTHER, b"v", MANAGED, b"v"),
        (b"MSETEX", b"1", MANAGED, b"v"),
        (b"GETDEL", MANAGED),
        (b"GETEX", MANAGED, b"PERSIST"),
        (b"INCR", MANAGED),
        (b"DEL", OTHER, MANAGED),
        (b"EXPIRE", MANAGED, b"1"),
        (b"RENAME", OTHER, MANAGED),
        (b"COPY", MANAGED, OTHER),
        (b"SORT", OTHER, b"STORE", MANAGED),
        (b"MSET", *[OTHER, b"v"] * 2000, MANAGED, b"v"),
    ],
    ids=lambda request: b" ".join(request[:4]).decode(),
)
def test_well_formed_writes_are_refused_on_every_way(request_: tuple[bytes, ...]) -> None:
    """On the fast path, on the full path, over several turns, and inside MULTI."""
    said = only_reads(COMMANDS[request_[0].upper()])
    assert refused(READS, *[request_] * 3) == said * 3
    played = Playbook(READS).command(b"MULTI").command(*request_).takes_turns()
    played.to_upstream(command(b"MULTI") + POISON).replies(b"+OK\r\n-ERR no\r\n").to_client(b"+OK\r\n" + said)


def test_reads_take_the_short_way_still() -> None:
    played = Playbook(READS).sends(command(b"GET", MANAGED) * 3).replies(b"$2\r\n!v\r\n" * 3)
    played.to_upstream(command(b"GET", MANAGED) * 3).to_client(b"$1\r\nv\r\n" * 3)


def test_the_lengths_of_values_pass() -> None:
    for under in (USUAL, READS):
        played = Playbook(under).command(b"STRLEN", MANAGED).replies(b":5\r\n")
        played.to_upstream(command(b"STRLEN", MANAGED)).to_client(b":5\r\n")


def test_a_part_of_a_value_is_a_part_of_its_payload() -> None:
    """Redis GUIs open a string by GETRANGE."""
    get = command(b"GET", MANAGED)
    played = Playbook(READS).command(b"GETRANGE", MANAGED, b"1", b"-2").to_upstream(get).replies(b"$5\r\n!tea!\r\n")
    played.to_client(b"$2\r\nea\r\n")
    played = Playbook(READS).command(b"MULTI").command(b"getrange", MANAGED, b"0", b"0").command(b"EXEC")
    played.replies(b"+OK\r\n+QUEUED\r\n").replies(b"*1\r\n$4\r\n!tea\r\n")
    played.to_client(b"+OK\r\n+QUEUED\r\n*1\r\n$1\r\nt\r\n")
    played = Playbook(READS).sends(command(b"GETRANGE", MANAGED, b"0", b"1") * 2 + get).to_upstream(get * 3)
    played.replies(b"$4\r\n!tea\r\n" * 3).to_client(b"$2\r\nte\r\n" * 2 + b"$3\r\ntea\r\n")


def test_so_it_is_where_the_converter_decodes() -> None:
    limits = SessionLimits(inline_decode_bytes=2)
    played = Playbook(policy(rule(only_reads=True), guard=READS.guard, limits=limits))
    played.command(b"GETRANGE", MANAGED, b"1", b"1").replies(b"$4\r\n!tea\r\n").to_client(b"")
    played.converts().to_client(b"$1\r\ne\r\n")


@pytest.mark.parametrize("null", [b"$-1\r\n", b"_\r\n"])
def test_a_missing_key_has_an_empty_part(null: bytes) -> None:
    part = command(b"GETRANGE", MANAGED, b"0", b"-1")
    Playbook(READS).sends(part).replies(null).to_client(b"$0\r\n\r\n")
    played = Playbook(READS).sends(command(b"MULTI") + part + command(b"GET", MANAGED) + command(b"EXEC"))
    played.replies(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n").replies(null[:1]).replies(null[1:] + null)
    played.to_client(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$0\r\n\r\n" + null)


def test_a_part_of_a_value_that_reads_as_missing_is_empty() -> None:
    under = policy(rule(only_reads=True, on_undecodable=OnUndecodable.NIL), guard=READS.guard)
    Playbook(under).command(b"GETRANGE", MANAGED, b"0", b"9").replies(b"$4\r\n!bad\r\n").to_client(b"$0\r\n\r\n")


BEYOND_64_BITS = (b"9223372036854775808", b"-9223372036854775809", b"9" * 30)
NOT_INTEGERS = (b"x", b"", b"+1", b"-0", b"01", b" 1", b"1.0", *BEYOND_64_BITS)


@pytest.mark.parametrize("index", NOT_INTEGERS)
def test_redis_itself_refuses_a_bad_index(index: bytes) -> None:
    """The index that is sent in its place cannot be read by any server, so no stored byte comes back."""
    sent = command(b"GETRANGE", MANAGED, b"?", b"?")
    said = error("ERR value is not an integer or out of range")
    for bounds in ((index, b"0"), (b"0", index)):
        asked = command(b"GETRANGE", MANAGED, *bounds)
        Playbook(READS).sends(asked).to_upstream(sent).replies(said).to_client(said)


def test_all_indexes_of_redis_are_taken() -> None:
    least, most = b"-9223372036854775808", b"9223372036854775807"
    played = Playbook(READS).command(b"GETRANGE", MANAGED, least, most).to_upstream(command(b"GET", MANAGED))
    played.replies(b"$4\r\n!tea\r\n").to_client(b"$3\r\ntea\r\n")


@pytest.mark.parametrize("bounds", [(), (b"0",), (b"0", b"1", b"2"), (b"0",) * 5000])
def test_the_number_of_arguments_is_checked_as_by_redis(bounds: tuple[bytes, ...]) -> None:
    said = error("ERR wrong number of arguments for 'getrange' command")
    assert refused(READS, (b"GETRANGE", MANAGED, *bounds)) == said


def test_on_any_other_listener_it_is_refused() -> None:
    assert b"GETRANGE is refused on keys that hold cached values" in refused(USUAL, (b"GETRANGE", MANAGED, b"0", b"1"))


def test_ints_that_are_pickled_are_not_counted() -> None:
    under = policy(rule(has_digits=False), rule(b"d:*"))
    for name, *more in ((b"INCR",), (b"DECR",), (b"INCRBY", b"2"), (b"DECRBY", b"2")):
        assert refused(under, (name, MANAGED, *more)) == error(
            f"ERR flask-cache-proxy: {name.decode()} is refused: the rule of this key pickles its ints (stored)"
        )
        Playbook(under).command(name, b"d:1", *more).to_upstream(command(name, b"d:1", *more))
