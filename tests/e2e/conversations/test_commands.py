"""Commands of every family, and the errors that Redis has for them."""

# ruff: noqa: E501 (a conversation reads best on one line)

from collections.abc import Iterator

import pytest
import redis

from tests.e2e.conftest import RedisServer
from tests.e2e.conversations.conftest import Both, comparison
from tests.e2e.conversations.scripts import Cut, lines, logins
from tests.e2e.proxy_process import ProxyProcess

COMMANDS = {
    "strings": "SET a 1|GET a|INCR a|APPEND a 23|GETRANGE a 0 -1|STRLEN a|MSET b x c y|MGET a b none c|GETDEL b|GET b",
    "null replies": "GET none|HGET none f|LPOP none|ZSCORE none m|SPOP none|MGET none none|LRANGE none 0 -1|LPOS none x",
    "lists": "RPUSH l a b c|LRANGE l 0 -1|LINDEX l 1|LPOP l 2|LLEN l|LPOP none 2|LMPOP 1 l LEFT|LMPOP 1 none LEFT",
    "hashes": "HSET h f 1 g 2|HGETALL h|HMGET h f none g|HINCRBYFLOAT h f 1.5|HRANDFIELD none 2 WITHVALUES|HGETALL none",
    "sets": "SADD s 1 2 3|SMEMBERS s|SISMEMBER s 2|SMISMEMBER s 1 9|SINTER s none|SMEMBERS none",
    "sorted sets": "ZADD z 1.5 a 2 b inf c|ZRANGE z 0 -1 WITHSCORES|ZSCORE z a|ZINCRBY z 1 a|ZPOPMIN z|ZMSCORE z c none",
    "doubles": "ZADD z 3.0 a -inf b 1e300 c 0.1 d|ZRANGE z 0 -1 WITHSCORES|ZINCRBY z inf a|ZINCRBY z inf b|GEOADD g 1 2 P|GEOPOS g P",
    "streams": "XADD x 1-1 f v|XRANGE x - +|XREAD COUNT 1 STREAMS x 0|XINFO STREAM x|XREAD STREAMS x 9|XLEN x",
    "geo": "GEOADD g 13.36 38.11 P|GEOPOS g P none|GEOSEARCH g FROMMEMBER P BYRADIUS 1 km ASC WITHCOORD WITHDIST",
    "keys": "SET a 1|TYPE a|TTL a|EXISTS a a|RENAME a b|KEYS *|SCAN 0|OBJECT ENCODING b|DBSIZE|RANDOMKEY|FLUSHDB|DBSIZE",
    "scans": "MSET a 1 b 2|RPUSH l x|SCAN 0 MATCH l*|SCAN 0 TYPE list|SCAN 0 MATCH x* COUNT 1000 TYPE string|SCAN x|SCAN 0 COUNT 0|"
    "SCAN 0 TYPE nosuch|HSET h f v|HSCAN h 0|SSCAN none 0|ZSCAN none 0 MATCH x|SSCAN l 0",
    "objects": "SET a 1|SET b x|OBJECT ENCODING a|OBJECT ENCODING b|OBJECT ENCODING none|OBJECT REFCOUNT b|OBJECT FREQ a|OBJECT IDLETIME b|"
    "EXPIRE b 1000|TTL b|EXPIRE b 10 GT|PERSIST b|TTL b|TTL none|EXPIREAT b 99999999999|EXPIRETIME b|DUMP none|MEMORY USAGE none|MEMORY USAGE a SAMPLES x",
    "server": "ECHO hi|PING|PING x|CONFIG GET maxmemory|LASTSAVE|ROLE|DBSIZE|COMMAND COUNT|WAIT 0 0|SWAPDB 0 1",
    "documentation": "COMMAND DOCS get set|COMMAND LIST FILTERBY PATTERN *get*|COMMAND INFO get nosuch client|COMMAND DOCS nosuch|"
    "COMMAND GETKEYS SET a b|COMMAND GETKEYS GET|COMMAND GETKEYSANDFLAGS LMOVE a b LEFT LEFT|COMMAND NOSUCH",
    "all documentation": "COMMAND|COMMAND DOCS|COMMAND LIST",
    "help": "CLIENT HELP|OBJECT HELP|MEMORY HELP|PUBSUB HELP|XINFO HELP|ACL HELP|COMMAND HELP|SLOWLOG HELP|LATENCY HELP|CONFIG HELP",
    "clients": "CLIENT SETNAME me|CLIENT GETNAME|CLIENT INFO|CLIENT LIST TYPE pubsub|CLIENT LIST ID 0|CLIENT SETNAME|CLIENT GETNAME|"
    "CLIENT NO-TOUCH on|CLIENT SETINFO lib-name x|CLIENT TRACKINGINFO|CLIENT GETREDIR|ACL WHOAMI|ACL CAT nosuch",
    "diagnoses": "LATENCY LATEST|LATENCY HISTORY x|LATENCY RESETNOSUCH|SLOWLOG LEN x|SLOWLOG NOSUCH|MEMORY DOCTOR x|MEMORY NOSUCH|LOLWUT VERSION 1",
    "errors": "GET|GET a b|NOSUCH a b|SET a|SET a b EX|SET a b EX 0|SET a b NOPE|INCR|LPUSH l x|GET l|INCRBY l 1|SELECT 99|"
    "SELECT x|AUTH x|AUTH a b|EXEC|DISCARD|HELLO 4|HELLO x|HELLO 3 AUTH a b|CLIENT REPLY|CLIENT REPLY MAYBE|PUBSUB NOPE|"
    "OBJECT|OBJECT NOPE a|SUBSCRIBE|PSUBSCRIBE|WATCH|XADD s|EVALSHA_RO 00 0|EVALSHA_RO 00 x|"
    "CLIENT TRACKING on REDIRECT 99999999|CLIENT CACHING yes|PUBSUB|GETEX|MSET a|MSET a b c|COMMAND INFO nosuch",
    "errors of scripts": "EVAL_RO x 0|EVAL_RO return 0|EVAL_RO return -1|EVAL_RO return{1,{ok='x'},{err='MY'},'',false} 0|FCALL_RO f 0|"
    "EVAL_RO return(redis.call('SET','a','1')) 0|SCRIPT EXISTS 00|SCRIPT NOSUCH|EVAL_RO return(redis.error_reply('My')) 0",
    "names in any case": "set a 1|gEt a|mUlTi|GeT a|eXeC|client getname|Client GetName|hello 3|multi|discard|Reset",
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_replies_are_the_same(both: Both, hello: bytes, name: str) -> None:
    assert both(*logins(COMMANDS[name], hello))


def test_every_entry_of_the_slow_log_is_there(both: Both, hello: bytes) -> None:
    both(hello + lines("SLOWLOG GET 0|SLOWLOG GET -2|SLOWLOG LEN"), setup="SLOWLOG RESET")


ADMINISTRATORS = {
    "clients": "CLIENT NO-EVICT on|CLIENT NO-EVICT x|CLIENT PAUSE x|CLIENT UNPAUSE|CLIENT KILL ID 99999999|CLIENT KILL x|CLIENT UNBLOCK 99999999|CLIENT UNBLOCK x",
    "diagnoses": "LATENCY RESET|LATENCY DOCTOR|LATENCY GRAPH x|SLOWLOG RESET|SLOWLOG GET 0|ACL LOG RESET|ACL LOG|DEBUG SLEEP 0|DEBUG NOSUCH",
    "users and settings": "ACL LIST|ACL USERS|ACL GETUSER default|ACL GETUSER nobody|ACL DRYRUN default get a|CONFIG SET maxmemory x|CONFIG SET a|CONFIG SET a b|CONFIG RESETSTAT x",
    "scripts": "EVAL return{1,{2}} 0|EVAL x 0|MULTI|EVAL return{1} 0|SCRIPT EXISTS 00|EXEC|EVALSHA 00 0|FUNCTION LOAD x|FUNCTION LIST|FCALL f 0|FUNCTION DELETE f|SCRIPT KILL|FUNCTION KILL",
    "replication": "REPLICAOF|REPLICAOF a|FAILOVER x|SHUTDOWN x|MIGRATE a|MODULE LIST|MODULE UNLOAD x|MODULE LOAD",
}  # fmt: skip
OPENED = '[guard]\nscripts = "allow"\nallow = ["ACL", "CLIENT", "CONFIG", "DEBUG", "FAILOVER", "FUNCTION", "LATENCY", "MIGRATE", "MODULE", "REPLICAOF", "SCRIPT", "SHUTDOWN", "SLOWLOG"]\n'


@pytest.fixture(scope="module")
def opened(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """A proxy that allows what administrators need."""
    config = tmp_path_factory.mktemp("opened") / "config.toml"
    config.write_text(OPENED)
    proxy = ProxyProcess(
        ["--config", str(config), "--listen", "json=127.0.0.1:0", "--upstream", f"unix://{redis_server.unix}"]
    )
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.mark.parametrize("name", ADMINISTRATORS)
def test_what_the_guard_allows_is_answered_the_same(
    opened: ProxyProcess, direct: redis.Redis, redis_server: RedisServer, hello: bytes, cut: Cut, name: str
) -> None:
    both = comparison(redis_server.unix, opened.json, cut, lambda _: direct.flushall())
    assert both(hello + lines(ADMINISTRATORS[name]))
