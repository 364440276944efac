"""The change of the link that a request may need: to one of the client's own, or to one of another protocol.

Contract: `aim` says what the next request may do. When the outbox is about to write a request that does not travel,
`keeps` takes it: it waits until nothing is outstanding, and then for the other link (`Relinking`). So what is refused
pins nobody, whatever its command. HELLO is answered here.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from proxy.commands import Pin
from proxy.resp import Request, encode
from proxy.session import topology
from proxy.session.counters import Tally
from proxy.session.effects import Relink
from proxy.session.expected_replies import Entry, Hello
from proxy.session.lane import Ready
from proxy.session.sharing.greeting import with_id
from proxy.session.state import Barrier, Conversation, Relinking

_NO_REQUEST: Final = Request([], b"", 0, 0)
_HELLO_3: Final = encode.command(b"HELLO", b"3")


class Shared(NamedTuple):
    """Facts about a shared connection, for the session of each client."""

    greeting: bytes
    """The reply to HELLO 2 on it. An error before Redis 6, or where an ACL forbids HELLO."""
    knows_setinfo: bool
    """The server has CLIENT SETINFO (Redis 7.2)."""
    database: int
    """That of `upstream.url`."""
    number: int
    """The id that the client sees, in HELLO and CLIENT ID."""


class LinkChange:
    """See the module."""

    __slots__ = (
        "_conversation",
        "_number",
        "_pin",
        "_request",
        "_tally",
        "_then",
        "due",
        "greeting",
        "libraries",
    )

    def __init__(self, conversation: Conversation, tally: Tally, shared: Shared) -> None:
        """No request yet."""
        self._conversation = conversation
        self._tally = tally
        self._number = shared.number
        self._pin: Pin | None = None
        self._request = _NO_REQUEST
        self._then: Callable[[bytes], None] | None = None  # answers the request that waits for another protocol
        self.greeting = shared.greeting
        """The reply to HELLO on the link, in the protocol of the conversation."""
        self.due: Relink | None = None
        """The caller does not know of it yet."""
        self.libraries: dict[bytes, bytes] = {}
        """The client's CLIENT SETINFO, by option."""

    def aim(self, request: Request, pin: Pin | None) -> None:
        """Say that the next request does not travel, and why. `pin` is None for a HELLO that is answered here."""
        self._request, self._pin = request, pin

    def aim_freely(self) -> None:
        """Say that the next request travels. A request that has been answered is kept no longer."""
        self._request, self._pin = _NO_REQUEST, None

    def keeps(self, entry: Entry) -> bool:
        """Take the request that is about to be written, if it does not travel. `entry`: of its reply."""
        if self._pin is not None:
            self.pin(self._request, self._pin)
        elif type(entry) is Hello:
            self._greet(entry)
        else:
            return False
        return True

    def reply(self, reply: bytes) -> None:
        """Answer a request, in order. No MULTI is open, and the client takes all replies."""
        self._conversation.answer(Ready(reply))
        self.aim_freely()

    # -- another link ----------------------------------------------------------------------------------

    def pin(self, request: Request, pin: Pin) -> None:
        """Let this request, and all later ones, go on a connection of the client's own."""
        self._leave(request, Relink(self._conversation.protocol, pin.value), None)

    def change_protocol(self, protocol: int, then: Callable[[bytes], None]) -> None:
        """Let the requests wait for a shared link of another protocol. `then` answers, and gets the greeting."""
        self._leave(self._request, Relink(protocol), then)

    def _leave(self, request: Request, relink: Relink, then: Callable[[bytes], None] | None) -> None:
        conversation = self._conversation
        if conversation.owed.size:
            conversation.wait = Barrier(request)
        else:
            conversation.wait = Relinking(request)
            self.due, self._then = relink, then

    @property
    def changes_protocol(self) -> bool:
        """Requests wait for a shared link of another protocol."""
        return self._then is not None

    def done(self, greeting: bytes) -> None:
        """There is a link of the protocol that was asked for. If there is none, `greeting` is an error."""
        then, self._then = self._then, None
        self._conversation.wait = None
        if then is not None:
            then(greeting)

    @property
    def again(self) -> list[bytes]:
        """The commands that have been answered, and that a connection of the client's own needs."""
        name = self._conversation.client_name
        commands = [_HELLO_3] if self._conversation.protocol == 3 else []
        if name:
            commands.append(encode.command(b"CLIENT", b"SETNAME", name))
        return commands + [encode.command(b"CLIENT", b"SETINFO", *each) for each in self.libraries.items() if each[1]]

    # -- HELLO -----------------------------------------------------------------------------------------

    def _greet(self, hello: Hello) -> None:
        """Answer a HELLO that the proxy has admitted."""
        if hello.version in (None, self._conversation.protocol):
            self._welcome(hello)
        else:
            self.change_protocol(hello.version or 2, partial(self._greet_in, hello))

    def _greet_in(self, hello: Hello, greeting: bytes) -> None:
        """Answer a HELLO once there is a link of its protocol."""
        if hello.version == 3 and greeting.startswith(b"-"):
            self.reply(greeting)
            return
        self.use(hello.version or 2, greeting)
        self._welcome(hello)

    def use(self, protocol: int, greeting: bytes) -> None:
        """The link has this protocol from now on."""
        self._conversation.protocol, self.greeting = protocol, greeting

    def _welcome(self, hello: Hello) -> None:
        if hello.name is not None:
            self._conversation.client_name = hello.name
        reply = with_id(self.greeting, self._number)
        is_cluster = self._conversation.on_error is not None  # then the mode is the right one
        if not (is_cluster or reply.startswith(b"-")):
            shown = topology.as_standalone(reply)
            self._tally.record_mode(shown != reply)
            reply = shown
        self.reply(reply)
