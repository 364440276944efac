"""Checks of keys that depend on each other: certificates and their keys, passwords, views, tags, storage.

Each function yields the wrong key, within its table, and the reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.config.address import (
    ClusterTarget,
    EmbeddedTarget,
    PassedAddress,
    SentinelTarget,
    TcpAddress,
    TcpTarget,
    UnixAddress,
    parse_listener,
    parse_upstream,
)

Fault = tuple[str, str]
Table = Mapping[str, Any]

_SENTINEL_KEYS = ("sentinel_username", "sentinel_password", "sentinel_password_file")
_TLS_KEYS = ("tls_ca", "tls_cert", "tls_key", "tls_server_name")


def listener_faults(listener: Table, url: object) -> Iterator[Fault]:
    """Check one [[listener]]. `url`: the upstream's, a string unless it was refused before."""
    yield from _certificate_faults(listener)
    yield from _password_faults(listener)
    if "tls_client_ca" in listener and "tls_cert" not in listener:
        yield "tls_client_ca", "has no effect without tls_cert and tls_key"
    if "announce" in listener and isinstance(url, str) and not isinstance(parse_upstream(url), ClusterTarget):
        yield "announce", "is for redis-cluster://; upstream.url is of another kind"
    bind = listener.get("bind")
    if isinstance(bind, str):
        address = parse_listener(bind)
        if "mode" in listener and isinstance(address, TcpAddress):
            yield "mode", "is for unix sockets; this listener is TCP"
        if "mode" in listener and isinstance(address, PassedAddress):
            yield "mode", "is for sockets that the proxy opens; systemd's SocketMode= decides here"
        if "tls_cert" in listener and isinstance(address, UnixAddress):
            yield "tls_cert", "is for TCP; this listener is a unix socket"


def upstream_faults(upstream: Table, url: str) -> Iterator[Fault]:
    """Check [upstream]. `url`: the one in effect."""
    yield from _certificate_faults(upstream)
    yield from _password_faults(upstream)
    if "username" in upstream and not holds_credentials(upstream):
        yield "username", "has no effect without password or password_file"
    target = parse_upstream(url)
    if isinstance(target, EmbeddedTarget):
        for key in ("username", "password", "password_file"):
            if key in upstream:
                yield key, "has no effect for an embedded Redis, which has no users"
    yield from _sentinel_faults(upstream, isinstance(target, SentinelTarget))
    if not (isinstance(target, TcpTarget | ClusterTarget) and target.tls):
        for key in _TLS_KEYS:
            if key in upstream:
                yield key, "is for rediss:// and rediss-cluster://; upstream.url is of another kind"
    if upstream.get("addresses") and not isinstance(target, ClusterTarget):
        yield "addresses", "is for redis-cluster://; upstream.url is of another kind"


def rule_faults(rule: Table) -> Iterator[Fault]:
    """Check one [[rule]]. A value that was refused before is not a string."""
    treats_as = rule.get("as", "value")
    if "content_type" in rule and isinstance(treats_as, str) and treats_as != "view":
        yield "content_type", 'may be set only where as = "view"'
    stored = rule.get("stored", "flask")
    if treats_as == "view" and isinstance(stored, str) and stored != "flask":
        yield "stored", f'must be "flask" where as = "view", got "{stored}"; with as = "value" it may be any'
    tags = rule.get("accept_tags")
    if rule.get("pickle_protocol") == 2 and isinstance(tags, list | tuple) and "zoned" in tags:
        yield "accept_tags", 'cannot have "zoned" where pickle_protocol = 2: Python 2 has no zoneinfo'


def is_guarded(listener: Table) -> bool:
    """Whether a listener limits access: by a password, or as a unix socket. A proxy that logs in itself needs this.

    Sockets that systemd passes are checked at the start (`net.listeners`), by their real addresses.
    """
    bind = listener.get("bind")
    is_unix = isinstance(bind, str) and not isinstance(parse_listener(bind), TcpAddress)
    return is_unix or holds_credentials(listener)


def holds_credentials(table: Table) -> bool:
    """Whether a password is set."""
    return "password" in table or "password_file" in table


def _sentinel_faults(upstream: Table, has_sentinels: bool) -> Iterator[Fault]:
    given = [key for key in _SENTINEL_KEYS if key in upstream]
    if given and not has_sentinels:
        yield given[0], "is for redis+sentinel://; upstream.url is of another kind"
    elif given == ["sentinel_username"]:
        yield "sentinel_username", "has no effect without sentinel_password or sentinel_password_file"
    elif {"sentinel_password", "sentinel_password_file"} <= {*given}:
        yield "sentinel_password_file", "is set together with sentinel_password; set only one of them"


def _certificate_faults(table: Table) -> Iterator[Fault]:
    for key, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if key in table and other not in table:
            yield key, f"needs {other} as well"


def _password_faults(table: Table) -> Iterator[Fault]:
    if "password" in table and "password_file" in table:
        yield "password_file", "is set together with password; set only one of them"


def unguarded(needed: str = "a password or password_file") -> str:
    """The fault of a listener that is not guarded, if the proxy logs in to Redis itself."""
    return (
        f"needs {needed}, or must be a unix socket: the proxy logs in to Redis itself "
        "(upstream.password), so everyone who reaches this port would have access"
    )
