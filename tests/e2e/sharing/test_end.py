"""The end of the proxy where clients share connections: by a signal, in all workers, and in a restart of systemd."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.activation import Activator
from tests.e2e.conftest import PrivateRedis, StartProxy
from tests.e2e.proxy_process import wait_until
from tests.e2e.sharing.conftest import TRUNKS, Share
from tests.e2e.sharing.load import Load
from tests.e2e.sharing.test_trunks import Stopped
from tests.e2e.wire import Wire, pipeline, request

OK = b"+OK\r\n"
PONG = b"+PONG\r\n"
WORKERS = pytest.mark.parametrize("workers", [1, 2])
LOGGED = "Redis closed with|a shared connection|cannot reach Redis|the proxy ends"


@pytest.fixture
def activator() -> Iterator[Activator]:
    with Activator() as activator:
        yield activator


@WORKERS
def test_all_that_is_outstanding_is_answered_however_it_travels(
    share: Share, private_redis: PrivateRedis, workers: int
) -> None:
    private_redis.start()
    own = share(FLASK_CACHE_PROXY_SERVER_WORKERS=str(workers))
    usual, pinned, pinning, moving = (own.clients(4) for _ in range(4))
    for client in pinned:
        assert client("MULTI") == OK
    with Stopped(private_redis):
        for client in usual:
            client.send(pipeline("ECHO one", "ECHO two"))
        for client in pinned:
            client.send(pipeline("ECHO one", "EXEC"))
        for client in pinning:
            client.send(pipeline("ECHO one", "WATCH a"))
        for client in moving:
            client.send(pipeline("ECHO one", "HELLO 3"))
        wait_until(lambda: own.number("pending_replies") >= 24, "the requests to arrive")
        own.proxy.terminate()
        own.proxy.wait_for_line("stopping")
    one = b"$3\r\none\r\n"
    assert [client.until_closed() for client in usual] == [one + b"$3\r\ntwo\r\n"] * 4
    assert [client.until_closed() for client in pinned] == [b"+QUEUED\r\n*1\r\n" + one] * 4
    assert [client.until_closed() for client in pinning] == [one + OK] * 4
    for client in moving:
        came = client.until_closed()
        assert came.startswith(one + b"%7\r\n")
    assert own.proxy.wait() == 0


@WORKERS
def test_a_redis_that_does_not_answer_holds_the_end_up_for_no_longer_than_the_setting(
    share: Share, private_redis: PrivateRedis, workers: int
) -> None:
    private_redis.start()
    own = share(FLASK_CACHE_PROXY_SERVER_WORKERS=str(workers), FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT="0.2")
    own.proxy.expect(LOGGED)
    usual, pinning = own.clients(4), own.clients(4)
    with Stopped(private_redis):
        for client in usual:
            client.send(request("ECHO", "one"))
        for client in pinning:
            client.send(request("MULTI"))
        wait_until(lambda: own.number("pending_replies") >= 4, "the requests to arrive")
        own.proxy.terminate()
        assert {client.until_closed() for client in (*usual, *pinning)} == {b""}
        assert own.proxy.wait() == 0


@WORKERS
def test_restarts_under_load_mix_up_nobody_and_refuse_nobody(
    start_proxy: StartProxy, private_redis: PrivateRedis, activator: Activator, workers: int
) -> None:
    private_redis.start()
    address = activator.tcp("a")
    passed = activator.how()
    env = {
        **passed.pop("env"),
        "FLASK_CACHE_PROXY_UPSTREAM_CONNECTIONS": str(TRUNKS),
        "FLASK_CACHE_PROXY_SERVER_WORKERS": str(workers),
    }
    arguments = ("--listen", "fd:a", "--upstream", f"unix://{private_redis.unix}")
    proxy = start_proxy(*arguments, env=env, **passed)
    with Load(lambda: address) as load:
        for _ in range(3):
            load.goes_on()
            proxy.stop()
            proxy = start_proxy(*arguments, env=env, **passed)
        load.goes_on()
    with Wire(private_redis.unix) as wire:
        wait_until(lambda: wire("CLIENT", "LIST").count(b" cmd=") <= 2 * TRUNKS * workers + 2, "the rest to end")


def test_a_worker_that_is_killed_closes_its_clients_and_nobody_elses(share: Share, private_redis: PrivateRedis) -> None:
    private_redis.start()
    own = share(FLASK_CACHE_PROXY_SERVER_WORKERS="2")
    own.proxy.expect("worker")
    with Load(lambda: own.proxy.json) as load:
        for _ in range(2):
            load.goes_on()
            seen = len(own.proxy.lines)
            worker = own.proxy.running("proxy.workers.worker")[0]

            os.kill(worker, signal.SIGKILL)
            own.proxy.wait_for_line("worker", seen)
        load.goes_on()
    wait_until(lambda: own.number("clients") == 0, "the clients to leave")
    assert own.connections() <= 2 * TRUNKS * 2
