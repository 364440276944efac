"""The floors pass bytes: what is sent arrives, whole and in order, however reads cut it."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from benchmarks import floor, peers, redis_benchmark
from benchmarks.measuring import Load
from benchmarks.peers import Server
from benchmarks.processes import StartError, free_port
from benchmarks.redis_benchmark import Work
from proxy.resp.encode import command
from tests.e2e.proxy_process import DEADLINE, wait_until

WHOLE = [
    b"+OK\r\n",
    b"-ERR no\r\n",
    b":12\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"$0\r\n\r\n",
    b"$7\r\na\r\nb\r\nc\r\n",
    b"*0\r\n",
    b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n",
    b"*2\r\n*1\r\n:1\r\n$-1\r\n",
]


@pytest.fixture(params=floor.MODES)
def bare(request: pytest.FixtureRequest, bench_redis: Server, tmp_path: Path) -> Iterator[Server]:
    with peers.floor(tmp_path, bench_redis, request.param) as server:
        yield server


@pytest.fixture
def shared(bench_redis: Server, tmp_path: Path) -> Iterator[Server]:
    with peers.floor(tmp_path, bench_redis, "shared") as server:
        yield server


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", server.port), DEADLINE)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield client


def received(client: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (more := client.recv(size - len(data))):
        data += more
    return bytes(data)


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


@pytest.mark.parametrize("data", WHOLE)
def test_the_end_of_a_reply_is_found_and_never_too_early(data: bytes) -> None:
    assert floor.end_of(b"+before\r\n" + data + b"+behind\r\n", 9) == 9 + len(data)
    for cut in range(1, len(data)):
        assert floor.end_of(data[:cut], 0) > cut


def test_a_pattern_takes_other_bytes_of_the_same_lengths_and_nothing_else() -> None:
    alike = floor.pattern(command(b"SET", b"key:1", b"a\r\nb")).fullmatch
    assert alike(command(b"SET", b"key:2", b"\0\n\xff\r"))
    others = [command(b"SET", b"key:2", b"abc"), command(b"SET", b"key:2"), command(b"SET", b"key:22", b"abc")]
    two = command(b"SET", b"key:2", b"abcd") * 2
    assert not any(map(alike, [*others, two, two[:-1], b"", b"PING\r\n"]))


def test_a_value_of_any_size_and_bytes_comes_back(bare: Server) -> None:
    value = bytes(range(256)) * 4000
    with connected(bare) as client:
        sender = threading.Thread(
            target=client.sendall, args=(command(b"SET", b"large", value) + command(b"GET", b"large"),)
        )
        sender.start()
        assert received(client, 5) == b"+OK\r\n"
        assert received(client, len(bulk(value))) == bulk(value)
        sender.join()


def test_each_client_gets_its_own_replies_in_order(bare: Server) -> None:
    with connected(bare) as one, connected(bare) as other:
        for turn in range(50):
            for client, name in ((one, b"one"), (other, b"other")):
                client.sendall(command(b"ECHO", b"%b %d" % (name, turn)) + command(b"ECHO", name * turn))
            for client, name in ((other, b"other"), (one, b"one")):
                expected = bulk(b"%b %d" % (name, turn)) + bulk(name * turn)
                assert received(client, len(expected)) == expected


def test_a_client_that_leaves_ends_its_connection_to_redis(bench_redis: Server, tmp_path: Path) -> None:
    def clients() -> int:
        with connected(bench_redis) as client:
            client.sendall(command(b"CLIENT", b"LIST"))
            reader = client.makefile("rb")
            return reader.read(int(reader.readline()[1:])).count(b"name=floor ")

    with peers.floor(tmp_path, bench_redis, "one-to-one") as server:
        with connected(server) as client:
            client.sendall(command(b"CLIENT", b"SETNAME", b"floor"))
            assert received(client, 5) == b"+OK\r\n"
            assert clients() == 1
        wait_until(lambda: clients() == 0, "its connection to end")


@pytest.mark.parametrize("cut", range(1, len(command(b"SET", b"cut", b"v\r\n")), 3))
def test_a_request_that_reads_cut_does_not_meet_those_of_others(shared: Server, cut: int) -> None:
    request = command(b"SET", b"cut", b"v\r\n")
    with connected(shared) as one, connected(shared) as other:
        one.sendall(command(b"SET", b"cut", b"abc"))  # of the same lengths: the usual way is learnt
        assert received(one, 5) == b"+OK\r\n"
        one.sendall(request[:cut])
        other.sendall(command(b"ECHO", b"between"))
        assert received(other, 13) == bulk(b"between")
        one.sendall(request[cut:] + command(b"GET", b"cut"))
        assert received(one, 14) == b"+OK\r\n" + bulk(b"v\r\n")


def test_the_replies_of_a_client_that_has_left_are_dropped(shared: Server) -> None:
    with connected(shared) as blocked, connected(shared) as other:
        blocked.sendall(command(b"BLPOP", b"floor:none", b"0.05"))
        blocked.close()
        other.sendall(command(b"ECHO", b"mine"))
        assert received(other, 10) == bulk(b"mine")


def test_one_that_does_not_speak_resp_is_closed(shared: Server) -> None:
    with connected(shared) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(10) == b""


@pytest.mark.skipif(not shutil.which("redis-benchmark"), reason="needs redis-benchmark")
@pytest.mark.parametrize("name", ["SET", "GET"])
def test_redis_benchmark_is_served_with_its_question_at_the_start(bare: Server, bench_redis: Server, name: str) -> None:
    work = Work(name, "floor:", b'{"a":1}' * 20, clients=5, keys=10)
    assert redis_benchmark.run(bare.port, work, requests=200).per_second > 0
    load = Load(bare, work, "json", bench_redis.process)
    sample = load.sample(0.01)
    assert sample.cpu_us > 0
    assert sample.redis_us is not None
    assert sample.redis_us > 0


def test_a_shared_floor_without_redis_does_not_start(bench_redis: Server, tmp_path: Path) -> None:
    nowhere = Server(bench_redis.process, free_port())
    with pytest.raises(StartError, match="Connect"), peers.floor(tmp_path, nowhere, "shared"):
        pass


def test_a_client_is_closed_where_redis_is_missing(bench_redis: Server, tmp_path: Path) -> None:
    nowhere = Server(bench_redis.process, free_port())
    with peers.floor(tmp_path, nowhere, "one-to-one") as server, connected(server) as client:
        assert client.recv(10) == b""
