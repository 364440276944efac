"""Everything at once: clients that do checkable work, two relays that cut and delay, and a Redis that dies and returns.

`CHAOS_SEED` replays the decisions of a run (not its timing), `CHAOS_SECONDS` makes it longer.
"""

import json
import os
import pickle
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.e2e.chaos import MANAGED, SHARED, Model, Stretch, play
from tests.e2e.conftest import PrivateRedis, StartProxy
from tests.e2e.proxy_process import DEADLINE, wait_until
from tests.e2e.relay import Lines, Relay, straight, trouble

SECONDS = float(os.environ.get("CHAOS_SECONDS", "9"))
SEED = os.environ.get("CHAOS_SEED") or str(random.SystemRandom().randrange(10**9))
CLIENTS = 6
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


def troubled(seed: str, ends: float) -> Lines:
    """Lines for each connection, each with decisions of its own."""
    count = iter(range(10**9))

    def lines() -> tuple[Callable[[bytes], Iterator[object]], Callable[[bytes], Iterator[object]]]:
        number = next(count)
        there, back = (random.Random(f"{seed}/{number}/{way}") for way in ("there", "back"))
        return trouble(there, ends), trouble(back, ends)

    return lines  # type: ignore[return-value]


class Run:
    """Clients at work until told to stop."""

    def __init__(self, address: tuple[str, int]) -> None:
        """They start at once."""
        self.stretches: list[Stretch] = []
        self.failures: list[BaseException] = []
        self.stop = threading.Event()
        self._address = address
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _work(self, number: int) -> None:
        for turn in range(10**9):
            if self.stop.is_set() or self.failures:
                return
            try:
                name = f"{number}.{turn}"
                stretch = play(self._address, name, random.Random(f"{SEED}/{name}"))
            except BaseException as failure:
                self.failures.append(failure)
                return
            if stretch is not None:
                self.stretches.append(stretch)

    @property
    def has_done_enough(self) -> bool:
        """As much as the seconds are worth, which takes longer on a busy machine."""
        answered = sum(stretch.answered for stretch in list(self.stretches))
        return len(self.stretches) > 10 * SECONDS and answered > 50 * SECONDS

    def join(self) -> None:
        """Stop, and raise the exceptions of the clients."""
        self.stop.set()
        for thread in self._threads:
            thread.join()
        for failure in self.failures:
            raise failure


def test_no_acknowledged_write_is_lost_and_no_reply_goes_astray(
    start_proxy: StartProxy, private_redis: PrivateRedis
) -> None:
    print(f"to replay: CHAOS_SEED={SEED} CHAOS_SECONDS={SECONDS:g}")
    rng = random.Random(SEED)
    private_redis.start(*DURABLE)
    with Relay(private_redis.unix, troubled(f"{SEED}/behind", 0.002)) as behind:
        proxy = start_proxy("--upstream", f"redis://127.0.0.1:{behind.address[1]}")
        proxy.expect(r"WARNING +\[\d+\] (cannot reach Redis at|Redis closed with|closed, for)")
        proxy.expect(r"WARNING (\[\d+\] )?Redis at \S+ hangs up before it answers")
        with Relay(proxy.json, troubled(f"{SEED}/before", 0.002)) as before:
            run, restarts, start = Run(before.address), 0, time.monotonic()
            deadline = start + SECONDS + DEADLINE
            while time.monotonic() < (start + SECONDS if run.has_done_enough else deadline) and not run.failures:
                run.stop.wait(rng.uniform(0.5, 2))
                private_redis.kill()
                private_redis.start(*DURABLE)
                restarts += 1
            run.join()
        behind.lines = lambda: (straight, straight)
        with redis.Redis(unix_socket_path=private_redis.unix) as own:
            wait_until(lambda: len(own.client_list()) == 1, "what is under way to be done")
            check(run.stretches, own)
    assert restarts > 1
    answered = sum(stretch.answered for stretch in run.stretches)
    print(f"{len(run.stretches)} connections, {answered} commands answered, {restarts} restarts")
    assert run.has_done_enough


def check(stretches: list[Stretch], own: redis.Redis) -> None:
    """Everything that was acknowledged is there, and nothing that was not sent."""
    for stretch in stretches:
        keys = stretch.keys
        there = zip(keys, own.mget(keys) if keys else (), strict=True)
        found = {key: _shown(key, value) for key, value in there if value is not None}
        assert found in list(stretch.possible()), f"{stretch.name}: {stretch.answered} of {len(stretch.sent)} answered"
    counted = [number for stretch in stretches for number in stretch.counted]
    sent = sum(command == ("INCR", SHARED) for stretch in stretches for command in stretch.sent)
    assert len(set(counted)) == len(counted), "a reply of the shared counter came twice"
    assert all(stretch.counted == sorted(stretch.counted) for stretch in stretches)
    assert len(counted) <= int(own.get(SHARED) or 0) <= sent


def _shown(key: str, stored: bytes) -> str:
    """As the model has it. The codec has tests of its own: here the app's pickle is simply loaded."""
    if not key.startswith(MANAGED):
        return stored.decode()
    return json.dumps(pickle.loads(stored[1:]), separators=(",", ":"))


class TestTheCheckItself:
    SENT = [("SET", "a", "1"), ("SET", "b", "2"), ("SET", "a", "3")]  # noqa: RUF012

    @pytest.mark.parametrize(
        ("answered", "found", "fine"),
        [
            (0, {}, True),
            (1, {}, False),
            (1, {"a": "1"}, True),
            (1, {"a": "1", "b": "2"}, True),
            (1, {"a": "3", "b": "2"}, True),
            (2, {"a": "1"}, False),
            (3, {"a": "1", "b": "2"}, False),
            (0, {"b": "2"}, False),
            (0, {"a": "3"}, False),
            (0, {"a": "1", "c": "4"}, False),
        ],
    )
    def test_what_may_be_found_is_the_effect_of_a_prefix(
        self, answered: int, found: dict[str, str], fine: bool
    ) -> None:
        assert (found in list(Stretch("x", self.SENT, answered).possible())) is fine

    def test_a_transaction_is_done_as_a_whole_or_not_at_all(self) -> None:
        sent = [("MULTI",), ("SET", "a", "1"), ("SET", "b", "2"), ("EXEC",)]
        assert [dict(each) for each in Stretch("x", sent).possible()] == [{}, {}, {}, {}, {"a": "1", "b": "2"}]
        refused = [("MULTI",), ("SET", "a", "1"), ("APPEND", "flask_cache_x", "y"), ("EXEC",)]
        assert not any(Stretch("x", refused).possible())

    def test_another_reply_than_the_one_that_is_due_is_noticed(self) -> None:
        stretch, model = Stretch("x", [("INCR", "n"), ("INCR", "n")]), Model()
        due = [model.reply(command) for command in stretch.sent]
        stretch.take(b":1\r\n", due[0])
        with pytest.raises(AssertionError, match="reply 1"):
            stretch.take(b":1\r\n", due[1])
