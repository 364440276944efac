"""The cost of a small command on a Redis Cluster, beside our cost on a plain Redis, and Envoy's on the same cluster.

All run at once and take turns. With a connection for each client, the ratio to our own cost on a plain Redis is the
target: at most 1.25. With shared connections, it is the ratio to Envoy (see `targets`), which shares its own too. With
keys of one slot, no pipeline is split over the nodes: the difference is the cost of further reads and writes.
"""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import payloads, peers
from benchmarks.figures import interleaved, ratio
from benchmarks.measuring import Load, Sample, summary
from benchmarks.memory import settled
from benchmarks.processes import Process, StartError, free_port, started, wait
from benchmarks.proxied import Client
from benchmarks.redis_benchmark import Work
from proxy.resp.encode import command

MASTERS: Final = 3
_CLIENTS: Final = 50
IDLE: Final = 500
"""Clients whose memory is measured."""
_TAGS: Final = ("{b}", "{c}", "{a}")
"""Of keys: one for each master."""
_BUS: Final = 10_000
_LAST: Final = 1 << 16
PLAIN, CLUSTER, ONE_SLOT, SHARED, ENVOY = CONTENDERS = "plain", "cluster", "one slot", "shared", "Envoy"
_PREFIXES: Final = {ONE_SLOT: "flask_cache_{one}:"}
"""Of keys; for all others, `flask_cache_` and the name."""
_RATIOS: Final = {
    "ratio": (CLUSTER, PLAIN, "cpu_us"),
    "ratio_of_one_slot": (ONE_SLOT, PLAIN, "cpu_us"),
    "ratio_of_shared": (SHARED, PLAIN, "cpu_us"),
    "ratio_of_shared_to_cluster": (SHARED, CLUSTER, "cpu_us"),
    "ratio_to_envoy": (CLUSTER, ENVOY, "cpu_us"),
    "ratio_of_shared_to_envoy": (SHARED, ENVOY, "cpu_us"),
    "redis_ratio": (CLUSTER, PLAIN, "redis_us"),
    "redis_ratio_of_shared": (SHARED, PLAIN, "redis_us"),
}
"""By field of a row: two contenders, and the figure of their samples. Redis' is the sum of all nodes."""
_TOLD: Final = (
    ("ratio", "ratio"),
    ("ratio_of_shared_to_cluster", "shared / cluster"),
    ("ratio_of_shared_to_envoy", "shared / Envoy"),
)
_ON_A_CLUSTER: Final = "on a cluster, {}"


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
            raise StartError(f"{done.stdout}{done.stderr}"[-500:])
        for node in nodes:
            wait(partial(_is_whole, node.port), node.process, home / "node0" / "redis.log")
        yield nodes


@contextmanager
def _node(home: Path) -> Iterator[peers.Server]:
    port, log = _free_port(), home / "redis.log"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(home)]
    options += ["--cluster-enabled", "yes"]
    with started([peers.program("redis-server", peers.REDIS), *options], log) as process:
        # Its port alone says little: it listens there, and ends if another program has the port of its bus.
        wait(partial(_info, port), process, log)
        yield peers.Server(process, port)


def _free_port() -> int:
    """A port whose bus is free too."""
    while True:
        if (port := free_port()) + _BUS < _LAST:
            with suppress(OSError), socket.create_server(("127.0.0.1", port + _BUS)):
                return port


def _info(port: int) -> str:
    command = [peers.program("redis-cli", peers.REDIS), "-p", str(port), "CLUSTER", "INFO"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _is_whole(port: int) -> bool:
    return "cluster_state:ok" in _info(port)


class Setting(NamedTuple):
    """What is measured, running."""

    engine: str
    servers: dict[str, peers.Server]
    """By contender."""
    redis: Process
    nodes: Process
    """All of them, as one."""


@contextmanager
def setting(engine: str) -> Iterator[Setting]:
    """Raises Missing, StartError."""
    with peers.directory() as home, ExitStack() as stack:
        redis = stack.enter_context(peers.redis(home))
        nodes = stack.enter_context(redis_cluster(home))
        servers = _servers(stack, home, redis, nodes[0], engine)
        yield Setting(engine, servers, redis.process, Process(*(node.process.pid for node in nodes)))


def run(setting: Setting, cases: list[Case], *, size: int, rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each case. Raises OutcomeError."""
    for case in cases:
        # Envoy does not transcode: its keys are others, so that each finds its own bytes.
        loads = {
            name: Load(
                server,
                case.work(size, _PREFIXES.get(name, f"flask_cache_{name}:")),
                "json",
                setting.redis if name == PLAIN else setting.nodes,
                case.times,
            )
            for name, server in setting.servers.items()
        }
        samples: dict[str, list[Sample]] = {name: [] for name in loads}
        for _, name in interleaved(list(loads), rounds):
            samples[name].append(loads[name].sample(seconds))
        yield row(case, setting.engine, samples)


def memory(setting: Setting) -> dict[str, dict[str, float]]:
    """Resident memory for each idle client, by contender: after commands to one node, and for each further node."""
    return {contender(setting.engine, name): _memory(setting.servers[name]) for name in (CLUSTER, SHARED)}


def _memory(server: peers.Server) -> dict[str, float]:
    sizes = [settled(server.process)]
    value = payloads.payload(125, "json")
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port)) for _ in range(IDLE)]
        for tags in (_TAGS[:1], _TAGS[1:]):
            for client in clients:
                for key in (f"flask_cache_{tag}:memory".encode() for tag in tags):
                    client.reply_size(command(b"SET", key, value) + command(b"GET", key))
            sizes.append(settled(server.process))
    idle, first, used = (size / 1024 / IDLE for size in sizes)
    return {"first_kib": round(first - idle, 2), "further_kib": round((used - first) / (MASTERS - 1), 2)}


def _servers(
    stack: ExitStack, home: Path, redis: peers.Server, node: peers.Server, engine: str
) -> dict[str, peers.Server]:
    """The contenders, Envoy only where it is installed."""
    url = f"redis-cluster://127.0.0.1:{node.port}"
    starts = {
        PLAIN: peers.proxy(_own(home, PLAIN), redis, engine),
        CLUSTER: peers.proxy(_own(home, CLUSTER), node, engine, url=url),
        SHARED: peers.proxy(_own(home, SHARED), node, engine, url=url, trunks=peers.TRUNKS),
    }
    servers = {name: stack.enter_context(start) for name, start in starts.items()}
    servers[ONE_SLOT] = servers[CLUSTER]  # as it is, but no pipeline is split
    return servers | peers.entered(stack, {ENVOY: peers.envoy(home, node, in_cluster=True)})


def row(case: Case, engine: str, samples: dict[str, list[Sample]]) -> dict[str, Any]:
    """The figures of a case, by contender, and their ratios."""

    def of(name: str, figure: str) -> list[float]:
        return [getattr(sample, figure) for sample in samples[name]]

    return {
        "case": case.name,
        "engine": engine,
        **{
            name: {**summary(samples[name]), "cpu_us_rounds": [round(each, 3) for each in of(name, "cpu_us")]}
            for name in CONTENDERS
            if name in samples
        },
        **{
            field: ratio(of(ours, figure), of(theirs, figure)).rounded(3)
            for field, (ours, theirs, figure) in _RATIOS.items()
            if {ours, theirs} <= samples.keys()
        },
    }


def judged(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each contender, as other benchmarks have, for the targets."""
    return [
        {"case": _ON_A_CLUSTER.format(each["case"]), "contender": contender(each["engine"], name), **each[name]}
        for each in rows
        for name in CONTENDERS
        if name in each
    ]


def named(command: str, pipeline: int) -> str:
    """The name of a case, for the targets."""
    return _ON_A_CLUSTER.format(Case(command, pipeline).name)


def contender(engine: str, name: str) -> str:
    """The name of a contender, for the targets."""
    return name if name == ENVOY else f"{engine}, {name}"


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    costs = "  ".join(f"{name} {row[name]['cpu_us'][0]:7.2f}" for name in CONTENDERS if name in row)
    ratios = (f"{name} {row[of][0]:5.2f} ({row[of][1]:.2f} - {row[of][2]:.2f})" for of, name in _TOLD if of in row)
    return f"{row['case']:12}{costs}  {'  '.join(ratios)}"


def _own(home: Path, name: str) -> Path:
    (path := home / name).mkdir()
    return path
