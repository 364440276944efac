"""Redis' own words, where we say what Redis would have said (server.c, commandCheckExistence), and how ours begin."""

from collections.abc import Sequence
from typing import Final

from proxy.commands import Command

OURS: Final = "ERR flask-cache-proxy: "


def name(command: Command) -> str:
    """A command as people write it."""
    return command.name.decode().replace("|", " ")


def unknown_command(args: Sequence[bytes]) -> str:
    """For a name that is no command; the arguments are shown up to 128 bytes."""
    shown = b""
    for arg in args[1:]:
        if len(shown) >= 128:
            break
        shown += b"'%b' " % arg[: 128 - len(shown)].partition(b"\0")[0]
    return f"ERR unknown command '{_c_string(args[0][:128])}', with args beginning with: {_c_string(shown)}"


def unknown_subcommand(args: Sequence[bytes]) -> str:
    """For a container without such a subcommand."""
    return f"ERR unknown subcommand '{_c_string(args[1][:128])}'. Try {_c_string(args[0]).upper()} HELP."


def unknown_option(text: str, option: bytes) -> str:
    """`text` is the command's own, with `{}` for the option where it says it."""
    return text.format(_c_string(option))


def _c_string(text: bytes) -> str:
    return text.partition(b"\0")[0].decode("utf-8", "surrogateescape")
