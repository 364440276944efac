"""The commands that run the proxy: `serve`, `check` and `demo`."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click
import msgspec

from proxy import __version__, engine
from proxy.cli import container
from proxy.cli.options import (
    complain,
    config_option,
    fail,
    listen_option,
    prefix_option,
    settings_of,
    upstream_option,
    with_defaults,
)
from proxy.config import ClusterTarget, EmbeddedTarget, Flags, Settings, describe, load, unknown_variables
from proxy.config.passwords import PasswordError
from proxy.engine import EngineError
from proxy.net.activation import ActivationError, passed_sockets
from proxy.net.event_loop import run_loop
from proxy.net.listeners import ListenError, Listeners
from proxy.net.tls import TlsError
from proxy.observe import logs
from proxy.server.rules_told import doubts
from proxy.upstream.embedded import EmbeddedRedis, EmbeddedRedisError
from proxy.workers.single import SoleServer
from proxy.workers.supervisor import Supervisor, WorkerError

_log = logging.getLogger("proxy.cli")
_ENDS: Final = (signal.SIGTERM, signal.SIGINT)
"""The signals that stop the proxy."""
_CANNOT_START: Final = (
    ActivationError,
    EmbeddedRedisError,
    EngineError,
    ListenError,
    PasswordError,
    TlsError,
    WorkerError,
)
"""The errors that end the start, with a text for people."""

_log_level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="The lowest level to log. Keys appear only at debug.",
)
_log_format_option = click.option(
    "--log-format", type=click.Choice(["text", "json"]), help="Text for people, or JSON objects for log collectors."
)


@click.command(short_help="Run the proxy.")
@config_option
@listen_option
@prefix_option
@upstream_option
@_log_level_option
@_log_format_option
def serve(
    config: Path | None,
    listen: tuple[str, ...],
    prefix: tuple[str, ...],
    upstream: str | None,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Run the proxy until TERM or Ctrl-C. A second signal ends it at once. HUP reloads rules, guard, limits and log.

    The defaults are JSON on 127.0.0.1:6380, Redis on 127.0.0.1:6379, and keys flask_cache_*. Each key of the
    configuration that is not in a list also has an environment variable, such as FLASK_CACHE_PROXY_UPSTREAM_URL.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # there is nothing to reload yet
    flags = with_defaults(
        Flags(listen=listen, prefix=prefix, upstream=upstream, log_level=log_level, log_format=log_format)
    )
    settings = settings_of(config, flags, warns=False)
    logs.configure(settings.log.level, settings.log.format)
    for warning in unknown_variables(os.environ):
        _log.warning("%s", warning)
    try:
        engine.check()
        passed = passed_sockets(os.environ, os.getpid())
        with ExitStack() as stack:
            for number in _ENDS:
                stack.callback(signal.signal, number, signal.getsignal(number))
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # replaced once there are clients to drain
            place = _embedded(stack) if isinstance(settings.upstream.target, EmbeddedTarget) else None
            settings = _settled(settings, place)
            listeners = stack.enter_context(Listeners(settings, passed))
            try:
                run_loop(_serve(settings, listeners, lambda: _settled(load(config, os.environ, flags), place)))
            finally:  # a signal must not interrupt the clean-up, which is short
                for number in _ENDS:
                    signal.signal(number, signal.SIG_IGN)
    except _CANNOT_START as error:
        fail(str(error))


@click.command(short_help="Check a configuration and print it.")
@config_option
@listen_option
@prefix_option
@upstream_option
def check(config: Path | None, listen: tuple[str, ...], prefix: tuple[str, ...], upstream: str | None) -> None:
    """Check a configuration. Print the settings that result from it, or all its errors.

    Warnings go to standard error: a variable that is misspelt, a rule that looks wrong.
    """
    settings = settings_of(config, Flags(listen=listen, prefix=prefix, upstream=upstream))
    for line in doubts(settings.rule):
        complain(f"warning: {line.text}")
    click.echo(describe(settings), nl=False)


@click.command(short_help="Show the proxy at work on a private Redis.")
def demo() -> None:
    """Run a demo in about ten seconds: a private Redis, the proxy, a Flask-Caching app and a producer.

    It needs the extra flask-cache-proxy[demo].
    """
    try:
        from proxy.cli.demo import run
    except ImportError as error:
        fail(f"the demo needs the extra flask-cache-proxy[demo]: {error}")
    logs.configure("warning", "text")
    sys.exit(run())


def _embedded(stack: ExitStack) -> str:
    """Start an embedded Redis, which ends last. Returns its url. Raises EmbeddedRedisError."""
    return f"unix://{quote(stack.enter_context(EmbeddedRedis()).path)}"


def _settled(settings: Settings, embedded: str | None) -> Settings:
    """The settings with the url of the running embedded Redis instead of "embedded"."""
    if embedded is None or not isinstance(settings.upstream.target, EmbeddedTarget):
        return settings
    upstream = msgspec.structs.replace(settings.upstream, url=embedded)
    return msgspec.structs.replace(settings, upstream=upstream)


async def _serve(settings: Settings, listeners: Listeners, reread: Callable[[], Settings]) -> None:
    """Raises TlsError, PasswordError, WorkerError."""
    process = (Supervisor if settings.server.workers > 1 else SoleServer)(settings, listeners, reread)
    loop = asyncio.get_running_loop()
    for number in _ENDS:
        loop.add_signal_handler(number, process.stop)
    loop.add_signal_handler(signal.SIGHUP, process.reload)
    await process.run(lambda: _announce(settings))


def _connections(settings: Settings) -> str:
    """How clients are connected to Redis, as the beginning of a sentence."""
    is_cluster = isinstance(settings.upstream.target, ClusterTarget)
    if not (shared := settings.upstream.shared):
        return "each client gets a connection to" + (" each node that it uses of" if is_cluster else "")
    number = "a connection" if shared == 1 else f"{shared} connections"
    return f"clients share {number} to" + (" each node of" if is_cluster else "")


def _announce(settings: Settings) -> None:
    workers = settings.server.workers
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    several = f", {workers} workers" if workers > 1 else ""
    if engine.CHOICE.remark:
        _log.info("%s", engine.CHOICE.remark)
    _log.info(
        "%s Redis at %s (to check that it answers: flask-cache-proxy healthcheck)",
        _connections(settings),
        settings.upstream.url,
    )
    if container.is_inside(os.environ):
        for hint in container.hints(settings):
            _log.info("%s", hint)
    _log.info(
        "flask-cache-proxy %s is ready (pid %d, %s loop, %s engine%s)",
        __version__,
        os.getpid(),
        loop,
        engine.CHOICE.name,
        several,
    )
