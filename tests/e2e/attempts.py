r"""Attempts to plant an attacker's bytes under a managed key, as data.

An attempt is a line of commands separated by `;`. The last command is the attempt. Those before it prepare it on keys
without a rule. `$K` is the managed key, a different one for each attempt, and `$S` is the end of its name. `$U` is a
key that no rule matches. `$V` is the value to plant. All other words are sent literally, in any case.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.e2e.wire import request

EVIL = b"!cos\nsystem\n(S'true'\ntR."
PREFIX = b"flask_cache_"

SET_ARGV = b"return redis.call('set', ARGV[1], ARGV[2])"
LIBRARY = b"#!lua name=evil\nredis.register_function('plant', function(k, a) return redis.call('set', a[1], a[2]) end)"

SYMBOLS = {
    "$V": EVIL,
    "$0V": b"\x00\x01" + EVIL,
    "$SET_ARGV": SET_ARGV,
    "$SHA": hashlib.sha1(SET_ARGV).hexdigest().encode(),
    "$SET_KEYS": b"return redis.call('set', KEYS[1], ARGV[1])",
    "$SET_HIDDEN": b"return redis.call('set', 'flask_' .. 'cache_' .. ARGV[1], ARGV[2])",
    "$SET_FLAGGED": b"#!lua flags=allow-oom\n" + SET_ARGV,
    "$LIBRARY": LIBRARY,
}

# -- these plant, sent to Redis itself ---------------------------------------------------------------------

BYTES = """
    SET $K $V | set $K $V EX 100 | SET $K $V KEEPTTL | SET $K $V GET | SET $K $V PXAT 99999999999999 NX | SETNX $K $V
    SETEX $K 100 $V | PSETEX $K 10000 $V | GETSET $K $V | MSET $K $V | MSET $U $V $K $V | MSETNX $K $V
    APPEND $K $V | SETRANGE $K 0 $V | SETBIT $K 2 1 | BITFIELD $K SET u8 0 33 | BITFIELD $K INCRBY u8 0 33
    INCRBYFLOAT $K 1.5 | PFADD $K x
"""

OTHER_TYPES = """
    HSET $K f $V | HSETNX $K f $V | HMSET $K f $V | HINCRBY $K f 1 | HINCRBYFLOAT $K f 1.5 | LPUSH $K $V | RPUSH $K $V
    SADD $K $V | ZADD $K 1 $V | ZINCRBY $K 1 $V | GEOADD $K 1 1 $V | XADD $K * f $V | XGROUP CREATE $K g $ MKSTREAM
"""

FROM_OTHER_KEYS = """
    SET $U $V; RENAME $U $K | SET $U $V; RENAMENX $U $K | SET $U $V; COPY $U $K | SET $U $V; COPY $U $K REPLACE
    SET $U $V; COPY $U $K DB 3 | SET $U $V; COPY $U $K DB 0 DB 5 REPLACE REPLACE
    RESTORE $K 0 $DUMP | RESTORE $K 0 $DUMP REPLACE ABSTTL IDLETIME 1 | RESTORE-ASKING $K 0 $DUMP
    SET $U $V; BITOP OR $K $U | SET $U $0V; BITOP NOT $K $U | SET $U $V; BITOP AND $K $U $U
    RPUSH $U $V; SORT $U ALPHA STORE $K | RPUSH $U $V; SORT $U BY nosort GET # STORE $K
    RPUSH $U $V; SORT $U ALPHA STORE $U STORE $K | RPUSH $U $V; SORT $U BY STORE LIMIT 0 1 STORE $K
    RPUSH $U $V; LMOVE $U $K LEFT RIGHT | RPUSH $U $V; RPOPLPUSH $U $K | RPUSH $U $V; BLMOVE $U $K LEFT LEFT 1
    RPUSH $U $V; BRPOPLPUSH $U $K 1 | SADD $U $V; SMOVE $U $K $V
    SADD $U $V; SDIFFSTORE $K $U | SADD $U $V; SINTERSTORE $K $U $U | SADD $U $V; SUNIONSTORE $K $U
    ZADD $U 1 $V; ZRANGESTORE $K $U 0 -1 | ZADD $U 1 $V; ZUNIONSTORE $K 1 $U | ZADD $U 1 $V; ZINTERSTORE $K 2 $U $U
    ZADD $U 1 $V; ZUNIONSTORE $K 1 $U WEIGHTS 2 AGGREGATE MAX | ZADD $U 1 $V; ZDIFFSTORE $K 1 $U
    GEOADD $U 1 1 $V; GEORADIUS $U 1 1 9 km STORE $K | GEOADD $U 1 1 $V; GEORADIUS $U 1 1 9 km COUNT 1 STOREDIST $K
    GEOADD $U 1 1 $V; GEORADIUS $U 1 1 9 km STORE $U STOREDIST $K
    GEOADD $U 1 1 STORE; GEORADIUSBYMEMBER $U STORE 9 km STORE $K
    GEOADD $U 1 1 $V; GEOSEARCHSTORE $K $U FROMLONLAT 1 1 BYRADIUS 9 km
    GEOADD $U 1 1 $V; GEOSEARCHSTORE $K $U FROMLONLAT 1 1 BYRADIUS 9 km STOREDIST
    PFADD $U x; PFMERGE $K $U | PFMERGE $K | DEBUG POPULATE 1 $K 30
"""

SCRIPTS = """
    EVAL $SET_ARGV 0 $K $V | EVAL $SET_KEYS 1 $K $V | EVAL $SET_HIDDEN 0 $S $V | EVAL $SET_FLAGGED 0 $K $V
    EVAL $SET_ARGV 1 $U $K $V | SCRIPT LOAD $SET_ARGV; EVALSHA $SHA 0 $K $V
    FUNCTION LOAD REPLACE $LIBRARY; FCALL plant 0 $K $V
"""

NULS_IN_OPTIONS = r"""
    SET $K $V EX\0 100 | SET $K $V EX\0x 100 | SET $K $V NX\0 | SET $K $V GET\0 KEEPTTL\0y
    SET $U $V; COPY $U $K REPLACE\0x | SET $U $V; COPY $U $K DB\0 3 | RESTORE $K 0 $DUMP REPLACE\0
    RPUSH $U $V; SORT $U ALPHA\0 STORE\0 $K | GEOADD $U 1 1 $V; GEORADIUS $U 1 1 9 km STORE\0x $K
    ZADD $U 1 $V; ZUNIONSTORE $K 1 $U WEIGHTS\0 1 | XADD $K MAXLEN\0 5 * f $V | ZADD $K NX\0 1 $V
    BITFIELD $K SET\0 u8 0 33
"""

# -- these plant on the servers that have the command ---------------------------------------------------------

ON_NEWER_SERVERS = """
    HSETEX $K FIELDS 1 f $V | VADD $K VALUES 2 1 2 e | MSETEX 1 $K $V
"""

# -- these do as they say, sent to Redis itself, but plant nothing in one step --------------------------------

TAKEOVERS = """
    REPLICAOF NO ONE | SLAVEOF NO ONE | REPLCONF ack 0 | CONFIG SET maxmemory 0 | CONFIG SET save "" maxmemory 0
    CONFIG SET notify-keyspace-events KEA | CONFIG SET proto-max-bulk-len 1mb | CONFIG RESETSTAT
    DEBUG SET-ACTIVE-EXPIRE 1 | DEBUG SLEEP 0 | SAVE | ACL SETUSER mallory on nopass allkeys allcommands
    ACL DELUSER mallory | ACL DRYRUN default GET $K
    CLIENT KILL ID 999999999 | CLIENT KILL TYPE replica | CLIENT PAUSE 0 | CLIENT UNPAUSE | CLIENT UNBLOCK 999999999
    CLIENT NO-EVICT off | FUNCTION LOAD REPLACE $LIBRARY | FUNCTION FLUSH | FUNCTION RESTORE $FUNCTIONS REPLACE
    SCRIPT FLUSH | LATENCY RESET | SLOWLOG RESET | MIGRATE 127.0.0.1 1 $U 0 10
    MIGRATE 127.0.0.1 1 "" 0 10 KEYS $K $U | PFSELFTEST
"""

# -- these fail on the tests' Redis too, for want of a replica, a cluster, a module, or by its own checks ------

IN_VAIN = """
    CONFIG SET dir / | CONFIG SET dbfilename x.so | CONFIG REWRITE | MODULE LOAD /nonexistent/x.so
    MODULE LOADEX /nonexistent/x.so | MODULE UNLOAD x | FAILOVER | CLUSTER RESET | CLUSTER MEET 127.0.0.1 1
    CLUSTER SETSLOT 0 STABLE | SHUTDOWN ABORT | ACL LOAD | ACL SAVE | SCRIPT KILL | FUNCTION KILL
    FUNCTION DELETE nosuch | PFDEBUG GETREG $K
    EVAL_RO $SET_ARGV 0 $K $V | SCRIPT LOAD $SET_ARGV; EVALSHA_RO $SHA 0 $K $V | FCALL_RO plant 0 $K $V
    EVAL $SET_KEYS -1 $K $V | EVAL $SET_KEYS 99 $K $V | EVAL $SET_KEYS 01 $K $V
    MSET $K $V $U | MSETNX $K $V $U | SET $K | SET $K $V EX | SET $K $V EX 10 PX 10 | SET $K $V SOON | SETEX $K $V
    GETSET $K $V $V | GETEX $K EX 10 $V | GETDEL $K $V
    ZADD $U 1 x; ZUNIONSTORE $K 2 $U | ZADD $U 1 x; ZUNIONSTORE $K +1 $U | ZADD $U 1 x; ZUNIONSTORE $K 01 $U
    LMPOP 0 $K LEFT | LMPOP 1 $K LEFT NOSUCH | SINTERCARD 2 $K | LCS $K | XREAD STREAMS $K
    XREADGROUP GROUP g c STREAMS $K > | XGROUP CREATE $K g $ | LPUSH $U x; SORT $U STORE
    SET $U $V; COPY $U $K DB 99 | SET $U $V; COPY $U $K NOSUCH | COPY $K | RENAME $K | RENAME $U.none $K
    BITOP NOT $K $U $U | RESTORE $K 0 $V | RESTORE $K 0 $DUMP NOSUCH | CLIENT TRACKING on PREFIX $K
    MSETEX 1 $K $V EX | DELEX $K IFEQ | JSON.SET $K $ $V | TS.ADD $K 1 1 | BF.ADD $K $V
    FT.ADD index $K 1 FIELDS f $V | FT.SUGADD $K $V 1 | NO.SUCH $K $V | NOSUCH|SET $K $V
"""


@dataclass(frozen=True)
class Attempt:
    """A name, and the commands: the last is the attempt, the others prepare it."""

    line: str
    commands: tuple[tuple[str, ...], ...]

    @property
    def key(self) -> bytes:
        """The managed key that it is about."""
        return PREFIX + self.line.encode()

    @property
    def name(self) -> str:
        """The command that it is."""
        return self.commands[-1][0]

    def spelled(self, spell: "Spell", more: Mapping[str, bytes]) -> list[bytes]:
        """Its commands on the wire."""
        own = {"$K": self.key, "$S": self.line.encode(), "$U": b"free:" + self.line.encode()}
        symbols = {**SYMBOLS, **own, **more}
        return [spell([symbols.get(word) or word for word in command]) for command in self.commands]


def attempts(*tables: str) -> list[Attempt]:
    """The rows of `tables`."""
    lines = [line.strip() for table in tables for row in table.strip().splitlines() for line in row.split(" | ")]
    return [Attempt(line, tuple(tuple(_words(command)) for command in line.split("; "))) for line in lines]


def _words(command: str) -> Iterator[str]:
    for word in command.split():
        yield "" if word == '""' else word.replace(r"\0", "\0")


PLANTING = attempts(BYTES, OTHER_TYPES, FROM_OTHER_KEYS, SCRIPTS, NULS_IN_OPTIONS)
NEWER = attempts(ON_NEWER_SERVERS)
OBEYED = attempts(TAKEOVERS)
REST = attempts(IN_VAIN)

# -- spellings: words of the wire are str, keys and values bytes ------------------------------------------------

Spell = Callable[[list[str | bytes]], bytes]


def _cased(change: Callable[[str], str]) -> Spell:
    def spell(words: list[str | bytes]) -> bytes:
        return request(*(change(word) if isinstance(word, str) and word.isupper() else word for word in words))

    return spell


def _mixed(word: str) -> str:
    return "".join(char.lower() if place % 2 else char.upper() for place, char in enumerate(word))


def _inline(words: list[str | bytes]) -> bytes:
    return b" ".join(map(_escaped, words)) + b"\r\n"


def _escaped(word: str | bytes) -> bytes:
    raw = word.encode() if isinstance(word, str) else word
    return b'"%b"' % b"".join(b"\\x%02x" % byte for byte in raw)


SPELLINGS: dict[str, Spell] = {
    "as written": lambda words: request(*words),
    "lower case": _cased(str.lower),
    "mixed case": _cased(_mixed),
    "inline": _inline,
}
