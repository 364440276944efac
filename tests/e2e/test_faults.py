"""Redis dies, freezes, resets and moves, while much is outstanding: what a client gets is true, and then the end."""

import json
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import redis

from tests.e2e.admin import metric
from tests.e2e.conftest import PrivateRedis, RedisServer, StartProxy, without
from tests.e2e.proxy_process import Address, ProxyProcess, wait_until
from tests.e2e.relay import End, Line, Lines, Relay, cut_after, stall_after, straight, trickle
from tests.e2e.wire import Wire, is_served, pipeline, request

Connect = Callable[[Address], Wire]
StartRelay = Callable[[Address, Lines], Relay]
KEY = "flask_cache_k"
INCREMENTS = 200_000
TIMED_OUT = b"-ERR flask-cache-proxy: Redis has not answered for 0.3 s ([limits] reply_timeout)\r\n"


@pytest.fixture
def relay() -> Iterator[StartRelay]:
    """Starts relays, and ends them before their targets."""
    with ExitStack() as stack:
        yield lambda target, lines: stack.enter_context(Relay(target, lines))


@pytest.fixture
def admin(tmp_path: Path) -> str:
    """Where the admin port of a proxy with `timely` settings is."""
    return str(tmp_path / "admin.sock")


@pytest.fixture
def impatient(admin: str) -> dict[str, str]:
    """The environment of a proxy that waits for 0.3 s."""
    return {"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{admin}", "FLASK_CACHE_PROXY_LIMITS_REPLY_TIMEOUT": "0.3"}


def back(line: Callable[[], Line]) -> Lines:
    """Every connection has a line of its own towards the proxy."""
    return lambda: (straight, line())


def url(relay: Relay) -> str:
    return f"redis://127.0.0.1:{relay.address[1]}"


def increments() -> bytes:
    """All the right replies, in order."""
    return b"".join(b":%d\r\n" % number for number in range(1, INCREMENTS + 1))


def send_in_background(client: Wire, data: bytes) -> threading.Thread:
    """Send, though the other side may close before all is sent."""

    def send() -> None:
        with suppress(OSError):
            client.send(data)

    sender = threading.Thread(target=send)
    sender.start()
    return sender


def _shown(count: int, replies: list[tuple[bytes, bytes]]) -> bytes:
    """What a client sees of `count` bytes of replies, each as Redis sends it and as it is shown.

    What passes as it stands is streamed; of what is converted nothing is shown before it is whole.
    """
    seen = b""
    for sent, shown in replies:
        if count < len(sent):
            return seen + (shown[:count] if sent == shown else b"")
        count -= len(sent)
        seen += shown
    return seen


class TestRedisDies:
    def test_of_200_000_increments_a_true_prefix_is_answered(
        self, start: StartProxy, private_redis: PrivateRedis, connect: Connect
    ) -> None:
        private_redis.start("--appendonly", "yes", "--appendfsync", "always")
        proxy = start("--upstream", f"unix://{private_redis.unix}")
        proxy.expect(r"WARNING +\[1\] Redis closed with \d+ replies outstanding$")
        client = connect(proxy.json)
        sender = send_in_background(client, pipeline("INCR n") * INCREMENTS)
        while len(client.received) < 500_000:
            assert client._receive()
        private_redis.kill()
        came = client.until_closed()
        sender.join()
        assert increments().startswith(came)
        assert came.endswith(b"\r\n")
        private_redis.start("--appendonly", "yes")
        assert int(connect(proxy.json)("GET", "n").split(b"\r\n")[1]) >= came.count(b"\r\n")

    @pytest.mark.parametrize("count", [5, 500_001])
    def test_all_that_it_has_answered_arrives_though_the_client_has_more_to_send(
        self, start: StartProxy, redis_server: RedisServer, direct: redis.Redis, relay: StartRelay, count: int
    ) -> None:
        there = relay(redis_server.unix, back(lambda: cut_after(count, End.FINISH)))
        proxy = start("--upstream", url(there))
        proxy.expect(r"WARNING +\[1\] Redis closed with \d+ replies outstanding$")
        with Wire(proxy.json) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)  # so that most is still on its way
            sender = send_in_background(client, pipeline("INCR n") * INCREMENTS)
            proxy.wait_for_line("Redis closed")
            assert client.until_closed() == increments()[:count]
            sender.join()

    @pytest.mark.parametrize("how", [End.FINISH, End.RESET])
    def test_a_value_that_was_cut_off_is_not_converted_and_nothing_follows(
        self, start_proxy: StartProxy, redis_server: RedisServer, direct: redis.Redis, relay: StartRelay, how: End
    ) -> None:
        value = b"!\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07bananas\x94."
        direct.set(KEY, value)
        there = relay(redis_server.unix, back(lambda: straight))
        proxy = start_proxy("--upstream", url(there))
        proxy.expect(r"WARNING +\[\d+\] Redis closed with \d replies outstanding")
        stored, shown = (b"$%d\r\n%s\r\n" % (len(each), each) for each in (value, b'"bananas"'))
        for count in range(1, len(b"+PONG\r\n" + stored + stored)):
            there.lines = lambda count=count: (straight, cut_after(count, how))
            with Wire(proxy.json) as client:
                client.send(pipeline("PING", f"GET {KEY}", f"GET {KEY}", "PING"))
                came = client.until_closed()
            expected = _shown(count, [(b"+PONG\r\n", b"+PONG\r\n"), (stored, shown), (stored, shown)])
            # A reset may overtake what came before it.
            assert came == expected if how is End.FINISH else expected.startswith(came)

    def test_between_a_request_and_its_reply_the_client_is_told_nothing(
        self, start_proxy: StartProxy, redis_server: RedisServer, direct: redis.Redis, relay: StartRelay
    ) -> None:
        cuts = False
        there = relay(redis_server.unix, back(lambda: cut_after(0, End.RESET) if cuts else straight))
        proxy = start_proxy("--upstream", url(there))
        proxy.expect(r"WARNING +\[2\] Redis closed with 1 replies outstanding$")
        with Wire(proxy.json) as first:
            assert first("PING") == b"+PONG\r\n"  # so the proxy knows that Redis speaks without TLS
            cuts = True
            with Wire(proxy.json) as client:
                client.send(pipeline("INCR n"))
                assert client.until_closed() == b""
        assert direct.get("n") == b"1"


class TestRedisFreezes:
    def freeze(self, own: PrivateRedis) -> None:
        assert own.process is not None
        os.kill(own.process.pid, signal.SIGSTOP)

    def thaw(self, own: PrivateRedis) -> None:
        assert own.process is not None
        os.kill(own.process.pid, signal.SIGCONT)

    @pytest.fixture
    def proxy(self, start_proxy: StartProxy, private_redis: PrivateRedis, impatient: dict[str, str]) -> ProxyProcess:
        private_redis.start()
        proxy = start_proxy("--upstream", f"unix://{private_redis.unix}", env=impatient)
        proxy.expect(r"WARNING +\[\d+\] Redis has not answered for 0.3 s \(\[limits\] reply_timeout\)$")
        return proxy

    def test_a_client_that_waits_is_told_once_and_closed(
        self, proxy: ProxyProcess, private_redis: PrivateRedis, connect: Connect, admin: str
    ) -> None:
        client, idle = connect(proxy.json), connect(proxy.json)
        assert client("PING") == idle("PING") == b"+PONG\r\n"
        self.freeze(private_redis)
        client.send(pipeline("PING", f"SET {KEY} [1]", "PING"))
        assert client.until_closed() == TIMED_OUT
        assert metric(admin, "closed_clients_total") == 1
        self.thaw(private_redis)
        assert idle("PING") == b"+PONG\r\n"

    def test_what_it_answered_before_comes_first(
        self, proxy: ProxyProcess, private_redis: PrivateRedis, connect: Connect
    ) -> None:
        client = connect(proxy.json)
        client.send(pipeline(f"SET {KEY} [1]", f"GET {KEY}"))
        client.until(rb"\[1\]\r\n")
        self.freeze(private_redis)
        client.send(pipeline(f"GET {KEY}"))
        assert client.until_closed() == TIMED_OUT

    def test_who_waits_for_others_or_for_messages_is_left_alone(
        self, proxy: ProxyProcess, private_redis: PrivateRedis, connect: Connect
    ) -> None:
        witness, pop, reader, subscriber, both, monitor = (connect(proxy.json) for _ in range(6))
        pop.send(pipeline("BLPOP l 0", "PING"))
        reader.send(pipeline("XREAD BLOCK 0 STREAMS x $"))
        subscriber("SUBSCRIBE", "c")
        both("HELLO", "3")
        both("SUBSCRIBE", "c")
        monitor("MONITOR")
        with redis.Redis(unix_socket_path=private_redis.unix) as own:
            wait_until(lambda: own.info("clients")["blocked_clients"] == 2, "both to block")
        self.freeze(private_redis)
        witness.send(pipeline("PING"))
        assert witness.until_closed() == TIMED_OUT
        self.thaw(private_redis)
        with redis.Redis(unix_socket_path=private_redis.unix) as own:
            own.rpush("l", "v")
            own.xadd("x", {"f": "v"})
            own.publish("c", "hello")
        assert pop.replies(2).endswith(b"$1\r\nv\r\n+PONG\r\n")
        assert reader.reply().startswith(b"*1\r\n")
        assert subscriber.reply().endswith(b"$5\r\nhello\r\n")
        assert both.reply().startswith(b">3\r\n")
        monitor.until(b"PUBLISH")

    def test_what_stands_behind_a_blocking_command_waits_for_as_long_as_itself(
        self, proxy: ProxyProcess, private_redis: PrivateRedis, connect: Connect
    ) -> None:
        client = connect(proxy.json)
        client.send(pipeline("BLPOP l 0.5", "PING"))
        assert client.replies(2) == b"*-1\r\n+PONG\r\n"
        proxy.expect("^$")

    def test_a_client_that_does_not_read_is_no_fault_of_redis(
        self,
        start_proxy: StartProxy,
        private_redis: PrivateRedis,
        connect: Connect,
        admin: str,
        impatient: dict[str, str],
    ) -> None:
        private_redis.start()
        # So many bytes may well keep Redis busy for 0.3 s.
        env = impatient | {"FLASK_CACHE_PROXY_LIMITS_REPLY_TIMEOUT": "5"}
        proxy = start_proxy("--upstream", f"unix://{private_redis.unix}", env=env)
        proxy.expect(r"WARNING +\[\d+\] Redis has not answered for 5 s \(\[limits\] reply_timeout\)$")
        client, witness = connect(proxy.json), connect(proxy.json)
        client("SET", "large", b"x" * 1_000_000)
        client.send(request("GET", "large") * 100)

        def is_still() -> bool:
            before = metric(admin, "received_bytes_total")
            paused = metric(admin, 'paused_connections{side="upstream"}')
            return paused == 1 and before > 16_000_000 and metric(admin, "received_bytes_total") == before

        wait_until(is_still, "the buffers to fill, and Redis not to be read any more")
        self.freeze(private_redis)
        witness.send(pipeline("PING"))
        assert witness.until_closed() == TIMED_OUT.replace(b"0.3 s", b"5 s")
        self.thaw(private_redis)
        assert client.replies(100).count(b"x") == 100_000_000

    def test_what_it_does_not_take_either_is_dropped_at_once(
        self, proxy: ProxyProcess, private_redis: PrivateRedis, connect: Connect
    ) -> None:
        connect(proxy.json)("PING")
        before = proxy.descriptors()
        client = connect(proxy.json)
        self.freeze(private_redis)
        sender = send_in_background(client, request("SET", "k", b"x" * 100_000) * 100)
        assert client.until_closed() == TIMED_OUT
        client.close()
        sender.join()
        # Fewer, if a connection of the proxy's own was open when we counted.
        wait_until(lambda: proxy.descriptors() <= before, "both sides to be closed")

    def test_before_the_first_reply_to_the_proxy_itself(
        self, start_proxy: StartProxy, private_redis: PrivateRedis, connect: Connect, impatient: dict[str, str]
    ) -> None:
        private_redis.start()
        self.freeze(private_redis)  # the system still accepts for it
        proxy = start_proxy("--upstream", f"unix://{private_redis.unix}?db=1", env=impatient)
        proxy.expect("Redis has not answered for 0.3 s")
        assert connect(proxy.json).until_closed() == TIMED_OUT

    def test_term_ends_the_proxy_all_the_same(
        self, start_proxy: StartProxy, private_redis: PrivateRedis, connect: Connect
    ) -> None:
        private_redis.start()
        proxy = start_proxy(
            "--upstream", f"unix://{private_redis.unix}", env={"FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT": "0"}
        )
        client = connect(proxy.json)
        client("PING")
        self.freeze(private_redis)
        client.send(request("SET", "k", b"x" * 1_000_000))
        proxy.terminate()
        assert client.until_closed() == b""
        assert proxy.wait() == 0


class TestReplyTimeoutAndSlowReplies:
    def test_a_reply_that_comes_slowly_is_no_silence(
        self,
        start_proxy: StartProxy,
        redis_server: RedisServer,
        direct: redis.Redis,
        relay: StartRelay,
        impatient: dict[str, str],
    ) -> None:
        there = relay(redis_server.unix, back(lambda: trickle(200, 0.05)))
        client = Wire(start_proxy("--upstream", url(there), env=impatient).json)
        with client:
            client.send(request("ECHO", b"x" * 2_000))
            assert client.reply() == b"$2000\r\n" + b"x" * 2_000 + b"\r\n"

    @pytest.mark.parametrize("count", [8, 100])
    def test_within_a_reply_the_client_is_told_nothing_but_closed(
        self,
        start_proxy: StartProxy,
        redis_server: RedisServer,
        direct: redis.Redis,
        relay: StartRelay,
        impatient: dict[str, str],
        count: int,
    ) -> None:
        there = relay(redis_server.unix, back(lambda: stall_after(count)))
        proxy = start_proxy("--upstream", url(there), env=impatient)
        proxy.expect("Redis has not answered for 0.3 s")
        with Wire(proxy.json) as client:
            client.send(request("ECHO", b"x" * 2_000))
            assert client.until_closed() == (b"$2000\r\n" + b"x" * 2_000)[:count]


class TestRedisMoves:
    def test_a_path_that_another_redis_has_taken(
        self, start_proxy: StartProxy, private_redis: PrivateRedis, connect: Connect, tmp_path: Path
    ) -> None:
        (tmp_path / "other").mkdir()
        other = PrivateRedis(tmp_path / "other")
        other.start()
        try:
            private_redis.start()
            proxy = start_proxy("--upstream", f"unix://{private_redis.unix}")
            old = connect(proxy.json)
            assert old("SET", "who", "first") == b"+OK\r\n"
            Path(private_redis.unix).unlink()
            Path(other.unix).rename(private_redis.unix)
            assert connect(proxy.json)("GET", "who") == b"$-1\r\n"
            assert old("GET", "who") == b"$5\r\nfirst\r\n"
        finally:
            other.kill()

    def test_a_name_is_resolved_at_every_dial(
        self, start_proxy: StartProxy, redis_server: RedisServer, direct: redis.Redis, connect: Connect, tmp_path: Path
    ) -> None:
        hosts = tmp_path / "hosts"
        hosts.write_text("127.0.0.1")
        resolve = (
            "import socket, pathlib; real = socket.getaddrinfo;"
            f"socket.getaddrinfo = lambda host, *how, **more: real("
            f"pathlib.Path({str(hosts)!r}).read_text() if host == 'redis.test' else host, *how, **more);"
        )
        *python, program, serve = without("uvloop")  # uvloop asks the C library, out of our reach
        proxy = start_proxy(
            "--upstream", f"redis://redis.test:{redis_server.port}", command=(*python, resolve + program, serve)
        )
        assert connect(proxy.json)("PING") == b"+PONG\r\n"
        with socket.create_server(("127.0.0.2", redis_server.port)) as other:
            hosts.write_text("127.0.0.2")
            client = connect(proxy.json)
            there, _ = other.accept()
            with there:
                client.send(pipeline("PING"))
                assert there.recv(100) == pipeline("PING")
        proxy.expect(r"WARNING +\[2\] Redis closed with 1 replies outstanding$")
        assert client.until_closed() == b""
        hosts.write_text("127.0.0.1")
        assert connect(proxy.json)("PING") == b"+PONG\r\n"


class TestClientsVanish:
    @pytest.mark.parametrize("reset", [False, True])
    def test_in_the_middle_of_a_pipeline_and_nothing_is_half_done(
        self, start_proxy: StartProxy, direct: redis.Redis, reset: bool
    ) -> None:
        proxy = start_proxy()
        sent = pipeline("INCR n") * 5_000 + request("SET", "k", b"x" * 100_000)
        with Wire(proxy.json) as client:
            client("PING")
            client.send(sent[:-1])
            if reset:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        wait_until(lambda: len(direct.client_list()) == 1, "the proxy to let go")
        assert direct.get("k") is None
        assert int(direct.get("n") or 0) <= 5_000

    def test_a_request_that_trickles_in_is_taken_when_it_is_whole(
        self, start_proxy: StartProxy, redis_server: RedisServer, direct: redis.Redis, relay: StartRelay
    ) -> None:
        payload = json.dumps(["x" * 10] * 10, separators=(",", ":"))
        proxy = start_proxy()
        before = relay(proxy.json, lambda: (trickle(1, 0.0005), trickle(1, 0.0005)))
        with Wire(before.address) as client:
            client.send(request("SET", KEY, payload) + pipeline(f"GET {KEY}"))
            assert client.replies(2) == b"+OK\r\n$%d\r\n%s\r\n" % (len(payload), payload.encode())


PER_CLIENT = {"FLASK_CACHE_PROXY_UPSTREAM_CONNECTIONS": "per-client"}
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0})); "


class TestDescriptorsRunOut:
    """Unforeseen: `[limits] clients` has been fitted to the limit at the start."""

    def test_clients_are_fewer_than_descriptors_bear(self, start_proxy: StartProxy, connect: Connect) -> None:
        *python, program, serve = without()
        proxy = start_proxy(command=(*python, LIMITED.format(80) + program, serve), env=PER_CLIENT)
        proxy.wait_for_line("limits.clients is 10000, but the limit of open files is enough for 8 clients: ")
        clients = [connect(proxy.json) for _ in range(8)]
        assert all(client("PING") == b"+PONG\r\n" for client in clients)
        assert connect(proxy.json).until_closed() == b"-ERR max number of clients reached\r\n"

    @pytest.mark.parametrize("workers", ["1", "3"])
    def test_that_is_said_once(self, start_proxy: StartProxy, workers: str) -> None:
        *python, program, serve = without()
        command = (*python, LIMITED.format(200) + program, serve)
        proxy = start_proxy(command=command, env={**PER_CLIENT, "FLASK_CACHE_PROXY_SERVER_WORKERS": workers})
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for_line("reloaded")
        assert sum("the limit of open files is enough for 68 clients" in line for line in proxy.lines) == 1

    def test_it_waits_quietly_and_recovers(self, start: StartProxy, direct: redis.Redis, connect: Connect) -> None:
        proxy = start()
        proxy.expect("Too many open files|out of system resource|^ +|^socket: |^Traceback|^OSError")
        proxy.expect("_start_serving|Invalid file descriptor")  # asyncio, if it is ended while it waits
        first = connect(proxy.json)
        assert first("BLPOP", "nothing", "0.01") == b"*-1\r\n"  # where clients share connections, it has its own now
        room = proxy.descriptors() + 7
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (room, room))
        with ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(Wire(proxy.json))
            before = proxy.cpu_seconds()
            for _ in range(10):
                assert first("BLPOP", "nothing", "0.1") == b"*-1\r\n"
            assert proxy.cpu_seconds() - before < 0.3
        assert len(proxy.lines) < 500

        wait_until(lambda: is_served(proxy.json), "a client to be served again")
        assert first("PING") == b"+PONG\r\n"
