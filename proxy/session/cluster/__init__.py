"""A conversation with a Redis Cluster: one lane for each node that it has used. `trouble` has the theory of its order.

`Cluster` ties the parts. `router` decides where a request goes, and `mailbox` writes it there. `lanes` opens lanes and
keeps each request until its reply has come. `transaction` has a MULTI, `gather` makes one reply of several, `redirects`
follows MOVED and ASK, and `one_node` answers the client's questions about the cluster.
"""

from proxy.session.cluster.cluster import Cluster
from proxy.session.cluster.entries import ClusterEntry
from proxy.session.cluster.lanes import Lanes
from proxy.session.cluster.mailbox import Mailbox
from proxy.session.cluster.router import Router

__all__ = ["Cluster", "ClusterEntry", "Lanes", "Mailbox", "Router"]
