"""The command line."""

import os

import click

from proxy import __version__, engine
from proxy.cli import describing, health, keys, scanning, serving, streams, transfer, values
from proxy.cli.program import Program

_COMMANDS = (
    *(serving.serve, serving.check, health.healthcheck, serving.demo),
    *(values.get, values.set_, describing.inspect, scanning.scan),
    *(transfer.export, transfer.load, streams.decode, streams.encode, keys.key),
)


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Completion of commands and options: eval "$(_FLASK_CACHE_PROXY_COMPLETE=bash_source flask-cache-proxy)" '
    "in ~/.bashrc; zsh_source and fish_source for other shells. The program must be on the PATH there.",
)
@click.version_option(f"{__version__} ({engine.CHOICE.name} engine)", prog_name="flask-cache-proxy")
def main() -> None:
    """Let Go, Node and anything else read and write Flask's cache.

    A Redis proxy: point an ordinary Redis client at it and write JSON or msgpack. It stores what Flask-Caching (or
    Flask-Cache, cachelib, werkzeug.contrib.cache) would have stored, and turns it back on GET. Keys that no rule
    matches, and every other command, pass through as if it were not there.

    Try it: flask-cache-proxy demo

    What is in the cache: scan, inspect, get and the like look at Redis itself, by the rules of the same
    configuration.
    """
    if os.environ.get("NO_COLOR"):
        click.get_current_context().color = False


for _command in _COMMANDS:
    main.add_command(_command)

__all__ = ["main"]
