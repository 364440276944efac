"""What `[guard]` lets through, whatever the keys of a command."""

import hashlib
from collections.abc import Sequence

from proxy.commands import Access, Command
from proxy.policy import Guard
from proxy.session import words
from proxy.session.words import OURS


def refusal(guard: Guard, command: Command, args: Sequence[bytes]) -> str | None:
    """Why a command is refused; None: it is not."""
    if command.access is Access.OPEN and not (guard.keeps_secrets and guard.refuses(command)):
        return None
    if command.access is Access.UNKNOWN_SUBCOMMAND:
        return words.unknown_subcommand(args)
    if command.access is Access.SCRIPT:
        if guard.allow_all_scripts or _script_sha1(command, args) in guard.allowed_scripts:
            return None
        return (
            f"{OURS}{words.name(command)} is refused, because a script can write any key; allow it by its SHA1 in"
            " [guard] allow_scripts, or use its _RO form"
        )
    if not guard.refuses(command):
        return None
    if command.access is Access.NEVER:
        return f"{OURS}{words.name(command)} is refused: replication would lead around the proxy"
    return f'{OURS}{words.name(command)} is refused; "{command.name.decode()}" in [guard] allow lets it through'


def _script_sha1(command: Command, args: Sequence[bytes]) -> bytes | None:
    if len(args) < 2 or not command.name.startswith(b"EVAL"):
        return None
    if command.name.startswith(b"EVALSHA"):
        return args[1].lower()
    return hashlib.sha1(args[1], usedforsecurity=False).hexdigest().encode()
