"""Decides which requests travel on a shared connection, and answers those that would change it.

It knows for sure what the state of a connection would be: no reply to such a request is ever outstanding. An odd form,
which Redis may refuse, is not answered here. It pins the client, so that Redis itself answers.
"""

from collections.abc import Callable
from typing import Final

from proxy.commands import Command, Pin
from proxy.resp import Request, encode
from proxy.session.auth import OK, Gate, has_login, hello_name, without_login
from proxy.session.counters import Tally
from proxy.session.effects import CommandInfo, Effects
from proxy.session.expected_replies import PASS
from proxy.session.lane import Last
from proxy.session.outbox import Outbox
from proxy.session.sharing.link_change import LinkChange, Shared
from proxy.session.state import Conversation, Ended

MOST_ARGUMENTS: Final = 1000
"""Arguments of a request that travels. Redis takes long for more, and the other clients would wait."""
MOST_BYTES: Final = 1024 * 1024
"""Bytes of a request that travels."""
_LONGEST_NAME: Final = 256
"""Bytes of a name that is kept here. A client with a longer one gets a connection of its own."""
_PRINTABLE: Final = frozenset(range(ord("!"), ord("~") + 1))
_VERSIONS: Final = (b"2", b"3")
_RESET: Final = b"+RESET\r\n"
_LIBRARY: Final = frozenset({b"LIB-NAME", b"LIB-VER"})
_SENTINEL: Final = b"SENTINEL"
"""StackExchange.Redis asks each server for SENTINEL MASTERS. One that is no sentinel does not know the command."""
_NO_SETINFO: Final = encode.command(b"CLIENT", b"SETINFO")
"""Sent to a server that does not know it, in place of one with arguments: the error is the same. A later server may
have come since. There it is an error too, and the connection does not get the client's library."""


def is_large(request: Request) -> bool:
    """Whether a request would hold up the other clients of its connection."""
    return request.stop - request.start > MOST_BYTES or len(request.args) > MOST_ARGUMENTS


def _is_plain(name: bytes) -> bool:
    """Whether a name is short, and Redis accepts it (networking.c, validateClientAttr)."""
    return len(name) <= _LONGEST_NAME and _PRINTABLE.issuperset(name)


class Sharing:
    """See the module. `answers` and `aim` return True if the request needs nothing more, as those of a cluster do."""

    __slots__ = ("_conversation", "_shared", "change", "gate", "outbox")
    outbox: Outbox
    """That of the requests. Its owner sets it."""

    def __init__(self, conversation: Conversation, tally: Tally, shared: Shared, gate: Gate | None) -> None:
        """`gate`: checks the client's password; None: Redis would."""
        self._conversation = conversation
        self._shared = shared
        self.gate = gate
        self.change = LinkChange(conversation, tally, shared)

    def answers(self, command: Command, request: Request) -> bool:
        """Say whether the request may be written. Whether it has an answer of ours is asked after the guard."""
        if command.travels:
            self.change.aim_freely()
        else:
            self.change.aim(request, command.pin)
        return False

    def aim(self, command: Command, request: Request) -> bool:
        """Answer a request that would change the connection. False: handle it as on an own connection."""
        if is_large(request):
            self.change.pin(request, Pin.LARGE)
            return True
        answer = _ANSWERS.get(command.name)
        return answer is not None and answer(self, request)

    def aim_unknown(self, name: bytes, request: Request, info: CommandInfo | None) -> bool:
        """As `aim`, for a command that the table does not have. In place of one of CLUSTER, a harmless one is sent."""
        if is_large(request):
            self.change.pin(request, Pin.LARGE)
            return True
        if name == _SENTINEL and info is None:
            self.change.aim_freely()
            self.outbox.send(request.raw, PASS)  # the client gets the server's own error
            return True
        if name.startswith(b"CLUSTER|"):
            self.change.aim_freely()
        else:
            self.change.aim(request, Pin.UNKNOWN)
        return False

    def fill(self, effects: Effects) -> None:
        """Add what the caller does not know yet."""
        effects.relink, self.change.due = self.change.due, None

    # -- answers ---------------------------------------------------------------------------------------

    def _hello(self, request: Request) -> bool:
        """The check of the password is that of an own connection. `change` then answers."""
        if self._is_usual_hello(request.args):
            self.change.aim(request, None)
        return False

    def _is_usual_hello(self, args: list[bytes]) -> bool:
        if len(args) > 1 and args[1] not in _VERSIONS:
            return False
        if self.change.greeting.startswith(b"-") and len(args) != 2:
            return False  # Redis' error may show the arguments
        if self.gate is None and has_login(args):
            return False
        return without_login(args).wrong is None and _is_plain(hello_name(args) or b"")

    def _reset(self, request: Request) -> bool:
        conversation, change = self._conversation, self.change
        if len(request.args) > 1 or change.greeting.startswith(b"-"):  # Redis has RESET since 6.2
            return False
        if conversation.protocol == 2:
            self._answer_reset()
        else:
            change.aim(request, None)
            change.change_protocol(2, self._reset_in)
        return True

    def _reset_in(self, greeting: bytes) -> None:
        self.change.use(2, greeting)
        self._answer_reset()

    def _answer_reset(self) -> None:
        self._conversation.client_name = b""
        self._conversation.not_admitted = self.gate is not None and not self.gate.is_open
        self.change.reply(_RESET)

    def _quit(self, _request: Request) -> bool:
        self._conversation.answer(Last(OK, "QUIT"))
        self._conversation.wait = Ended()
        return True

    def _select(self, request: Request) -> bool:
        return self._answer(OK, request.args[1:] == [b"%d" % self._shared.database])

    def _answer(self, reply: bytes, is_usual: bool) -> bool:
        """Answer a usual form, and leave any other one to Redis."""
        if is_usual:
            self.change.reply(reply)
        return is_usual

    def _id(self, request: Request) -> bool:
        return self._answer(b":%d\r\n" % self._shared.number, len(request.args) == 2)

    def _name(self, request: Request) -> bool:
        name = self._conversation.client_name
        null = encode.NULL_RESP3 if self._conversation.protocol == 3 else encode.NULL_RESP2
        return self._answer(encode.bulk(name) if name else null, len(request.args) == 2)

    def _set_name(self, request: Request) -> bool:
        args = request.args
        is_usual = len(args) == 3 and _is_plain(args[2])
        if is_usual:
            self._conversation.client_name = args[2]
        return self._answer(OK, is_usual)

    def _set_library(self, request: Request) -> bool:
        args = request.args
        if not self._shared.knows_setinfo:
            self.change.aim_freely()
            self.outbox.send(_NO_SETINFO, PASS)
            return True
        option = args[2].upper() if len(args) == 4 else b""
        is_usual = option in _LIBRARY and _is_plain(args[3])
        if is_usual:
            self.change.libraries[option] = args[3]
        return self._answer(OK, is_usual)


_ANSWERS: Final[dict[bytes, Callable[[Sharing, Request], bool]]] = {
    b"HELLO": Sharing._hello,
    b"RESET": Sharing._reset,
    b"QUIT": Sharing._quit,
    b"SELECT": Sharing._select,
    b"CLIENT|ID": Sharing._id,
    b"CLIENT|GETNAME": Sharing._name,
    b"CLIENT|SETNAME": Sharing._set_name,
    b"CLIENT|SETINFO": Sharing._set_library,
}
"""Commands that are answered here, in their usual forms. AUTH has its answer from the gate, as on an own connection."""
