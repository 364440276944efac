"""HUP reloads rules, guard, limits and log, without dropping a connection."""

import signal
from pathlib import Path

import redis

from tests.e2e.conftest import RedisServer, StartProxy
from tests.e2e.proxy_process import ProxyProcess, wait_until
from tests.e2e.wire import Wire, request


def reload(proxy: ProxyProcess, file: Path, text: str, answer: str) -> None:
    file.write_text(text)
    seen = len(proxy.lines)
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_for_line(answer, seen)


def test_new_rules_hold_for_connections_that_are_open(
    start_proxy: StartProxy, redis_server: RedisServer, direct: redis.Redis, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[[rule]]\nkeys = "a:*"\n')
    proxy = start_proxy(
        "--config", str(file), "--listen", f"unix:{tmp_path / 's'}", "--upstream", f"unix://{redis_server.unix}"
    )
    with redis.Redis(unix_socket_path=str(tmp_path / "s"), protocol=2) as client:
        client.client_setname("mine")
        client.set("b:1", '"x"')
        assert direct.get("b:1") == b'"x"'
        reload(proxy, file, '[[rule]]\nkeys = "b:*"\n[guard]\nallow = ["CONFIG|SET"]\n', "reloaded: 1 rules")
        client.set("b:1", '"x"')
        assert direct.get("b:1") == b"!\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01x\x94."
        assert client.client_getname() == "mine"
        assert client.config_set("hash-max-listpack-entries", "128")


def test_an_invalid_configuration_changes_nothing_and_says_so(
    start_proxy: StartProxy, redis_server: RedisServer, direct: redis.Redis, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[[rule]]\nkeys = "a:*"\n')
    proxy = start_proxy(
        "--config", str(file), "--listen", f"unix:{tmp_path / 's'}", "--upstream", f"unix://{redis_server.unix}"
    )
    proxy.expect("nothing was reloaded")
    reload(proxy, file, '[[rule]]\nkeys = "b:*"\n[limits]\ndepth = "x"\n', "nothing was reloaded.*limits.depth")
    with redis.Redis(unix_socket_path=str(tmp_path / "s"), protocol=2) as client:
        client.set("b:1", '"x"')
        assert direct.get("b:1") == b'"x"'


def test_what_needs_a_restart_is_said(start_proxy: StartProxy, redis_server: RedisServer, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("")
    proxy = start_proxy(
        "--config", str(file), "--listen", f"unix:{tmp_path / 's'}", "--upstream", f"unix://{redis_server.unix}"
    )
    proxy.expect("takes effect with the next start")
    reload(proxy, file, "[server]\ndrain_timeout = 3.0\n", "a change of server takes effect with the next start")


def test_new_limits_hold_for_connections_that_are_open(
    start_proxy: StartProxy, redis_server: RedisServer, direct: redis.Redis, tmp_path: Path
) -> None:
    file, large = tmp_path / "config.toml", b'"' + b"x" * 5000 + b'"'
    file.write_text("")
    proxy = start_proxy("--config", str(file), "--upstream", f"unix://{redis_server.unix}")
    with Wire(proxy.json) as client, Wire(proxy.json) as other:
        assert client("SET", "flask_cache_a", large) == other("SET", "flask_cache_b", b'"y"') == b"+OK\r\n"
        reload(proxy, file, "[limits]\ndecoded_bytes = 50\narguments = 5\nrequest_bytes = 1000\n", "reloaded")
        said = client("GET", "flask_cache_a")
        assert said.startswith(b"-ERR flask-cache-proxy: cannot decode the stored value: 50")
        assert b"over the limit of 50 ([limits] decoded_bytes)" in said
        assert b"over the limit of 5 ([limits] arguments)" in other("DEL", *"abcdefgh")
        reload(proxy, file, "", "reloaded")
        assert client("GET", "flask_cache_a").startswith(b"$5002\r\n")
        assert client("SET", "a", large) == b"+OK\r\n"
        assert client("DEL", *"abcdefgh") == b":1\r\n"


def test_no_request_that_began_before_a_rule_writes_its_key_afterwards(
    start_proxy: StartProxy, redis_server: RedisServer, direct: redis.Redis, tmp_path: Path
) -> None:
    """Neither a large one that passes, nor one in a transaction that is open."""
    file, raw = tmp_path / "config.toml", request("SET", "b:1", b"x" * 100_000)
    file.write_text('[[rule]]\nkeys = "a:*"\n')
    proxy = start_proxy("--config", str(file), "--upstream", f"unix://{redis_server.unix}")
    with Wire(proxy.json) as sender, Wire(proxy.json) as other:
        assert sender("GET", "b:1") == b"$-1\r\n"
        sender.send(raw[:60_000])
        wait_until(lambda: any(int(each["qbuf"]) > 50_000 for each in direct.client_list()), "the beginning")
        assert other("MULTI") == b"+OK\r\n"
        assert other("SET", "b:2", "raw") == b"+QUEUED\r\n"
        reload(proxy, file, '[[rule]]\nkeys = "b:*"\n', "reloaded: 1 rules")
        assert sender.reply().startswith(b"-ERR flask-cache-proxy: a reload has given the key of this request a rule")
        assert other("EXEC").startswith(b"-EXECABORT")
        assert direct.exists("b:1", "b:2") == 0
        assert other("SET", "b:2", '"x"') == b"+OK\r\n"
        assert direct.get("b:2") == b"!\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01x\x94."
