"""A lane of a client's connection on a cluster on shared connections to its node. It is the owner of its link."""

from typing import Protocol

from proxy.downstream.node_lane import LaneOwner, NodeLane
from proxy.upstream.link import READS_SLOWLY, SharedPlace


class LaneClient(Protocol):
    """The client's connection."""

    number: int
    """See SharedOwner."""

    async def place_for(self, lane: "SharedLane") -> SharedPlace:
        """A place on the trunks to the lane's node. Raises UpstreamError."""

    @property
    def is_unread(self) -> bool:
        """See SharedOwner."""

    def evict(self, text: str) -> None:
        """See SharedOwner."""


class SharedLane(NodeLane):
    """See the module. The trunk itself gathers the bytes of a turn."""

    __slots__ = ("_client", "_place", "number")

    def __init__(self, owner: LaneOwner, client: LaneClient, lane: int, node: str) -> None:
        """See NodeLane."""
        super().__init__(owner, lane, node)
        self._client = client
        self._place: SharedPlace | None = None
        self.number = client.number
        """See SharedOwner."""

    async def connect(self) -> None:
        """See NodeLane."""
        self.link = self._place = place = await self._client.place_for(self)
        self.made = True
        if self._buffer.paused:
            place.pause()

    def write(self, data: bytes) -> None:
        """Write bytes to the node. The replies that it owes for them have been appended."""
        self.link.write(data)

    @property
    def waits_for_others(self) -> bool:
        """See NodeLane."""
        return self._place is not None and not self._place.is_head

    @property
    def is_unread(self) -> bool:
        """See SharedOwner. If the reply of another node comes first, the trunk cannot wait for that either."""
        return self._held or self._client.is_unread

    @property
    def lateness(self) -> str:
        """See SharedOwner."""
        return "a large reply waited for an earlier one of another node" if self._held else READS_SLOWLY

    def evict(self, text: str) -> None:
        """See SharedOwner."""
        self._client.evict(text)

    def place_lost(self) -> None:
        """See SharedOwner."""
        self._end()
