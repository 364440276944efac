"""The command line."""

import os

import click

from proxy import __version__, engine
from proxy.cli import get_set, healthcheck, inspect, keys, scan, serve, stdin_codec, transfer
from proxy.cli.program import Program

_COMMANDS = (
    *(serve.serve, serve.check, healthcheck.healthcheck, serve.demo),
    *(get_set.get, get_set.set_, inspect.inspect, scan.scan),
    *(transfer.export, transfer.load, stdin_codec.decode, stdin_codec.encode, keys.key),
)


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Completion of commands and options: eval "$(_FLASK_CACHE_PROXY_COMPLETE=bash_source flask-cache-proxy)" '
    "in ~/.bashrc; zsh_source and fish_source for other shells. The program must be on the PATH there.",
)
@click.option(
    "--default",
    "defaults",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Another default for a setting. The file, the environment and the command's flags override it. May be given "
    "several times. The image uses it.",
)
@click.version_option(f"{__version__} ({engine.CHOICE.name} engine)", prog_name="flask-cache-proxy")
def main(defaults: tuple[str, ...]) -> None:  # `options.with_defaults` reads the defaults
    """Let Go, Node and anything else read and write Flask's cache.

    This is a Redis proxy. Point an ordinary Redis client at it and write JSON or msgpack. The proxy stores the value as
    Flask-Caching, Flask-Cache, cachelib or werkzeug.contrib.cache would, and converts it back on GET. Other keys and
    commands pass through unchanged.

    Try it: flask-cache-proxy demo

    To look into the cache, use scan, inspect, get, set, export and load. They use Redis directly, with the rules of the
    same configuration. A managed key is a key that one of these rules matches.
    """
    if os.environ.get("NO_COLOR"):
        click.get_current_context().color = False


for _command in _COMMANDS:
    main.add_command(_command)

__all__ = ["main"]
