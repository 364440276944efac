"""The command table: its promises by name, and its finders on all that a client may send."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.commands import COMMANDS, MOST_WORDS, Access, Managed, Reply, Turn, find, is_valid_name
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
        assert list(find(args).keys(args)) == [b"k1", b"k2"]
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
    assert is_valid_name(name) is valid


def test_every_name_is_valid_and_in_upper_case() -> None:
    for name, row in COMMANDS.items():
        assert name == row.name == name.upper()
        assert row.access is Access.CLOSE or is_valid_name(name)


ALLOWED = {
    Managed.TRANSCODE: "SET SETNX SETEX PSETEX GETSET MSET MSETNX MSETEX GET GETDEL GETEX MGET",
    Managed.PASS: (
        "INCR DECR INCRBY DECRBY STRLEN DEL UNLINK EXISTS EXPIRE PEXPIRE EXPIREAT PEXPIREAT TTL PTTL EXPIRETIME"
        " PEXPIRETIME PERSIST TOUCH TYPE OBJECT|ENCODING OBJECT|FREQ OBJECT|IDLETIME OBJECT|REFCOUNT"
        " MEMORY|USAGE WATCH MOVE"
    ),
    Managed.SAME_RULE: "RENAME RENAMENX COPY",
}


@pytest.mark.parametrize("managed", ALLOWED)
def test_the_allow_list_is_that_of_the_design(managed: Managed) -> None:
    assert {row.name for row in COMMANDS.values() if row.managed is managed} == set(request(ALLOWED[managed]))


def test_the_index_of_a_value_is_where_it_is_found() -> None:
    for row in COMMANDS.values():
        if row.value_index is not None:
            assert list(row.values([b""] * (row.value_index + 1))) == [row.value_index], row.name
            assert not row.values([b""] * row.value_index), row.name


def test_only_transcoding_rows_know_values() -> None:
    probe = [b"NAME", b"1", b"k1", b"v1", b"v2"]
    for row in COMMANDS.values():
        if row.managed is not Managed.TRANSCODE:
            assert not row.values(probe), row.name
            assert row.reply not in (Reply.VALUE, Reply.VALUE_IF_GET, Reply.VALUES)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("SET k v", [2]),
        ("SETNX k v", [2]),
        ("SETEX k 1 v", [3]),
        ("PSETEX k 1 v", [3]),
        ("GETSET k v", [2]),
        ("MSET k v k2 v2", [2, 4]),
        ("MSETNX k v", [2]),
        ("MSETEX 2 k v k2 v2 EX 1", [3, 5]),
        ("GET k", []),
        ("MGET k k2", []),
        ("SET k", []),
        ("SETEX k v", []),
        ("MSET k v k2", [2]),
        ("MSET", []),
    ],
)
def test_values_are_told(text: str, places: list[int]) -> None:
    args = request(text)
    assert list(find(args).values(args)) == places


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
        b"ROLE": Reply.ROLE,
        **dict.fromkeys(request("CLUSTER|KEYSLOT READONLY READWRITE ASKING"), Reply.CLUSTER),
        **dict.fromkeys(SHOW_A_CLUSTER, Reply.NODES),
    }


SHOW_A_CLUSTER = [
    b"CLUSTER|" + name
    for name in b"COUNT-FAILURE-REPORTS COUNTKEYSINSLOT GETKEYSINSLOT GETSLOTMIGRATIONS INFO LINKS MYID MYSHARDID NODES"
    b" REPLICAS SHARDS SLAVES SLOT-STATS SLOTS".split()
]


def test_of_cluster_only_help_is_as_it_stands() -> None:
    rows = COMMANDS[b"CLUSTER"].subcommands.values()
    assert {row.name for row in rows if row.access is Access.OPEN and row.reply is Reply.RAW} == {b"CLUSTER|HELP"}
    assert {row.access for row in rows} == {Access.OPEN, Access.CLUSTER}


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
    assert [pattern for pattern in find(args).patterns(args) if b"*" in pattern] == [b"w_*", b"d_*->f", b"x_*"]


def test_nothing_else_but_time_series_reaches_keys_that_it_does_not_name() -> None:
    found = {row.name for row in COMMANDS.values() if [*row.patterns([b"", b"", b"BY", b"*"])]}
    assert found == {b"SORT", b"SORT_RO", b"TS.ADD", b"TS.INCRBY", b"TS.DECRBY"}
    args = request("TS.ADD load * 1")
    assert [*find(args).patterns(args)] == [b"load_*"]


@pytest.mark.parametrize("text", ["KEYDB.NHSET k.a.b x", "KEYDB.NHGET k.a", "KEYDB.NHGET json k.a.b", "KEYDB.NHGET k"])
def test_the_key_of_a_nested_hash_ends_at_the_first_dot(text: str) -> None:
    args = request(text)
    assert b"k" in find(args).keys(args)
    assert find(args).managed is Managed.REFUSE


def test_channels_are_not_keys() -> None:
    for text in (
        "PUBLISH k v",
        "SPUBLISH k v",
        "SUBSCRIBE k",
        "PSUBSCRIBE k",
        "SSUBSCRIBE k",
        "UNSUBSCRIBE k",
    ):
        assert not list(find(request(text)).keys(request(text)))


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
    parents = {arg.partition(b".")[0] for arg in rest if name.startswith(b"KEYDB.NH")}
    compactions = {arg + b"_*" for arg in rest[:1] if name.startswith(b"TS.")}
    assert set(row.keys(args)) <= {*args[1:], *parents}
    assert set(row.patterns(args)) <= {*args[1:], *compactions}
    assert all(1 < value < len(args) for value in row.values(args) or ())
    assert row.options_at(args) >= 2


@given(name=ROWS, rest=ARGUMENTS)
def test_every_value_belongs_to_a_key_that_is_found_in_the_same_order(name: bytes, rest: list[bytes]) -> None:
    args = [*name.split(b"|"), *rest]
    keys = list(COMMANDS[name].keys(args))
    values = COMMANDS[name].values(args) or ()
    assert len(keys) >= len(values)
    if len(values) > 1:
        assert keys[: len(values)] == [args[value - 1] for value in values]


@pytest.mark.parametrize(
    "text",
    [
        "SORT u {} STORE k",
        "SORT_RO k {}",
        "GEORADIUS u 0 0 1 m {} STORE k",
        "XREAD {} STREAMS k 0",
        "MIGRATE h 1 u 0 1 {} KEYS k",
        "STRALGO LCS {} KEYS u k",
    ],
)
def test_in_a_very_long_request_words_hide_no_key_and_nothing_is_looked_at_before_it_is_wanted(text: str) -> None:
    looks = 0

    class Looked(bytes):
        def __getitem__(self, at):  # type: ignore[no-untyped-def]
            nonlocal looks
            looks += 1
            return super().__getitem__(at)

    args = [Looked(arg) for arg in request(text.format("COUNT 1 " * 5_000))]
    keys, patterns = find(args).keys(args), find(args).patterns(args)
    assert looks <= MOST_WORDS + 10
    assert b"k" in keys
    assert all(len(args) > 10_000 for _ in patterns)


@pytest.mark.parametrize("text", ["MGET {}", "MSET {}", "MSETEX 5000 {}", "BLPOP {}", "ZUNIONSTORE d 5000 {}"])
def test_keys_and_values_of_a_very_long_request_are_found_lazily(text: str) -> None:
    args = request(text.format(" ".join(["k v"] * 5_000)))
    row = find(args)
    assert not isinstance(row.keys(args), list)
    assert not isinstance(row.values(args), list)
    assert set(row.keys(args)) <= {b"d", b"k", b"v"}


@given(args=st.lists(st.binary(max_size=6), max_size=6))
def test_find_never_raises(args: list[bytes]) -> None:
    find(args)


@pytest.mark.parametrize(
    ("access", "names"),
    [
        (Access.NEVER, "PSYNC REPLCONF SCRIPT|DEBUG SYNC"),
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
        "ACL SETUSER u", "BGSAVE", "CLIENT KILL a", "CLIENT PAUSE 1", "CONFIG SET a b",
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
    assert names[Turn.CLIENT_CACHING] == {"CLIENT|CACHING"}


# Commands newer than Redis 7.0, by release.
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
    "its search": (
        "FT.CREATE FT.SEARCH FT.AGGREGATE FT.SUGADD FT.DICTADD FT.CURSOR|READ FT.CONFIG|SET FT.DROPINDEX FT._CREATEIFNX"
        " FT._ALTERIFNX FT._DROPIFX FT._DROPINDEXIFX FT._ALIASADDIFNX FT._ALIASDELIFX FT._RESTOREIFNX"
    ),
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
