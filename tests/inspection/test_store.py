"""Redis as the settings describe it: reached and logged in to by every way there is, and every failure in words."""

import re
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from proxy.config import Flags, load
from proxy.inspection.store import Store, StoreError, Write, opened
from tests.conftest import RedisServer
from tests.e2e.conftest import PrivateRedis
from tests.e2e.proxy_process import wait_until
from tests.e2e.test_sentinel import free_port
from tests.e2e.test_tls import Certificates, new_authority

PREFIX = "FLASK_CACHE_PROXY_"


@contextmanager
def store_of(url: str, **env: str) -> Iterator[Store]:
    """`env`: variables without their prefix."""
    variables: Mapping[str, str] = {f"{PREFIX}{name.upper()}": text for name, text in env.items()}
    with opened(load(None, variables, Flags(upstream=url), serves=False)) as store:
        yield store


def refusal(url: str, **env: str) -> str:
    """The error text instead of the number of keys."""
    with pytest.raises(StoreError) as error, store_of(url, **env) as store:
        store.count()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[RedisServer]:
    """The session's Redis, emptied."""
    with redis.Redis(unix_socket_path=redis_server.unix) as client:
        client.flushall()
    return redis_server


class TestWays:
    def test_tcp_and_unix_and_their_databases(self, server: RedisServer) -> None:
        with store_of(f"redis://127.0.0.1:{server.port}/3") as store:
            assert store.write([Write(b"k", b"v", None)]) == [None]
        with store_of(f"unix://{server.unix}?db=3") as store:
            assert [entry.stored for entry in store.look([b"k"])] == [b"v"]
        with store_of(f"unix://{server.unix}") as store:
            assert store.count() == 0

    def test_a_user_with_a_password_in_a_file(self, private_redis: PrivateRedis, tmp_path: Path) -> None:
        private_redis.start(*["--user", "looker", "on", ">secret", "~*", "+@all", "--user", "default", "off"])
        file = tmp_path / "password"
        file.write_text("secret\n")
        url = f"unix://{private_redis.unix}"
        with store_of(url, upstream_username="looker", upstream_password_file=str(file)) as store:
            assert store.count() == 0

    @pytest.mark.parametrize("named", [True, False])
    def test_tls(self, private_redis: PrivateRedis, tmp_path: Path, named: bool) -> None:
        ours = new_authority(tmp_path / "ours")
        url, mutual = tls_redis(private_redis, ours, "redis.internal" if named else "127.0.0.1")
        name = {"upstream_tls_server_name": "redis.internal"} if named else {}
        with store_of(url, upstream_tls_ca=ours.ca, **mutual, **name) as store:
            assert store.count() == 0

    def test_a_master_that_a_sentinel_knows(self, server: RedisServer, sentinel: int) -> None:
        with store_of(f"redis+sentinel://127.0.0.1:{sentinel}/it/2") as store:
            store.write([Write(b"k", b"v", None)])
        with store_of(f"unix://{server.unix}?db=2") as store:
            assert store.count() == 1
        assert "no sentinel knows a master other" in refusal(f"redis+sentinel://127.0.0.1:{sentinel}/other")


@pytest.fixture
def sentinel(server: RedisServer, redis_executable: str, tmp_path: Path) -> Iterator[int]:
    """The port of a sentinel that watches the session's Redis."""
    port = free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(f"port {port}\ndir {tmp_path}\nsentinel monitor it 127.0.0.1 {server.port} 1\n")
    with subprocess.Popen([redis_executable, str(config), "--sentinel"], stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: _answers(port), "the sentinel")
        yield port
        process.kill()


def _answers(port: int) -> bool:
    with redis.Redis(port=port) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def tls_redis(
    own: PrivateRedis, issuer: Certificates, name: str, *options: str, port: int = 0
) -> tuple[str, dict[str, str]]:
    """A Redis that asks for certificates; its url, and what to show it."""
    port = port or free_port()
    certificate, key = issuer.issue("server", name)
    own.start(
        *("--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", key),
        *("--tls-ca-cert-file", issuer.ca, *options),
    )
    mine, my_key = issuer.issue("client", "client.internal")
    return f"rediss://127.0.0.1:{port}/0", {"upstream_tls_cert": mine, "upstream_tls_key": my_key}


class TestFailures:
    def test_nobody_listens(self, tmp_path: Path) -> None:
        port = free_port()
        said = refusal(f"redis://127.0.0.1:{port}")
        assert said == (
            f"cannot reach Redis at 127.0.0.1:{port}: Connection refused. Is it running, and upstream.url right?"
        )
        assert "No such file or directory" in refusal(f"unix://{tmp_path}/absent.sock")

    def test_a_name_that_does_not_resolve(self) -> None:
        assert re.search(r"^cannot reach Redis at redis\.invalid:6379: \S", refusal("redis://redis.invalid"))

    def test_a_silent_one(self) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
            assert "does not answer within" in refusal(url, limits_reply_timeout="0.1", limits_connect_timeout="0.1")

    def test_no_password_a_wrong_one_and_one_that_nobody_asks_for(
        self, private_redis: PrivateRedis, server: RedisServer
    ) -> None:
        private_redis.start("--requirepass", "secret")
        url = f"unix://{private_redis.unix}"
        for given in ({}, {"upstream_password": "mistaken"}):
            said = refusal(url, **given)
            assert f"Redis at unix:{private_redis.unix} refuses the login: " in said
            assert "upstream.password_file" in said
            assert "mistaken" not in said
        assert "refuses the login" in refusal(f"unix://{server.unix}", upstream_password="nobody asks")

    def test_a_password_file_that_is_not_there(self, server: RedisServer) -> None:
        said = refusal(f"unix://{server.unix}", upstream_password_file="/no/such/file")
        assert said == "the password file /no/such/file cannot be read: No such file or directory"

    def test_a_user_who_may_not(self, private_redis: PrivateRedis) -> None:
        private_redis.start(*["--user", "looker", "on", ">secret", "~*", "+@connection"])
        said = refusal(f"unix://{private_redis.unix}", upstream_username="looker", upstream_password="secret")
        assert "does not permit it" in said
        assert "dbsize" in said

    def test_a_user_who_may_no_more_than_it_takes(self, private_redis: PrivateRedis) -> None:
        commands = "+select +dbsize +scan +strlen +type +pttl +getrange +multi +exec +set"
        private_redis.start(*f"--user looker on >secret ~flask_cache_* {commands}".split())
        url = f"unix://{private_redis.unix}?db=1"
        with store_of(url, upstream_username="looker", upstream_password="secret") as store:
            assert store.write([Write(b"flask_cache_k", b"v", None)]) == [None]
            assert store.count() == 1
            assert [keys for _, keys in store.scan(b"*")] == [[b"flask_cache_k"]]
            assert [entry.stored for entry in store.look([b"flask_cache_k"])] == [b"v"]
            (said,) = store.write([Write(b"other", b"v", None)])
            assert said is not None
            assert "does not permit it" in said
            with pytest.raises(StoreError, match="does not permit it"):
                list(store.look([b"other"]))

    def test_a_certificate_that_nobody_trusts(self, private_redis: PrivateRedis, tmp_path: Path) -> None:
        ours, theirs = new_authority(tmp_path / "ours"), new_authority(tmp_path / "theirs")
        url, mutual = tls_redis(private_redis, ours, "127.0.0.1")
        assert "its certificate is not trusted" in refusal(url, upstream_tls_ca=theirs.ca, **mutual)

    def test_a_database_that_is_not_there(self, server: RedisServer) -> None:
        assert "DB index is out of range" in refusal(f"unix://{server.unix}?db=999")

    def test_an_embedded_one_cannot_be_looked_into(self) -> None:
        assert "start a Redis of your own" in refusal("embedded")

    def test_one_that_dies_on_the_way(self, private_redis: PrivateRedis) -> None:
        private_redis.start()
        with store_of(f"unix://{private_redis.unix}") as store:
            assert store.count() == 0
            private_redis.kill()
            with pytest.raises(StoreError, match="cannot reach Redis"):
                store.write([Write(b"k", b"v", None)])

    def test_a_replica_takes_no_writes(self, private_redis: PrivateRedis, server: RedisServer) -> None:
        private_redis.start("--replicaof", "127.0.0.1", str(server.port), "--replica-read-only", "yes")
        with store_of(f"unix://{private_redis.unix}") as store:
            (said,) = store.write([Write(b"k", b"v", None)])
        assert said is not None
        assert "is a replica and takes no writes" in said


class TestLooking:
    def test_type_size_ttl_and_value_of_those_that_are_there(self, server: RedisServer) -> None:
        with redis.Redis(unix_socket_path=server.unix) as client:
            client.set("s", b"\xff\x00", px=90_000)
            client.set("empty", "")
            client.sadd("set", "x")
        with store_of(f"unix://{server.unix}") as store:
            first, empty, members = store.look([b"s", b"absent", b"empty", b"set"])
        assert (first.key, first.type, first.size, first.stored) == (b"s", "string", 2, b"\xff\x00")
        assert 0 < (first.ttl or 0) <= 90_000
        assert empty[1:] == ("string", 0, None, b"")
        assert members[1:] == ("set", 0, None, b"")

    def test_no_more_of_a_value_is_read_than_shows_that_it_is_too_large(self, server: RedisServer) -> None:
        with redis.Redis(unix_socket_path=server.unix) as client:
            client.set("s", b"x" * 5000)
        with store_of(f"unix://{server.unix}", limits_decoded_bytes="100") as store:
            (entry,) = store.look([b"s"])
        assert (entry.size, len(entry.stored)) == (5000, 101)

    def test_a_rule_may_have_more_of_a_value_read(self, server: RedisServer, tmp_path: Path) -> None:
        with redis.Redis(unix_socket_path=server.unix) as client:
            client.set("s", b"x" * 5000)
        config = tmp_path / "config.toml"
        config.write_text('[limits]\ndecoded_bytes = 100\n[[rule]]\nkeys = "s"\ndecoded_bytes = 6000\n')
        with opened(load(config, {}, Flags(upstream=f"unix://{server.unix}"), serves=False)) as store:
            (entry,) = store.look([b"s"])
        assert len(entry.stored) == 5000

    def test_many_large_values_come_in_their_order(self, server: RedisServer) -> None:
        values = {b"k%d" % number: bytes([number]) * 1_500_000 for number in range(9)}
        with redis.Redis(unix_socket_path=server.unix) as client:
            client.mset(values)
        with store_of(f"unix://{server.unix}") as store:
            assert [(entry.key, entry.stored) for entry in store.look(list(values))] == list(values.items())

    def test_a_scan_finds_every_key_and_says_how_much_it_was(self, server: RedisServer) -> None:
        with redis.Redis(unix_socket_path=server.unix) as client:
            client.mset({b"%d" % number: b"" for number in range(3000)} | {b"x": b""})
        with store_of(f"unix://{server.unix}") as store:
            steps = list(store.scan(b"[0-9]*"))
        assert sum(looked_at for looked_at, _ in steps) >= 3000
        assert {key for _, keys in steps for key in keys} == {b"%d" % number for number in range(3000)}


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """The url of a server that answers everything with the same."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while connection.recv(4096):
                connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        thread.join()


@pytest.mark.parametrize("reply", [b"-MOVED 12 10.0.0.1:7001\r\n", b"-ASK 12 h:1\r\n", b"-CLUSTERDOWN down\r\n"])
def test_a_cluster_is_called_one(reply: bytes) -> None:
    with answering(reply) as url:
        assert "is part of a cluster: " in refusal(url)


@pytest.mark.parametrize("reply", [b"-MOVED 12 h:\x1b\r\n", b"-MOVED\r\n", b"*0\r\n", b"+OK\r\n"])
def test_what_is_no_redis_is_told_so(reply: bytes) -> None:
    with answering(reply) as url:
        assert "is not a Redis" in refusal(url)
