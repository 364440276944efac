"""The request half: client bytes -> upstream bytes, and an entry for each reply that is owed for them.

Contract: `advance` never raises, whatever a client sends. A request is forwarded unchanged, forwarded with
its values encoded, or refused. While `Conversation.wait` is set, no request is read, and later ones wait in order.

A generator handles a request that may take long, over several turns of the event loop. It yields the kind of its wait,
and uses the policy with which it began. It sends no bytes before the whole request is checked and encoded.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final

from proxy.commands import (
    LONGEST_NAME,
    MOST_WORDS,
    Access,
    Command,
    Managed,
    Reply,
    Turn,
    find,
    is_valid_name,
    usual,
    word,
)
from proxy.policy import Policy, Rule
from proxy.resp import ProtocolError, Request, encode
from proxy.session import error_texts, guard, large_requests, lookups, managed_keys
from proxy.session.auth import Gate, excess
from proxy.session.counters import Tally
from proxy.session.effects import CommandInfo, Converted
from proxy.session.encoder import Encoder, Encoding
from proxy.session.expected_replies import BLOCKING, PASS, SHOWN, Each, Entry, Opening
from proxy.session.outbox import NO_RESP
from proxy.session.refusals import Reason
from proxy.session.reporter import culprit
from proxy.session.state import Barrier, Conversation, Encode, Lookup, Mark, NextTurn, Steps, Work
from proxy.session.state_commands import StateCommands
from proxy.session.turn_budget import TurnBudget
from proxy.session.ways import Way

_BLOCK_IF_ASKED: Final = frozenset({b"XREAD", b"XREADGROUP"})
_FEW: Final = 4
"""A request with so few arguments fits into one turn, however long they are."""


class RequestHalf:
    """See the module."""

    __slots__ = (
        "_budget",
        "_conversation",
        "_outbox",
        "_reporter",
        "_router",
        "_state_commands",
        "_tally",
        "encoder",
        "lookups",
        "out",
        "parser",
        "path",
        "policy",
    )

    def __init__(
        self,
        policy: Policy,
        budget: TurnBudget,
        conversation: Conversation,
        gate: Gate | None,
        tally: Tally,
        way: Way,
    ) -> None:
        """`gate`: checks the client's password in place of Redis; None: AUTH passes through."""
        self._budget = budget
        self._tally = tally
        self.policy = policy
        self._conversation = conversation
        self.parser, self._outbox, self.path, self._router = way
        self._reporter = self._outbox.reporter
        self.out = self._outbox.pieces
        self._state_commands = StateCommands(conversation, self._outbox, gate)
        self.encoder = Encoder(budget)
        self.lookups: list[bytes] = []

    @property
    def memory(self) -> int:
        """Bytes of requests that are not whole yet, or that wait."""
        wait = self._conversation.wait
        held = self.parser.memory + self.path.memory
        return held + max(0 if wait is None else wait.memory, self.encoder.memory)

    @property
    def begun(self) -> bool:
        """The client has sent a first command, and is authenticated where it must be."""
        return self.parser.begun and not self.is_stranger

    @property
    def is_stranger(self) -> bool:
        """The client still has to authenticate, at the proxy or at Redis."""
        return bool(self._conversation.marks & (Mark.IS_STRANGER | Mark.NOT_ADMITTED))

    def begin(self, setup: tuple[Opening, ...], *, wants_password: bool) -> None:
        """Open the conversation with the commands of `setup`."""
        self._state_commands.begin(setup, wants_password=wants_password)
        self._conversation.flows = self._conversation.wait is None

    def begin_again(self, setup: tuple[Opening, ...], again: list[bytes], request: Request) -> None:
        """Go on where another half has left off, with `request`. `again`: see `StateCommands.begin_again`."""
        command = find(request.args)
        self._reporter.command = self._conversation.asked = command
        self._state_commands.begin_again(setup, again)
        self._conversation.wait = Barrier(request)

    def set_policy(self, policy: Policy, gate: Gate | None) -> bool:
        """Use this policy from the next request on. False: it forbids the current one, which ends the conversation."""
        self._state_commands.reload(self.policy, policy, gate)
        self.policy = policy
        self.parser.limits = policy.limits.request
        return self.path.set_policy(policy)

    def advance(self) -> None:
        """Handle the requests that have come, until there are no more or one must wait."""
        conversation, budget, counts = self._conversation, self._budget, self._tally.commands
        parser, owed, limits = self.parser, conversation.owed, budget.limits
        conversation.flows = conversation.is_dry = False
        while conversation.wait is None:
            if owed.size >= limits.pending_commands or conversation.pending_bytes >= limits.buffered_bytes:
                return
            if parser.is_dry and not parser.ready:
                conversation.flows = conversation.is_dry = True
                return
            request = parser.ready.pop() if parser.ready else self._read_next()
            if request is None:
                return
            budget.requests -= 1
            args = request.args
            if self.path.rest_is_due:
                self.path.send_rest(request)
                continue
            command = usual(args[0]) if len(args[0]) <= LONGEST_NAME else None
            if command is None or command.subcommands is not None:
                command = find(args)
            is_straight = command is not None and command.is_straight and not conversation.marks
            if not (is_straight and self.path.take_ready(request)):
                counts[command] += 1
                self._reporter.command = command
                if not conversation.home.owed.size:
                    conversation.asked = command
                if is_straight and command is not None:
                    self._forward(command, args, request.raw)
                else:
                    self._take(command, request)
            if budget.requests <= 0 and conversation.wait is None and parser.has_more:
                self._wait_turn()

    def _read_next(self) -> Request | None:
        """Parse the next request. None: there is no whole request, at least in this turn."""
        try:
            while (request := self.parser.next()) is None and self._may_read_again():
                pass
        except ProtocolError as error:
            self._end_malformed(error)
            return None
        return request

    def _wait_turn(self) -> None:
        self._budget.wants_turn = True
        self._conversation.wait = NextTurn()

    def _may_read_again(self) -> bool:
        """The parser has no whole request, at least in this turn. True: it may have one now."""
        if self.parser.has_more:
            self._wait_turn()
            return False
        if self.is_stranger:
            if self.parser.hurry():
                return True
            self._limit_stranger(*self.parser.under_way)
        self._conversation.flows = self._conversation.wait is None
        return False

    def _end_malformed(self, error: ProtocolError) -> None:
        """End the conversation because of bytes that are not a request."""
        too_much = excess(*self.parser.under_way) if error.limit and self.is_stranger else None
        text = too_much or error.text
        self._outbox.end(encode.error(text), text, error.limit or NO_RESP)

    def resume(self) -> bool:
        """Replies have come: continue with the request that waited for them. False: there is no such request."""
        conversation, wait = self._conversation, self._conversation.wait
        if wait is None and not self._conversation.flows:  # too much was outstanding
            return not conversation.is_full(self._budget.limits)
        if type(wait) is not Barrier or conversation.owed.size:
            return False
        if conversation.setup_due:
            conversation.setup_due = False
            self._state_commands.send_setup()
            if conversation.owed.size:
                return True
        conversation.wait = None
        if wait.request is not None:
            self._take(find(wait.request.args), wait.request)
        elif self._budget.requests <= 0 and self.parser.has_more:  # barriers that nobody but us has answered
            self._wait_turn()
        return True

    # -- one request -----------------------------------------------------------------------------------

    def _take(self, command: Command | None, request: Request) -> None:
        args = request.args
        if self.is_stranger and self._limit_stranger(len(args), max(map(len, args)), request):
            return
        if self._conversation.not_admitted and not self._state_commands.is_allowed_before_login(command):
            return
        if command is None:
            # Redis runs no command with a bar in its name, but COMMAND INFO accepts the names of subcommands.
            if is_valid_name(args[0]) and b"|" not in args[0]:
                self._take_unknown(request, args[0].upper())
            else:
                self._outbox.refuse(Reason.UNKNOWN_COMMAND, error_texts.unknown_command(args))
        elif self._router is not None and self._router.answers(command, request):
            pass
        elif command.subcommands is not None:
            self._take_container(command, request)
        elif command.access is Access.CLUSTER:
            self._take_unknown(request, command.name)
        elif not self._is_open(command, args) or (self._router is not None and self._router.aim(command, request)):
            pass  # it has been answered
        elif not self._changes_state(command, request):
            self._forward(command, args, request.raw)

    def _take_container(self, command: Command, request: Request) -> None:
        """Handle a command with subcommands whose subcommand is missing or not in the table."""
        args, raw = request.args, request.raw
        if len(args) == 1:
            self._outbox.send(raw, PASS)  # without a subcommand it is an error, or (COMMAND) a harmless read
        elif is_valid_name(args[1]):
            self._take_unknown(request, command.name + b"|" + args[1].upper())
        else:
            self._outbox.refuse(Reason.UNKNOWN_SUBCOMMAND, error_texts.unknown_subcommand(args))

    def _forward(self, command: Command, args: list[bytes], raw: bytes, rules: list[Rule | None] | None = None) -> None:
        """Handle a request by its keys. `rules`: of each key; None: the keys have not been matched yet."""
        policy = self.policy
        if len(args) > _FEW and large_requests.is_large(args, len(raw), policy.limits):
            self._begin(self._forward_in_turns(command, args, raw, rules), large_requests.memory(args, raw))
            return
        if rules is None:
            rules = list(map(policy.match, command.keys(args)))
        self._tally.count_keys(rules)
        if any(rules):
            steps = self._take_managed(policy, command, args, raw, rules, set(rules))
            if steps is not None:
                self._begin(steps)
        elif any(map(policy.may_reach, command.patterns(args))):
            self._outbox.refuse(Reason.PATTERN, error_texts.reaching(command))
        else:
            self._outbox.send(raw, self._untouched(command, args))

    def _untouched(self, command: Command, args: list[bytes]) -> Entry:
        """The entry for a request that names no managed key."""
        return BLOCKING if self._may_block(command, args) else SHOWN.get(command.reply, PASS)

    def _may_block(self, command: Command, args: list[bytes]) -> bool:
        """Whether the reply may wait for other clients: not inside MULTI, nor for XREAD without BLOCK."""
        if not command.blocking or self._conversation.in_multi:
            return False
        return command.name not in _BLOCK_IF_ASKED or b"BLOCK" in map(word, args[:MOST_WORDS])

    # -- guard, limits, unknown commands ---------------------------------------------------------------

    def _is_open(self, command: Command, args: list[bytes]) -> bool:
        """Whether the command may pass, regardless of its keys. If not, it has been answered."""
        if self._conversation.marks & Mark.MONITORING and command.turn not in (Turn.RESET, Turn.QUIT):
            self._outbox.refuse(Reason.AFTER_MONITOR, error_texts.AFTER_MONITOR)
        elif command.access is Access.CLOSE:
            self._outbox.end(b"", "an HTTP request on a Redis port")
        elif (refusal := guard.refusal(self.policy.guard, command, args)) is not None:
            self._outbox.refuse(*refusal)
        else:
            return True
        return False

    def _limit_stranger(self, arguments: int, longest: int, request: Request | None = None) -> bool:
        """End the conversation if a request exceeds the limits for strangers. False: it does not."""
        reason = excess(arguments, longest)
        if reason is None:
            return False
        if self._conversation.owed.size:  # an outstanding reply may still authenticate the client
            self._conversation.wait = Barrier(request)
        else:
            self._outbox.end(encode.error(reason), reason)
        return True

    def _take_unknown(self, request: Request, name: bytes) -> None:
        """Ask the server about a command that the table does not have, or a subcommand of CLUSTER."""
        if self._conversation.monitoring:
            self._outbox.refuse(Reason.AFTER_MONITOR, error_texts.AFTER_MONITOR)
        else:
            self._conversation.wait = Lookup(request, name)
            self.lookups.append(name)

    def looked_up(self, info: CommandInfo | None) -> None:
        """Take the answer to the lookup. None: the server does not know the command either."""
        wait = self._conversation.wait
        if type(wait) is not Lookup:
            return
        self._conversation.wait = None
        request, name = wait
        if self._router is not None and self._router.aim_unknown(name, request, info):
            pass  # it has been answered
        elif info is not None and name.startswith(b"CLUSTER|"):
            lookups.refuse_cluster(self._outbox, wait, info)
        elif info is None and b"|" in name:
            # COMMAND INFO knows no subcommands before Redis 7.
            self._outbox.refuse(Reason.UNKNOWN_SUBCOMMAND, error_texts.unknown_subcommand(request.args))
        elif info is None:
            self._outbox.send_unknown(request.raw, PASS)  # the client gets the server's own error
        else:
            steps = lookups.take(self._outbox, self._tally, self.policy, wait, info)
            self._begin(steps, large_requests.memory(request.args, request.chunk))

    # -- state of the conversation ---------------------------------------------------------------------

    def _changes_state(self, command: Command, request: Request) -> bool:
        """Handle a command that changes the state of the conversation. False: it is not one."""
        args = request.args
        if not self._state_commands.concerns(command):
            return False
        if command.turn is Turn.EXEC and large_requests.is_large(args, len(request.raw), self.policy.limits):
            # Its arguments are conditions (Valkey's unstable branch). No server accepts so many.
            self._outbox.refuse(Reason.SYNTAX, error_texts.wrong_number(command.name))
        elif any(map(self.policy.match, command.keys(args))):
            return False
        else:
            self._state_commands.take(command, request)
        return True

    # -- managed keys ----------------------------------------------------------------------------------

    def _take_managed(
        self,
        policy: Policy,
        command: Command,
        args: list[bytes],
        raw: bytes,
        rules: list[Rule | None],
        found: set[Rule | None],
    ) -> Steps | None:
        """Handle a request that names managed keys, under the policy of its start. Returns the steps that remain.

        `rules`: of each key. `found`: the set of them.
        """
        option = managed_keys.first_unknown_option(command, args)
        if (rule := rules[0]) is not None and managed_keys.shows_part(command, rule):
            self._take_part(command, args, rule)
        elif (refusal := managed_keys.refusal(command, args, rule, found, option)) is not None:
            self._outbox.refuse(*refusal, culprit(found))
        elif option is not None:
            self._reporter.refused(Reason.UNKNOWN_OPTION, culprit(found))
            poison = managed_keys.with_unknown_option(command, args)
            return self._outbox.write(*poison, managed_keys.must_fail(command, option))
        elif command.managed is not Managed.TRANSCODE:
            self._outbox.send(raw, PASS)
        elif command.reply is Reply.VALUES:
            owed = managed_keys.elements(policy, command, found).__getitem__
            return self._await_each(owed, rules, raw, policy.limits.turn_steps)
        elif (values := command.values(args)) is None:
            self._outbox.refuse(Reason.SYNTAX, error_texts.wrong_number_of_keys(command), culprit(found))
        elif not values:
            self._outbox.send(raw, managed_keys.expected(policy, command, islice(args, 3, None), rules[0]))
        else:
            entry = managed_keys.expected(policy, command, islice(args, 3, None), rules[0])
            args = managed_keys.with_expiry(command, args, rules[0])
            has_one = command.value_index is not None
            return self._encode(Encoding(args, values, rules, len(raw), has_one_key=has_one), args, entry)
        return None

    def _take_part(self, command: Command, args: list[bytes], rule: Rule) -> None:
        """Handle a GETRANGE that shows a part of a payload."""
        if len(args) == 4:
            self._outbox.send(*managed_keys.partial_get(command, args, rule))
        else:
            self._outbox.refuse(Reason.SYNTAX, error_texts.wrong_number(command.name))

    def _await_each(
        self, owed: Callable[[Rule | None], Entry], rules: list[Rule | None], raw: bytes, most: int
    ) -> Steps:
        entries = yield from large_requests.map_items(owed, rules, most)
        self._outbox.send(raw, Each(entries))

    def _encode(self, encoding: Encoding, args: list[bytes], entry: Entry) -> Steps:
        if not self.encoder.encode(encoding):
            yield Encode
        if encoding.refusal is not None and encoding.error is not None:
            self._outbox.refuse_payload(encoding.error, error_texts.ours(encoding.refusal), encoding.rule)
        elif large_requests.is_large(args, encoding.size, self.policy.limits):
            yield from self._outbox.write(len(args), large_requests.released(args), entry)
        else:
            self._outbox.send(encode.small_command(args), entry)

    # -- in turns of the event loop --------------------------------------------------------------------

    def _begin(self, steps: Steps, memory: int = 0) -> None:
        """Start the steps of a request. `memory`: bytes that it holds, without values that are being encoded."""
        self._go_on(Work(steps, memory))

    def _go_on(self, work: Work | None) -> None:
        """Run the steps of a request until it waits. None: there is no work, so the next request may come."""
        self._conversation.wait = None  # the work itself may set another
        kind = None if work is None else next(work.steps, None)
        if work is None or kind is None:
            return
        self._conversation.wait = kind(work.before(self._conversation.wait))
        if kind is NextTurn:
            self._budget.wants_turn = True

    def encoded(self, result: Converted | None) -> None:
        """Take the converter's result for a value, or (None) continue in a new turn."""
        wait = self._conversation.wait
        if type(wait) is Encode:
            if self.encoder.go_on(result) is not None:
                self._go_on(wait.work)
        elif type(wait) is NextTurn and result is None:
            self._go_on(wait.work)

    def _forward_in_turns(
        self, command: Command, args: list[bytes], raw: bytes, rules: list[Rule | None] | None
    ) -> Steps:
        """As `_forward`, for a large request, over several turns."""
        policy = self.policy
        most = policy.limits.turn_steps
        found = set(rules or ())
        if rules is None:
            rules, found = yield from large_requests.map_keys(policy.match, command.keys(args), most)
        self._tally.count_keys(found)
        if not found <= {None}:
            steps = self._take_managed(policy, command, args, raw, rules, found)
            del raw  # encoding may take long, and `raw` holds as much memory as the values
            yield from steps or ()
        elif True in (yield from large_requests.map_keys(policy.may_reach, command.patterns(args), most))[1]:
            self._outbox.refuse(Reason.PATTERN, error_texts.reaching(command))
        else:
            self._outbox.send(raw, self._untouched(command, args))
        yield from large_requests.free(args)
