"""Scripts of a conversation on a shared link: bytes of both sides, and the links that are asked for. No sockets."""

from collections.abc import Callable

from proxy.policy import Policy
from proxy.resp.encode import bulk, command
from proxy.session import Effects, Gate, Opening, Relink, Shared
from tests.session.playbook import Playbook

NUMBER = 7
"""The id of the client."""
SETUP = command(b"AUTH", b"u", b"p")
"""The proxy's own first command on a connection of the client's own."""


def greeting(protocol: int, number: int = 42, mode: bytes = b"standalone") -> bytes:
    """Redis' reply to HELLO."""
    fields = (
        (b"server", bulk(b"redis")),
        (b"version", bulk(b"7.0.15")),
        (b"proto", b":%d\r\n" % protocol),
        (b"id", b":%d\r\n" % number),
        (b"mode", bulk(mode)),
        (b"role", bulk(b"master")),
        (b"modules", b"*0\r\n"),
    )
    header = b"%%%d\r\n" % len(fields) if protocol == 3 else b"*%d\r\n" % (2 * len(fields))
    return header + b"".join(bulk(name) + value for name, value in fields)


class Script(Playbook):
    """As Playbook, for a session on a shared link."""

    def __init__(
        self,
        with_policy: Policy | None = None,
        *,
        gate: Gate | None = None,
        hello: bytes | None = None,
        knows_setinfo: bool = True,
        database: int = 0,
        cut: Callable[[bytes], list[bytes]] = lambda data: [data],
    ) -> None:
        """`hello`: the reply to HELLO 2 on the link."""
        self.relinks: list[Relink] = []
        self.shared = Shared(greeting(2) if hello is None else hello, knows_setinfo, database, NUMBER)
        super().__init__(with_policy, gate=gate, cut=cut, shared=self.shared)

    def _take(self, effects: Effects) -> None:
        super()._take(effects)
        if effects.relink is not None:
            assert not self.session.pending
            self.relinks.append(effects.relink)

    def asks_for(self, protocol: int, pin: str = "") -> "Script":
        """Exactly this link is asked for, and nothing goes upstream before it is there."""
        assert self.relinks == [Relink(protocol, pin)]
        assert not self.upstream
        assert not self.session.wants_client
        self.relinks.clear()
        return self

    def is_pinned(self, setup: bytes = SETUP) -> "Script":
        """The client gets a connection of its own."""
        openings = (Opening(setup, "Redis refused the login of upstream.url"),) if setup else ()
        self._take(self.session.relinked(openings))
        assert not self.session.is_shared
        return self

    def is_linked(self, hello: bytes) -> "Script":
        """There is a shared link of the other protocol, with this reply to HELLO."""
        self._take(self.session.relinked(greeting=hello))
        assert self.session.is_shared
        return self

    def shares(self) -> "Script":
        """Nothing was asked for, and nothing is outstanding."""
        assert not self.relinks
        assert self.session.is_shared
        assert self.session.is_idle
        assert self.session.memory == 0
        return self
