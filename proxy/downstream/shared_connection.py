"""A client's connection whose link is shared with other clients, until the client needs one of its own.

It has one link at a time: a place on a trunk of RESP2, one on a trunk of RESP3, or, for good, an own link. The session
says when to change it (an effect `relink`), while no reply is outstanding. Until the new link is there, the session
takes no further request.
"""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial

from proxy.downstream.connection import Connection
from proxy.downstream.phase import Phase
from proxy.downstream.services import PinServices, Services, SharedServices
from proxy.policy import Policy
from proxy.session import Effects, Gate, Relink, Shared
from proxy.upstream.link import READS_SLOWLY, Link, SharedPlace, UpstreamError


class Pinning:
    """Counts a client that has links of its own, while it has them."""

    __slots__ = ("_number", "_reason", "_services")

    def __init__(self, services: PinServices, number: int) -> None:
        """`number`: of the client, for the log."""
        self._services = services
        self._number = number
        self._reason = ""

    def begin(self, reason: str) -> None:
        """The client has links of its own now."""
        self._reason = reason
        self._services.pinned(self._number, reason)

    def end(self) -> None:
        """They have ended, if there were any."""
        if self._reason:
            self._services.unpinned(self._reason)
            self._reason = ""


class OnSharedLinks(Connection):
    """The change of the links, for connections on a plain Redis and on a cluster."""

    __slots__ = ()

    def apply(self, effects: Effects) -> None:
        """See Connection."""
        super().apply(effects)
        if effects.relink is not None and self._phase is not Phase.CLOSING:
            self._begin_dial(self._change(effects.relink))

    @property
    def is_unread(self) -> bool:
        """See SharedOwner."""
        return self._flow.client_full

    async def _change(self, relink: Relink) -> None:
        """Put the new link in the place of the old one, on which nothing is outstanding."""
        try:
            start = await self._changed(relink)
        except UpstreamError as error:
            self._not_dialed(error)
            return
        if start is not None and self._phase is not Phase.CLOSING:
            self.apply(start())

    @abstractmethod
    async def _changed(self, relink: Relink) -> Callable[[], Effects] | None:
        """Change the link. Returns the session's part. None: the new link has ended already. Raises UpstreamError."""


class SharedConnection(OnSharedLinks):
    """See the module. It is the owner of its links."""

    __slots__ = ("_pinning", "_place", "_sharing")

    def __init__(
        self, services: Services, listener: int, policy: Policy, gate: Gate | None, number: int, sharing: SharedServices
    ) -> None:
        """See Connection. `sharing`: of this process."""
        super().__init__(services, listener, policy, gate, number)
        self._sharing = sharing
        self._place: SharedPlace | None = None  # the link, until the client is pinned
        self._pinning = Pinning(sharing, number)

    async def _connected(self) -> tuple[Link, Callable[[], Effects]]:
        place = self._place = await self._sharing.link(self, self._owed)
        shared = Shared(place.greeting, place.knows_setinfo, self._sharing.database, self.number)
        return place, partial(self._session.start, shared=shared)

    # -- the change of the link ------------------------------------------------------------------------

    async def _changed(self, relink: Relink) -> Callable[[], Effects] | None:
        link, start = await (self._pinned(relink.pin) if relink.pin else self._moved(relink.protocol))
        if link.is_closing:
            return None
        self._link = link
        if self._phase is Phase.CLOSING:
            link.close()
        elif self._flow.link.paused:  # the client does not read
            link.pause()
        return start

    async def _pinned(self, reason: str) -> tuple[Link, Callable[[], Effects]]:
        link, opening, _ = await self._own_link()
        self._leave(None)
        if not link.is_closing:  # else `link_lost` may have been called already
            self._pinning.begin(reason)
        return link, partial(self._session.relinked, opening)

    async def _moved(self, protocol: int) -> tuple[Link, Callable[[], Effects]]:
        place = await self._sharing.link(self, self._owed, protocol)
        self._leave(place)
        return place, partial(self._session.relinked, greeting=place.greeting)

    def _leave(self, place: SharedPlace | None) -> None:
        """Give up the place on a trunk, for this one."""
        old, self._place = self._place, place
        if old is not None:
            old.leave()
            self._flow.link_full = False

    # -- the end of a link -------------------------------------------------------------------------------------

    @property
    def lateness(self) -> str:
        """See SharedOwner."""
        return READS_SLOWLY

    def place_lost(self) -> None:
        """See SharedOwner."""
        self._place = None
        self.links_ended()

    def link_lost(self) -> None:
        """See LinkOwner. The own link has ended."""
        self._pinning.end()
        super().link_lost()

    @property
    def _awaits_redis(self) -> bool:
        """See Connection. Behind the replies of other clients, it is not Redis that delays a reply."""
        return super()._awaits_redis and (self._place is None or self._place.is_head)
