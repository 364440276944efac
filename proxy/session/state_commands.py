"""Commands that change the state of a conversation: logins, RESET, SUBSCRIBE, CLIENT REPLY, the steps of MULTI.

Contract: `take` sends a command, answers it, or sets a barrier for it. Redis' reply changes the state, not the request.
The exception is the client's login at the proxy.
"""

from collections.abc import Callable
from typing import Final

from proxy.commands import Access, Command, Turn, word
from proxy.policy import Policy
from proxy.resp import Request, encode
from proxy.session import error_texts
from proxy.session.auth import (
    NOAUTH,
    NOAUTH_EXEC,
    NOAUTH_HELLO,
    OK,
    WRONGPASS,
    Gate,
    has_login,
    hello_name,
    without_login,
)
from proxy.session.expected_replies import (
    PASS,
    Entry,
    Hello,
    Login,
    Opening,
    ReplyMode,
    SetName,
    SetReplyMode,
    Setup,
    Step,
    Subscription,
)
from proxy.session.outbox import POISON, PROBE, STATE_CHANGES, Outbox
from proxy.session.refusals import Reason
from proxy.session.state import Barrier, Conversation, Ended

_INVALID_LOGIN: Final = encode.command(b"AUTH", b"")
_REPLY_ON: Final = encode.command(b"CLIENT", b"REPLY", b"ON")
_WITH_PUSHES: Final = 3
_PROTOCOLS: Final = {b"2": 2, b"3": _WITH_PUSHES}
"""Protocol versions, in the only spelling that HELLO accepts."""
_BEFORE_LOGIN: Final = frozenset({Turn.AUTH, Turn.HELLO, Turn.RESET, Turn.QUIT})
_STEPS: Final = {
    Turn.MULTI: STATE_CHANGES[Step.MULTI],
    Turn.EXEC: STATE_CHANGES[Step.EXEC],
    Turn.DISCARD: STATE_CHANGES[Step.DISCARD],
    Turn.QUIT: STATE_CHANGES[Step.QUIT],
    Turn.MONITOR: STATE_CHANGES[Step.MONITOR],
    Turn.SELECT: STATE_CHANGES[Step.SELECT],
}
_BARRIERS: Final = frozenset({Turn.RESET, Turn.MONITOR, Turn.SUBSCRIBE, Turn.UNSUBSCRIBE, Turn.CLIENT_REPLY})
"""Commands that mean something else inside MULTI, or change the meaning of later ones.

They wait until no reply is outstanding. Later requests wait for their replies."""


_LONGEST_NAME: Final = 256
"""Bytes of a client's name that are kept: more than 64 characters of UTF-8."""


def _name_in(args: list[bytes]) -> bytes | None:
    name = hello_name(args)
    return None if name is None else name[:_LONGEST_NAME]


class StateCommands:
    """See the module."""

    __slots__ = ("_aborts", "_conversation", "_outbox", "gate", "setup")

    def __init__(self, conversation: Conversation, outbox: Outbox, gate: Gate | None) -> None:
        """`gate`: checks the client's password in place of Redis; None: AUTH passes through."""
        self._conversation = conversation
        self._outbox = outbox
        self.gate = gate
        self._aborts = False  # the transaction that is open was begun under other rules
        conversation.not_admitted = not self._needs_no_password
        self.setup: tuple[Opening, ...] = ()
        """The proxy's own commands. They are sent first, and again after a command that undoes them."""

    @property
    def _needs_no_password(self) -> bool:
        return self.gate is None or self.gate.is_open

    # -- the beginning ---------------------------------------------------------------------------------

    def begin(self, setup: tuple[Opening, ...], *, wants_password: bool) -> None:
        """Open the conversation with the commands of `setup`. No request is sent before Redis has accepted them."""
        conversation = self._conversation
        self.setup = setup
        conversation.wants_password = conversation.is_stranger = wants_password and self.gate is None
        self.send_setup()
        if setup:
            conversation.wait = Barrier()

    def send_setup(self) -> None:
        """Send the proxy's own commands."""
        for opening in self.setup:
            self._conversation.setup_done = False
            self._outbox.owe(opening.raw, Setup(opening.refused))

    def begin_again(self, setup: tuple[Opening, ...], again: list[bytes]) -> None:
        """Open a second connection, as `begin`. `again`: commands that the client has sent and the proxy answered."""
        self.setup = setup
        self._conversation.setup_done = not setup
        self._outbox.open(setup, again)

    def is_allowed_before_login(self, command: Command | None) -> bool:
        """Whether a client may send this command before it has given our password. If not, it has been answered."""
        if command is not None and (command.turn in _BEFORE_LOGIN or command.access is Access.CLOSE):
            return True
        is_exec = command is not None and command.turn is Turn.EXEC
        self._outbox.deny(Reason.NOT_AUTHENTICATED, NOAUTH_EXEC if is_exec else NOAUTH)
        return False

    # -- one command -----------------------------------------------------------------------------------

    def concerns(self, command: Command) -> bool:
        """Whether `take` handles this command."""
        return command.turn in _TAKE

    def take(self, command: Command, request: Request) -> None:
        """Handle a command, now or when no reply is outstanding."""
        conversation = self._conversation
        needs_setup = command.turn in (Turn.AUTH, Turn.HELLO) and not conversation.setup_done
        if command.turn in _BARRIERS or needs_setup or self._logs_in(command, request.args):
            is_early = conversation.owed.size > 0
            conversation.wait = Barrier(request if is_early else None)
            if is_early:
                return
        _TAKE[command.turn](self, command.turn, request)
        if needs_setup and not conversation.in_multi and not conversation.selected:
            self.send_setup()

    def reload(self, before: Policy, now: Policy, gate: Gate | None) -> None:
        """Use another gate. A transaction that is open now aborts if the new policy manages other keys.

        Its commands may write keys that had no rule, and the client chooses when they are done.
        """
        self.gate = gate
        self._aborts |= self._conversation.may_be_in_multi and not before.manages_as(now)

    def _leave_multi(self, turn: Turn, request: Request) -> None:
        if self._aborts and turn is Turn.EXEC:
            self._outbox.owe(POISON, PROBE)
        self._aborts = False
        self._step(turn, request)

    def _step(self, turn: Turn, request: Request) -> None:
        self._outbox.send(request.raw, _STEPS[turn])

    def _quit(self, turn: Turn, request: Request) -> None:
        self._step(turn, request)
        self._conversation.wait = Ended()

    def _reset(self, _turn: Turn, request: Request) -> None:
        # RESET ends CLIENT REPLY OFF, so its reply is delivered. After SKIP it is not.
        skipped, self._conversation.skip_next = self._conversation.skip_next, False
        self._outbox.owe(request.raw, STATE_CHANGES[Step.RESET], delivered=not skipped)
        if len(request.args) == 1:  # Redis refuses RESET with arguments
            self._aborts = False
            self._conversation.not_admitted = not self._needs_no_password

    # -- logins ----------------------------------------------------------------------------------------

    def _logs_in(self, command: Command, args: list[bytes]) -> bool:
        """Whether a request logs in at Redis. It waits until no reply is outstanding (see `Login`)."""
        return command.turn is Turn.AUTH or (self.gate is None and command.turn is Turn.HELLO and has_login(args))

    def _log_in(self, request: Request, entry: Entry) -> None:
        """Forward a login to Redis. In RESP3 a push may come at any time, so a poison follows the login."""
        if self._conversation.in_multi:
            self._outbox.refuse(Reason.IN_MULTI, error_texts.AUTH_IN_MULTI)
        elif self._conversation.protocol == _WITH_PUSHES:
            self._outbox.send(request.raw, Login(entry))
            self._outbox.owe(POISON, PROBE)  # it shows whether Redis has answered the login
        else:
            self._outbox.send(request.raw, entry)

    def _authenticate(self, _turn: Turn, request: Request) -> None:
        if self.gate is None:
            self._log_in(request, PASS)
        elif self._conversation.in_multi:
            self._outbox.refuse(Reason.IN_MULTI, error_texts.OWN_AUTH_IN_MULTI)
        elif self._conversation.only_messages and len(request.args) > 1:
            self._outbox.send(_INVALID_LOGIN, PASS)  # Redis' error lists the commands that a subscriber may send
        else:
            answer = self.gate.answer(request.args)
            if answer is OK:
                self._conversation.not_admitted = False
                self._outbox.reply(answer)
            else:
                self._outbox.deny(Reason.LOGIN_FAILED, answer)

    def _hello(self, _turn: Turn, request: Request) -> None:
        args = request.args
        protocol = _PROTOCOLS.get(args[1]) if len(args) > 1 else None
        if self.gate is not None:
            self._hello_at(self.gate, args, protocol)
        elif has_login(args):
            self._log_in(request, Hello(protocol, logs_in=True, name=_name_in(args)))
        else:
            self._outbox.send(request.raw, Hello(protocol, name=_name_in(args)))

    def _hello_at(self, gate: Gate, args: list[bytes], protocol: int | None) -> None:
        """HELLO where the proxy checks the password: Redis gets it without the login."""
        if len(args) > 1 and protocol is None:
            args = args[:2]  # Redis reads nothing after an unknown version, and then needs no password
        else:
            args, login, wrong = without_login(args)
            is_right = login is not None and gate.admits(*login)
            if login is not None and not is_right and not self._conversation.only_messages:
                self._outbox.deny(Reason.LOGIN_FAILED, WRONGPASS)
                return
            if is_right:
                self._conversation.not_admitted = False
            if self._conversation.not_admitted:
                if wrong is None:
                    self._outbox.deny(Reason.NOT_AUTHENTICATED, NOAUTH_HELLO)
                else:
                    self._outbox.deny(Reason.SYNTAX, encode.error(error_texts.wrong_hello(wrong)))
                return
        self._outbox.send(encode.command(*args), Hello(protocol, name=_name_in(args)))

    # -- subscriptions and silence ---------------------------------------------------------------------

    def _subscribe(self, turn: Turn, request: Request) -> None:
        args, raw = request.args, request.raw
        kind = args[0].lower()
        count = len(args) - 1
        if self._conversation.in_multi:
            self._outbox.refuse(Reason.IN_MULTI, error_texts.subscribe_in_multi(kind))
        elif turn is Turn.SUBSCRIBE and not count:
            self._outbox.send(raw, PASS)  # the client gets Redis' own error
        else:
            self._conversation.skip_next = False  # SKIP is used up, although confirmations are always delivered
            current = self._conversation.subscribed.get(kind.replace(b"un", b"", 1), 0)
            self._outbox.owe(raw, Subscription(kind, count or max(1, current)))

    def _set_name(self, _turn: Turn, request: Request) -> None:
        args = request.args
        self._outbox.send(request.raw, SetName(args[2][:_LONGEST_NAME]) if len(args) == 3 else PASS)

    def _set_caching(self, _turn: Turn, request: Request) -> None:
        self._outbox.send(request.raw, PASS)
        self._conversation.expect_next()

    def _set_reply_mode(self, _turn: Turn, request: Request) -> None:
        args, raw = request.args, request.raw
        mode = word(args[2]) if len(args) == 3 else b""
        if self._conversation.in_multi:
            self._outbox.refuse(Reason.IN_MULTI, error_texts.CLIENT_REPLY_IN_MULTI)
        elif mode in (b"ON", b"OFF", b"SKIP"):
            self._outbox.owe(_REPLY_ON, SetReplyMode(ReplyMode(mode)))
        else:
            self._outbox.send(raw, PASS)


_TAKE: Final[dict[Turn, Callable[[StateCommands, Turn, Request], None]]] = {
    **dict.fromkeys((Turn.MULTI, Turn.MONITOR, Turn.SELECT), StateCommands._step),
    **dict.fromkeys((Turn.EXEC, Turn.DISCARD), StateCommands._leave_multi),
    Turn.QUIT: StateCommands._quit,
    Turn.RESET: StateCommands._reset,
    Turn.HELLO: StateCommands._hello,
    Turn.AUTH: StateCommands._authenticate,
    Turn.SUBSCRIBE: StateCommands._subscribe,
    Turn.UNSUBSCRIBE: StateCommands._subscribe,
    Turn.CLIENT_REPLY: StateCommands._set_reply_mode,
    Turn.CLIENT_CACHING: StateCommands._set_caching,
    Turn.CLIENT_SETNAME: StateCommands._set_name,
}
