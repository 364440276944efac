"""A session: one client's conversation. Bytes in, effects out; it does no input or output of its own.

Contract: every method returns the effects of that one event, to be carried out in order, and raises nothing. Either
half can be stalled without losing order; `wants_client` and `wants_upstream` say when more bytes of a side would only
pile up. After an effect `close` there are no more effects.
"""

from proxy.policy import Policy
from proxy.resp import FramingError, writers
from proxy.session import words
from proxy.session.allowance import Allowance
from proxy.session.conversation import Conversation
from proxy.session.effects import Close, CommandInfo, Converted, Effects, Half
from proxy.session.entries import Blocking, Opening
from proxy.session.gate import Gate
from proxy.session.replies import ReplyHalf
from proxy.session.requests import RequestHalf
from proxy.session.stall import Stall
from proxy.session.tally import Tally
from proxy.session.words import OURS


class Session:
    """See the module."""

    __slots__ = ("_allowance", "_closed", "_conversation", "_replies", "_requests")

    def __init__(self, policy: Policy, gate: Gate | None = None, tally: Tally | None = None) -> None:
        """`gate`: what stands in for Redis' own password; None: AUTH passes through. `tally`: counts with others."""
        self._allowance = Allowance(policy.limits)
        self._conversation = Conversation()
        self._requests = RequestHalf(policy, self._allowance, self._conversation, gate, tally or Tally())
        self._replies = ReplyHalf(self._allowance, self._conversation)
        self._closed = False

    # -- what happens ----------------------------------------------------------------------------------

    def start(self, setup: tuple[Opening, ...] = ()) -> Effects:
        """The upstream is connected. `setup` begins the conversation, and follows a RESET."""
        self._requests.begin(setup)
        return self._effects()

    def from_client(self, data: bytes) -> Effects:
        """Bytes of the client, as they came."""
        self._allowance.renew()
        self._requests.feed(data)
        return self._settle(requests=True)

    def from_upstream(self, data: bytes) -> Effects:
        """Bytes of Redis, as they came."""
        self._allowance.renew()
        try:
            self._replies.feed(data)
        except FramingError as error:
            self._conversation.fail(f"Redis' reply cannot be framed: {error}")
            return self._effects()
        return self._settle(requests=False)

    def converted(self, half: Half, result: Converted) -> Effects:
        """The result of a conversion."""
        self._allowance.renew()
        if half is Half.REQUESTS:
            self._requests.encoded(result)
            return self._settle(requests=True)
        self._replies.decoded(result)
        return self._settle(requests=False)

    def take_turn(self) -> Effects:
        """A turn of the event loop has come, which an effect `wants_turn` asked for."""
        self._allowance.renew()
        self._requests.encoded(None)
        self._replies.take_turn()
        return self._settle(requests=True)

    def looked_up(self, info: CommandInfo | None) -> Effects:
        """What the server says of the command last asked for; None: it does not know it either."""
        self._allowance.renew()
        self._requests.looked_up(info)
        return self._settle(requests=True)

    def fail(self, text: str) -> Effects:
        """End the conversation for a reason outside it, and say so where the client expects a reply or nothing at all.

        Not within a reply, and not to a client that has switched replies off.
        """
        if self._replies.is_between_replies and not self._conversation.is_silent:
            self._replies.out.append(writers.error(f"{OURS}{text}"))
        self._conversation.close_reason = text
        return self._effects()

    def set_policy(self, policy: Policy, gate: Gate | None = None) -> None:
        """From the next request on; what is under way keeps its rule, and who is in stays in."""
        self._requests.set_policy(policy, gate)
        self._allowance.limits = policy.limits

    # -- what it is waiting for ------------------------------------------------------------------------

    @property
    def wants_client(self) -> bool:
        """More of the client's bytes can be used."""
        return self._requests.stall is None and not self._conversation.is_full(self._allowance.limits)

    @property
    def wants_upstream(self) -> bool:
        """More of Redis' bytes can be used."""
        return not self._replies.waits

    @property
    def flows(self) -> bool:
        """More of both can be used."""
        return self._requests.stall is None and not self._replies.waits and not self.is_full

    @property
    def is_full(self) -> bool:
        """As many replies are outstanding as may be."""
        return self._conversation.is_full(self._allowance.limits)

    @property
    def is_idle(self) -> bool:
        """At a command boundary, with nothing outstanding."""
        return not self._conversation.entries and self._requests.stall in (None, Stall.ENDED)

    @property
    def is_blocked(self) -> bool:
        """A command that may wait for other clients is outstanding."""
        return self._conversation.is_blocked

    @property
    def asked(self) -> str:
        """The command that was last sent upstream with nothing before it, by name."""
        command = self._requests.asked
        return "an unknown command" if command is None else words.name(command)

    @property
    def pending(self) -> int:
        """Replies outstanding."""
        return len(self._conversation.entries)

    @property
    def awaits_reply(self) -> bool:
        """Redis owes a reply, and nothing but Redis keeps it waiting: the command at the head does not block."""
        head = self._conversation.head
        return head is not None and type(head) is not Blocking and not self._replies.waits

    @property
    def is_admitted(self) -> bool:
        """The client has given the password, or needs none."""
        return self._requests.is_admitted

    @property
    def has_begun(self) -> bool:
        """The client has sent a first command."""
        return self._requests.begun

    @property
    def memory(self) -> int:
        """Bytes that all takes which the client or Redis has sent and which is not done with; about."""
        return self._requests.memory + self._replies.memory + self._conversation.memory

    # -- settling --------------------------------------------------------------------------------------

    def _settle(self, *, requests: bool) -> Effects:
        """Let each half go as far as it can: replies free what requests wait for."""
        conversation = self._conversation
        try:
            if requests:
                self._requests.advance()
            self._replies.advance()
            while self._requests.stall is Stall.BARRIER and not conversation.entries and not conversation.close_reason:
                self._requests.resume()
                self._requests.advance()
                self._replies.advance()
            if self._requests.has_more and not conversation.close_reason:  # there may be room for them now
                self._requests.advance()
                self._replies.advance()
        except FramingError as error:
            conversation.fail(f"Redis' reply cannot be framed: {error}")
        return self._effects()

    def _effects(self) -> Effects:
        requests, replies = self._requests, self._replies
        encoder, decoder = requests.encoder, replies.decoder
        if self._closed:
            return Effects()
        effects = Effects(b"".join(requests.out), b"".join(replies.out))
        requests.out.clear()
        replies.out.clear()
        if encoder.conversions or decoder.conversions or requests.lookups:
            effects.conversions = encoder.conversions + decoder.conversions
            effects.lookups = requests.lookups
            encoder.conversions, decoder.conversions, requests.lookups = [], [], []
        effects.wants_turn = (
            requests.stall is Stall.TURN or encoder.wants_turn or replies.wants_turn or decoder.wants_turn
        )
        if self._conversation.close_reason is not None:
            effects.close = Close(self._conversation.close_reason, self._conversation.redis_fails)
            self.end()
        return effects

    def end(self) -> None:
        """Nothing is looked at any more, and nothing held."""
        self._closed = True
        self._conversation = Conversation()
        self._requests = RequestHalf(self._requests.policy, self._allowance, self._conversation, None, Tally())
        self._replies = ReplyHalf(self._allowance, self._conversation)
