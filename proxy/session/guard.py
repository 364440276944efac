"""The `[guard]` settings: refuses commands regardless of their keys."""

import hashlib
import re
import sys
from collections.abc import Sequence
from typing import Final

from proxy.commands import Access, Command
from proxy.policy import Guard
from proxy.session import error_texts
from proxy.session.refusals import Reason, Refusal

_SHA1: Final = re.compile(rb"[0-9A-Fa-f]{40}")
_MOST_FOR_TEXT: Final = 1024 * 1024
"""Bytes of a script whose SHA1 is computed only for an error text. It takes 1 ms."""
_REPLICATION: Final = "replication would bypass the proxy"
_NEVER: Final = {
    b"SCRIPT|DEBUG": "the debugger's answers to EVAL are not replies to commands; debug scripts on Redis itself",
}
"""Reasons for commands that no setting allows, other than replication."""


def refusal(guard: Guard, command: Command, args: Sequence[bytes]) -> Refusal | None:
    """The refusal of a command; None: the command passes."""
    if guard.only_reads and (command.access is Access.SCRIPT or command.writes_unnamed):
        return Refusal(Reason.LISTENER_ONLY_READS, error_texts.refused(command, error_texts.ONLY_READS))
    if command.access is Access.OPEN and not (guard.keeps_secrets and guard.refuses(command)):
        return None
    if command.access is Access.UNKNOWN_SUBCOMMAND:
        return Refusal(Reason.UNKNOWN_SUBCOMMAND, error_texts.unknown_subcommand(args))
    if command.access is Access.SCRIPT:
        if guard.allow_all_scripts:
            return None
        sha1 = _script_sha1(command, args, sys.maxsize if guard.allowed_scripts else _MOST_FOR_TEXT)
        if sha1 in guard.allowed_scripts:
            return None
        if sha1 is None and guard.allowed_scripts and command.name == b"EVALSHA":
            # redsync 4.14 sends a SHA256 first; the EVAL that follows can be checked
            return Refusal(Reason.SCRIPT, error_texts.NO_SCRIPT)
        return Refusal(Reason.SCRIPT, error_texts.guarded_script(command, sha1))
    if not guard.refuses(command):
        return None
    if command.access is Access.NEVER:
        return Refusal(Reason.NEVER, error_texts.refused(command, _NEVER.get(command.name, _REPLICATION)))
    return Refusal(Reason.GUARD, error_texts.guarded(command))


def _script_sha1(command: Command, args: Sequence[bytes], longest: int) -> bytes | None:
    """The SHA1 in lower-case hex. None: there is none, or the script has more than `longest` bytes."""
    if len(args) < 2 or not command.name.startswith(b"EVAL"):
        return None
    if command.name.startswith(b"EVALSHA"):
        return args[1].lower() if _SHA1.fullmatch(args[1]) else None
    if len(args[1]) > longest:
        return None
    return hashlib.sha1(args[1], usedforsecurity=False).hexdigest().encode()
