"""redis-benchmark is run as we say, and read whatever it was given to send."""

import shutil

import pytest

from benchmarks import pipelining, redis_benchmark
from benchmarks.measuring import ALIKE, IN_TURN, Load, _commands, summary
from benchmarks.peers import Server
from benchmarks.proxied import Client
from benchmarks.redis_benchmark import Outcome, OutcomeError, Work
from proxy.resp.encode import command

needs_redis_benchmark = pytest.mark.skipif(not shutil.which("redis-benchmark"), reason="needs redis-benchmark")
FIGURES = b'"892857.12","0.778","0.256","0.751","1.111","1.455","1.743"\n'
HEADER = (
    b'"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms",'
    b'"max_latency_ms"\n'
)


@pytest.mark.parametrize(
    "title", [b"GET key", b'SET key {"a":"b","c":[1,2]}', b"SET key line\nfeed", b'SET key "1.0","2.0"', b"SET \xff"]
)
def test_the_row_is_read_behind_any_title(title: bytes) -> None:
    row = HEADER + b'"' + title + b'",' + FIGURES
    assert redis_benchmark.parse(row) == Outcome(892857.12, 0.778, 0.256, 0.751, 1.111, 1.455, 1.743)


@pytest.mark.parametrize("csv", [b"", HEADER, b'"GET key","1.0"\n', b"WARNING: no such thing\n"])
def test_what_is_no_row_is_said(csv: bytes) -> None:
    with pytest.raises(OutcomeError, match="unexpected"):
        redis_benchmark.parse(csv)


@needs_redis_benchmark
def test_it_sends_what_it_is_told_to(bench_redis: Server) -> None:
    payload = b'{"a":"b c","d":"\xc3\xa9\\n"}'
    work = Work("SET", "bench:", payload, clients=5, pipeline=4, keys=3)
    outcome = redis_benchmark.run(bench_redis.port, work, requests=1000)
    assert outcome.per_second > 0
    with Client(bench_redis.port) as client:
        for number in range(3):
            stored = command(b"GET", work.key(number).encode())
            assert client.reply_size(stored) == len(b"$%d\r\n%b\r\n" % (len(payload), payload))


@needs_redis_benchmark
def test_an_error_reply_is_no_figure(bench_redis: Server) -> None:
    with pytest.raises(OutcomeError, match="wrong number of arguments"):
        redis_benchmark.run(bench_redis.port, Work("INCRBY", "bench:"), requests=10)


def commands_processed(server: Server) -> int:
    with Client(server.port) as client:
        client.socket.sendall(command(b"INFO", b"commandstats"))
        said = client.socket.recv(1 << 16).decode()
    return next(
        int(line.partition("calls=")[2].split(",")[0]) for line in said.splitlines() if line.startswith("cmdstat_set:")
    )


def test_our_own_client_sends_as_much_as_it_says_with_any_bytes(bench_redis: Server) -> None:
    with Client(bench_redis.port) as client:
        client.exchange(command(b"CONFIG", b"RESETSTAT"), len(b"+OK\r\n"))
    commands = [command(b"SET", b"own:%d" % number, b"\0\xff\r\n" * 100) for number in range(7)]
    outcome = pipelining.run(bench_redis.port, commands, 600, clients=3, pipeline=10)
    # Each client sends its batch once more, before the clock runs, to learn how long the replies are.
    assert commands_processed(bench_redis) == 600 + 3 * 10
    assert 0 < outcome.minimum_ms <= outcome.p50_ms <= outcome.p99_ms <= outcome.maximum_ms


def test_a_load_whose_keys_somebody_else_wrote_is_not_measured(bench_redis: Server) -> None:
    load = Load(bench_redis, Work("GET", "shared:", b'{"a":1}', keys=2), "msgpack")
    Load(bench_redis, Work("GET", "shared:", b"longer than that", keys=2), "msgpack")
    with pytest.raises(OutcomeError, match="a GET gave 23 bytes where a value of 7 was written"):
        load.sample(0.01)


@pytest.mark.parametrize("form", ["json", "msgpack"])
@pytest.mark.parametrize("name", ["SET", "GET", "MIX", IN_TURN, ALIKE])
@needs_redis_benchmark
def test_a_load_is_measured(bench_redis: Server, name: str, form: str) -> None:
    load = Load(bench_redis, Work(name, "load:", b'{"a":1}', clients=2, pipeline=3, keys=5), form)
    row = summary([load.sample(0.01), load.sample(0.01)])
    assert row["cpu_us"][0] > 0
    assert row["per_second"][0] > 0
    assert row["peak_mib"] > 1
    assert "redis_cpu_us" not in row


def test_pipelines_are_mixed_or_alike_and_send_the_same_in_all() -> None:
    def pipelines(name: str) -> list[list[bytes]]:
        sent = _commands(Work(name, "mixed:", b"1", clients=4, pipeline=4, keys=6))
        names = [each.split(b"\r\n")[2] for each in sent]
        return [[names[(client * 4 + at) % len(names)] for at in range(4)] for client in range(4)]

    assert pipelines(ALIKE) == [[b"SET"] * 4, [b"GET"] * 4] * 2
    assert pipelines(IN_TURN) == [[b"SET", b"GET"] * 2] * 4


def test_the_cost_of_redis_is_measured_beside_that_of_the_proxy(bench_redis: Server) -> None:
    load = Load(bench_redis, Work("GET", "behind:", b"1", clients=2, keys=5), "msgpack", bench_redis.process)
    row = summary([load.sample(0.01)])
    assert row["redis_cpu_us"][0] == pytest.approx(row["cpu_us"][0], rel=0.5)  # Redis stands before itself here


@pytest.mark.parametrize(("size", "least"), [(1, 200), (10_000, 4), (100_000, 2)])
def test_a_run_has_commands_enough_that_connecting_is_little(
    bench_redis: Server, monkeypatch: pytest.MonkeyPatch, size: int, least: int
) -> None:
    load = Load(bench_redis, Work("SET", "least:", b"v" * size, clients=2, keys=1), "msgpack")
    monkeypatch.setattr(load, "_rate", lambda _: 0.0)  # as slow as can be
    load.sample(0.01)
    assert load._requests == least
