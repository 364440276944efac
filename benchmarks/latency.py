"""The time that a proxy adds to a command: not pipelined, at a fixed rate that does not depend on the replies.

Each command is timed from the moment when it was due (see the programs in `go` and `node`). A round measures every
contender once, also Redis without a proxy. The *added* time is the difference to Redis within the round.
"""

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import peers, plots, programs
from benchmarks.figures import interleaved, percentile, spread
from benchmarks.peers import Server
from benchmarks.proxied import Client
from benchmarks.quota import limited
from benchmarks.tls import Certificates, certificates

STRAIGHT: Final = "Redis"
SATURATION: Final = "saturation"
ONE_CLIENT: Final = "go-redis 1,000/s, one client"
_SHARES: Final = ("p50_ms", "p99_ms", "p999_ms")
HEADLINE: Final = ("go-redis 1,000/s", "go-redis 5,000/s")
"""The parts that docs/speed.md shows."""
_BEFORE: Final = "{} engine, before"
_SHARED: Final = "{} engine, shared"
_ONLY: Final[dict[str, Sequence[str]]] = {
    name.format(engine): parts
    for engine in peers.ENGINES
    for name, parts in ((_BEFORE, (SATURATION,)), (_SHARED, (ONE_CLIENT, *HEADLINE, SATURATION)))
}
"""The parts of the contenders that are not measured in all of them."""
_PREFIX: Final = "flask_cache_latency:"
_PING: Final = b"*1\r\n$4\r\nPING\r\n"
_KEEPS_UP: Final = 0.98
"""Of the rate that is asked for. Who does less has a line that grows, and times that say how long it was watched."""

_WARM_UP: Final = 0.5
_CONNECTIONS_TIMED: Final = 300


class Part(NamedTuple):
    """One thing that is measured."""

    name: str
    client: str = "go"
    """`go`, `node`, or `python` for new connections."""
    rate: int = 0
    """Commands a second; 0: as many as go."""
    connections: int = 50
    mix: str = "small"
    tls: bool = False
    share: float = 1.0
    """The share of a processor for the proxy."""


PARTS: Final = [
    *(
        Part(f"{client} {rate:,}/s", {"go-redis": "go", "ioredis": "node"}[client], rate, connections)
        for client in ("go-redis", "ioredis")
        for rate, connections in ((1_000, 10), (5_000, 50), (10_000, 100))
    ),
    Part(ONE_CLIENT, rate=1_000, connections=1),
    Part(SATURATION, connections=100),
    Part("half a CPU 1,000/s", rate=1_000, connections=10, share=0.5),
    Part("half a CPU 5,000/s", rate=5_000, connections=50, share=0.5),
    Part("half a CPU saturation", connections=100, share=0.5),
    Part("views 500/s", rate=500, connections=20, mix="views"),
    Part("TLS 1,000/s", rate=1_000, connections=10, tls=True),
    Part("TLS 5,000/s", rate=5_000, connections=50, tls=True),
    Part("new connections", "python"),
    Part("new connections, TLS", "python", tls=True),
]


class Setting(NamedTuple):
    """The servers that run during a measurement."""

    contenders: dict[str, Server]
    """By name; the first is straight Redis."""
    certificates: Certificates


@contextmanager
def setting(against: Path | None = None) -> Iterator[Setting]:
    """All contenders that can be had here, running. `against`: another checkout. Raises Missing without Redis."""
    with ExitStack() as stack:
        home = stack.enter_context(peers.directory())
        certs = certificates(home)
        redis = stack.enter_context(peers.redis(home, certs))
        starts: dict[str, AbstractContextManager[Server]] = {
            f"{engine} engine": peers.proxy(home, redis, engine, certificates=certs) for engine in peers.ENGINES
        }
        starts |= {"twemproxy": peers.twemproxy(home, redis), "Envoy": peers.envoy(home, redis, certs)}
        starts |= {_SHARED.format(engine): ours for engine, ours in peers.sharing(home, redis).items()}
        if against is not None:
            others = peers.before(home, redis, against, certificates=certs)
            starts |= {_BEFORE.format(engine): other for engine, other in others.items()}
        yield Setting({STRAIGHT: redis, **peers.entered(stack, starts)}, certs)


def measure(part: Part, setting: Setting, rounds: int, seconds: float) -> Iterator[dict[str, Any] | None]:
    """None before each run; at last the rows. Raises Missing where the client is missing, ProgramError."""
    contenders = taking(part, setting)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for _, name in interleaved(contenders, rounds):
        yield None
        runs[name].append(_run(part, setting, name, seconds))
    for name in contenders:
        found = _summary(runs[name], runs[STRAIGHT])
        yield {
            "part": part.name,
            **part._asdict(),
            "contender": name,
            "protocol": _protocol(part, setting.contenders[name]),
            **found,
            "keeps_up": found["per_second"][0] >= _KEEPS_UP * part.rate,
        }


def taking(part: Part, setting: Setting) -> list[str]:
    """The contenders that are measured in a part."""
    return [
        name
        for name, server in setting.contenders.items()
        if (server.tls_port or not part.tls) and part.name in _ONLY.get(name, (part.name,))
    ]


def _run(part: Part, setting: Setting, name: str, seconds: float) -> dict[str, Any]:
    server = setting.contenders[name]
    with ExitStack() as stack:
        how = None
        if part.share < 1 and name != STRAIGHT:
            how = stack.enter_context(limited(server.process, part.share))
        before, began = server.process.cpu_seconds(), time.perf_counter()
        if part.client == "python":
            found = _connections(server, setting.certificates if part.tls else None)
        else:
            found = programs.figures(_command(part, setting, server, seconds))
        cpu = server.process.cpu_seconds() - before
        found["cpu"] = cpu / (time.perf_counter() - began)
        if part.client == "python":
            found["cpu_us"] = cpu / _CONNECTIONS_TIMED * 1e6
    return {**found, "limit": how}


def _protocol(part: Part, server: Server) -> int:
    """Of RESP: 3 where the server speaks it."""
    return 3 if server.resp3 and part.client != "python" else 2


def _command(part: Part, setting: Setting, server: Server, seconds: float) -> list[str]:
    address = f"{'localhost' if part.tls else '127.0.0.1'}:{server.tls_port if part.tls else server.port}"
    protocol, authority = str(_protocol(part, server)), setting.certificates.ca if part.tls else ""
    rate, connections, times = str(part.rate), str(part.connections), (str(seconds), str(min(_WARM_UP, seconds)))
    if part.client == "node":
        return [*programs.node("openloop"), address, protocol, rate, connections, *times, _PREFIX, authority]
    options = {"address": address, "protocol": protocol, "rate": rate, "connections": connections}
    options |= {"seconds": times[0], "warm-up": times[1], "mix": part.mix, "prefix": _PREFIX, "ca": authority}
    quiet = [] if server.hello else ["-no-hello"]
    return [*programs.go("openloop"), *(f"-{name}={value}" for name, value in options.items()), *quiet]


def _connections(server: Server, certs: Certificates | None) -> dict[str, Any]:
    """One after the other: connect, PING, close."""
    context = None if certs is None else ssl.create_default_context(cafile=certs.ca)
    waits = []
    for _ in range(_CONNECTIONS_TIMED):
        began = time.perf_counter()
        with Client(server.tls_port if context else server.port) as client:
            if context is not None:
                client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
            client.exchange(_PING, len(b"+PONG\r\n"))
            waits.append((time.perf_counter() - began) * 1000)
    waits.sort()
    times = {name: percentile(waits, share) for name, share in zip(_SHARES, (0.5, 0.99, 0.999), strict=True)}
    return {"commands": len(waits), "errors": 0, "per_second": len(waits) / (sum(waits) / 1000), **times}


def _summary(runs: Sequence[dict[str, Any]], straight: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians and quartiles, `[median, low, high]`."""
    named = {name: [run[name] for run in runs] for name in (*_SHARES, "per_second", "cpu")}
    for name in _SHARES:
        named[f"added_{name}"] = [run[name] - base[name] for run, base in zip(runs, straight, strict=True)]
    if "cpu_us" in runs[0]:
        named["cpu_us"] = [run["cpu_us"] for run in runs]
    for name in _SHARES:
        if "bystander" in runs[0]:
            named[f"bystander_{name}"] = [run["bystander"][name] for run in runs]
    found: dict[str, Any] = {name: spread(values).rounded(3) for name, values in named.items()}
    for name in ("per_second", "added_p50_ms"):
        found[f"{name}_rounds"] = [round(value, 3) for value in named[name]]
    found["errors"] = sum(run["errors"] for run in runs)
    return found | ({"limit": runs[0]["limit"]} if runs[0]["limit"] else {})


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    times = "  ".join(f"{name[:-3]} {row[name][0]:7.2f}" for name in _SHARES)
    added = " / ".join(f"{row[f'added_{name}'][0]:+.2f}" for name in _SHARES)
    more = f"  {row['cpu_us'][0]:.0f} us CPU each" if "cpu_us" in row else ""
    if "bystander_p99_ms" in row:
        more += f"  bystander's p99 {row['bystander_p99_ms'][0]:.2f} ms"
    if not row["keeps_up"]:
        more += "  THE CLIENT DOES NOT KEEP UP" if row["contender"] == STRAIGHT else "  DOES NOT KEEP UP"
    if row["errors"]:
        more += f"  {row['errors']} ERRORS"
    return (
        f"  {row['contender']:22} RESP{row['protocol']}  {times} ms  added {added:24}"
        f"{row['per_second'][0]:9,.0f}/s  {row['cpu'][0]:.2f} CPU{more}"
    )


def plot(path: Path, rows: Sequence[dict[str, Any]], parts: Sequence[str] = ()) -> None:
    """The added p50, p99 and p99.9 at the fixed rates, of the contenders that reach them. `parts`: only these."""
    panels: dict[str, dict[str, list[float]]] = {}
    measured = {row["part"] for row in rows if row["contender"] == STRAIGHT and row["keeps_up"]}  # by their client
    for row in rows:
        if parts and row["part"] not in parts:
            continue
        if row["rate"] and row["part"] in measured and row["contender"] != STRAIGHT and not row["tls"]:
            for name, word in (("p50_ms", "median"), ("p99_ms", "p99"), ("p999_ms", "p99.9")):
                panel = panels.setdefault(f"{row['part']}, {word}", {})
                if row["keeps_up"]:
                    panel[row["contender"]] = row[f"added_{name}"]
                else:
                    panel[f"{row['contender']}: does not keep up"] = [0.0]
    ours = [name.format(engine) for engine in peers.ENGINES for name in ("{} engine", _SHARED)]
    plots.bars(
        path, "What stands before Redis adds to a command's time", "milliseconds added", panels, ours=ours, columns=3
    )
