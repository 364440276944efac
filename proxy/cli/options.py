"""Shared parts of the commands: options, settings, the connection to Redis, exit statuses."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click
import msgspec

from proxy.assembly import policy_for
from proxy.config import ConfigError, Flags, Settings, load, unknown_variables
from proxy.config.printable import printable
from proxy.config.settings import LISTEN
from proxy.inspection.entries import oversize
from proxy.policy import OVERSIZE, As, Policy, Rule

if TYPE_CHECKING:
    from proxy.inspection.store import Store  # imported where it is used: redis-py takes a third of the start time

_CONFIG_VARIABLE: Final = "FLASK_CACHE_PROXY_CONFIG"

NO: Final = 1
"""A negative result: a missing key, or a value that cannot be read or written."""
USAGE: Final = 2
"""The command line or the configuration is wrong."""
NO_REDIS: Final = 3
"""Redis cannot be reached, or refuses the command."""

STATUS: Final = (
    "Exit status: 0 success; 1 a key is missing or not managed, or a value cannot be decoded or stored; "
    "2 wrong usage or configuration; 3 Redis cannot be reached or refuses the command."
)
"""The end of a command's help."""

Function = TypeVar("Function", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, readable=False),  # `load` checks the file, with errors like any setting's
    envvar=_CONFIG_VARIABLE,
    show_envvar=True,
    help='A TOML file; "flask-cache-proxy check" prints every key. Without a file the defaults apply.',
)
_URLS: Final = "redis://host:port/db, rediss://host:port/db, unix:///path.sock?db=0, redis+sentinel://host:port/name/db"
_CLUSTER: Final = "A cluster is redis-cluster://host:port,host2:port."


def _upstream_option(more: str = "") -> Callable[[Function], Function]:
    return click.option(
        "--upstream", "-u", metavar="URL", help=f"The Redis of the Flask app: {_URLS}{more}. {_CLUSTER}"
    )


upstream_option = _upstream_option(', or "embedded" for a private one')
listen_option = click.option(
    "--listen",
    "-l",
    multiple=True,
    metavar=LISTEN,
    help="A listener: host:port, unix:/path.sock or fd:NAME (a socket of systemd). Its payloads are JSON, or msgpack "
    "with msgpack= in front. With "
    "plain= or plain-msgpack= it reads natural types and never writes managed keys. May be given several times. "
    "Replaces the listeners of the file.",
)
prefix_option = click.option(
    "--prefix",
    multiple=True,
    metavar="TEXT",
    help="The app's CACHE_KEY_PREFIX: manage the keys that begin with it. May be given several times. Replaces the "
    'rules of the file. "" manages every key.',
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs: one object in each line.")


class Bytes(click.ParamType):  # type: ignore[type-arg] # generic from click 8.4 on
    """An argument as the bytes that the user typed, because keys may be any bytes."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """See click. Turns Python's str of an argument back into bytes."""
        return value if isinstance(value, bytes) else os.fsencode(value)


BYTES: Final = Bytes()


def settings_options(command: Function) -> Function:
    """The options `--config` and `--upstream`, for a command that uses Redis directly."""
    return config_option(_upstream_option()(command))


def settings_of(config: Path | None, flags: Flags, *, serves: bool = True, warns: bool = True) -> Settings:
    """Load the settings. Ends the command with all their errors. `warns`: print warnings about misspelt variables."""
    try:
        settings = load(config, os.environ, with_defaults(flags), serves=serves)
    except ConfigError as error:
        fail(str(error))
    for warning in unknown_variables(os.environ) if warns else ():
        complain(f"warning: {warning}")
    return settings


def with_defaults(flags: Flags) -> Flags:
    """The flags, and the `--default` of the program, which stands before the command."""
    given = click.get_current_context().find_root().params.get("defaults", ())
    return msgspec.structs.replace(flags, defaults=given)


def looking_with(config: Path | None, upstream: str | None, prefix: tuple[str, ...] = ()) -> Settings:
    """The settings for a command that uses Redis and has no listener."""
    return settings_of(config, Flags(upstream=upstream, prefix=prefix), serves=False)


@contextmanager
def redis_of(settings: Settings) -> "Iterator[Store]":
    """Open Redis. An error of Redis ends the command."""
    from proxy.inspection.store import StoreError, opened

    try:
        with opened(settings) as store:
            yield store
    except StoreError as error:
        fail(str(error), NO_REDIS)


def managed(policy: Policy, key: bytes) -> Rule:
    """The rule of a key. Ends the command if no rule manages it."""
    rule = policy.match(key)
    if rule is None:
        others = patterns(policy) or "none"
        fail(
            f"{printable(key)}: not managed: the proxy passes it unchanged. Managed keys: {others}. To manage others: "
            "--prefix, or [[rule]] keys. `flask-cache-proxy scan --prefixes` lists the prefixes in Redis",
            NO,
        )
    if rule is OVERSIZE:
        fail(oversize(key), NO)
    return rule


def patterns(policy: Policy) -> str:
    """The names of the rules that manage keys. A rule without a name has its pattern as name."""
    return ", ".join(printable(rule.name) for rule in policy.rules if rule.treats_as is not As.UNTOUCHED)


def json_policy(settings: Settings) -> Policy:
    """The policy for clients of a JSON listener."""
    return policy_for(settings, "json")


def complain(text: str) -> None:
    """Print a message on stderr. The command continues."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=True)


def fail(text: str, status: int = USAGE) -> NoReturn:
    """Print a message on stderr and end the command."""
    complain(text)
    sys.exit(status)


def one_of(**flags: bool) -> str | None:
    """The name of the flag that is given, if there is one. Ends the command if there are several."""
    given = [name.replace("_", "-") for name, is_given in flags.items() if is_given]
    if len(given) > 1:
        fail(f"{' and '.join(f'--{name}' for name in given)}: give one of them, not several")
    return given[0] if given else None
