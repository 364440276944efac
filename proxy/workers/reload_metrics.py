"""Metrics of the configuration in use: whether the last reload succeeded, when, and when the certificates expire.

The process that reads the configuration sets them, with the start as the first reload. Workers do not: gauges of
several processes are added up.
"""

from collections.abc import Iterator
from time import time

from proxy.config import Settings
from proxy.net.certificates import first_expiry
from proxy.observe.families import CERTIFICATE_EXPIRY, RELOAD_SUCCESSFUL, RELOAD_TIME
from proxy.observe.metrics import Metrics


def loaded(metrics: Metrics, settings: Settings) -> None:
    """The configuration and its certificates are in use from now on."""
    metrics.set(RELOAD_SUCCESSFUL, 1)
    metrics.set(RELOAD_TIME, time())
    for side, listener, path in _certificates(settings):
        expiry = first_expiry(path)
        if expiry is not None:
            metrics.set(CERTIFICATE_EXPIRY, expiry, side, listener)


def refused(metrics: Metrics) -> None:
    """A reload has failed, and the configuration before it stays in use."""
    metrics.set(RELOAD_SUCCESSFUL, 0)


def _certificates(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """The labels `side` and `listener` of each certificate, and its file."""
    for number, listener in enumerate(settings.listener, 1):
        if listener.tls_cert is not None:
            yield "client", str(number), listener.tls_cert
    if settings.upstream.tls_cert is not None:
        yield "upstream", "", settings.upstream.tls_cert
