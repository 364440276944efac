"""Decides where a request goes, by the column `spread` of the command table, and answers those that go nowhere."""

from collections.abc import Callable
from itertools import islice
from typing import Final

from proxy.commands import Command, Spread, Turn
from proxy.resp import Request, encode
from proxy.session import error_texts
from proxy.session.auth import OK, has_login
from proxy.session.cluster import one_node
from proxy.session.cluster.entries import IDS, Instead
from proxy.session.cluster.gather import HOW
from proxy.session.cluster.lanes import Lanes
from proxy.session.cluster.mailbox import Mailbox
from proxy.session.cluster.routes import (
    HOME,
    Route,
    ToEvery,
    ToMasters,
    ToReset,
    ToRuns,
    ToScan,
    ToSlot,
    ToStream,
    ToUnwatch,
    ToWatch,
    kind_of,
)
from proxy.session.cluster.runs_of_keys import how_of, lacks_value, runs_of
from proxy.session.effects import CommandInfo
from proxy.session.lane import Ready
from proxy.session.refusals import Reason
from proxy.session.slots import key_slot
from proxy.session.state import Barrier, Conversation
from proxy.session.topology import STAND_IN

_MANY_KEYS: Final = 64
"""The slots of more keys are computed over several turns."""
_NESTED: Final = encode.error("ERR MULTI calls can not be nested")
"""Redis' own. The transaction goes on."""
_EMPTY: Final = b"*0\r\n"
_LONGEST_CURSOR: Final = 20
_ONE_NODE: Final = "it acts on one node only; send it to that node itself"
_TRACKING: Final = "the proxy does not pass on the invalidations of several nodes"
_LOGIN: Final = "in front of a cluster the proxy logs in itself ([upstream] username and password)"
_SHARDED: Final = "sharded channels are not supported; SUBSCRIBE gets what PUBLISH sends on any node"
_REPLICAS: Final = "the proxy reads from masters only"
_WAITING: Final = "it waits for the replicas of one node only"
_REASONS: Final = {
    **dict.fromkeys((b"CLIENT|CACHING", b"CLIENT|TRACKING", b"CLIENT|TRACKINGINFO", b"CLIENT|GETREDIR"), _TRACKING),
    **dict.fromkeys((b"SSUBSCRIBE", b"SUNSUBSCRIBE"), _SHARDED),
    **dict.fromkeys((b"READONLY", b"READWRITE", b"ASKING"), _REPLICAS),
    **dict.fromkeys((b"WAIT", b"WAITAOF"), _WAITING),
    b"AUTH": _LOGIN,
    b"SELECT": "a cluster has only database 0",
    b"CLUSTERSCAN": "use SCAN, which covers all nodes",
}
"""Why a command is refused. The others act on one node."""
_OF_THE_CLUSTER: Final = "the proxy answers for the cluster, as its only node"
_FOR_SUBSCRIBERS: Final = frozenset(
    b"PING QUIT RESET SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE".split()
)
"""The commands that Redis takes from a subscriber in RESP2."""
_ALL_NODES: Final = "it acts on all nodes of the cluster, and a transaction is on one of them"


class Router:
    """See the module. `answers` and `aim` return True if the request needs nothing more."""

    __slots__ = ("_announce", "_conversation", "_has_gate", "_lanes", "_mailbox")

    def __init__(
        self, conversation: Conversation, lanes: Lanes, mailbox: Mailbox, announce: str, has_gate: Callable[[], bool]
    ) -> None:
        """`announce`: the `host:port` by which clients know the proxy; empty: there is none.

        `has_gate`: whether the proxy checks the passwords of clients itself.
        """
        self._conversation = conversation
        self._lanes = lanes
        self._mailbox = mailbox
        self._announce = announce
        self._has_gate = has_gate

    # -- requests that go nowhere ----------------------------------------------------------------------

    def answers(self, command: Command, request: Request) -> bool:
        """Answer a question about the cluster, or refuse the command."""
        args = request.args
        self._mailbox.aim(HOME)  # the request before may have been refused on its way
        if command.spread in (Spread.TOPOLOGY, Spread.REFUSED) and self._is_out_of_place(command):
            self._mailbox.reply(encode.error(error_texts.not_for_subscribers(command.name)))
            return True
        logs_in = command.turn is Turn.AUTH or (command.turn is Turn.HELLO and has_login(args))
        if logs_in and not self._has_gate():
            self._refuse(command, _LOGIN)
        elif command.spread is Spread.TOPOLOGY:
            self._answer_topology(command, request)
        elif command.spread is Spread.REFUSED:
            if command.turn is Turn.AUTH or (command.turn is Turn.SELECT and args[1:] == [b"0"]):
                return False
            of_cluster = command.name.startswith(b"CLUSTER")
            self._refuse(command, _REASONS.get(command.name, _OF_THE_CLUSTER if of_cluster else _ONE_NODE))
        else:
            return False
        return True

    def _refuse(self, command: Command, because: str) -> None:
        self._mailbox.refuse(Reason.ONE_NODE_ONLY, error_texts.refused(command, because))

    def _answer_topology(self, command: Command, request: Request) -> None:
        conversation, mailbox = self._conversation, self._mailbox
        if conversation.owed.size and not mailbox.transaction.is_open:
            conversation.wait = Barrier(request)  # an outstanding HELLO may change the protocol of the answer
            return
        reply = one_node.answer(command, request.args, self._announce, conversation.protocol)
        if reply.startswith(b"-"):
            mailbox.refuse(Reason.SYNTAX, reply[1:-2].decode())
        elif mailbox.transaction.is_open:
            mailbox.send(STAND_IN, Instead(reply))
        else:
            mailbox.reply(reply)

    # -- routes ----------------------------------------------------------------------------------------

    def aim(self, command: Command, request: Request) -> bool:
        """Say where a request goes that is about to be handled. True: it has been answered."""
        if self._is_out_of_place(command):
            return self._answer_subscriber(command.name, [*islice(command.keys(request.args), 1)])
        return _AIM[command.spread](self, command, request)

    def aim_unknown(self, name: bytes, request: Request, info: CommandInfo | None) -> bool:
        """As `aim`, for a command that the table does not have."""
        first = 0 if info is None else info.first_key
        keys = request.args[first : first + 1] if first > 0 else []
        if self._conversation.only_messages:
            return self._answer_subscriber(name, keys)
        self._mailbox.aim(ToSlot(key_slot(keys[0]), False) if keys else HOME)
        return False

    def _is_out_of_place(self, command: Command) -> bool:
        """The client is subscribed in RESP2, and Redis refuses this command of a subscriber."""
        return self._conversation.only_messages and command.name not in _FOR_SUBSCRIBERS

    def _answer_subscriber(self, name: bytes, keys: list[bytes]) -> bool:
        """Answer in place of Redis, which looks at the slot of a key first. Without a key, Redis itself answers."""
        self._mailbox.aim(HOME)
        if keys:
            self._mailbox.reply(encode.error(error_texts.not_for_subscribers(name)))
        return bool(keys)

    def _keyed(self, command: Command, request: Request) -> bool:
        for key in command.keys(request.args):
            return self._to(ToSlot(key_slot(key), command.spread is not Spread.SCRIPT))
        self._mailbox.aim(HOME)
        return False

    def _to(self, route: ToSlot | ToRuns | ToWatch) -> bool:
        """Aim at the lane of a slot. In a transaction, it must be the transaction's."""
        transaction = self._mailbox.transaction
        is_bound = transaction.is_open or type(route) is ToWatch
        if is_bound and not transaction.takes(route.slot):
            self._mailbox.aim(HOME)
            self._mailbox.refuse(Reason.CROSS_SLOT, error_texts.CROSS_SLOT)
            return True
        self._mailbox.aim(route)
        return False

    def _channel(self, _command: Command, request: Request) -> bool:
        args = request.args
        return self._to(ToSlot(key_slot(args[1]))) if len(args) > 1 else self._home(_command, request)

    def _runs(self, command: Command, request: Request) -> bool:
        args = request.args
        if self._mailbox.transaction.is_open or len(args) < 3 or lacks_value(args):
            return self._keyed(command, request)
        if len(args) <= _MANY_KEYS:
            runs = runs_of(args)
            first = next(runs)
            if next(runs, None) is None:
                return self._to(ToSlot(first.slot))
        return self._to(ToRuns(key_slot(args[1]), how_of(command)))

    def _home(self, _command: Command, _request: Request) -> bool:
        self._mailbox.aim(HOME)
        return False

    def _everywhere(self, command: Command, route: Route) -> bool:
        if self._mailbox.transaction.is_open:
            self._refuse(command, _ALL_NODES)
            return True
        self._mailbox.aim(route)
        return False

    def _masters(self, command: Command, _request: Request) -> bool:
        return self._everywhere(command, ToMasters(HOW[command.spread]))

    def _stream(self, command: Command, _request: Request) -> bool:
        return self._everywhere(command, ToStream())

    def _every_lane(self, command: Command, request: Request) -> bool:
        if command.turn is Turn.HELLO and self._conversation.owed.size and not self._mailbox.transaction.is_open:
            self._conversation.wait = Barrier(request)  # an earlier request may be sent again, on a lane that is new
            return True
        if command.turn is Turn.HELLO and len(request.args) == 1:  # it asks, and changes nothing that lanes must know
            return self._everywhere(command, HOME)
        return self._everywhere(command, ToEvery(kind_of(request.args)))

    def _reset(self, _command: Command, _request: Request) -> bool:
        self._mailbox.aim(ToReset())
        return False

    def _scan(self, command: Command, request: Request) -> bool:
        """The nodes take turns in the order of their ids."""
        args = request.args
        text = args[1] if len(args) > 1 else b"0"
        if not text.isdigit() or len(text) > _LONGEST_CURSOR:
            self._mailbox.refuse(Reason.SYNTAX, error_texts.INVALID_CURSOR)
            return True
        ids = self._lanes.slots.ids
        cursor, node = divmod(int(text), IDS)
        if not cursor and not node:
            node = min(ids, default=0)
        if node not in ids:
            self._mailbox.refuse(Reason.SYNTAX, error_texts.FOREIGN_CURSOR)
            return True
        if len(args) < 2:
            return self._home(command, request)
        return self._everywhere(command, ToScan(node, b"%d" % cursor))

    # -- transactions ----------------------------------------------------------------------------------

    def _multi(self, command: Command, request: Request) -> bool:
        transaction, conversation = self._mailbox.transaction, self._conversation
        if command.turn is not Turn.MULTI:
            return self._end(command)
        if len(request.args) > 1:
            self._mailbox.refuse(Reason.SYNTAX, error_texts.wrong_number(command.name))
            return True
        if transaction.is_open:
            self._answer(_NESTED)
            return True
        if conversation.owed.size:
            conversation.wait = Barrier(request)
            return True
        self._answer(OK)
        transaction.open()
        return True

    def _end(self, command: Command) -> bool:
        """EXEC or DISCARD. Without any command before it, no node has heard of the transaction."""
        transaction = self._mailbox.transaction
        self._mailbox.aim(HOME)
        if not transaction.is_open or not transaction.is_empty:
            return False
        transaction.close()
        self._conversation.leave_multi()
        self._answer(_EMPTY if command.turn is Turn.EXEC else OK)
        return True

    def _answer(self, reply: bytes) -> None:
        if self._mailbox.takes_reply():
            self._conversation.answer(Ready(reply))

    def _watch(self, command: Command, request: Request) -> bool:
        transaction, conversation = self._mailbox.transaction, self._conversation
        if transaction.is_open:
            return self._keyed(command, request)
        if conversation.owed.size:
            conversation.wait = Barrier(request)
            return True
        if command.turn is not Turn.WATCH:
            self._mailbox.aim(ToUnwatch())
            return False
        for key in command.keys(request.args):
            return self._to(ToWatch(key_slot(key)))
        return self._home(command, request)


_AIM: Final[dict[Spread, Callable[[Router, Command, Request], bool]]] = {
    Spread.KEYED: Router._keyed,
    Spread.SCRIPT: Router._keyed,
    Spread.CHANNEL: Router._channel,
    Spread.RUNS: Router._runs,
    Spread.HOME: Router._home,
    **dict.fromkeys(HOW, Router._masters),
    Spread.STREAM: Router._stream,
    Spread.SCAN: Router._scan,
    Spread.MULTI: Router._multi,
    Spread.WATCH: Router._watch,
    Spread.EVERY_LANE: Router._every_lane,
    Spread.RESET: Router._reset,
    Spread.TOPOLOGY: Router._home,
    Spread.REFUSED: Router._home,
}
