"""A session: one client's conversation. Bytes in, effects out. It performs no input or output itself.

Contract: every method for an event returns the effects of that event, which the caller performs in order. No method
raises. Each half can wait without losing order. The caller reads more bytes of a side only while `wants_client` or
`wants_upstream` is true. After an effect `close` there are no more effects.
"""

from collections.abc import Callable
from typing import Any, Final

from proxy.policy import Policy
from proxy.resp import FramingError, Request, RequestParser, encode
from proxy.session import error_texts
from proxy.session.auth import Gate
from proxy.session.cluster import Cluster, Lanes
from proxy.session.counters import Tally
from proxy.session.effects import Close, CommandInfo, Converted, Effects, Half, LaneBytes
from proxy.session.expected_replies import Blocking, Entry, Opening
from proxy.session.fastpath.lane_replies import LaneReplies
from proxy.session.lane import Owed
from proxy.session.replies import ReplyHalf
from proxy.session.requests import RequestHalf
from proxy.session.runs import Runs
from proxy.session.sharing import Shared, Sharing
from proxy.session.slots import SlotMap
from proxy.session.state import Conversation, Ended, Relinking
from proxy.session.turn_budget import TurnBudget
from proxy.session.ways import way_of

_NOTHING: Final = Effects(flows=True)


def _no_lane(_data: bytes, _number: int) -> bytes | None:
    """There is no cluster."""
    return None


class Session:
    """See the module."""

    __slots__ = (
        "_budget",
        "_closed",
        "_cluster",
        "_conversation",
        "_gate",
        "_replies",
        "_requests",
        "_sharing",
        "_tally",
        "due",
        "owed",
        "pass_requests",
        "take_lane",
        "take_other_requests",
        "take_replies",
        "take_requests",
    )

    def __init__(self, policy: Policy, gate: Gate | None, tally: Tally | None = None) -> None:
        """`gate`: checks the client's password in place of Redis; None: AUTH passes through. `tally`: may be shared."""
        self._budget = TurnBudget(policy.limits)
        self._conversation = Conversation()
        self._tally = tally = tally or Tally()
        self._gate = gate
        self._cluster: Cluster | None = None
        self._sharing: Sharing | None = None
        self._requests = self._request_half(policy)
        self._replies = ReplyHalf(self._budget, self._conversation, tally)
        self._closed = False
        self.owed: Runs[Entry] = self._conversation.home.owed
        """The replies that Redis owes, on a cluster those of the home lane. For the hot path, which only reads it."""
        self.due: Runs[Owed] = self._conversation.owed
        """The replies that the client is owed, in order. For the hot path, as `owed`."""
        self._open_fast_path()

    def _request_half(self, policy: Policy, parser: RequestParser | None = None) -> RequestHalf:
        """For the way that the links are. `parser`: that of the way before."""
        conversation, budget, tally = self._conversation, self._budget, self._tally
        way = way_of(policy, conversation, budget, tally, self._cluster, self._sharing, parser)
        return RequestHalf(policy, budget, conversation, self._gate, tally, way)

    def _open_fast_path(self) -> None:
        replies = self._replies.path
        self.take_requests: Callable[[bytes], Any] = self._requests.path.take
        """The fast path, without effects: the bytes for Redis; on a cluster, the number of each lane and its bytes.

        None: `take_other_requests` must follow.
        """
        self.take_other_requests = self._requests.path.take_other
        """As `take_requests`, for what that has left of the same read. None: `go_on_with_requests` must follow."""
        self.pass_requests = self._requests.path.pass_on
        """Takes large requests that pass unchanged, and returns the number of their bytes. The rest must follow."""
        self.take_replies = replies.take
        """The fast path, without effects: the bytes for the client. None: `go_on_with_replies` must follow."""
        self.take_lane = replies.take_lane if isinstance(replies, LaneReplies) else _no_lane
        """As `take_replies`, for the bytes of a lane of a cluster. None: `go_on_with_lane` must follow."""

    # -- events ----------------------------------------------------------------------------------------

    def start(
        self,
        setup: tuple[Opening, ...] = (),
        *,
        wants_password: bool = False,
        slots: SlotMap | None = None,
        home: str = "",
        announce: str = "",
        shared: Shared | None = None,
    ) -> Effects:
        """The upstream is connected. `setup` is sent first, and again after a RESET.

        `wants_password`: Redis needs a password from the client. Redis' limits for strangers then apply.
        `slots`: the cluster's map; None: a plain Redis. `home`: the node that lane 0 is connected to; it is of `slots`.
        `announce`: the `host:port` that CLUSTER SLOTS names, for clients that ask; empty: they get an error.
        `shared`: links are shared with other clients, and have had their setup. On a cluster, no lane is connected yet.
        """
        if shared is not None:
            self._sharing = Sharing(self._conversation, self._tally, shared, self._gate)
        if slots is not None:
            self._join(Lanes(self._conversation, slots, home, is_connected=shared is None), announce)
        if self._sharing is not None or self._cluster is not None:
            self._requests = self._request_half(self._requests.policy)
            self._open_fast_path()
        if self._cluster is not None:
            self._cluster.mailbox.open(setup)
        self._requests.begin(setup, wants_password=wants_password)
        return self._effects()

    def from_client(self, data: bytes) -> Effects:
        """Bytes of the client have come, in any pieces."""
        if self._closed:
            return Effects()
        out = self.take_requests(data)
        if out is None:
            out = self.take_other_requests(data)
        if out is None:
            return self.go_on_with_requests()
        if self._cluster is None:
            return Effects(out, flows=True)
        return Effects(lanes=[LaneBytes(*each) for each in out], flows=True)

    def go_on_with_requests(self) -> Effects:
        """Handle the bytes of the client that `take_other_requests` has left."""
        requests = self._requests
        if requests.parser.absorbed:
            return _NOTHING
        self._budget.renew()
        requests.advance()
        is_settled = self._conversation.flows and not self._conversation.has_answers
        return self._effects() if is_settled else self._settle()

    def from_upstream(self, data: bytes, lane: int = 0) -> Effects:
        """Bytes of Redis have come, in any pieces. `lane`: they have come on this lane."""
        if self._cluster is not None:
            out = self.take_lane(data, lane)
            return self.go_on_with_lane(lane) if out is None else Effects(client=out, flows=True)
        out = None if self._closed else self.take_replies(data)
        return self.go_on_with_replies() if out is None else Effects(client=out, flows=True)

    def go_on_with_replies(self) -> Effects:
        """Handle the bytes of Redis that `take_replies` has left."""
        self._budget.renew()
        try:
            self._replies.advance()
        except FramingError as error:
            return self._misframed(error)
        return self._effects() if self._conversation.flows else self._settle()

    def converted(self, half: Half, result: Converted) -> Effects:
        """The result of a conversion has come."""
        self._budget.renew()
        if half is Half.REQUESTS:
            self._requests.encoded(result)
        else:
            self._replies.decoded(result)
        return self._settle()

    def take_turn(self) -> Effects:
        """A new turn of the event loop has come, after an effect `wants_turn`."""
        self._budget.take_turn()
        self._requests.encoded(None)
        self._replies.take_turn()
        return self._settle()

    def looked_up(self, info: CommandInfo | None) -> Effects:
        """The answer to a lookup has come. None: the server does not know the command either."""
        self._budget.renew()
        self._requests.looked_up(info)
        return self._settle()

    def fail(self, text: str) -> Effects:
        """End the conversation for an outside reason, and send it to the client as an error.

        The error is not sent in the middle of a reply, nor to a client that has switched replies off.
        """
        if self._replies.is_between_replies and not self._conversation.is_silent:
            self._replies.out.append(encode.error(error_texts.ours(text)))
        self._conversation.close_reason = text
        if self._cluster is not None:
            self._cluster.doubt_slots()
        return self._effects()

    def set_policy(self, policy: Policy, gate: Gate | None) -> Effects | None:
        """Use this policy from the next request on. Requests under way keep their rule, and clients stay logged in.

        If a rule now manages the key of a request that passes, the conversation ends. Otherwise there are no effects.
        `gate` has no default, because a forgotten gate would admit strangers.
        """
        is_allowed = self._requests.set_policy(policy, gate)
        self._gate = gate
        if self._sharing is not None:
            self._sharing.gate = gate
        self._budget.limits = policy.limits
        self._replies.path.set_limits(policy.limits)
        return None if is_allowed else self._later()

    # -- events of a cluster ---------------------------------------------------------------------------

    def _join(self, lanes: Lanes, announce: str) -> None:
        """Begin as a conversation with a cluster. Nothing has been said yet."""
        conversation, tally, has_gate = self._conversation, self._tally, lambda: self._gate is not None
        self._cluster = Cluster(conversation, tally, lanes, announce, has_gate)
        self._replies = ReplyHalf(self._budget, conversation, tally, self._cluster)

    def go_on_with_lane(self, lane: int) -> Effects:
        """Handle the bytes of a lane that `take_lane` has left."""
        cluster = self._cluster
        if cluster is None:
            return Effects()
        self._budget.renew()
        try:
            cluster.fed(lane)
            self._replies.advance()
        except FramingError as error:
            return self._misframed(error)
        return self._effects() if self._conversation.flows and cluster.is_calm else self._settle()

    def lane_ready(self, lane: int) -> Effects:
        """A lane is connected, after an effect `dials`. Its bytes are among the effects from now on."""
        if self._cluster is not None:
            self._cluster.ready(lane)
        return self._effects()

    def lane_failed(self, lane: int, text: str) -> Effects:
        """A lane could not be connected. `text`: the reason for the client, as a sentence without our prefix."""
        if self._cluster is not None:
            self._cluster.lost(lane, encode.error(error_texts.ours(f"{text}; this command was not done")))
        return self._later()

    def lane_lost(self, lane: int) -> Effects:
        """The node has closed a lane, and all its bytes have been given. Lane 0 is no exception on a cluster."""
        if self._cluster is not None:
            self._cluster.lost(lane)
        return self._later()

    def new_slots(self, slots: SlotMap, *, asked: bool = False) -> Effects:
        """There is a new map, or the same again. It is used as soon as no reply is outstanding.

        `asked`: its fetch began after the last effect `slots_are_old` of this session.
        """
        if self._cluster is not None:
            self._cluster.new_slots(slots, asked=asked)
        return self._later()

    def no_slots(self) -> Effects:
        """The fetch that an effect `slots_are_old` asked for has failed."""
        if self._cluster is not None:
            self._cluster.new_slots(None, asked=True)
        return self._later()

    def waited(self) -> Effects:
        """`waits_behind_blocking` has been true for the longest time that the caller allows."""
        if self._cluster is not None:
            self._cluster.waited()
        return self._later()

    def _later(self) -> Effects:
        self._budget.renew()
        return self._settle()

    def owed_on(self, lane: int) -> Runs[Entry]:
        """The replies that a node owes on a lane that is connected or being connected. Raises KeyError."""
        return self.owed if self._cluster is None else self._cluster.lanes.by_number[lane].owed

    # -- events of a shared link -----------------------------------------------------------------------

    def relinked(self, setup: tuple[Opening, ...] = (), greeting: bytes = b"") -> Effects:
        """The link was changed, after an effect `relink`. Nothing has been written to the new one.

        If the client has a connection of its own now, `setup` is sent first, and again after a RESET. If the link has
        another protocol, `greeting` is its reply to HELLO. An error to HELLO 3 means that the protocol stays.
        On a cluster, all lanes are closed, and those that are dialed from now on are such links.
        """
        sharing, wait = self._sharing, self._conversation.wait
        if sharing is not None and isinstance(wait, Relinking):
            if self._cluster is not None:
                self._cluster.lanes.close_all()
            if sharing.change.changes_protocol:
                sharing.change.done(greeting)
            else:
                self._leave_shared(sharing, setup, wait.request)
        return self._later()

    def _leave_shared(self, sharing: Sharing, setup: tuple[Opening, ...], request: Request) -> None:
        """Go on as any other conversation. The request that waits is the first."""
        conversation, old = self._conversation, self._requests
        self._sharing, marks = None, conversation.marks
        self._requests = self._request_half(old.policy, old.parser)
        conversation.marks = marks  # the client stays logged in
        self._requests.begin_again(setup, sharing.change.again, request)
        self._open_fast_path()

    # -- state -----------------------------------------------------------------------------------------

    @property
    def is_shared(self) -> bool:
        """Other clients use the link too."""
        return self._sharing is not None

    @property
    def wants_client(self) -> bool:
        """The session can use more of the client's bytes."""
        return self._conversation.flows

    @property
    def wants_upstream(self) -> bool:
        """The session can use more of Redis' bytes."""
        return not self._conversation.waits

    @property
    def is_idle(self) -> bool:
        """At a command boundary, with no reply outstanding."""
        conversation = self._conversation
        return not conversation.owed.size and (conversation.wait is None or type(conversation.wait) is Ended)

    @property
    def is_blocked(self) -> bool:
        """A command that may wait for other clients is outstanding."""
        return self._conversation.is_blocked

    @property
    def asked(self) -> str:
        """The name of the last command that was sent with no reply outstanding."""
        command = self._conversation.asked
        return "an unknown command" if command is None else error_texts.name(command)

    @property
    def pending(self) -> int:
        """Number of replies outstanding."""
        return self._conversation.owed.size

    @property
    def awaits_reply(self) -> bool:
        """Redis owes a reply to a command that does not block, and the session does not wait for anything else."""
        head = self._conversation.head
        return head is not None and not self._conversation.waits and type(head) is not Blocking

    def is_turn_of(self, lane: int) -> bool:
        """The next reply comes on this lane of a cluster. Other lanes may speak while a node hangs."""
        return self._cluster is not None and self._cluster.is_turn_of(lane)

    @property
    def waits_behind_blocking(self) -> bool:
        """A redirect was seen, and a command that may block is all that keeps the session from using a new map."""
        return self._cluster is not None and self._cluster.waits_behind_blocking

    @property
    def lanes(self) -> int:
        """Number of lanes that are connected or being connected; 1 on a plain Redis."""
        return 1 if self._cluster is None else len(self._cluster.lanes.by_number)

    @property
    def is_admitted(self) -> bool:
        """The client is authenticated, or need not be."""
        return not self._requests.is_stranger

    @property
    def has_begun(self) -> bool:
        """The client has sent a first command."""
        return self._requests.begun

    @property
    def memory(self) -> int:
        """Estimate of the bytes that all unfinished requests and replies hold."""
        held = 0 if self._cluster is None else self._cluster.mailbox.memory
        return held + self._requests.memory + self._replies.memory + self._conversation.memory

    # -- settling --------------------------------------------------------------------------------------

    def _settle(self) -> Effects:
        """Advance both halves as far as possible: a reply may release a request that waits."""
        requests, replies, conversation, cluster = self._requests, self._replies, self._conversation, self._cluster
        try:
            goes_on = True
            while goes_on:
                if cluster is not None:
                    cluster.hold_requests()
                requests.advance()
                replies.advance()
                if conversation.close_reason is not None:
                    break
                is_settled = cluster is None or conversation.waits or not cluster.settle()
                is_held = cluster is not None and cluster.trouble.state is not None
                goes_on = not is_settled or (not is_held and requests.resume())
        except FramingError as error:
            return self._misframed(error)
        effects = self._effects()
        if self._sharing is not None:
            self._sharing.fill(effects)
        return effects

    def _misframed(self, error: FramingError) -> Effects:
        self._conversation.fail(f"Redis' reply cannot be framed: {error}")
        return self._effects()

    def _effects(self) -> Effects:
        requests, replies = self._requests, self._replies
        encoder, decoder = requests.encoder, replies.decoder
        if self._closed:
            return Effects()
        effects = Effects(b"".join(requests.out), b"".join(replies.out))
        effects.flows = self._conversation.flows and not self._conversation.waits
        if requests.out:
            requests.out.clear()
        if self._cluster is not None:
            self._cluster.fill(effects)
        replies.out.clear()
        if encoder.conversions or decoder.conversions or requests.lookups:
            effects.conversions = encoder.conversions + decoder.conversions
            effects.lookups = requests.lookups
            encoder.conversions, decoder.conversions, requests.lookups = [], [], []
        if self._conversation.reports:
            effects.reports, self._conversation.reports = self._conversation.reports, []
        effects.wants_turn = self._budget.wants_turn
        if self._conversation.close_reason is not None:
            effects.close = Close(self._conversation.close_reason, self._conversation.redis_fails)
            self.end()
        return effects

    def end(self) -> None:
        """Free all memory. Later events have no effect."""
        self._closed = True
        self._cluster = self._sharing = self._gate = None
        self._conversation, self._tally = Conversation(), Tally()
        self.due = self._conversation.owed
        policy = self._requests.policy
        self._requests = self._request_half(policy)
        self._replies = ReplyHalf(self._budget, self._conversation, self._tally)
        self._open_fast_path()
