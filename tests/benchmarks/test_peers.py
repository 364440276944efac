"""Every peer comes up and serves; one that is missing is told, with how to get it."""

from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from benchmarks import peers, tls
from benchmarks.peers import Missing, Server
from benchmarks.processes import StartError
from benchmarks.proxied import Client
from proxy.resp.encode import command

PEERS = {
    "python engine": lambda home, redis: peers.proxy(home, redis, "python"),
    "native engine": lambda home, redis: peers.proxy(home, redis, "native"),
    "python engine, shared": lambda home, redis: peers.sharing(home, redis)["python"],
    "native engine, shared": lambda home, redis: peers.sharing(home, redis)["native"],
    "twemproxy": lambda home, redis: peers.twemproxy(home, redis, 512),
    "Envoy": peers.envoy,
}


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_serves(name: str, bench_redis: Server, tmp_path: Path) -> None:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(PEERS[name](tmp_path, bench_redis))
        except Missing as missing:
            pytest.skip(str(missing))
        with Client(server.port) as client:
            set_and_get = command(b"SET", b"flask_cache_peer", b'{"a": 1}') + command(b"GET", b"flask_cache_peer")
            assert client.reply_size(set_and_get) >= len(b'+OK\r\n$7\r\n{"a":1}\r\n')
        assert server.process.cpu_seconds() > 0


def test_certificates_are_those_of_localhost(tmp_path: Path) -> None:
    made = tls.certificates(tmp_path)
    assert all(Path(path).read_text().startswith("-----BEGIN") for path in made)


def test_a_program_that_is_missing_is_said_with_how_to_get_it() -> None:
    with pytest.raises(Missing, match="there is no nutcracker-of-nobody: apt-get install it"):
        peers.program("nutcracker-of-nobody", "apt-get install it")


def test_a_benchmark_goes_on_without_who_is_missing(
    bench_redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers.Checkout, "engines", lambda _: ["python"])
    with ExitStack() as stack:
        proxies = {engine: peers.proxy(tmp_path, bench_redis, engine) for engine in peers.ENGINES}
        assert [*peers.entered(stack, proxies)] == ["python"]
    assert "Skipped: no native engine" in capsys.readouterr().err


def test_a_proxy_that_does_not_start_says_why(bench_redis: Server, tmp_path: Path) -> None:
    (nowhere := tmp_path / "checkout").mkdir()
    (nowhere / "proxy").mkdir()
    (nowhere / "proxy" / "__main__.py").write_text("raise SystemExit('this is no proxy')")
    with (
        pytest.raises(StartError, match="this is no proxy"),
        peers.proxy(tmp_path, bench_redis, "python", peers.Checkout(nowhere)),
    ):
        pass


def test_the_versions_of_what_is_here_are_known() -> None:
    found = peers.versions()
    assert "python" in found["engines"]
    assert found["redis"][0].isdigit()


@pytest.mark.parametrize("engine", peers.ENGINES)
def test_the_clients_of_a_proxy_that_shares_have_few_connections(
    engine: str, bench_redis: Server, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(peers.sharing(tmp_path, bench_redis)[engine])
        except Missing as missing:
            pytest.skip(str(missing))
        with redis.Redis(port=bench_redis.port) as direct:
            before = {client["id"] for client in direct.client_list()}
            for _ in range(20):
                client = stack.enter_context(Client(server.port))
                client.reply_size(command(b"SET", b"flask_cache_peer", b"1"))
            # By their ids, because what was there before may leave meanwhile.
            assert 1 <= len({client["id"] for client in direct.client_list()} - before) <= peers.TRUNKS
