"""Random conversations with Redis and through the proxy: replies and final data must be equal.

This includes managed keys: with canonical payloads, only the name of the key differs.

Hypothesis makes the conversations. A failure prints the shortest one that it found, with the blob to repeat it.
Intended differences are left out: the SUBSCRIBE family and CLIENT REPLY inside MULTI, and administrators' commands.
"""

# ruff: noqa: E501 (a vocabulary reads best in long lines)

from dataclasses import dataclass, field

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import effort, servers
from tests.e2e.conftest import RedisServer
from tests.e2e.conversations.scripts import Cut, comparable, converse, whole
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import pipeline, request
from tests.resp.streams import cuts, pieces

DATA = """
SET K V|SET K V EX T|SET K V GET|SET K V NX GET|SET K V XX KEEPTTL|SET K V PXAT 99999999999999|SETEX K T V|PSETEX K T V|SETNX K V
GET K|GETSET K V|GETDEL K|GETEX K PERSIST|GETEX K EX T|MGET K K K|MSET K V K V|MSETNX K V K V|APPEND K V|STRLEN K
INCR K|DECRBY K N|INCRBYFLOAT K F|SETRANGE K N V|GETRANGE K N N|SETBIT K N 1|BITCOUNT K|BITOP AND K K K|LCS K K|LCS K K IDX
DEL K K|UNLINK K|EXISTS K K|EXPIRE K T|EXPIRE K 1000000 NX|PERSIST K|TTL K|TYPE K|RENAME K K|RENAMENX K K|COPY K K REPLACE|TOUCH K
MOVE K D|OBJECT ENCODING K|OBJECT REFCOUNT K|DBSIZE|DUMP K|SORT K|SORT K ALPHA DESC|SORT K STORE K|SORT_RO K BY nosort GET #
RPUSH K V V V|LPUSH K V|LPOP K|LPOP K N|RPOP K|LRANGE K N N|LRANGE K 0 -1|LINDEX K N|LINSERT K BEFORE V V|LSET K N V|LREM K N V
LTRIM K N N|LLEN K|LPOS K V|LPOS K V COUNT 0|LMOVE K K LEFT RIGHT|RPOPLPUSH K K|LMPOP 2 K K LEFT COUNT 2
HSET K V V V V|HGET K V|HMGET K V V|HGETALL K|HDEL K V|HINCRBY K V N|HINCRBYFLOAT K V F|HKEYS K|HLEN K|HSETNX K V V|HSTRLEN K V
SADD K N N N|SREM K N|SMEMBERS K|SISMEMBER K N|SMISMEMBER K N N|SCARD K|SINTER K K|SUNIONSTORE K K K|SMOVE K K N|SINTERCARD 2 K K
ZADD K F V|ZADD K F V F V|ZADD K GT CH F V|ZINCRBY K F V|ZADD K INCR F V|ZSCORE K V|ZMSCORE K V V|ZRANGE K 0 -1 WITHSCORES
ZRANGE K N N REV|ZRANGEBYSCORE K -inf +inf WITHSCORES LIMIT 0 2|ZRANK K V|ZPOPMIN K|ZPOPMAX K 2|ZREM K V|ZCARD K|ZCOUNT K F F
ZUNION 2 K K WITHSCORES|ZINTERSTORE K 2 K K|ZDIFF 2 K K|ZMPOP 1 K MIN|ZRANDMEMBER none|ZRANGESTORE K K 0 -1
XADD K 1-1 f V|XADD K 2-1 f V g V|XLEN K|XRANGE K - +|XREVRANGE K + - COUNT 1|XREAD COUNT 2 STREAMS K K 0 0|XDEL K 1-1|XTRIM K MAXLEN 1
XGROUP CREATE K g 0 MKSTREAM|XREADGROUP GROUP g me COUNT 1 STREAMS K >|XACK K g 1-1|XPENDING K g|XINFO STREAM none|XGROUP DESTROY K g
GEOADD K 13.36 38.11 V|GEOPOS K V|GEODIST K V V|GEOSEARCH K FROMLONLAT 13 38 BYRADIUS 200 km ASC WITHDIST
PFADD K V V|PFCOUNT K|BITFIELD K GET u8 0 SET i8 0 N|BITFIELD_RO K GET u4 0|EVAL_RO V 1 K|FCALL_RO V 1 K|EVALSHA_RO V 0
BLPOP K 0.001|BRPOP K K 0.001|BLMOVE K K LEFT LEFT 0.001|BLMPOP 0.001 1 K LEFT|BZPOPMIN K 0.001|XREAD BLOCK 1 STREAMS K $|WAIT 0 1
KEYS *|FLUSHDB|SWAPDB D D|SCAN 0 COUNT 100 TYPE string|RANDOMKEY x
PING|PING V|ECHO V|COMMAND GETKEYS MSET K V K V|COMMAND INFO get NOSUCH|NOSUCH K V|OBJECT NOSUCH K|OBJECT|CONFIG GET maxmemory
"""

TURNS = """
MULTI|MULTI|MULTI|EXEC|EXEC|EXEC|EXEC|DISCARD|WATCH K|WATCH K K|UNWATCH|SELECT D|SELECT D|RESET|HELLO 2|HELLO 3|HELLO 3|HELLO|HELLO 4
HELLO 3 SETNAME V|CLIENT SETNAME V|CLIENT GETNAME|AUTH V|AUTH V V|HELLO 2 AUTH V V|CLIENT TRACKING on|CLIENT TRACKING off
CLIENT TRACKING on OPTIN|CLIENT TRACKING on NOLOOP|CLIENT CACHING yes|CLIENT CACHING no
CLIENT TRACKINGINFO|CLIENT GETREDIR|CLIENT NOSUCH|CLIENT|PUBLISH C V|SPUBLISH C V|PUBSUB CHANNELS|PUBSUB NUMSUB C|PUBSUB NUMPAT
ASKING|READONLY|PUBSUB SHARDCHANNELS
"""

ONLY_OUTSIDE_MULTI = """
SUBSCRIBE C|SUBSCRIBE C C|UNSUBSCRIBE|UNSUBSCRIBE C|PSUBSCRIBE C*|PUNSUBSCRIBE|PUNSUBSCRIBE C* x|SSUBSCRIBE C C|SUNSUBSCRIBE
SUNSUBSCRIBE C|CLIENT REPLY ON|CLIENT REPLY ON|CLIENT REPLY OFF|CLIENT REPLY SKIP|CLIENT REPLY SKIP|CLIENT REPLY V|CLIENT REPLY
"""

WORDS = {
    "K": ["k1", "k2", "k3", "none"],
    "V": ["v", "", "12", "3.5", "a b", "\r\n", "+OK", "x" * 60],
    "N": ["0", "1", "-1", "100", "7", "x"],
    "T": ["1000000", "0", "-1", "x"],
    "F": ["1", "1.5", "-0.25", "3e3", "inf", "nan", "y"],
    "D": ["0", "1", "2", "99"],
    "C": ["c", "d", "subscribe"],
    "C*": ["c*", "*"],
}  # fmt: skip


MANAGED_WORDS = {
    "K": ["flask_cache_1", "flask_cache_2", "flask_cache_none"],
    "V": ["1", "-7", "1.5", '"text"', "[1,null]", '{"a":true}', '"' + "x" * 60 + '"'],
    "T": ["1000000", "0", "-1", "x"],
    "D": ["0", "1", "99"],
}

MANAGED = """
SET K V|SET K V|SET K V EX T|SET K V GET|SET K V NX|SET K V XX GET|SET K V KEEPTTL|SET K V PX T NX|SETEX K T V|PSETEX K T V|SETNX K V|GETSET K V
MSET K V K V|MSET K V o V|MSETNX K V K V|GET K|GET K|MGET K o K|MGET K K|GETDEL K|GETEX K EX T|GETEX K PERSIST|INCR K|DECR K|INCRBY K T|DECRBY K T
DEL K K|UNLINK K|EXISTS K K|EXPIRE K T|EXPIRE K 1000000 XX|PERSIST K|TTL K|TYPE K|RENAME K K|RENAMENX K K|COPY K K|COPY K K REPLACE|TOUCH K K
MOVE K D|OBJECT REFCOUNT K|WATCH K|WATCH K o|DBSIZE|FLUSHDB|SWAPDB 0 1|SELECT D|APPEND o x|SET o x GET|RPUSH l x|LRANGE l 0 -1|NOSUCH x
"""


def _templates(text: str) -> list[list[str]]:
    return [line.split() for line in text.replace("\n", "|").split("|") if line]


@st.composite
def _commands(draw: st.DrawFn, templates: list[list[str]], words: dict[str, list[str]]) -> list[str]:
    """One command, now and then in lower case, or with a word too few, too many or out of place."""
    command = [
        draw(st.sampled_from(words[word])) if word in words else word for word in draw(st.sampled_from(templates))
    ]
    match draw(st.integers(0, 19)):
        case 0:
            command[0] = command[0].lower()
        case 1 if len(command) > 1:
            command.pop()
        case 2:
            command.append("0.01")  # where it ends up as a timeout, nobody waits long
        case 3 if len(command) > 1 and words is WORDS:
            command[draw(st.integers(1, len(command) - 1))] = "odd"
    return command


def _conversations(*commands: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[list[str]]]:
    """Commands in a row; what differs by design inside MULTI stands where no MULTI can be open."""
    return st.lists(st.one_of(commands), min_size=1, max_size=40).map(_by_design)


def _by_design(commands: list[list[str]]) -> list[list[str]]:
    said: list[list[str]] = []
    perhaps_in_multi = False
    for command in commands:
        name = command[0].upper()
        is_login = name == "AUTH" or (name == "HELLO" and "AUTH" in command[2:])
        is_reply_mode = [name, *command[1:2]] == ["CLIENT", "REPLY"]
        if perhaps_in_multi and (name.endswith("SUBSCRIBE") or is_login or is_reply_mode):
            continue
        if name == "MULTI":
            perhaps_in_multi = True
        elif name in ("EXEC", "DISCARD", "RESET") and len(command) == 1:
            perhaps_in_multi = False
        said.append(command)
    return said


STATE_CHANGES = _commands(_templates(TURNS), WORDS)
MOSTLY_OUTSIDE = _commands(_templates(ONLY_OUTSIDE_MULTI), WORDS)
OTHER_KEYS = _conversations(_commands(_templates(DATA), WORDS), STATE_CHANGES, MOSTLY_OUTSIDE)
MANAGED_KEYS = _conversations(_commands(_templates(MANAGED), MANAGED_WORDS), STATE_CHANGES, MOSTLY_OUTSIDE)


@dataclass(frozen=True)
class TwoWays:
    """To Redis and through the proxy."""

    straight: Address
    through: Address
    direct: redis.Redis = field(repr=False)
    loses_replies: bool
    """Redis from 7.2 on does not answer a login that fails behind others."""

    def compare(self, straight: list[list[str]], through: list[list[str]], cut: Cut) -> list[bytes]:
        """Check that the replies are equal. Returns the final data of both ways."""
        came, left = [], []
        for address, said, cut_it in ((self.straight, straight, whole), (self.through, through, cut)):
            self.direct.flushall()
            script = b"".join(request(*words) for words in said if not (self.loses_replies and _is_login(words)))
            replies = comparable(converse(address, [script], pipeline("RESET", "QUIT"), cut_it))
            came.append(replies.replace(b"other_cache_", b"flask_cache_"))  # client-side caching names keys
            left.append(self.direct.execute_command("DEBUG", "DIGEST"))
        assert came[1] == came[0]
        return left


def _is_login(words: list[str]) -> bool:
    return words[0].upper() == "AUTH" or (words[0].upper() == "HELLO" and "AUTH" in words)


@pytest.fixture
def two_ways(proxy: ProxyProcess, redis_server: RedisServer, direct: redis.Redis) -> TwoWays:
    """The session's Redis, and the proxy before it."""
    name, major = servers.version(redis_server.executable)
    return TwoWays(redis_server.unix, proxy.json, direct, name == "redis" and major >= 8)


often = settings(max_examples=effort.cases(400), suppress_health_check=[HealthCheck.function_scoped_fixture])


@often
@given(said=OTHER_KEYS, at=cuts)
def test_a_random_conversation_is_the_same_through_the_proxy(
    two_ways: TwoWays, said: list[list[str]], at: list[int]
) -> None:
    left = two_ways.compare(said, said, lambda data: pieces(data, at))
    assert left[1] == left[0]


@often
@given(said=MANAGED_KEYS, at=cuts)
def test_a_random_conversation_on_managed_keys_is_the_same_as_on_others(
    two_ways: TwoWays, said: list[list[str]], at: list[int]
) -> None:
    others = [[word.replace("flask_cache_", "other_cache_") for word in command] for command in said]
    two_ways.compare(others, said, lambda data: pieces(data, at))
