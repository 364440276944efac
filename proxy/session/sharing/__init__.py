"""A conversation whose link is shared with other clients, until the client needs a connection of its own.

Theory. On a shared connection, one reply too many or too few would cross clients, and so would any state. So only
whole requests are written, of commands that bring exactly one reply, leave no state and do not block: those *travel*
(`Command.travels`). `sharing` answers the requests that would change the connection, in their usual forms. Everything
else *pins* its client: it waits until no reply is outstanding, and then for a connection of the client's own.

`link_change` decides this when `outbox` is about to write a request. So all refusals come first, and pin nobody. Only a
large request pins before its keys are looked at, because its arguments are freed while it is handled.

The state of a connection, as the client sees it, is known for sure: its protocol, its name, its library. Only requests
that are answered here change it, and a change of the protocol waits until no reply is outstanding. A connection of the
client's own is given that state before its first request. Later requests take the usual way, and nothing of this
package is left.

On a cluster, each lane is a shared link to one node. To change the link is to close all lanes: those that are opened
afterwards are of the other kind.
"""

from proxy.session.sharing.link_change import LinkChange, Shared
from proxy.session.sharing.outbox import SharedMailbox, SharedOutbox
from proxy.session.sharing.router import SharedRouter
from proxy.session.sharing.sharing import MOST_ARGUMENTS, MOST_BYTES, Sharing, is_large

__all__ = [
    "MOST_ARGUMENTS",
    "MOST_BYTES",
    "LinkChange",
    "Shared",
    "SharedMailbox",
    "SharedOutbox",
    "SharedRouter",
    "Sharing",
    "is_large",
]
