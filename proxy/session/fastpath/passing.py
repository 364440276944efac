"""A request whose beginning has gone upstream: it is large, names no managed key, and ends in a later read.

Its entry follows once it is whole, so a request that never ends is owed no reply. Until then nothing else is written
upstream: no other request is read. If its bytes prove invalid, the conversation ends as for any other request, and
Redis drops the beginning. The same is done if a reload gives its key a rule: the client chose when it ends, and nobody
may write such a value under a managed key from then on.
"""

from proxy.policy import Policy
from proxy.resp.rest_of_command import rest_of_command
from proxy.session.fastpath.plan import Plan
from proxy.session.fastpath.reference import Cut


class Passing:
    """See the module. The attributes are those of `rest_of_command`."""

    __slots__ = ("awaited", "key", "left", "plan", "size")

    def __init__(self) -> None:
        self.plan: Plan | None = None
        """The plan of the request; None: there is no such request."""
        self.key = b""
        self.left = self.awaited = self.size = 0

    def begin(self, cut: Cut) -> None:
        """A beginning goes upstream."""
        self.plan, self.key, self.left, self.awaited, self.size = cut

    def go_on(self, data: bytes, room: int) -> int:
        """Take the bytes of the request at the head of a read. Returns their number. `room`: see `rest_of_command`."""
        if len(data) + 2 <= self.left:  # a large value comes in many reads
            self.left -= len(data)
            return len(data)
        end, self.left, self.awaited, self.size = rest_of_command(data, self.left, self.awaited, self.size, room)
        return end

    def end(self) -> Plan | None:
        """Forget the request, which has ended. Returns its plan."""
        plan, self.plan, self.key = self.plan, None, b""
        return plan

    def is_allowed(self, policy: Policy) -> bool:
        """Whether there is no such request, or no rule of the policy manages its key."""
        return self.plan is None or policy.match(self.key) is None

    @property
    def is_whole(self) -> bool:
        """All bytes of the request have gone upstream."""
        return not self.left and not self.awaited
