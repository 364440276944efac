"""Addresses of listeners and of Redis: text to typed values. This module resolves no names and opens no connections.

Every parser raises ValueError with the reason alone. The reason never repeats the input, which may hold a password.
"""

import ipaddress
import posixpath
import re
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import unquote

from msgspec import Struct

DEFAULT_PORT = 6379
MAX_DATABASE = 2**31 - 1
MAX_UNIX_PATH = 107  # bytes; sun_path of Linux, less its NUL

_BIND_FORMS = "host:port, [ipv6]:port, unix:/path.sock or fd:NAME"
_UPSTREAM_FORMS = (
    "redis://host[:port][/db], rediss://..., unix:///path.sock[?db=N], "
    "redis+sentinel://host[:port][,host[:port]...]/name[/db], redis-cluster://host[:port][,host[:port]...], "
    "rediss-cluster://... or embedded"
)
SENTINEL_PORT = 26379
_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104  (compared with, never bound)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class TcpAddress(Struct, frozen=True):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixAddress(Struct, frozen=True):
    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


class PassedAddress(Struct, frozen=True):
    """The sockets that systemd opens and passes under this name. Their real addresses are known at the start."""

    name: str

    def __str__(self) -> str:
        return f"fd:{self.name}"


class TcpTarget(Struct, frozen=True):
    host: str
    port: int
    db: int
    tls: bool = False

    @property
    def address(self) -> TcpAddress:
        return TcpAddress(self.host, self.port)


class UnixTarget(Struct, frozen=True):
    path: str
    db: int

    @property
    def address(self) -> UnixAddress:
        return UnixAddress(self.path)


class SentinelTarget(Struct, frozen=True):
    """The master with this `name`, as any of these sentinels knows it."""

    sentinels: tuple[TcpAddress, ...]
    name: str
    db: int


class ClusterTarget(Struct, frozen=True):
    """A Redis Cluster. Any node of it tells the others; `seeds` are the first nodes to ask."""

    seeds: tuple[TcpAddress, ...]
    tls: bool = False

    @property
    def db(self) -> int:
        """A cluster has no other database."""
        return 0


class EmbeddedTarget(Struct, frozen=True):
    """A Redis that the proxy itself starts and stops."""


Address: TypeAlias = TcpAddress | UnixAddress
ListenerAddress: TypeAlias = Address | PassedAddress
Target: TypeAlias = TcpTarget | UnixTarget | SentinelTarget | ClusterTarget | EmbeddedTarget


def parse_listener(text: str) -> ListenerAddress:
    """The address of a listener for clients."""
    if not text.startswith("fd:"):
        return parse_address(text)
    name = text.removeprefix("fd:")
    if not re.fullmatch(r"[!-9;-~]{1,255}", name):
        raise ValueError(
            "fd: needs the FileDescriptorName of a systemd socket: at most 255 ASCII characters, no spaces or colons"
        )
    return PassedAddress(name)


def parse_address(text: str) -> Address:
    """An address to bind. With port 0 the system chooses the port."""
    if text.startswith("unix:"):
        path = _unix_path(text.removeprefix("unix:").removeprefix("//"))
        if not path.startswith("/"):
            raise ValueError("a unix socket needs an absolute path, as in unix:/path.sock")
        return UnixAddress(path)
    if text.isdecimal():
        raise ValueError(f"expected {_BIND_FORMS}: the host is missing, as in 127.0.0.1:6380")
    host, port = _host_and_port(text)
    if port is None:
        raise ValueError(f"expected {_BIND_FORMS}: the port is missing")
    return TcpAddress(host, port)


def parse_upstream(url: str) -> Target:
    """The target of the upstream, from the text of `upstream.url`."""
    if url == "embedded":
        return EmbeddedTarget()
    scheme, separator, rest = url.partition("://")
    read = _SCHEMES.get(scheme.lower())
    if not separator or read is None:
        raise ValueError(f"expected {_UPSTREAM_FORMS}")
    if "@" in rest:
        raise ValueError(
            "the url must not hold a user or password: set upstream.username and upstream.password_file (or "
            "FLASK_CACHE_PROXY_UPSTREAM_USERNAME and FLASK_CACHE_PROXY_UPSTREAM_PASSWORD), or let clients send AUTH, "
            "which passes through"
        )
    if "#" in rest:
        raise ValueError(f"the url must not hold a fragment (#); expected {_UPSTREAM_FORMS}")
    return read(rest)


def _tcp_target(rest: str, tls: bool = False) -> TcpTarget:
    authority, _, path = _without_query(rest).partition("/")
    host, port = _host_and_port(authority)
    return TcpTarget(host, _dialled(port, DEFAULT_PORT), _database(path) if path else 0, tls)


def _tls_target(rest: str) -> TcpTarget:
    return _tcp_target(rest, tls=True)


def _unix_target(rest: str) -> UnixTarget:
    place, question, query = rest.partition("?")
    path = _unix_path(unquote(place, errors="strict"))
    return UnixTarget(path, _unix_database(query) if question else 0)


def _sentinel_target(rest: str) -> SentinelTarget:
    authorities, _, path = _without_query(rest).partition("/")
    name, _, database = path.partition("/")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise ValueError("the name of the master is missing, as in redis+sentinel://host:26379/mymaster")
    places = map(_host_and_port, authorities.split(","))
    sentinels = tuple(TcpAddress(host, _dialled(port, SENTINEL_PORT)) for host, port in places)
    return SentinelTarget(sentinels, name, _database(database) if database else 0)


def _cluster_target(rest: str, tls: bool = False) -> ClusterTarget:
    authorities, slash, _ = rest.partition("/")
    if slash or "?" in rest:
        raise ValueError("a cluster has no databases: the url ends after its hosts, as in redis-cluster://host:6379")
    places = map(_host_and_port, authorities.split(","))
    return ClusterTarget(tuple(TcpAddress(host, _dialled(port, DEFAULT_PORT)) for host, port in places), tls)


def _tls_cluster_target(rest: str) -> ClusterTarget:
    return _cluster_target(rest, tls=True)


def parse_node(text: str) -> TcpAddress:
    """The address of a node or of a proxy, as other machines dial it: host:port with a port from 1 to 65535."""
    host, port = _host_and_port(text)
    if port is None:
        raise ValueError("expected host:port or [ipv6]:port: the port is missing")
    return TcpAddress(host, _dialled(port, DEFAULT_PORT))


_SCHEMES: dict[str, Callable[[str], Target]] = {
    "redis": _tcp_target,
    "rediss": _tls_target,
    "unix": _unix_target,
    "redis+sentinel": _sentinel_target,
    "redis-cluster": _cluster_target,
    "rediss-cluster": _tls_cluster_target,
}


def _without_query(rest: str) -> str:
    if "?" in rest:
        raise ValueError("this url takes no query; the database is the end of its path, as in redis://host:6379/0")
    return rest


def _dialled(port: int | None, default: int) -> int:
    if port == 0:
        raise ValueError("the port must be from 1 to 65535")
    return default if port is None else port


def overlap(one: ListenerAddress, other: ListenerAddress) -> bool:
    """Whether two listeners cannot have these addresses at once. Host names are compared, not resolved."""
    if isinstance(one, PassedAddress) or isinstance(other, PassedAddress):
        return one == other
    if isinstance(one, TcpAddress) and isinstance(other, TcpAddress):
        hosts = {one.host, other.host}
        same_host = len(hosts) == 1 or hosts & _WILDCARDS or ("localhost" in hosts and hosts <= _LOOPBACK)
        return one.port == other.port != 0 and bool(same_host)
    if isinstance(one, UnixAddress) and isinstance(other, UnixAddress):
        return posixpath.normpath(one.path) == posixpath.normpath(other.path)
    return False


def leads_to(target: Target, listener: ListenerAddress) -> bool:
    """Whether a connection to the target reaches the listener, so that the proxy would connect to itself."""
    if isinstance(target, EmbeddedTarget | SentinelTarget):
        return False
    dialled: tuple[Address, ...] = target.seeds if isinstance(target, ClusterTarget) else (target.address,)
    return any(_reaches(address, listener) for address in dialled)


def _reaches(dialled: Address, listener: ListenerAddress) -> bool:
    if not overlap(dialled, listener):
        return False
    elsewhere = isinstance(listener, TcpAddress) and listener.host in _WILDCARDS
    return not elsewhere or (isinstance(dialled, TcpAddress) and dialled.host in _LOOPBACK | _WILDCARDS)


def _host_and_port(text: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::([^:]*))?", text)
    if not found:
        raise ValueError("expected host:port, with an IPv6 address in brackets, as in [::1]:6380")
    ipv6, host, port = found.groups()
    return (_name_or_ipv4(host) if ipv6 is None else _ipv6(ipv6)), (None if port is None else _port(port))


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError("the text in brackets is not an IPv6 address") from None


def _name_or_ipv4(text: str) -> str:
    if not text:
        raise ValueError("the host is missing (all interfaces: 0.0.0.0 or [::])")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", text):
        raise ValueError("a host name may hold letters, digits, '.', '-' and '_' only")
    if re.fullmatch(r"[0-9.]+", text):
        try:
            ipaddress.IPv4Address(text)
        except ValueError:
            raise ValueError("the host is neither a name nor an IPv4 address") from None
    return text.lower()


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise ValueError("the port must be a number from 0 to 65535")
    return int(text)


def _unix_path(path: str) -> str:
    if not path or path.endswith("/") or not path.isprintable():
        raise ValueError("a unix socket needs the path of a file, without control characters")
    if len(path.encode()) > MAX_UNIX_PATH:
        raise ValueError(f"the path of a unix socket has at most {MAX_UNIX_PATH} bytes")
    return path


def _unix_database(query: str) -> int:
    key, _, value = query.partition("=")
    if key != "db":
        raise ValueError("the only query key is db, as in unix:///path.sock?db=0")
    return _database(value)


def _database(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > MAX_DATABASE:
        raise ValueError(f"the database must be a number from 0 to {MAX_DATABASE}")
    return int(text)
