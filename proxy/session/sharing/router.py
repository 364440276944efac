"""The router of a conversation with a cluster whose lanes are shared: first what sharing says, then where it goes."""

from proxy.commands import Command, Pin
from proxy.resp import Request
from proxy.session.cluster import Router
from proxy.session.effects import CommandInfo
from proxy.session.sharing.sharing import Sharing


class SharedRouter:
    """See the module. It has the methods of `Sharing` and of the router of a cluster."""

    __slots__ = ("_router", "_sharing")

    def __init__(self, sharing: Sharing, router: Router) -> None:
        """`router`: of the cluster."""
        self._sharing = sharing
        self._router = router

    def answers(self, command: Command, request: Request) -> bool:
        """See Router."""
        return self._sharing.answers(command, request) or self._router.answers(command, request)

    def aim(self, command: Command, request: Request) -> bool:
        """See Router. It would answer MULTI itself, so a transaction pins its client here."""
        if self._sharing.aim(command, request):
            return True
        if command.pin is Pin.TRANSACTION:
            self._sharing.change.pin(request, Pin.TRANSACTION)
            return True
        return self._router.aim(command, request)

    def aim_unknown(self, name: bytes, request: Request, info: CommandInfo | None) -> bool:
        """See Router."""
        return self._sharing.aim_unknown(name, request, info) or self._router.aim_unknown(name, request, info)
