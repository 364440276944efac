"""What takes two keys to judge: certificates and their keys, passwords and who may do without.

Each function yields the key that is at fault, within its table, and the reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.config.address import EmbeddedTarget, TcpTarget, UnixAddress, parse_address, parse_upstream

Fault = tuple[str, str]
Table = Mapping[str, Any]

_TLS_KEYS = ("tls_ca", "tls_cert", "tls_key", "tls_server_name")


def listener_faults(listener: Table) -> Iterator[Fault]:
    """Of one [[listener]]."""
    yield from _certificate_faults(listener)
    yield from _password_faults(listener)
    if "tls_client_ca" in listener and "tls_cert" not in listener:
        yield "tls_client_ca", "means nothing without tls_cert and tls_key"
    bind = listener.get("bind")
    if isinstance(bind, str):
        is_unix = isinstance(parse_address(bind), UnixAddress)
        if "mode" in listener and not is_unix:
            yield "mode", "is for unix sockets; this listener is none"
        if "tls_cert" in listener and is_unix:
            yield "tls_cert", "is for TCP; this listener is a unix socket"


def upstream_faults(upstream: Table, url: str) -> Iterator[Fault]:
    """Of [upstream]; `url` is the one in force."""
    yield from _certificate_faults(upstream)
    yield from _password_faults(upstream)
    if "username" in upstream and not holds_credentials(upstream):
        yield "username", "means nothing without password or password_file"
    target = parse_upstream(url)
    if isinstance(target, EmbeddedTarget):
        for key in ("username", "password", "password_file"):
            if key in upstream:
                yield key, "means nothing for an embedded Redis, which has no users"
    if not (isinstance(target, TcpTarget) and target.tls):
        for key in _TLS_KEYS:
            if key in upstream:
                yield key, "is for rediss://; upstream.url is of another kind"


def is_guarded(listener: Table) -> bool:
    """Whether not everyone who reaches a port gets in: what a proxy with credentials of its own must ask for."""
    bind = listener.get("bind")
    is_unix = isinstance(bind, str) and isinstance(parse_address(bind), UnixAddress)
    return is_unix or holds_credentials(listener)


def holds_credentials(table: Table) -> bool:
    """Whether a password is set."""
    return "password" in table or "password_file" in table


def _certificate_faults(table: Table) -> Iterator[Fault]:
    for key, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if key in table and other not in table:
            yield key, f"needs {other} as well"


def _password_faults(table: Table) -> Iterator[Fault]:
    if "password" in table and "password_file" in table:
        yield "password_file", "stands beside password; one of them is enough"
