"""The command table: its promises by name, and its finders on all that a client may send."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.commands import COMMANDS, VALID_NAME, Access, Managed, Reply, Turn, find
from tests.commands.samples import SAMPLE_REQUESTS, keys_of, request


@pytest.mark.parametrize("sample", SAMPLE_REQUESTS, ids=lambda args: b" ".join(args).decode())
def test_keys_at_places_that_move_are_found(sample: list[bytes]) -> None:
    assert list(find(sample).keys(sample)) == keys_of(sample)


@pytest.mark.parametrize("spelling", [b"GET", b"get", b"Get", b"gEt"])
def test_names_are_found_in_any_case(spelling: bytes) -> None:
    assert find([spelling, b"k"]) is COMMANDS[b"GET"]


def test_subcommands_are_found_in_any_case() -> None:
    assert find([b"config", b"Set", b"a", b"b"]) is COMMANDS[b"CONFIG|SET"]
    assert find([b"OBJECT", b"ENCODING", b"k"]) is COMMANDS[b"OBJECT|ENCODING"]


def test_a_container_answers_for_what_it_does_not_know() -> None:
    for args in ([b"CONFIG"], [b"CONFIG", b"NEW"], [b"CONFIG", b"SET\0"], [b"CONFIG", b""]):
        assert find(args) is COMMANDS[b"CONFIG"]
    assert find([b"COMMAND"]) is COMMANDS[b"COMMAND"]


def test_a_container_is_as_guarded_as_its_worst_subcommand() -> None:
    containers = {name: row.access for name, row in COMMANDS.items() if row.subcommands}
    unguarded = {name for name, access in containers.items() if access is Access.OPEN}
    assert unguarded == set(request("COMMAND FT.CURSOR HIMPORT MEMORY OBJECT PUBSUB XGROUP XINFO"))
    assert {access for name, access in containers.items() if name not in unguarded} == {Access.ADMIN}


def test_an_unknown_subcommand_cannot_reach_a_managed_key() -> None:
    for parent in (b"OBJECT", b"MEMORY", b"XGROUP", b"XINFO", b"HIMPORT"):
        args = [parent, b"NEW", b"k1", b"k2"]
        assert find(args).keys(args) == [b"k1", b"k2"]
        assert find(args).managed is Managed.REFUSE


@pytest.mark.parametrize("name", [b"config|set", b"CONFIG|SET", b"CONFIG|", b"GET|", b"NOSUCH", b"", b"GET\0"])
def test_other_names_are_not_found(name: bytes) -> None:
    assert find([name, b"SET", b"a"]) is None


def test_no_request_is_no_row() -> None:
    assert find([]) is None


@pytest.mark.parametrize(
    ("name", "valid"),
    [(b"GET", True), (b"JSON.SET", True), (b"CLUSTER|SLOT-STATS", True), (b"EVAL_RO", True)]
    + [(bad, False) for bad in (b"", b"SET\x009", b"GET\n", b"G T", b"HOST:", b"G\xc3\x8bT")],
)
def test_valid_names(name: bytes, valid: bool) -> None:
    assert bool(VALID_NAME.fullmatch(name)) is valid


def test_every_name_is_valid_and_in_upper_case() -> None:
    for name, row in COMMANDS.items():
        assert name == row.name == name.upper()
        assert row.access is Access.CLOSE or VALID_NAME.fullmatch(name)


ALLOWED = {
    Managed.TRANSCODE: "SET SETNX SETEX PSETEX GETSET MSET MSETNX MSETEX GET GETDEL GETEX MGET",
    Managed.PASS: (
        "INCR DECR INCRBY DECRBY DEL UNLINK EXISTS EXPIRE PEXPIRE EXPIREAT PEXPIREAT TTL PTTL EXPIRETIME"
        " PEXPIRETIME PERSIST TOUCH TYPE OBJECT|ENCODING OBJECT|FREQ OBJECT|IDLETIME OBJECT|REFCOUNT"
        " MEMORY|USAGE WATCH MOVE"
    ),
    Managed.SAME_RULE: "RENAME RENAMENX COPY",
}


@pytest.mark.parametrize("managed", ALLOWED)
def test_the_allow_list_is_that_of_the_design(managed: Managed) -> None:
    assert {row.name for row in COMMANDS.values() if row.managed is managed} == set(request(ALLOWED[managed]))


def test_only_transcoding_rows_know_values() -> None:
    probe = [b"NAME", b"1", b"k1", b"v1", b"v2"]
    for row in COMMANDS.values():
        if row.managed is not Managed.TRANSCODE:
            assert not row.values(probe), row.name
            assert row.reply is Reply.RAW


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("SET k v", [(1, 2)]),
        ("SETNX k v", [(1, 2)]),
        ("SETEX k 1 v", [(1, 3)]),
        ("PSETEX k 1 v", [(1, 3)]),
        ("GETSET k v", [(1, 2)]),
        ("MSET k v k2 v2", [(1, 2), (3, 4)]),
        ("MSETNX k v", [(1, 2)]),
        ("MSETEX 2 k v k2 v2 EX 1", [(2, 3), (4, 5)]),
        ("GET k", []),
        ("MGET k k2", []),
        ("SET k", []),
        ("SETEX k v", []),
        ("MSET k v k2", [(1, 2)]),
        ("MSET", []),
    ],
)
def test_values_stand_beside_their_keys(text: str, places: list[tuple[int, int]]) -> None:
    args = request(text)
    assert list(find(args).values(args)) == places
    assert {args[key] for key, _ in places} <= set(find(args).keys(args))


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("SET k v NX", 3),
        ("GETEX k PERSIST", 2),
        ("MSETEX 2 k v k2 v2 NX", 6),
        ("EXPIRE k 1 NX", 3),
        ("COPY k k2 DB 1", 3),
        ("MEMORY USAGE k SAMPLES 5", 3),
    ],
)
def test_options_begin_behind_the_last_argument(text: str, index: int) -> None:
    args = request(text)
    assert find(args).options_at(args) == index


def test_options_on_managed_keys() -> None:
    expiry = {b"EX": 1, b"PX": 1, b"EXAT": 1, b"PXAT": 1}
    assert COMMANDS[b"SET"].options == {**expiry, b"NX": 0, b"XX": 0, b"KEEPTTL": 0, b"GET": 0}
    assert COMMANDS[b"MSETEX"].options == {**expiry, b"NX": 0, b"XX": 0, b"KEEPTTL": 0}
    assert COMMANDS[b"GETEX"].options == {**expiry, b"PERSIST": 0}
    for name in (b"EXPIRE", b"PEXPIRE", b"EXPIREAT", b"PEXPIREAT"):
        assert COMMANDS[name].options == {b"NX": 0, b"XX": 0, b"GT": 0, b"LT": 0}
    assert COMMANDS[b"COPY"].options == {b"DB": 1, b"REPLACE": 0}
    assert COMMANDS[b"MEMORY|USAGE"].options == {b"SAMPLES": 1}
    assert {row.name for row in COMMANDS.values() if row.options is not None} == set(
        request("SET MSETEX GETEX EXPIRE PEXPIRE EXPIREAT PEXPIREAT COPY MEMORY|USAGE")
    )
    for name in (b"SET", b"MSETEX"):
        assert COMMANDS[name].refused_options == {b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE"}


def test_replies_that_hold_values() -> None:
    replies = {row.name: row.reply for row in COMMANDS.values() if row.reply is not Reply.RAW}
    assert replies == {
        b"GET": Reply.VALUE,
        b"GETDEL": Reply.VALUE,
        b"GETEX": Reply.VALUE,
        b"GETSET": Reply.VALUE,
        b"SET": Reply.VALUE_IF_GET,
        b"MGET": Reply.VALUES,
    }


@pytest.mark.parametrize("count", [b"3", b"999999999999999999999", b"-1", b"x", b"", b"1x", b"01", b"+1", b" 1"])
def test_a_wrong_numkeys_makes_every_argument_a_key(count: bytes) -> None:
    for head in ([b"LMPOP"], [b"BLMPOP", b"0"], [b"EVAL", b"s"], [b"MSETEX"], [b"SINTERCARD"]):
        args = [*head, count, b"a", b"b"]
        assert list(find(args).keys(args)) == [b"a", b"b"], args
    args = [b"ZUNIONSTORE", b"d", count, b"a", b"b"]
    assert list(find(args).keys(args)) == [b"d", b"a", b"b"]


def test_values_behind_a_wrong_numkeys_cannot_be_told() -> None:
    for count in (b"2", b"-1", b"x"):
        args = [b"MSETEX", count, b"k", b"v"]
        assert find(args).values(args) is None


@pytest.mark.parametrize(
    "text",
    [
        "SORT u STORE k",
        "SORT u sToRe k",
        "SORT u STORE\0x k",
        "SORT u BY STORE STORE k",
        "SORT u STORE a STORE k",
        "GEORADIUS u 0 0 1 m STOREDIST\0 k",
        "GEORADIUSBYMEMBER u m 1 m STORE a STOREDIST k",
        "XREAD STREAMS\0 k 0",
        "XREAD NEW STREAMS k 0",
        "XREADGROUP GROUP STREAMS c STREAMS k 0",
        "XREAD STREAMS a k 0",
        "MIGRATE h 1 u 0 1 KEYS\0 k",
        "STRALGO LCS NEW KEYS u k",
        "EXEC IFEQ k v",
        "DEBUG OBJECT k",
    ],
)
def test_unusual_spellings_hide_no_key(text: str) -> None:
    args = request(text)
    assert b"k" in find(args).keys(args)
    assert find(args).managed is Managed.REFUSE


def test_patterns_of_sort_are_told() -> None:
    args = request("SORT l BY w_* GET # GET d_*->f GET\0 x_* BY nosort ALPHA STORE d")
    assert find(args).patterns(args) == [b"w_*", b"d_*->f", b"x_*"]
    assert {row.name for row in COMMANDS.values() if row.patterns([b"", b"", b"BY", b"*"])} == {
        b"SORT",
        b"SORT_RO",
    }


def test_channels_are_not_keys() -> None:
    for text in (
        "PUBLISH k v",
        "SPUBLISH k v",
        "SUBSCRIBE k",
        "PSUBSCRIBE k",
        "SSUBSCRIBE k",
        "UNSUBSCRIBE k",
    ):
        assert not find(request(text)).keys(request(text))


ROWS = st.sampled_from(sorted(COMMANDS))
WORDS = st.sampled_from(
    [
        b"",
        b"0",
        b"1",
        b"2",
        b"-1",
        b"9" * 30,
        b"KEYS",
        b"STREAMS",
        b"STORE",
        b"BY",
        b"GET",
        b"GROUP",
        b"k",
        b"\0",
    ]
)
ARGUMENTS = st.lists(WORDS | st.binary(max_size=8), max_size=12)


@given(name=ROWS, rest=ARGUMENTS)
def test_finders_never_raise_and_find_only_arguments(name: bytes, rest: list[bytes]) -> None:
    args = [*name.split(b"|"), *rest]
    row = find(args)
    assert row is not None
    assert set(row.keys(args)) <= set(args[1:])
    assert set(row.patterns(args)) <= set(args[1:])
    for key, value in row.values(args) or ():
        assert 0 < key < value < len(args)
    assert row.options_at(args) >= 2


@given(name=ROWS, rest=ARGUMENTS)
def test_every_value_belongs_to_a_key_that_is_found(name: bytes, rest: list[bytes]) -> None:
    args = [*name.split(b"|"), *rest]
    row = COMMANDS[name]
    keys = row.keys(args)
    assert all(args[key] in keys for key, _ in row.values(args) or ())


@given(args=st.lists(st.binary(max_size=6), max_size=6))
def test_find_never_raises(args: list[bytes]) -> None:
    find(args)


@pytest.mark.parametrize(
    ("access", "names"),
    [
        (Access.NEVER, "PSYNC REPLCONF SYNC"),
        (Access.SCRIPT, "EVAL EVALSHA FCALL"),
        (Access.UNKNOWN_SUBCOMMAND, "CLIENT|CAPA CLIENT|MAINT_NOTIFICATIONS"),
        (Access.CLOSE, "HOST: POST"),
    ],
)
def test_access_beyond_open_and_admin(access: Access, names: str) -> None:
    assert {row.name for row in COMMANDS.values() if row.access is access} == set(request(names))


@pytest.mark.parametrize(
    "text",
    [
        "ACL SETUSER u", "BGSAVE", "CLIENT KILL a", "CLIENT PAUSE 1", "CLUSTER RESET", "CONFIG SET a b",
        "CONFIG REWRITE", "CONFIG RESETSTAT", "DEBUG SLEEP 0", "FAILOVER", "FUNCTION LOAD x",
        "FUNCTION RESTORE x", "LATENCY RESET", "MIGRATE h 1 k 0 1", "MODULE LOAD x", "REPLICAOF NO ONE",
        "SAVE", "SCRIPT FLUSH", "SHUTDOWN", "SLOWLOG RESET",
    ],
)  # fmt: skip
def test_what_changes_the_server_is_for_administrators(text: str) -> None:
    assert find(request(text)).access is Access.ADMIN


@pytest.mark.parametrize(
    "text",
    [
        "CLIENT SETINFO LIB-NAME x", "CLIENT ID", "CLIENT TRACKING ON", "CONFIG GET save", "COMMAND DOCS",
        "EVAL_RO s 0", "FCALL_RO f 0", "FLUSHALL", "INFO", "KEYS *", "MONITOR", "ROLE", "SCRIPT LOAD x",
        "SLOWLOG GET", "SWAPDB 0 1",
    ],
)  # fmt: skip
def test_what_clients_send_in_passing_is_open(text: str) -> None:
    assert find(request(text)).access is Access.OPEN


def test_turns_of_the_conversation() -> None:
    turns = itertools.groupby(sorted(COMMANDS.values(), key=lambda row: row.turn.name), key=lambda row: row.turn)
    names = {turn: {row.name.decode() for row in rows} for turn, rows in turns}
    for turn in (
        Turn.MULTI,
        Turn.EXEC,
        Turn.DISCARD,
        Turn.WATCH,
        Turn.RESET,
        Turn.HELLO,
        Turn.AUTH,
        Turn.SELECT,
    ):
        assert names[turn] == {turn.name}
    assert names[Turn.SUBSCRIBE] == {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"}
    assert names[Turn.UNSUBSCRIBE] == {"UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"}
    assert names[Turn.MONITOR] == {"MONITOR"}
    assert names[Turn.QUIT] == {"QUIT"}
    assert names[Turn.CLIENT_REPLY] == {"CLIENT|REPLY"}


def test_what_pins_a_conversation_to_its_connection() -> None:
    for text in (
        "MULTI",
        "WATCH k",
        "SELECT 1",
        "SUBSCRIBE c",
        "CLIENT TRACKING ON",
        "BLPOP k 0",
        "READONLY",
    ):
        assert find(request(text)).pins
    for text in ("GET k", "SET k v", "EVAL s 0", "PUBLISH c m", "PING"):
        assert not find(request(text)).pins


# What came after the servers that the tests have, by the release that brought it.
LATER = {
    "Redis 7.2": "CLIENT|NO-TOUCH CLIENT|SETINFO CLUSTER|MYSHARDID WAITAOF",
    "Redis 7.4": "HEXPIRE HPEXPIRE HEXPIREAT HPEXPIREAT HPERSIST HTTL HPTTL HEXPIRETIME HPEXPIRETIME",
    "Redis 8.0": "HGETEX HSETEX HGETDEL VADD VREM VSETATTR VSIM VCARD VDIM VEMB VLINKS VINFO VGETATTR VRANDMEMBER",
    "Redis 8.2": "XACKDEL XDELEX CLUSTER|SLOT-STATS VISMEMBER",
    "Redis 8.4": "MSETEX DELEX DIGEST CLUSTER|MIGRATION VRANGE FT.HYBRID",
    "Redis 8.6": "HOTKEYS|START HOTKEYS|STOP HOTKEYS|GET HOTKEYS|RESET XCFGSET CLIENT|MAINT_NOTIFICATIONS",
    "Redis 8.8": "INCREX XNACK ARSET ARGET ARINFO",
    "Redis 8.10": "HIMPORT|SET LMOVEM BLMOVEM SDIFFCARD SUNIONCARD BACKUP|START FT.ALIASLIST TS.NRANGE TS.READ",
    "its JSON": "JSON.SET JSON.MSET JSON.MERGE JSON.GET JSON.MGET JSON.DEL JSON.NUMINCRBY JSON.ARRAPPEND JSON.DEBUG",
    "its search": "FT.CREATE FT.SEARCH FT.AGGREGATE FT.SUGADD FT.DICTADD FT.CURSOR|READ FT.CONFIG|SET FT.DROPINDEX",
    "its time series": "TS.CREATE TS.ADD TS.MADD TS.RANGE TS.MRANGE TS.CREATERULE TS.GET TS.QUERYINDEX",
    "its sketches": "BF.ADD CF.ADD CMS.MERGE TOPK.ADD TDIGEST.MERGE BF.LOADCHUNK CF.COMPACT",
    "Valkey 8.0": "SCRIPT|SHOW CLIENT|CAPA CLIENT|IMPORT-SOURCE",
    "Valkey 8.1": "COMMANDLOG|GET COMMANDLOG|LEN COMMANDLOG|RESET",
    "Valkey 9.0": (
        "DELIFEQ CLUSTER|MIGRATESLOTS CLUSTER|CANCELSLOTMIGRATIONS CLUSTER|GETSLOTMIGRATIONS CLUSTER|SYNCSLOTS"
        " CLUSTER|FLUSHSLOT"
    ),
    "Valkey 9.1": "CLUSTERSCAN MSETEX HGETDEL",
}


@pytest.mark.parametrize("release", LATER)
def test_later_commands_are_held_and_work_on_no_managed_key(release: str) -> None:
    for name in request(LATER[release]):
        row = COMMANDS[name]
        assert row.managed is (Managed.TRANSCODE if name == b"MSETEX" else Managed.REFUSE), name
