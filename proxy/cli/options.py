"""What the commands share: their options, the settings in force, Redis, and how they end."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from proxy.assembly import policy_for
from proxy.cli.output import printable
from proxy.config import ConfigError, Flags, Settings, load
from proxy.policy import As, Policy, Rule

if TYPE_CHECKING:
    from proxy.inside.store import Store  # imported where it is used: redis-py takes a third of the time of a start

_CONFIG_VARIABLE: Final = "FLASK_CACHE_PROXY_CONFIG"

NO: Final = 1
"""The answer is no: a key that is not there, a value that cannot be read or written."""
USAGE: Final = 2
"""The command line or the configuration is wrong."""
NO_REDIS: Final = 3
"""Redis cannot be reached, or refuses."""

STATUS: Final = (
    "Exit status: 0 done; 1 no (not there, not managed, not decodable, a bad payload or line); "
    "2 wrong usage or configuration; 3 Redis cannot be reached or refuses."
)
"""For the end of a command's help."""

Function = TypeVar("Function", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, readable=False),  # what is wrong with it, `load` says, as of any setting
    envvar=_CONFIG_VARIABLE,
    show_envvar=True,
    help='A TOML file; "flask-cache-proxy check" prints every key. Without one the defaults hold.',
)
_URLS: Final = "redis://host:port/db, rediss://host:port/db, unix:///path.sock?db=0, redis+sentinel://host:port/name/db"


def _upstream_option(more: str = "") -> Callable[[Function], Function]:
    return click.option("--upstream", "-u", metavar="URL", help=f"The Redis of the Flask app: {_URLS}{more}.")


upstream_option = _upstream_option(', or "embedded" for a private one')
listen_option = click.option(
    "--listen",
    "-l",
    multiple=True,
    metavar="[json=|msgpack=]ADDR",
    help="Where clients connect: host:port or unix:/path.sock, for JSON unless msgpack= stands before it. May be given "
    "several times; the file's listeners are then left out.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="An object per line, for machines.")


class Bytes(click.ParamType):  # type: ignore[type-arg] # generic from click 8.4 on
    """An argument as the bytes that were typed: keys need not be text."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The bytes behind a str of the command line."""
        return value if isinstance(value, bytes) else os.fsencode(value)


BYTES: Final = Bytes()


def settings_options(command: Function) -> Function:
    """`--config` and `--upstream`, as `serve` has them, for a command that asks Redis itself."""
    return config_option(_upstream_option()(command))


def settings_of(config: Path | None, flags: Flags, *, serves: bool = True) -> Settings:
    """The settings in force, or the end of the command with every error in them."""
    try:
        return load(config, os.environ, flags, serves=serves)
    except ConfigError as error:
        fail(str(error))


def looking_with(config: Path | None, upstream: str | None) -> Settings:
    """The settings for a command that looks at Redis and listens nowhere."""
    return settings_of(config, Flags(upstream=upstream), serves=False)


@contextmanager
def redis_of(settings: Settings) -> "Iterator[Store]":
    """Redis; what is wrong with it ends the command."""
    from proxy.inside.store import StoreError, opened

    try:
        with opened(settings) as store:
            yield store
    except StoreError as error:
        fail(str(error), NO_REDIS)


def managed(policy: Policy, key: bytes) -> Rule:
    """The rule of a key, or the end of the command."""
    rule = policy.match(key)
    if rule is None:
        others = patterns(policy) or "none"
        fail(f"{printable(key)}: not managed: the proxy passes it as it is. What is: {others} ([[rule]] keys)", NO)
    return rule


def patterns(policy: Policy) -> str:
    """The rules that manage keys, by name, which is their pattern unless they have another; empty: there is none."""
    return ", ".join(printable(rule.name) for rule in policy.rules if rule.treats_as is not As.UNTOUCHED)


def json_policy(settings: Settings) -> Policy:
    """What a client of a JSON listener meets."""
    return policy_for(settings, "json")


def complain(text: str) -> None:
    """One thing that is wrong, on stderr; the command goes on."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=True)


def fail(text: str, status: int = USAGE) -> NoReturn:
    """End the command with a word on stderr."""
    complain(text)
    sys.exit(status)
