"""A client's connection whose link is shared with other clients, until the client needs one of its own.

It has one link at a time: a place on a trunk of RESP2, one on a trunk of RESP3, or, for good, an own link. The session
says when to change it (an effect `relink`), while no reply is outstanding. Until the new link is there, the session
takes no further request.
"""

from collections.abc import Callable
from functools import partial

from proxy.downstream.connection import Connection
from proxy.downstream.phase import Phase
from proxy.downstream.services import Services, SharedServices
from proxy.policy import Policy
from proxy.session import Effects, Gate, Relink, Shared
from proxy.upstream.link import Link, SharedPlace, UpstreamError


class SharedConnection(Connection):
    """See the module. It is the owner of its links."""

    __slots__ = ("_pin", "_place", "_sharing")

    def __init__(
        self, services: Services, listener: int, policy: Policy, gate: Gate | None, number: int, sharing: SharedServices
    ) -> None:
        """See Connection. `sharing`: of this process."""
        super().__init__(services, listener, policy, gate, number)
        self._sharing = sharing
        self._place: SharedPlace | None = None  # the link, until the client is pinned
        self._pin = ""  # the reason why the client has an own link

    async def _connected(self) -> tuple[Link, Callable[[], Effects]]:
        place = self._place = await self._sharing.link(self, self._owed)
        shared = Shared(place.greeting, place.knows_setinfo, self._sharing.database, self.number)
        return place, partial(self._session.start, shared=shared)

    def apply(self, effects: Effects) -> None:
        """See Connection."""
        super().apply(effects)
        if effects.relink is not None and self._phase is not Phase.CLOSING:
            self._begin_dial(self._change(effects.relink))

    # -- the change of the link ------------------------------------------------------------------------

    async def _change(self, relink: Relink) -> None:
        """Dial the new link and put it in the place of the old one, on which nothing is outstanding."""
        try:
            link, start = await (self._pinned(relink.pin) if relink.pin else self._moved(relink.protocol))
        except UpstreamError as error:
            self._not_dialed(error)
            return
        if not link.is_closing:  # else Redis has closed already
            self._link = link
            if self._phase is Phase.CLOSING:
                link.close()
                return
            if self._flow.link.paused:  # the client does not read
                link.pause()
            self.apply(start())

    async def _pinned(self, reason: str) -> tuple[Link, Callable[[], Effects]]:
        link, opening, _ = await self._own_link()
        self._leave(None)
        if not link.is_closing:  # else `link_lost` may have been called already
            self._pin = reason
            self._sharing.pinned(self.number, reason)
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

    def place_lost(self) -> None:
        """See SharedOwner."""
        self._place = None
        self.links_ended()

    def link_lost(self) -> None:
        """See LinkOwner. The own link has ended."""
        if self._pin:
            self._sharing.unpinned(self._pin)
            self._pin = ""
        super().link_lost()

    @property
    def is_unread(self) -> bool:
        """See SharedOwner."""
        return self._flow.client_full

    @property
    def _awaits_redis(self) -> bool:
        """See Connection. Behind the replies of other clients, it is not Redis that delays a reply."""
        return super()._awaits_redis and (self._place is None or self._place.is_head)
