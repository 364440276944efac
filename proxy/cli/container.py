"""Hints for a proxy in a container: an address on the loopback interface is reached from inside the container only."""

import ipaddress
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from proxy.config import Listener, Settings, TcpAddress, TcpTarget

_MARKS: Final = ("/.dockerenv", "/run/.containerenv")
"""Docker makes the first file in each container. Podman, buildah and CRI-O make the second."""
_POD: Final = "KUBERNETES_SERVICE_HOST"
"""Kubernetes sets this variable. The containers of a pod share their loopback interface, so there is nothing to say."""
_ALL: Final = {4: "0.0.0.0", 6: "::"}  # noqa: S104 (shown to the user, never bound)


def is_inside(environ: Mapping[str, str], marks: Sequence[str] = _MARKS, pid: int | None = None) -> bool:
    """True in a container that is not part of a pod. It looks for two files, and at the process id.

    Process 1 of a machine is its init system. So process 1 is never this program outside of a container. `pid` is that
    of this process if it is None.
    """
    if _POD in environ:
        return False
    return (os.getpid() if pid is None else pid) == 1 or any(map(os.path.exists, marks))


def hints(settings: Settings) -> Iterator[str]:
    """Say which settings keep clients or Redis out of reach, and what to set. Nothing if one listener is in reach."""
    versions = [_loopback_version(each.address) for each in settings.listener]
    if all(versions):
        binds = ",".join(map(_opened, settings.listener, versions))
        yield (
            f"only this container reaches {', '.join(each.bind for each in settings.listener)}: for a published port "
            f"(docker run -p) set FLASK_CACHE_PROXY_LISTEN={binds}, or in a file, bind"
        )
    target = settings.upstream.target
    if isinstance(target, TcpTarget) and _loopback_version(target.address):
        yield (
            f"{target.address} is in this container: for a Redis elsewhere set FLASK_CACHE_PROXY_UPSTREAM_URL, as in "
            f"redis://host.docker.internal:{target.port}/{target.db} for the machine that runs Docker"
        )


def _loopback_version(address: object) -> int:
    """4 or 6, the version of IP, for an address on the loopback interface. 0 for any other address."""
    if not isinstance(address, TcpAddress):
        return 0
    if address.host == "localhost":
        return 4
    try:
        found = ipaddress.ip_address(address.host)
    except ValueError:
        return 0
    return found.version if found.is_loopback else 0


def _opened(listener: Listener, version: int) -> str:
    """The same listener on all interfaces, as an argument of `--listen`."""
    assert isinstance(listener.address, TcpAddress)  # noqa: S101 (the caller has checked)
    form = "" if listener.form == "json" else f"{listener.form}="
    return f"{form}{TcpAddress(_ALL[version], listener.address.port)}"
