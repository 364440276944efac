"""Rewrites replies that name other servers: clients see one standalone master behind the proxy.

A client that learns a node's address connects to it, and bypasses the proxy. The functions take whole replies as bytes.
The parts that they do not replace keep their bytes.
"""

from typing import Final

from proxy.resp import ReplyFramer, encode
from proxy.session import error_texts

REDIRECTIONS: Final = (b"-MOVED ", b"-ASK ", b"-REDIRECT ")
_LONGEST_CODE: Final = 16
REDIRECTED: Final = encode.error(error_texts.REDIRECTED)
NOT_FOLLOWED: Final = encode.error(error_texts.NOT_FOLLOWED)
DISABLED: Final = encode.error("ERR This instance has cluster support disabled")
"""Redis' error in standalone mode."""
STAND_IN: Final = encode.command(b"CLUSTER", b"KEYSLOT", b"")
"""A harmless command, which MULTI queues in every mode. It replaces a command whose reply is replaced too."""

_ANY_MODE_ERRORS: Final = (
    b"-ERR wrong number of arguments ",
    b"-ERR unknown command ",
    b"-ERR unknown subcommand '",  # `unknown subcommand or wrong ...` comes later, after the check of the mode
    b"-ERR Can't execute ",
    b"-ERR Command not allowed ",
)
_MODE: Final = encode.bulk(b"mode")
_CLUSTER: Final = encode.bulk(b"cluster")
_STANDALONE: Final = encode.bulk(b"standalone")
_MASTER: Final = encode.bulk(b"master")
_REPLICA: Final = encode.bulk(b"slave")


def redirects(error: bytes) -> bool:
    """Whether an error sends the client to another server. `error`: whole, in either form of RESP."""
    text = error.partition(b"\r\n")[2] if error.startswith(b"!") else error[1:]
    return (b"-%b" % text[:_LONGEST_CODE]).startswith(REDIRECTIONS)


def is_of_any_mode(line: bytes) -> bool:
    """Whether a server gives this error before it checks its mode. `line`: empty if the error is too long."""
    return line.startswith(_ANY_MODE_ERRORS) or line[:5] not in (b"", b"-ERR ")


def as_standalone(reply: bytes) -> bytes:
    """A reply to HELLO, with `standalone` in place of `cluster` in the field `mode`. Usually the same bytes."""
    if _MODE + _CLUSTER not in reply:
        return reply
    header, fields = elements_of(reply)
    for at in range(1, len(fields), 2):
        if fields[at - 1] == _MODE and fields[at] == _CLUSTER:
            fields[at] = _STANDALONE
    return header + b"".join(fields)


def as_master(reply: bytes) -> bytes:
    """A reply to ROLE, as that of a master without replicas. The replication offset stays."""
    _, fields = elements_of(reply)
    is_replica = fields[:1] == [_REPLICA]
    offset = fields[-1] if is_replica else b"".join(fields[1:2])
    return b"*3\r\n%b%b*0\r\n" % (_MASTER, offset if offset.startswith(b":") else b":0\r\n")


def elements_of(reply: bytes) -> tuple[bytes, list[bytes]]:
    """The header of a whole aggregate, and its elements, each with its own header."""
    framer = ReplyFramer()
    framer.feed(reply)
    header, elements = framer.enter() or b"", []
    while framer.kind():
        pieces: list[bytes] = []
        framer.forward(pieces)
        elements.append(b"".join(pieces))
    return header, elements
