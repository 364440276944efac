"""The table of metric families. Base units; no label holds a key, a value or the address of a client.

The exposition shows them in the order of this table. A new metric needs a line here and a call that counts it.
"""

from typing import Final, Literal, NamedTuple


class Family(NamedTuple):
    """A metric family: its type, its name without the prefix, its help text and the names of its labels."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    text: str
    labels: tuple[str, ...] = ()


WORKERS: Final = Family("gauge", "workers", "Processes that serve clients.")
WORKER_RESTARTS: Final = Family("counter", "worker_restarts", "Workers replaced.")
CLIENTS: Final = Family(
    "gauge", "clients", "Clients connected; listener: its number in the configuration, from 1.", ("listener",)
)
ACCEPTED: Final = Family("counter", "accepted_clients", "Clients accepted.")
REJECTED: Final = Family("counter", "rejected_clients", "Clients rejected.", ("reason",))
CLOSED: Final = Family(
    "counter",
    "closed_clients",
    "Clients closed in mid-conversation, by the setting that they met; protocol: they speak no RESP; rule: a reload.",
    ("reason",),
)
UPSTREAMS: Final = Family("gauge", "upstream_connections", "Connections to Redis.")
UPSTREAM_CONNECTS: Final = Family("counter", "upstream_connects", "Connections to Redis that were made.")
UPSTREAM_FAILURES: Final = Family("counter", "upstream_connect_failures", "Connections to Redis that failed.")
TRUNKS: Final = Family(
    "gauge",
    "upstream_trunks",
    "Connections to Redis, or to the nodes of the cluster, that clients share.",
    ("protocol",),
)
PINNED_CLIENTS: Final = Family(
    "gauge",
    "pinned_clients",
    "Clients that have left the shared connections for their own; reason: the need for it.",
    ("reason",),
)
TRUNKS_LOST: Final = Family(
    "counter",
    "trunks_lost",
    "Shared connections that ended with replies outstanding: their clients are closed, or get errors on a cluster.",
)
CLUSTER_NODES: Final = Family(
    "gauge", "cluster_nodes", "Nodes of the cluster; other: replicas, and masters without slots.", ("role",)
)
CLUSTER_SLOTS: Final = Family("gauge", "cluster_slots", "Slots of the cluster that have a master, of 16384.")
CLUSTER_REFRESHES: Final = Family(
    "counter", "cluster_refreshes", "Fetches of the map of slots; result: changed, same or failed.", ("result",)
)
CLUSTER_REDIRECTS: Final = Family(
    "counter", "cluster_redirects", "Redirects of the cluster; kind: moved, ask or tryagain.", ("kind",)
)
CLUSTER_DIALS: Final = Family(
    "counter", "cluster_dials", "Connections to nodes that were tried; result: connected or failed.", ("node", "result")
)
CLUSTER_LANES: Final = Family(
    "gauge",
    "cluster_lanes",
    "Clients' connections to each node of the cluster, those that they share among them.",
    ("node",),
)
RECEIVED_BYTES: Final = Family("counter", "received_bytes", "Bytes received from a side.", ("side",))
SENT_BYTES: Final = Family("counter", "sent_bytes", "Bytes handed to a side.", ("side",))
COMMANDS: Final = Family("counter", "commands", "Commands of clients, by those that the proxy knows.", ("command",))
MANAGED: Final = Family("counter", "managed_commands", "Commands that name a managed key, refused ones among them.")
UNTOUCHED: Final = Family("counter", "untouched_commands", "Commands that name keys, but no managed key.")
REFUSALS: Final = Family(
    "counter",
    "refused_commands",
    "Commands that the proxy refused, bad payloads among them; other: not in the proxy's table.",
    ("command", "reason"),
)
HITS: Final = Family("counter", "hits", "Values of managed keys that clients have read.", ("rule",))
MISSES: Final = Family("counter", "misses", "Reads of managed keys that have no value.", ("rule",))
UNMANAGED_FLASK_VALUES: Final = Family(
    "counter",
    "unmanaged_flask_values",
    "Replies to GET with a value of Flask whose key no rule matches; of pipelined ones only the first is seen.",
)
TRANSCODED: Final = Family(
    "counter", "transcoded_values", "Values encoded and decoded.", ("direction", "payload", "rule")
)
TRANSCODING_FAILURES: Final = Family(
    "counter",
    "transcoding_failures",
    "Values that could not be encoded or decoded; reason: a limit, read_classes, unservable, invalid, or failed.",
    ("direction", "payload", "rule", "reason"),
)
TRANSCODING_SECONDS: Final = Family(
    "histogram",
    "transcoding_seconds",
    "Time to encode or decode a value: the mean of the values of one read in 16, and each value that went to the "
    "converter, with its wait for it.",
    ("direction", "payload", "rule"),
)
CONVERSIONS: Final = Family("counter", "offloaded_conversions", "Conversions done in the converter process.", ("half",))
ROUND_TRIP_SECONDS: Final = Family(
    "histogram",
    "upstream_round_trip_seconds",
    "Time from a request until Redis begins to answer; pipelined requests count as one, blocking ones are left out.",
)
PENDING: Final = Family("gauge", "pending_replies", "Replies outstanding, a second ago at most.")
BUFFERED_BYTES: Final = Family("gauge", "buffered_bytes", "Bytes held for all clients, a second ago at most.")
PAUSED: Final = Family("gauge", "paused_connections", "Connections not being read, a second ago at most.", ("side",))
LOOP_LAG_SECONDS: Final = Family("histogram", "loop_lag_seconds", "How late the event loop runs its timers.")
RELOAD_SUCCESSFUL: Final = Family(
    "gauge", "config_last_reload_successful", "Whether the last reload of the configuration (or the start) succeeded."
)
RELOAD_TIME: Final = Family(
    "gauge",
    "config_last_reload_success_timestamp_seconds",
    "Time of the last successful reload of the configuration, or of the start.",
)
CERTIFICATE_EXPIRY: Final = Family(
    "gauge",
    "tls_certificate_expiry_timestamp_seconds",
    "Time when the first certificate of a tls_cert expires, as it was last loaded; side: client (then listener is its "
    "number in the configuration, from 1) or upstream.",
    ("side", "listener"),
)

FAMILIES: Final = {
    family.name: family
    for family in (
        *(WORKERS, WORKER_RESTARTS, CLIENTS, ACCEPTED, REJECTED, CLOSED),
        *(UPSTREAMS, UPSTREAM_CONNECTS, UPSTREAM_FAILURES, RECEIVED_BYTES, SENT_BYTES),
        *(TRUNKS, PINNED_CLIENTS, TRUNKS_LOST),
        *(CLUSTER_NODES, CLUSTER_SLOTS, CLUSTER_REFRESHES, CLUSTER_REDIRECTS, CLUSTER_DIALS, CLUSTER_LANES),
        *(COMMANDS, MANAGED, UNTOUCHED, UNMANAGED_FLASK_VALUES, REFUSALS, HITS, MISSES),
        *(TRANSCODED, TRANSCODING_FAILURES, TRANSCODING_SECONDS, CONVERSIONS),
        *(ROUND_TRIP_SECONDS, PENDING, BUFFERED_BYTES, PAUSED, LOOP_LAG_SECONDS),
        *(RELOAD_SUCCESSFUL, RELOAD_TIME, CERTIFICATE_EXPIRY),
    )
}
"""All families by name."""
