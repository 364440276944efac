"""The command line."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from proxy import __version__, logs
from proxy.config import (
    ConfigError,
    EmbeddedTarget,
    Flags,
    SentinelTarget,
    Settings,
    TcpTarget,
    UnixAddress,
    UnixTarget,
    describe,
    load,
)
from proxy.embedded import EmbeddedRedis, EmbeddedRedisError
from proxy.passwords import PasswordError
from proxy.sentinel import Master
from proxy.server import ListenError, Server
from proxy.tls import ClientTls, TlsError
from proxy.upstream import Login, Upstream

_log = logging.getLogger("proxy.cli")
_CONFIG_VARIABLE: Final = "FLASK_CACHE_PROXY_CONFIG"

_config_option = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=_CONFIG_VARIABLE,
    show_envvar=True,
    help='A TOML file; "flask-cache-proxy check" prints every key. Without one the defaults hold.',
)
_listen_option = click.option(
    "--listen",
    "-l",
    multiple=True,
    metavar="[json=|msgpack=]ADDR",
    help="Where clients connect: host:port or unix:/path.sock. Repeats, and replaces the file's listeners.",
)
_upstream_option = click.option(
    "--upstream",
    "-u",
    metavar="URL",
    help='The Redis of the Flask app: redis://host:port/db, unix:///path.sock?db=0, or "embedded" for a private one.',
)
_log_level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="How much to log; keys and values appear at debug only.",
)
_log_format_option = click.option(
    "--log-format", type=click.Choice(["text", "json"]), help="Lines for people, or objects for collectors."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flask-cache-proxy")
def main() -> None:
    """Let Go, Node and anything else read and write Flask's cache.

    A Redis proxy: point an ordinary Redis client at it and write JSON or msgpack. It stores what Flask-Caching (or
    Flask-Cache, cachelib, werkzeug.contrib.cache) would have stored, and turns it back on GET. Keys that no rule
    matches, and every other command, pass through as if it were not there.

    Try it: flask-cache-proxy demo
    """


@main.command()
@_config_option
@_listen_option
@_upstream_option
@_log_level_option
@_log_format_option
def serve(
    config: Path | None, listen: tuple[str, ...], upstream: str | None, log_level: str | None, log_format: str | None
) -> None:
    """Run the proxy until TERM or Ctrl-C; a second one ends it at once. HUP reloads rules, guard, limits and log.

    Without any option: JSON on 127.0.0.1:6380, Redis on 127.0.0.1:6379, keys flask_cache_*. Every key of the
    configuration has an environment variable too, such as FLASK_CACHE_PROXY_UPSTREAM_URL.
    """
    flags = Flags(listen=listen, upstream=upstream, log_level=log_level, log_format=log_format)
    settings = _load(config, flags)
    logs.configure(settings.log.level, settings.log.format)
    try:
        with ExitStack() as stack:
            run_loop(_serve(settings, stack, lambda: load(config, os.environ, flags)))
    except (ListenError, EmbeddedRedisError, TlsError, PasswordError) as error:
        _fail(str(error))


@main.command(short_help="Check a configuration and print it.")
@_config_option
@_listen_option
@_upstream_option
def check(config: Path | None, listen: tuple[str, ...], upstream: str | None) -> None:
    """Check a configuration: print it as it would take effect, or every error with its key."""
    click.echo(describe(_load(config, Flags(listen=listen, upstream=upstream))), nl=False)


@main.command(short_help="Show it work on a private Redis.")
def demo() -> None:
    """See it work: a private Redis, the proxy, a Flask-Caching app and a producer, in ten seconds.

    Needs the extra flask-cache-proxy[demo].
    """
    try:
        from proxy.demo import run
    except ImportError as error:
        _fail(f"the demo needs the extra flask-cache-proxy[demo]: {error}")
    logs.configure("warning", "text")
    sys.exit(run())


async def _serve(settings: Settings, stack: ExitStack, reread: Callable[[], Settings]) -> None:
    target = settings.upstream.target
    if isinstance(target, EmbeddedTarget):
        redis = await asyncio.to_thread(stack.enter_context, EmbeddedRedis())
        upstream = Upstream(UnixAddress(redis.path), 0, settings.limits.connect_timeout)
    else:
        upstream = _upstream(settings, target)
    await Server(settings, upstream, reread).run(_announce)


def _upstream(settings: Settings, target: TcpTarget | UnixTarget | SentinelTarget) -> Upstream:
    """Raises TlsError."""
    timeout = settings.limits.connect_timeout
    given = settings.upstream
    login = Login(given.username, given.password, given.password_file) if given.logs_in else None
    if isinstance(target, SentinelTarget):
        return Upstream(Master(target, timeout), target.db, timeout, login=login)
    tls = None
    if isinstance(target, TcpTarget) and target.tls:
        tls = ClientTls(given.tls_ca, given.tls_cert, given.tls_key, given.tls_server_name)
    return Upstream(target.address, target.db, timeout, tls, login)


def _announce(server: Server) -> None:
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    _log.info("flask-cache-proxy %s is ready (pid %d, %s loop, Python engine)", __version__, os.getpid(), loop)


def run_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop, or on asyncio's own loop where uvloop does not install."""
    new_loop: Callable[[], asyncio.AbstractEventLoop]
    try:
        from uvloop import new_event_loop as new_loop
    except ImportError:
        new_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(work)


def _load(config: Path | None, flags: Flags) -> Settings:
    try:
        return load(config, os.environ, flags)
    except ConfigError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(2)
