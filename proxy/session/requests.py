"""The request half: client bytes -> upstream bytes, and an entry for each reply that they will bring.

Contract: `feed` and `advance` never raise for anything a client sends. A request is forwarded as it stands,
forwarded with its values encoded, or refused; to refuse is to send a poison in its place (GET without a key)
whose error the reply half replaces: so a refusal takes its turn among the replies, and inside MULTI makes EXEC
abort, as Redis' own errors do.

`stall` says why nothing is being read: an answer outstanding, or a command whose meaning depends on replies that
are not in yet. Requests behind it wait, in order.
"""

from collections.abc import Callable
from typing import Final

from proxy.commands import VALID_NAME, Access, Command, Managed, Turn, find
from proxy.policy import Policy, Rule
from proxy.resp import ProtocolError, Request, RequestParser, writers
from proxy.session import guarding, managed, words
from proxy.session.allowance import Allowance
from proxy.session.conversation import Conversation
from proxy.session.effects import CommandInfo, Converted
from proxy.session.encoding import Encoder, Encoding
from proxy.session.entries import (
    BLOCKING,
    PASS,
    Entry,
    Hello,
    Last,
    Muted,
    Opening,
    Refusal,
    ReplyMode,
    SetReplyMode,
    Setup,
    Step,
    Subscription,
    Turning,
)
from proxy.session.gate import (
    MOST_BYTES,
    NOAUTH,
    NOAUTH_EXEC,
    NOAUTH_HELLO,
    OK,
    TOO_LONG,
    WRONGPASS,
    Gate,
    excess,
    without_login,
)
from proxy.session.runs import Runs
from proxy.session.stall import Stall
from proxy.session.tally import Tally
from proxy.session.words import OURS

_BLOCK_IF_ASKED: Final = frozenset({b"XREAD", b"XREADGROUP"})
_REFUSAL_STEPS: Final = 9
"""What a refusal takes longer than what is forwarded."""
_NO_RESP: Final = "protocol"
_POISON: Final = writers.command(b"GET")
_TOO_MUCH_QUEUED: Final = Refusal(
    writers.error(f"{OURS}MULTI holds as many commands as it may ([limits] pending_commands and buffered_bytes)")
)
_REPLY_ON: Final = writers.command(b"CLIENT", b"REPLY", b"ON")
_LONGEST_NAME: Final = 64
"""No server has a command with a longer name (bytes): it is not asked about one."""

_TURNING: Final = {
    Turn.MULTI: Turning(Step.MULTI),
    Turn.EXEC: Turning(Step.EXEC),
    Turn.DISCARD: Turning(Step.DISCARD),
    Turn.RESET: Turning(Step.RESET),
    Turn.QUIT: Turning(Step.QUIT),
    Turn.MONITOR: Turning(Step.MONITOR),
    Turn.SELECT: Turning(Step.SELECT),
}
_PROTOCOLS: Final = {b"2": 2, b"3": 3}
"""As HELLO names them, and in no other spelling."""
_BEFORE_THE_PASSWORD: Final = frozenset({Turn.AUTH, Turn.HELLO, Turn.RESET, Turn.QUIT})
_LEAVING: Final = (_TURNING[Turn.EXEC], _TURNING[Turn.DISCARD], _TURNING[Turn.QUIT])
_BARRIERS: Final = frozenset({Turn.RESET, Turn.MONITOR, Turn.SUBSCRIBE, Turn.UNSUBSCRIBE, Turn.CLIENT_REPLY})
"""Commands that mean something else inside MULTI, or change what the next ones mean: they wait until every reply
before them is in, and what follows waits for theirs."""


class RequestHalf:
    """See the module."""

    __slots__ = (
        "_allowance",
        "_conversation",
        "_looking_up",
        "_parser",
        "_runs",
        "_tally",
        "_waiting",
        "asked",
        "encoder",
        "gate",
        "is_admitted",
        "lookups",
        "out",
        "policy",
        "setup",
        "stall",
    )

    def __init__(
        self, policy: Policy, allowance: Allowance, conversation: Conversation, gate: Gate | None, tally: Tally
    ) -> None:
        """`gate`: what stands in for Redis' own password; None: AUTH passes through."""
        self._allowance = allowance
        self._tally = tally
        self.asked: Command | None = None
        """The last one before which nothing was outstanding."""
        self.policy = policy
        self.setup: tuple[Opening, ...] = ()
        """The proxy's own commands, sent first and again after whatever undoes them."""
        self.gate = gate
        self.is_admitted = gate is None or gate.is_open
        self._conversation = conversation
        self._parser = RequestParser(policy.limits.request)
        self._waiting: Request | None = None
        self._looking_up = b""
        self.out: list[bytes] = []
        self.encoder = Encoder(allowance)
        self._runs = Runs(self._parser, self.encoder, conversation, allowance, tally, self.out)
        self.lookups: list[bytes] = []
        self.stall: Stall | None = None

    @property
    def memory(self) -> int:
        """Bytes that requests take which are not whole yet, or wait."""
        waiting = 0 if self._waiting is None else 2 * len(self._waiting.chunk)
        return waiting + self.encoder.memory + self._parser.memory

    @property
    def has_more(self) -> bool:
        """A request is there that has not been looked at."""
        return self._parser.has_more

    @property
    def begun(self) -> bool:
        """The client has sent a first command, and the password where it needs one."""
        return self._parser.begun and self.is_admitted

    def feed(self, data: bytes) -> None:
        """Take a client's bytes."""
        self._parser.feed(data)

    def begin(self, setup: tuple[Opening, ...]) -> None:
        """`setup` opens the conversation. Nothing of the client's goes out before Redis has accepted it."""
        self.setup = setup
        self.send_setup()
        if setup:
            self.stall = Stall.BARRIER

    def set_policy(self, policy: Policy, gate: Gate | None) -> None:
        """From the next request on."""
        self.policy = policy
        self.gate = gate
        self._parser.limits = policy.limits.request

    def advance(self) -> None:
        """Go through the requests that are there, until none is left or one must wait."""
        conversation, allowance, counts = self._conversation, self._allowance, self._tally.commands
        straight = self.is_admitted and conversation.is_straight
        while self.stall is None and not conversation.is_full(allowance.limits):
            try:
                request = self._parser.next()
            except ProtocolError as error:
                self._end(writers.error(error.text), error.text, error.limit or _NO_RESP)
                return
            if request is None:
                if self._parser.has_more:
                    self.stall = Stall.TURN
                elif not self.is_admitted and self._parser.buffered > MOST_BYTES:
                    self._end(writers.error(TOO_LONG), TOO_LONG)
                return
            allowance.requests -= 1
            command = find(request[0])
            counts[command] += 1
            if not conversation.entries:
                self.asked = command
            taken = straight and command is not None and self._runs.take(self.policy, command, request)
            if taken is False:
                self._take(command, request)
                straight = self.is_admitted and conversation.is_straight
            elif taken is not True:
                self._refuse(f"{OURS}{taken}; nothing was stored")
            if allowance.requests <= 0 and self.stall is None and self._parser.has_more:
                self.stall = Stall.TURN

    def resume(self) -> None:
        """Every reply is in: what waited for that goes on."""
        if self.stall is not Stall.BARRIER:
            return
        if self._conversation.setup_due:
            self._conversation.setup_due = False
            self.send_setup()
            if self.setup:
                return
        self.stall = None
        if self._waiting is not None:
            request, self._waiting = self._waiting, None
            self._take(find(request.args), request)

    # -- one request -----------------------------------------------------------------------------------

    def _take(self, command: Command | None, request: Request) -> None:
        args = request.args
        if not self.is_admitted and not self._may_knock(command, args):
            return
        if command is None:
            # Redis runs no name with a bar, but COMMAND INFO knows those of subcommands.
            if VALID_NAME.fullmatch(args[0]) and len(args[0]) <= _LONGEST_NAME and b"|" not in args[0]:
                self._take_unknown(request, args[0].upper())
            else:
                self._refuse(words.unknown_command(args))
        elif command.subcommands is not None:
            self._take_container(command, request)
        elif self._is_open(command, args) and (command.turn is Turn.NONE or self._turn(command, request)):
            self._forward(command, args, request.raw)

    def _take_container(self, command: Command, request: Request) -> None:
        """A command with subcommands, but without one that we know."""
        args, raw = request.args, request.raw
        if len(args) == 1:
            self._send(raw, PASS)  # alone it does nothing, or (COMMAND) nothing that matters
        elif VALID_NAME.fullmatch(args[1]) and len(args[1]) <= _LONGEST_NAME:
            self._take_unknown(request, command.name + b"|" + args[1].upper())
        else:
            self._refuse(words.unknown_subcommand(args))

    def _forward(self, command: Command, args: list[bytes], raw: bytes) -> None:
        rules = list(map(self.policy.match, command.keys(args)))
        if any(rules):
            self._take_managed(command, args, raw, rules)
        elif any(map(self.policy.may_reach, command.patterns(args))):
            self._refuse(f"{OURS}a pattern of {words.name(command)} may reach keys that hold cached values")
        else:
            self._send(raw, BLOCKING if self._may_block(command, args) else PASS)

    def _may_block(self, command: Command, args: list[bytes]) -> bool:
        """Whether the reply may wait for others: not inside MULTI, nor for XREAD without BLOCK."""
        if not command.blocking or self._conversation.in_multi:
            return False
        return command.name not in _BLOCK_IF_ASKED or b"BLOCK" in map(bytes.upper, args)

    def _send(self, raw: bytes, entry: Entry) -> None:
        """Write upstream and expect the reply: always in one step."""
        conversation = self._conversation
        if conversation.in_multi and conversation.multi_is_full(self.policy.limits) and entry not in _LEAVING:
            raw, entry = _POISON, _TOO_MUCH_QUEUED
        if conversation.muted or conversation.skip_next:
            conversation.skip_next = False
            entry = Muted(entry)
        self._owe(raw, entry)

    def _owe(self, raw: bytes, entry: Entry) -> None:
        """As `_send`, for what CLIENT REPLY does not silence."""
        self._conversation.entries.append(entry)
        self._conversation.pending_bytes += entry.size
        self.out.append(raw)

    def _refuse(self, text: str) -> None:
        self._allowance.requests -= _REFUSAL_STEPS
        self._tally.refusals += 1
        self._reply(writers.error(text))

    def _reply(self, reply: bytes) -> None:
        """Answer ourselves, in turn: whatever Redis says to the poison is replaced."""
        self._send(_POISON, Refusal(reply))

    def _end(self, reply: bytes, reason: str, met: str = _NO_RESP) -> None:
        """End the conversation for what the client has sent. `met`: what it is counted by."""
        self._tally.ended[met] += 1
        silent = self._conversation.muted or self._conversation.skip_next
        self._conversation.entries.append(Last(b"" if silent else reply, reason))
        self.stall = Stall.ENDED

    # -- who may send what -----------------------------------------------------------------------------

    def _is_open(self, command: Command, args: list[bytes]) -> bool:
        """Whether the command goes on, whatever its keys; if not, it has been dealt with."""
        if self._conversation.monitoring and command.turn not in (Turn.RESET, Turn.QUIT):
            self._refuse(f"{OURS}after MONITOR only RESET and QUIT are taken")
        elif command.access is Access.CLOSE:
            self._end(b"", "an HTTP request on a Redis port")
        elif (reason := guarding.refusal(self.policy.guard, command, args)) is not None:
            self._refuse(reason)
        else:
            return True
        return False

    def _may_knock(self, command: Command | None, args: list[bytes]) -> bool:
        """Whether a client may send this before it has given the password; if not, it has been dealt with."""
        if (reason := excess(args)) is not None:
            self._end(writers.error(reason), reason)
            return False
        if command is not None and (command.turn in _BEFORE_THE_PASSWORD or command.access is Access.CLOSE):
            return True
        self._reply(NOAUTH_EXEC if command is not None and command.turn is Turn.EXEC else NOAUTH)
        return False

    def _take_unknown(self, request: Request, name: bytes) -> None:
        """A command or subcommand that the table does not hold: the server is asked what it is."""
        if self._conversation.monitoring:
            self._refuse(f"{OURS}after MONITOR only RESET and QUIT are taken")
        else:
            self._waiting, self._looking_up = request, name
            self.stall = Stall.LOOKUP
            self.lookups.append(name)

    def looked_up(self, info: CommandInfo | None) -> None:
        """The answer to the look-up outstanding; None: the server does not know the command either."""
        request, self._waiting = self._waiting, None
        self.stall = None
        if request is None:
            return
        name = self._looking_up.decode()
        if info is None and b"|" in self._looking_up:
            self._refuse(words.unknown_subcommand(request.args))  # a server before Redis 7 knows no row for it
        elif info is None:
            self._send(request.raw, PASS)  # for the server's own error
        elif any(self.policy.match(arg) is not None for arg in request.args[1:]):
            self._refuse(f"{OURS}{name} is not known here and names a key that holds a cached value")
        elif info.is_harmless or self.policy.guard.names(self._looking_up):
            self._send(request.raw, PASS)
        else:
            why = f", and Redis does not say what it is ({info.unknown_because})" if info.unknown_because else ""
            self._refuse(f'{OURS}{name} is not known here{why}; "{name}" in [guard] allow lets it through')

    # -- turns of the conversation ---------------------------------------------------------------------

    def _turn(self, command: Command, request: Request) -> bool:
        """Deal with a command that changes the conversation; True: it goes on as any other."""
        take = _TURNS.get(command.turn)
        if take is None or any(map(self.policy.match, command.keys(request.args))):
            return True
        needs_setup = command.turn in (Turn.AUTH, Turn.HELLO) and not self._conversation.setup_done
        is_login = command.turn is Turn.AUTH and self.gate is not None
        if command.turn in _BARRIERS or needs_setup or is_login:
            self.stall = Stall.BARRIER
            if self._conversation.entries:
                self._waiting = request
                return False
        take(self, command.turn, request)
        if needs_setup and not self._conversation.in_multi and not self._conversation.selected:
            self.send_setup()
        return False

    def _step(self, turn: Turn, request: Request) -> None:
        self._send(request.raw, _TURNING[turn])

    def _quit(self, turn: Turn, request: Request) -> None:
        self._step(turn, request)
        self.stall = Stall.ENDED

    def _reset(self, turn: Turn, request: Request) -> None:
        # RESET ends CLIENT REPLY OFF and is heard, but not by a client that wanted to skip one reply.
        skipped, self._conversation.skip_next = self._conversation.skip_next, False
        self._owe(request.raw, Muted(_TURNING[turn]) if skipped else _TURNING[turn])
        if len(request.args) == 1:  # else Redis refuses it
            self.is_admitted = self.gate is None or self.gate.is_open

    def _hello(self, _turn: Turn, request: Request) -> None:
        args, raw = request.args, request.raw
        protocol = _PROTOCOLS.get(args[1]) if len(args) > 1 else None
        if self.gate is not None:
            if len(args) > 1 and protocol is None:
                args = args[:2]  # of an unknown version Redis reads no further, nor does it ask who it is
            else:
                args, login = without_login(args)
                if login is not None and not self.gate.admits(*login):
                    self._reply(WRONGPASS)
                    return
                self.is_admitted = self.is_admitted or login is not None
                if not self.is_admitted:
                    self._reply(NOAUTH_HELLO)
                    return
            raw = writers.command(*args)
        self._send(raw, Hello(protocol))

    def _authenticate(self, _turn: Turn, request: Request) -> None:
        if self.gate is None:
            self._send(request.raw, PASS)
        elif self._conversation.in_multi:
            self._refuse(f"{OURS}AUTH is refused inside MULTI, because the proxy answers it itself")
        else:
            answer = self.gate.answer(request.args)
            self.is_admitted = self.is_admitted or answer is OK
            self._reply(answer)

    def send_setup(self) -> None:
        """Send the proxy's own commands."""
        for opening in self.setup:
            self._conversation.setup_done = False
            self._owe(opening.raw, Setup(opening.refused))

    def _subscribe(self, turn: Turn, request: Request) -> None:
        args, raw = request.args, request.raw
        kind = args[0].lower()
        count = len(args) - 1
        if self._conversation.in_multi:
            self._refuse(f"{OURS}{kind.decode().upper()} is refused inside MULTI, where Redis answers it malformed")
        elif turn is Turn.SUBSCRIBE and not count:
            self._send(raw, PASS)  # Redis says what is wrong with it
        else:
            self._conversation.skip_next = False  # spent, though confirmations are never silenced
            current = self._conversation.subscribed.get(kind.replace(b"un", b"", 1), 0)
            self._owe(raw, Subscription(kind, count or max(1, current)))

    def _set_reply_mode(self, _turn: Turn, request: Request) -> None:
        args, raw = request.args, request.raw
        # Redis compares the mode as a C string, which ends at a NUL.
        word = args[2].partition(b"\0")[0].upper() if len(args) == 3 else b""
        if self._conversation.in_multi:
            self._refuse(f"{OURS}CLIENT REPLY is refused inside MULTI, where Redis answers it malformed")
        elif word in (b"ON", b"OFF", b"SKIP"):
            self._owe(_REPLY_ON, SetReplyMode(ReplyMode(word)))
        else:
            self._send(raw, PASS)

    # -- managed keys ----------------------------------------------------------------------------------

    def _take_managed(self, command: Command, args: list[bytes], raw: bytes, rules: list[Rule | None]) -> None:
        option = managed.odd_option(command, args)
        if (reason := managed.forbidden(command, rules, option)) is not None:
            self._refuse(reason)
        elif option is not None:
            self._send(managed.misspelt(command, args), managed.must_fail(command, option))
        elif command.managed is not Managed.TRANSCODE:
            self._send(raw, PASS)
        elif (values := command.values(args)) is None:
            self._refuse(f"{OURS}{words.name(command)}: the number of keys does not fit")
        else:
            entry = managed.expected(command, args, rules)
            by_key = dict(zip(command.keys(args), rules, strict=True))
            places = [(rule, place) for key, place in values if (rule := by_key[args[key]]) is not None]
            if places:
                args = managed.with_expiry(command, args, places[0][0])
                self._encode(Encoding(args, places, entry))
            else:
                self._send(raw, entry)

    def _encode(self, encoding: Encoding) -> None:
        if self.encoder.encode(encoding):
            self._forward_encoded(encoding)
        else:
            self.stall = Stall.ENCODING

    def _forward_encoded(self, encoding: Encoding) -> None:
        if encoding.refusal is not None:
            self._refuse(f"{OURS}{encoding.refusal}")
        else:
            self._send(writers.command(*encoding.args), encoding.entry)

    def encoded(self, result: Converted | None) -> None:
        """A value was encoded elsewhere; None: a new turn has come, for whatever waited for one."""
        if self.stall is Stall.TURN and result is None:
            self.stall = None
        elif (encoding := self.encoder.go_on(result)) is not None:
            self.stall = None
            self._forward_encoded(encoding)


_TURNS: Final[dict[Turn, Callable[[RequestHalf, Turn, Request], None]]] = {
    **dict.fromkeys((Turn.MULTI, Turn.EXEC, Turn.DISCARD, Turn.MONITOR, Turn.SELECT), RequestHalf._step),
    Turn.QUIT: RequestHalf._quit,
    Turn.RESET: RequestHalf._reset,
    Turn.HELLO: RequestHalf._hello,
    Turn.AUTH: RequestHalf._authenticate,
    Turn.SUBSCRIBE: RequestHalf._subscribe,
    Turn.UNSUBSCRIBE: RequestHalf._subscribe,
    Turn.CLIENT_REPLY: RequestHalf._set_reply_mode,
}
