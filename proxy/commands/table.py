"""The command table, pure data: the known commands of Redis 6.2 to 8.10 and Valkey, with their rows.

Names, key positions and flags follow COMMAND of live servers. A test compares them on Redis 6.2, 7.0 and 8.2 and
Valkey 9.1. Later commands follow the published descriptions: `src/commands/*.json` of redis/redis and
valkey-io/valkey, `commands.json` of RedisBloom, RediSearch, RedisJSON and RedisTimeSeries, and the pages of redis.io
and valkey.io. A row refuses managed keys unless it says otherwise. A command without a row, such as a later one, is
looked up at the server when a client first sends it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from .model import (
    Access,
    Command,
    KeyFinder,
    Managed,
    Reply,
    Turn,
    after,
    all_but_last,
    at,
    compactions,
    counted,
    counted_pairs,
    first,
    first_and_after,
    first_two,
    nested,
    no_keys,
    rest_after,
    since,
    streams,
    value_after_counted_key,
    value_after_key,
)
from .pins import pin_of
from .spread import spread_of

_PASS, _TRANSCODE, _SAME_RULE = Managed.PASS, Managed.TRANSCODE, Managed.SAME_RULE


def _rows(
    names: str,
    keys: KeyFinder = no_keys,
    *,
    managed: Managed = Managed.REFUSE,
    turn: Turn = Turn.NONE,
    access: Access = Access.OPEN,
    reply: Reply = Reply.RAW,
    writes: bool = False,
    blocking: bool = False,
) -> list[Command]:
    """Equal rows for all `names`."""
    row = Command(b"", keys, managed=managed, reply=reply, turn=turn, access=access, writes=writes, blocking=blocking)
    return [replace(row, name=name.encode()) for name in names.split()]


def _reads(names: str, keys: KeyFinder = first, *, managed: Managed = Managed.REFUSE) -> list[Command]:
    return _rows(names, keys, managed=managed)


def _writes(names: str, keys: KeyFinder = first, *, managed: Managed = Managed.REFUSE) -> list[Command]:
    return _rows(names, keys, managed=managed, writes=True)


def _waits(names: str, keys: KeyFinder) -> list[Command]:
    """Rows for writes that block until an element can be removed."""
    return _rows(names, keys, writes=True, blocking=True)


def _with_options(
    rows: Iterable[Command], options: Mapping[bytes, int], unknown: str = "ERR syntax error"
) -> Iterable[Command]:
    """`rows` with options after their first two arguments."""
    return [replace(row, options=options, options_from=3, unknown_option=unknown) for row in rows]


def _admin(names: str, keys: KeyFinder = no_keys, *, writes: bool = False) -> list[Command]:
    return _rows(names, keys, access=Access.ADMIN, writes=writes)


def _unnamed(rows: Iterable[Command]) -> list[Command]:
    """`rows` that write without naming keys."""
    return [replace(row, writes_unnamed=True) for row in rows]


def _of_another_type(row: Command) -> Command:
    inner = {name: replace(each, of_another_type=True) for name, each in (row.subcommands or {}).items()}
    return replace(row, of_another_type=True, subcommands=inner or None)


def _container(name: str, *groups: Iterable[Command], keys: KeyFinder = no_keys) -> Command:
    """A command with subcommands. Its own row, for unknown subcommands, is as restricted as the strictest known one."""
    parent = name.encode()
    subcommands = {row.name: replace(row, name=parent + b"|" + row.name) for group in groups for row in group}
    guarded = any(row.access in (Access.ADMIN, Access.CLUSTER) for row in subcommands.values())
    return Command(parent, keys, access=Access.ADMIN if guarded else Access.OPEN, subcommands=subcommands)


# Values of Flask's cache. Only these rows transcode.

_EXPIRY = {b"EX": 1, b"PX": 1, b"EXAT": 1, b"PXAT": 1}
_SET_OPTIONS = {b"NX": 0, b"XX": 0, b"KEEPTTL": 0, **_EXPIRY}
_COMPARISONS = frozenset({b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE"})


def _stores(name: bytes, value_index: int, reply: Reply = Reply.RAW) -> Command:
    return Command(name, first, _TRANSCODE, reply=reply, writes=True, value_index=value_index)


_VALUES = (
    Command(
        b"SET", first, _TRANSCODE, reply=Reply.VALUE_IF_GET, value_index=2,
        options={**_SET_OPTIONS, b"GET": 0}, refused_options=_COMPARISONS, writes=True,
    ),
    _stores(b"SETNX", 2),
    _stores(b"SETEX", 3),
    _stores(b"PSETEX", 3),
    _stores(b"GETSET", 2, Reply.VALUE),
    Command(b"MSET", since(1, step=2), _TRANSCODE, value_after_key, writes=True),
    Command(b"MSETNX", since(1, step=2), _TRANSCODE, value_after_key, writes=True),
    Command(
        b"MSETEX", counted_pairs, _TRANSCODE, value_after_counted_key,
        options=_SET_OPTIONS, refused_options=_COMPARISONS, writes=True,
    ),
    Command(b"GET", first, _TRANSCODE, reply=Reply.VALUE),
    Command(b"GETDEL", first, _TRANSCODE, reply=Reply.VALUE, writes=True),
    Command(
        b"GETEX", first, _TRANSCODE, reply=Reply.VALUE, options={b"PERSIST": 0, **_EXPIRY}, writes=True
    ),
    Command(b"MGET", since(1), _TRANSCODE, reply=Reply.VALUES),
)  # fmt: skip

# DELEX without a condition would be harmless, but DEL does the same.
_STRINGS = (
    *(replace(row, counts=True) for row in _writes("INCR DECR INCRBY DECRBY", managed=_PASS)),
    *_writes("APPEND SETRANGE INCRBYFLOAT INCREX SETBIT BITFIELD PFADD DELEX DELIFEQ"),
    *_writes("PFMERGE", since(1)),
    *_writes("BITOP", since(2)),
    *_reads("STRLEN", managed=_PASS),
    *_reads("GETRANGE SUBSTR GETBIT BITCOUNT BITPOS BITFIELD_RO DIGEST"),
    *_reads("PFCOUNT", since(1)),
    *_reads("LCS", first_two),
    *_reads("STRALGO", rest_after(b"KEYS", options_at=2)),
    *_admin("PFDEBUG", at(2), writes=True),
    *_admin("PFSELFTEST"),
)

_SORTED_BY = after(b"BY", b"GET", options_at=2)
_EXPIRY_CONDITIONS = {b"NX": 0, b"XX": 0, b"GT": 0, b"LT": 0}

_KEYS = (
    *_writes("DEL UNLINK", since(1), managed=_PASS),
    *_with_options(
        _writes("EXPIRE PEXPIRE EXPIREAT PEXPIREAT", managed=_PASS),
        _EXPIRY_CONDITIONS,
        unknown="ERR Unsupported option {}",
    ),
    *_writes("PERSIST MOVE", managed=_PASS),
    *_writes("RENAME RENAMENX", first_two, managed=_SAME_RULE),
    *_with_options(_writes("COPY", first_two, managed=_SAME_RULE), {b"DB": 1, b"REPLACE": 0}),
    *_writes("RESTORE RESTORE-ASKING"),
    Command(b"SORT", first_and_after(b"STORE", options_at=2), patterns=_SORTED_BY, writes=True),
    Command(b"SORT_RO", first, patterns=_SORTED_BY),
    *_reads("EXISTS TOUCH", since(1), managed=_PASS),
    *_reads("TTL PTTL EXPIRETIME PEXPIRETIME TYPE", managed=_PASS),
    *_reads("DUMP"),
    *_admin("MIGRATE", rest_after(b"KEYS", options_at=6, also=at(3)), writes=True),
    _container(
        "OBJECT",
        _reads("ENCODING FREQ IDLETIME REFCOUNT", at(2), managed=_PASS),
        _rows("HELP"),
        keys=since(2),
    ),
    _container(
        "MEMORY",
        _with_options(_reads("USAGE", at(2), managed=_PASS), {b"SAMPLES": 1}),
        _rows("DOCTOR HELP MALLOC-STATS PURGE STATS"),
        keys=since(2),
    ),
)

_DATABASES = (
    *_reads("KEYS SCAN CLUSTERSCAN RANDOMKEY DBSIZE", no_keys),
    *_unnamed(_writes("FLUSHDB FLUSHALL SWAPDB", no_keys)),
    *_unnamed(_admin("SFLUSH TRIMSLOTS", writes=True)),
)

_HASHES = (
    *_writes("HSET HSETNX HMSET HSETEX HDEL HGETEX HGETDEL HINCRBY HINCRBYFLOAT"),
    *_writes("HEXPIRE HPEXPIRE HEXPIREAT HPEXPIREAT HPERSIST"),
    *_reads("HGET HMGET HGETALL HKEYS HVALS HLEN HEXISTS HSTRLEN HRANDFIELD HSCAN"),
    *_reads("HTTL HPTTL HEXPIRETIME HPEXPIRETIME"),
    _container(
        "HIMPORT",
        _rows("SET", at(2), turn=Turn.STATE, writes=True),
        _rows("PREPARE DISCARD DISCARDALL", turn=Turn.STATE),
        keys=since(2),
    ),
)

_LISTS = (
    *_writes("LPUSH LPUSHX RPUSH RPUSHX LPOP RPOP LINSERT LSET LREM LTRIM"),
    *_writes("LMOVE LMOVEM RPOPLPUSH", first_two),
    *_writes("LMPOP", counted(1)),
    *_waits("BLPOP BRPOP", all_but_last),
    *_waits("BLMOVE BLMOVEM BRPOPLPUSH", first_two),
    *_waits("BLMPOP", counted(2)),
    *_reads("LRANGE LINDEX LLEN LPOS"),
)

_SETS = (
    *_writes("SADD SREM SPOP"),
    *_writes("SMOVE", first_two),
    *_writes("SDIFFSTORE SINTERSTORE SUNIONSTORE", since(1)),
    *_reads("SMEMBERS SISMEMBER SMISMEMBER SCARD SRANDMEMBER SSCAN"),
    *_reads("SDIFF SINTER SUNION", since(1)),
    *_reads("SDIFFCARD SINTERCARD SUNIONCARD", counted(1)),
)

_SORTED_SETS = (
    *_writes("ZADD ZINCRBY ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZPOPMIN ZPOPMAX"),
    *_writes("ZRANGESTORE", first_two),
    *_writes("ZDIFFSTORE ZINTERSTORE ZUNIONSTORE", counted(2, also=first)),
    *_writes("ZMPOP", counted(1)),
    *_waits("BZPOPMIN BZPOPMAX", all_but_last),
    *_waits("BZMPOP", counted(2)),
    *_reads("ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZSCAN"),
    *_reads("ZCARD ZCOUNT ZLEXCOUNT ZRANK ZREVRANK ZSCORE ZMSCORE ZRANDMEMBER"),
    *_reads("ZDIFF ZINTER ZUNION ZINTERCARD", counted(1)),
)

_GEO = (
    *_writes("GEOADD"),
    *_writes("GEORADIUS GEORADIUSBYMEMBER", first_and_after(b"STORE", b"STOREDIST", options_at=5)),
    *_writes("GEOSEARCHSTORE", first_two),
    *_reads("GEODIST GEOHASH GEOPOS GEOSEARCH GEORADIUS_RO GEORADIUSBYMEMBER_RO"),
)

_STREAMS = (
    *_writes("XADD XDEL XDELEX XTRIM XSETID XCFGSET XIDMPRECORD"),
    *_writes("XACK XACKDEL XNACK XCLAIM XAUTOCLAIM"),
    *_waits("XREADGROUP", streams),
    *_rows("XREAD", streams, blocking=True),
    *_reads("XLEN XRANGE XREVRANGE XPENDING"),
    _container(
        "XGROUP",
        _writes("CREATE CREATECONSUMER DELCONSUMER DESTROY SETID", at(2)),
        _rows("HELP"),
        keys=since(2),
    ),
    _container("XINFO", _reads("CONSUMERS GROUPS STREAM", at(2)), _rows("HELP"), keys=since(2)),
)

_ARRAYS_AND_VECTORS = (
    *_writes("ARSET ARMSET ARINSERT ARDEL ARDELRANGE ARRING ARSEEK"),
    *_reads("ARGET ARMGET ARGETRANGE ARLEN ARCOUNT ARNEXT ARLASTITEMS ARSCAN ARGREP AROP ARINFO"),
    *_writes("VADD VREM VSETATTR"),
    *_reads("VSIM VCARD VDIM VEMB VLINKS VINFO VGETATTR VISMEMBER VRANDMEMBER VRANGE"),
)

_MODULES = (
    *_writes("BF.RESERVE BF.ADD BF.MADD BF.INSERT BF.LOADCHUNK"),
    *_reads("BF.EXISTS BF.MEXISTS BF.SCANDUMP BF.INFO BF.CARD"),
    *_writes("CF.RESERVE CF.ADD CF.ADDNX CF.INSERT CF.INSERTNX CF.DEL CF.COMPACT CF.LOADCHUNK"),
    *_reads("CF.EXISTS CF.MEXISTS CF.COUNT CF.SCANDUMP CF.INFO"),
    *_reads("BF.DEBUG CF.DEBUG"),
    *_writes("CMS.INITBYDIM CMS.INITBYPROB CMS.INCRBY"),
    *_writes("CMS.MERGE TDIGEST.MERGE", counted(2, also=first)),
    *_reads("CMS.QUERY CMS.INFO"),
    *_writes("TOPK.RESERVE TOPK.ADD TOPK.INCRBY"),
    *_reads("TOPK.QUERY TOPK.COUNT TOPK.LIST TOPK.INFO"),
    *_writes("TDIGEST.CREATE TDIGEST.RESET TDIGEST.ADD"),
    *_reads("TDIGEST.MIN TDIGEST.MAX TDIGEST.QUANTILE TDIGEST.CDF TDIGEST.TRIMMED_MEAN TDIGEST.INFO"),
    *_reads("TDIGEST.RANK TDIGEST.REVRANK TDIGEST.BYRANK TDIGEST.BYREVRANK"),
    *_writes("JSON.SET JSON.MERGE JSON.DEL JSON.FORGET JSON.CLEAR JSON.TOGGLE JSON.STRAPPEND"),
    *_writes("JSON.NUMINCRBY JSON.NUMMULTBY JSON.NUMPOWBY"),
    *_writes("JSON.ARRAPPEND JSON.ARRINSERT JSON.ARRPOP JSON.ARRTRIM"),
    *_writes("JSON.MSET TS.MADD", since(1, step=3)),
    *_reads("JSON.GET JSON.TYPE JSON.RESP JSON.STRLEN JSON.OBJKEYS JSON.OBJLEN JSON.ARRINDEX JSON.ARRLEN"),
    *_reads("JSON.MGET", all_but_last),
    *_reads("JSON.DEBUG", since(2)),
    *_writes("TS.CREATE TS.ALTER TS.DEL"),
    *(replace(row, patterns=compactions) for row in _writes("TS.ADD TS.INCRBY TS.DECRBY")),
    *_writes("TS.CREATERULE TS.DELETERULE", first_two),
    *_reads("TS.GET TS.INFO TS.RANGE TS.REVRANGE"),
    *_reads("TS.NRANGE TS.NREVRANGE", counted(1)),
    *_reads("TS.MGET TS.MRANGE TS.MREVRANGE TS.QUERYINDEX TS.QUERYLABELS", no_keys),
    *_rows("TS.READ", first, blocking=True),
)

# KeyDB flags even the write as a mere read.
_KEYDB = (*_writes("KEYDB.NHSET", nested), *_reads("KEYDB.NHGET", nested))

# Indexes and dictionaries are no keys; suggestions and (in the old commands) documents are.
_SEARCH = (
    *_writes("FT.CREATE FT.ALTER FT.DROP FT.DROPINDEX FT.SYNADD FT.SYNUPDATE FT.DICTADD FT.DICTDEL", no_keys),
    *_writes("FT.ALIASADD FT.ALIASDEL FT.ALIASUPDATE", no_keys),
    *_writes("FT._CREATEIFNX FT._ALTERIFNX FT._DROPIFX FT._DROPINDEXIFX FT._ALIASADDIFNX FT._ALIASDELIFX", no_keys),
    *_writes("FT.SUGADD FT.SUGDEL"),
    *_writes("FT.ADD FT.ADDHASH FT.DEL FT.SAFEADD FT.SETPAYLOAD", at(2)),
    *_reads("FT.AGGREGATE FT.HYBRID FT.SEARCH FT.PROFILE FT.EXPLAIN FT.EXPLAINCLI FT.SPELLCHECK", no_keys),
    *_reads("FT.INFO FT._LIST FT.ALIASLIST FT.DICTDUMP FT.SYNDUMP FT.TAGVALS", no_keys),
    *_reads("FT.SUGGET FT.SUGLEN"),
    *_reads("FT.GET", at(2)),
    *_reads("FT.MGET", since(2)),
    _container("FT.CURSOR", _rows("DEL GC PROFILE READ")),
    # Redis flags them as reads, so without these rows a lookup at the server would allow them.
    _container("FT.CONFIG", _rows("GET HELP"), _admin("SET", writes=True)),
    *_admin("FT._RESTOREIFNX", writes=True),
    *_admin("_FT.CONFIG _FT.DEBUG FT.DEBUG"),
)

# In Valkey's unstable branch, EXEC has conditions that compare bytes of keys. So any argument may be a key.
_CONVERSATION = (
    *_rows("MULTI", turn=Turn.MULTI),
    *_rows("EXEC", since(1), turn=Turn.EXEC),
    *_rows("DISCARD", turn=Turn.DISCARD),
    *_rows("WATCH", since(1), managed=_PASS, turn=Turn.WATCH),
    *_rows("UNWATCH", turn=Turn.STATE),
    *_rows("READONLY READWRITE ASKING", turn=Turn.STATE, reply=Reply.CLUSTER),
    *_rows("HELLO", turn=Turn.HELLO),
    *_rows("AUTH", turn=Turn.AUTH),
    *_rows("SELECT", turn=Turn.SELECT),
    *_rows("RESET", turn=Turn.RESET),
    *_rows("QUIT", turn=Turn.QUIT),
    *_rows("PING ECHO TIME LOLWUT"),
    *_rows("WAIT WAITAOF", blocking=True),
    _container(
        "CLIENT",
        _rows("CACHING", turn=Turn.CLIENT_CACHING),
        _rows("GETNAME GETREDIR ID INFO LIST NO-TOUCH SETINFO", turn=Turn.STATE),
        _rows("SETNAME", turn=Turn.CLIENT_SETNAME),
        _rows("TRACKING TRACKINGINFO", turn=Turn.STATE),
        _rows("REPLY", turn=Turn.CLIENT_REPLY),
        _rows("HELP"),
        _rows("CAPA MAINT_NOTIFICATIONS", access=Access.UNKNOWN_SUBCOMMAND),
        _admin("IMPORT-SOURCE KILL NO-EVICT PAUSE UNBLOCK UNPAUSE"),
    ),
)

_CHANNELS = (
    *_rows("SUBSCRIBE PSUBSCRIBE SSUBSCRIBE", turn=Turn.SUBSCRIBE),
    *_rows("UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE", turn=Turn.UNSUBSCRIBE),
    *_rows("PUBLISH SPUBLISH"),
    _container("PUBSUB", _rows("CHANNELS HELP NUMPAT NUMSUB SHARDCHANNELS SHARDNUMSUB")),
)

_SCRIPTS = (
    *_rows("EVAL EVALSHA FCALL", counted(2), access=Access.SCRIPT),
    *_reads("EVAL_RO EVALSHA_RO FCALL_RO", counted(2)),
    # LOAD runs nothing and writes no key, and EVALSHA_RO needs it.
    _container(
        "SCRIPT",
        _rows("EXISTS HELP LOAD SHOW"),
        _unnamed(_admin("FLUSH")),
        _admin("KILL"),
        _rows("DEBUG", access=Access.NEVER),
    ),
    _container(
        "FUNCTION",
        _rows("DUMP HELP LIST STATS"),
        _unnamed(_admin("DELETE FLUSH LOAD RESTORE", writes=True)),
        _admin("KILL"),
    ),
)

_SERVER = (
    *_rows("INFO LASTSAVE"),
    *_rows("ROLE", reply=Reply.ROLE),
    *_rows("MONITOR", turn=Turn.MONITOR),
    *_rows("REPLCONF SYNC PSYNC", access=Access.NEVER),
    *_rows("POST HOST:", access=Access.CLOSE),
    *_admin("BGREWRITEAOF BGSAVE FAILOVER REPLICAOF SAVE SHUTDOWN SLAVEOF"),
    *_admin("DEBUG", since(2)),
    _container(
        "ACL",
        _rows("CAT GENPASS HELP WHOAMI"),
        _admin("DELUSER DRYRUN GETUSER LIST LOAD LOG SAVE SETUSER USERS"),
    ),
    _container("BACKUP", _rows("HELP LIST STATUS"), _admin("ABORT CLEANUP SEAL START")),
    _container(
        "CLUSTER",
        _rows("HELP"),
        _rows("KEYSLOT", reply=Reply.CLUSTER),
        _rows("COUNT-FAILURE-REPORTS COUNTKEYSINSLOT GETKEYSINSLOT GETSLOTMIGRATIONS INFO LINKS", reply=Reply.NODES),
        _rows("MYID MYSHARDID NODES REPLICAS SHARDS SLAVES SLOT-STATS SLOTS", reply=Reply.NODES),
        _rows("ADDSLOTS ADDSLOTSRANGE BUMPEPOCH CANCELSLOTMIGRATIONS DELSLOTS DELSLOTSRANGE", access=Access.CLUSTER),
        _rows("FLUSHSLOT", access=Access.CLUSTER, writes=True),
        _rows("FAILOVER FLUSHSLOTS FORGET MEET MIGRATESLOTS MIGRATION REPLICATE", access=Access.CLUSTER),
        _rows("RESET SAVECONFIG SET-CONFIG-EPOCH SETSLOT SYNCSLOTS", access=Access.CLUSTER),
    ),
    _container("COMMAND", _rows("COUNT DOCS GETKEYS GETKEYSANDFLAGS HELP INFO LIST")),
    _container("COMMANDLOG", _rows("GET HELP LEN"), _admin("RESET")),
    _container("CONFIG", _rows("GET HELP"), _admin("RESETSTAT REWRITE SET")),
    _container("HOTKEYS", _rows("GET HELP"), _admin("RESET START STOP")),
    _container("LATENCY", _rows("DOCTOR GRAPH HELP HISTOGRAM HISTORY LATEST"), _admin("RESET")),
    _container("MODULE", _rows("HELP LIST"), _admin("LOAD LOADEX UNLOAD")),
    _container("SLOWLOG", _rows("GET HELP LEN"), _admin("RESET")),
)

_OTHER_TYPES = (
    *_HASHES, *_LISTS, *_SETS, *_SORTED_SETS, *_GEO, *_STREAMS, *_ARRAYS_AND_VECTORS, *_MODULES, *_KEYDB, *_SEARCH,
)  # fmt: skip
_FAMILIES = (
    _VALUES, _STRINGS, _KEYS, _DATABASES, tuple(map(_of_another_type, _OTHER_TYPES)),
    _CONVERSATION, _CHANNELS, _SCRIPTS, _SERVER,
)  # fmt: skip


def _named() -> dict[bytes, Command]:
    rows: dict[bytes, Command] = {}
    for row in (row for family in _FAMILIES for row in family):
        inner = {name: _with_columns(subcommand) for name, subcommand in (row.subcommands or {}).items()}
        rows[row.name] = replace(_with_columns(row), subcommands=inner or None)
        rows |= {subcommand.name: subcommand for subcommand in inner.values()}
    return rows


def _with_columns(row: Command) -> Command:
    return replace(row, spread=spread_of(row), pin=pin_of(row))


#: Every row by its upper-case name, `PARENT|SUB` for subcommands.
COMMANDS: Mapping[bytes, Command] = _named()
