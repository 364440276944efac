"""The native engine. `proxy/native/src/python` and `resp` define it."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from proxy.codec.errors import UndecodableError
from proxy.commands import Command
from proxy.session.cluster import Cluster
from proxy.session.cluster.kept import Sent
from proxy.session.counters import Tally
from proxy.session.expected_replies import Entry
from proxy.session.fastpath.plan import TableSpec
from proxy.session.fastpath.reference import Passed, Taken, TakenByNode
from proxy.session.fastpath.reference_replies import JoinedReplies, Replies
from proxy.session.lane import Lane, Owed

_Item = TypeVar("_Item")

INTERFACE: int

class Codec:
    """The hot part of a Transcoder. A result of None means that the reference must do it."""

    def __init__(
        self,
        undecodable: type[UndecodableError],
        *,
        payload: str,
        types: str,
        big_ints: str,
        pickle_protocol: int,
        accept_tags: tuple[str, ...],
        read_classes: tuple[str, ...],
        view: str | None,
        stored: str,
        naive_is_utc: bool,
        limits: tuple[int, int, int, int],
    ) -> None: ...
    def encode(self, payload: bytes) -> bytes | None: ...
    def decode(self, value: bytes) -> bytes | None: ...

def canonical_ends(commands: list[list[bytes]], data: bytes, start: int) -> list[int] | None:
    """See `proxy.resp.canonical`."""

def count_commands(data: bytes) -> int:
    """See `proxy.resp.canonical`."""

def harmless_bytes(data: bytes) -> int:
    """See `proxy.resp.canonical`. It returns the end of the last whole canonical command."""

def whole_bulks(data: bytes, most: int, room: int) -> tuple[int, int, bool]:
    """See `proxy.resp.canonical`."""

def begins_command(data: bytes, arguments: int, room: int) -> bool:
    """See `proxy.resp.canonical`."""

def rest_of_command(data: bytes, left: int, awaited: int, size: int, room: int) -> tuple[int, int, int, int]:
    """See `proxy.resp.rest_of_command`."""

class RequestTable:
    """See `proxy.session.fastpath.reference.RequestTable`."""

    def __init__(self, spec: TableSpec) -> None: ...
    def take(self, commands: list[list[bytes]], data: bytes, room: int) -> Taken | None: ...
    def pass_on(self, data: bytes, start: int, most: int, least: int, room: int) -> Passed | None: ...
    def take_by_node(
        self, commands: list[list[bytes]], data: bytes, room: int, owners: Sequence[int]
    ) -> TakenByNode | None: ...

def take_replies(framer: ReplyFramer, owed: Runs[Entry], most: int, room: int, watched: int) -> Replies | None:
    """See `proxy.session.fastpath.reference_replies.take_replies`."""

def take_joined(kind: type[Lane], owed: Runs[Owed], most: int, room: int, watched: int) -> JoinedReplies | None:
    """See `proxy.session.fastpath.reference_replies.take_joined`."""

class FlatRequests:
    """See `proxy.session.fastpath.flat.FlatRequests`."""

    taken: int
    is_cut: bool
    def __init__(self, conversation: HotState, tally: Tally) -> None: ...
    def use(self, table: RequestTable, longest: int, most: int, pending: int, room: int) -> None: ...
    def take(self, data: bytes, any_length: bool = False) -> bytes | None: ...
    def give(self) -> bytes | None: ...

class FlatReplies:
    """See `proxy.session.fastpath.flat.FlatReplies`."""

    def __init__(
        self,
        conversation: HotState,
        tally: Tally,
        levels: list[Any],
        out: list[bytes],
        goes_on: Callable[[], None],
    ) -> None: ...
    def use(self, most: int, room: int) -> None: ...
    def take(self, data: bytes) -> bytes | None: ...

class FlatLaneRequests:
    """See `proxy.session.fastpath.flat_lanes.FlatLaneRequests`."""

    taken: int
    def __init__(self, conversation: HotState, tally: Tally, cluster: Cluster) -> None: ...
    def use(self, table: RequestTable, longest: int, most: int, pending: int, held: int, room: int) -> None: ...
    def take(self, data: bytes) -> list[tuple[int, bytes]] | None: ...

class FlatLaneReplies:
    """See `proxy.session.fastpath.flat_lanes.FlatLaneReplies`."""

    def __init__(self, conversation: HotState, tally: Tally, cluster: Cluster) -> None: ...
    def use(self, most: int, room: int) -> None: ...
    def take(self, data: bytes, number: int) -> bytes | None: ...

class HotState:
    """See `proxy.session.hot_state.HotState`. Arguments are for subclasses."""

    marks: int
    flows: bool
    is_dry: bool
    waits: bool
    watched_at: int
    asked: Command | None
    pending_bytes: int
    def __init__(self) -> None: ...

class Runs(Generic[_Item]):
    """See `proxy.session.runs.Runs`. Arguments are for subclasses."""

    size: int
    taken: int
    def __init__(self) -> None: ...
    @property
    def first(self) -> _Item: ...
    @property
    def last(self) -> _Item: ...
    @property
    def first_count(self) -> int: ...
    def has_only(self, item: _Item) -> bool: ...
    def records(self, most: int) -> list[tuple[_Item, int]]: ...
    def append(self, item: _Item, count: int = 1) -> None: ...
    def push(self, item: _Item) -> None: ...
    def take(self, count: int = 1) -> None: ...
    def take_runs(self, count: int) -> None: ...
    @property
    def memory(self) -> int: ...

class ReplySplitter:
    """See `proxy.resp.reply_splitter.ReplySplitter`."""

    fault: str
    @property
    def unfinished(self) -> int: ...
    def split(self, data: bytes, owed: Runs[Any]) -> list[tuple[Any, bytes, int]]: ...

class Requests:
    """See `proxy.session.cluster.kept.Requests`."""

    def __init__(self) -> None: ...
    def append(self, piece: Sent | bytes, left: int, size: int) -> None: ...
    def take(self, count: int) -> int: ...
    @property
    def first(self) -> tuple[Sent | bytes, int]: ...
    def split(self, parts: list[tuple[Sent, int]]) -> int: ...
    @property
    def pieces(self) -> list[tuple[Sent | bytes, int]]: ...

class ReplyFramer:
    """See `proxy.resp.reply_framer.ReplyFramer`."""

    def feed(self, data: bytes) -> None: ...
    def let_go(self) -> None: ...
    @property
    def buffered(self) -> int: ...
    @property
    def joined(self) -> int: ...
    @property
    def forwarding(self) -> bool: ...
    def kind(self) -> int: ...
    def length(self) -> int | None: ...
    def first_bulk(self, limit: int) -> bytes | None: ...
    def short_line(self, limit: int) -> bytes | None: ...
    def line(self) -> bytes | None: ...
    def enter(self) -> bytes | None: ...
    def bulk(self) -> bytes | None: ...
    def forward(self, out: list[bytes]) -> bool: ...
