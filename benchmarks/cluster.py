"""The cost of a small command on a Redis Cluster, beside our cost on a plain Redis, and Envoy's on the same cluster.

All run at once and take turns. The ratio to our own cost on a plain Redis is the target: at most 1.25. With keys of one
slot, no pipeline is split over the nodes: the difference is the cost of further reads and writes.
"""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import payloads, peers
from benchmarks.figures import interleaved, ratio
from benchmarks.measuring import Load, Sample, summary
from benchmarks.processes import StartError, free_port, started, wait, wait_for_port
from benchmarks.redis_benchmark import Work

MASTERS: Final = 3
_CLIENTS: Final = 50
_BUS: Final = 10_000
_LAST: Final = 1 << 16
PLAIN, CLUSTER, ONE_SLOT, ENVOY = "plain", "cluster", "one slot", "Envoy"
_PREFIXES: Final = {ONE_SLOT: "flask_cache_{one}:"}
"""Of keys; for all others, `flask_cache_` and the name."""


class Case(NamedTuple):
    """A request to send."""

    command: str
    pipeline: int

    @property
    def name(self) -> str:
        """Its name."""
        return f"{self.command} P={self.pipeline}"

    @property
    def times(self) -> int:
        """See Load. A client connects to each node, so a run must be longer to make that a small part of its cost."""
        return max(5, self.pipeline)

    def work(self, size: int, prefix: str) -> Work:
        """For redis-benchmark."""
        return Work(self.command, prefix, payloads.payload(size, "json"), _CLIENTS, self.pipeline)


CASES: Final = [Case(command, pipeline) for pipeline in (1, 16, 64) for command in ("SET", "GET")]


@contextmanager
def redis_cluster(home: Path) -> Iterator[list[peers.Server]]:
    """Masters without replicas, which save nothing. Raises Missing, StartError."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(_node(_own(home, f"node{number}"))) for number in range(MASTERS)]
        addresses = [f"127.0.0.1:{node.port}" for node in nodes]
        command = [peers.program("redis-cli", peers.REDIS), "--cluster", "create", *addresses, "--cluster-yes"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StartError(done.stdout[-500:])
        for node in nodes:
            wait(partial(_is_whole, node.port), node.process, home / "node0" / "redis.log")
        yield nodes


@contextmanager
def _node(home: Path) -> Iterator[peers.Server]:
    port = free_port()
    while port + _BUS >= _LAST:
        port = free_port()
    log = home / "redis.log"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(home)]
    options += ["--cluster-enabled", "yes"]
    with started([peers.program("redis-server", peers.REDIS), *options], log) as process:
        wait_for_port(port, process, log)
        yield peers.Server(process, port)


def _is_whole(port: int) -> bool:
    command = [peers.program("redis-cli", peers.REDIS), "-p", str(port), "CLUSTER", "INFO"]
    return "cluster_state:ok" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def run(cases: list[Case], engine: str, *, size: int, rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each case. Raises Missing, StartError, OutcomeError."""
    with peers.directory() as home, ExitStack() as stack:
        redis = stack.enter_context(peers.redis(home))
        nodes = stack.enter_context(redis_cluster(home))
        url = f"redis-cluster://127.0.0.1:{nodes[0].port}"
        servers = {
            PLAIN: stack.enter_context(peers.proxy(_own(home, PLAIN), redis, engine)),
            CLUSTER: stack.enter_context(peers.proxy(_own(home, CLUSTER), nodes[0], engine, url=url)),
        }
        servers[ONE_SLOT] = servers[CLUSTER]  # as it is, but no pipeline is split
        with suppress(peers.Missing):
            servers[ENVOY] = stack.enter_context(peers.envoy(home, nodes[0], in_cluster=True))
        for case in cases:
            # Envoy does not transcode: its keys are others, so that each finds its own bytes.
            loads = {
                name: Load(
                    server, case.work(size, _PREFIXES.get(name, f"flask_cache_{name}:")), "json", times=case.times
                )
                for name, server in servers.items()
            }
            samples: dict[str, list[Sample]] = {name: [] for name in loads}
            for _, name in interleaved(list(loads), rounds):
                samples[name].append(loads[name].sample(seconds))
            costs = {name: [sample.cpu_us for sample in each] for name, each in samples.items()}
            yield {
                "case": case.name,
                "engine": engine,
                **{name: summary(each) for name, each in samples.items()},
                "ratio": ratio(costs[CLUSTER], costs[PLAIN]).rounded(3),
                "ratio_of_one_slot": ratio(costs[ONE_SLOT], costs[PLAIN]).rounded(3),
                **({"ratio_to_envoy": ratio(costs[CLUSTER], costs[ENVOY]).rounded(3)} if ENVOY in costs else {}),
            }


def _own(home: Path, name: str) -> Path:
    (path := home / name).mkdir()
    return path
