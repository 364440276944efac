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

from proxy import __version__, engine, logs
from proxy.cli.options import config_option, fail, listen_option, settings_of, upstream_option
from proxy.config import EmbeddedTarget, Flags, Settings, describe, load
from proxy.embedded import EmbeddedRedis, EmbeddedRedisError
from proxy.engine import EngineError
from proxy.listeners import ListenError, Listeners
from proxy.loop import run_loop
from proxy.passwords import PasswordError
from proxy.sole import SoleServer
from proxy.supervisor import Supervisor, WorkerError
from proxy.tls import TlsError

_log = logging.getLogger("proxy.cli")
_ENDS: Final = (signal.SIGTERM, signal.SIGINT)
"""The signals that end the proxy."""

_log_level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="How much to log; keys and values appear at debug only.",
)
_log_format_option = click.option(
    "--log-format", type=click.Choice(["text", "json"]), help="Lines for people, or objects for collectors."
)


@click.command(short_help="Run the proxy.")
@config_option
@listen_option
@upstream_option
@_log_level_option
@_log_format_option
def serve(
    config: Path | None, listen: tuple[str, ...], upstream: str | None, log_level: str | None, log_format: str | None
) -> None:
    """Run the proxy until TERM or Ctrl-C; a second one ends it at once. HUP reloads rules, guard, limits and log.

    Without any option: JSON on 127.0.0.1:6380, Redis on 127.0.0.1:6379, keys flask_cache_*. Every key of the
    configuration has an environment variable too, such as FLASK_CACHE_PROXY_UPSTREAM_URL.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # there is nothing to reload yet
    flags = Flags(listen=listen, upstream=upstream, log_level=log_level, log_format=log_format)
    settings = settings_of(config, flags)
    logs.configure(settings.log.level, settings.log.format)
    try:
        engine.check()
        with ExitStack() as stack:
            for number in _ENDS:
                stack.callback(signal.signal, number, signal.getsignal(number))
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until there are clients to drain
            place = _embedded(stack) if isinstance(settings.upstream.target, EmbeddedTarget) else None
            settings = _settled(settings, place)
            listeners = stack.enter_context(Listeners(settings))
            try:
                run_loop(_serve(settings, listeners, lambda: _settled(load(config, os.environ, flags), place)))
            finally:  # what is left to be cleaned up takes no time, and nobody should cut it short
                for number in _ENDS:
                    signal.signal(number, signal.SIG_IGN)
    except (EngineError, ListenError, EmbeddedRedisError, TlsError, PasswordError, WorkerError) as error:
        fail(str(error))


@click.command(short_help="Check a configuration and print it.")
@config_option
@listen_option
@upstream_option
def check(config: Path | None, listen: tuple[str, ...], upstream: str | None) -> None:
    """Check a configuration: print it as it would take effect, or every error with its key."""
    click.echo(describe(settings_of(config, Flags(listen=listen, upstream=upstream))), nl=False)


@click.command(short_help="Show it work on a private Redis.")
def demo() -> None:
    """See it work: a private Redis, the proxy, a Flask-Caching app and a producer, in ten seconds.

    Needs the extra flask-cache-proxy[demo].
    """
    try:
        from proxy.demo import run
    except ImportError as error:
        fail(f"the demo needs the extra flask-cache-proxy[demo]: {error}")
    logs.configure("warning", "text")
    sys.exit(run())


def _embedded(stack: ExitStack) -> str:
    """Start a private Redis, to be ended last; its url. Raises EmbeddedRedisError."""
    return f"unix://{quote(stack.enter_context(EmbeddedRedis()).path)}"


def _settled(settings: Settings, embedded: str | None) -> Settings:
    """The settings with the url of the embedded Redis, which was started once for all, in the place of "embedded"."""
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


def _announce(settings: Settings) -> None:
    workers = settings.server.workers
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    several = f", {workers} workers" if workers > 1 else ""
    if engine.CHOICE.remark:
        _log.info("%s", engine.CHOICE.remark)
    _log.info(
        "each client gets a connection to Redis at %s (flask-cache-proxy healthcheck tells whether it answers)",
        settings.upstream.url,
    )
    _log.info(
        "flask-cache-proxy %s is ready (pid %d, %s loop, %s engine%s)",
        __version__,
        os.getpid(),
        loop,
        engine.CHOICE.name,
        several,
    )
