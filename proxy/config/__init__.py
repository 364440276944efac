"""Configuration: a TOML file, the environment and flags become frozen, typed settings.

It imports no other part of `proxy`, opens no socket, and reads only the files that it is given.
"""

from proxy.config.address import (
    Address,
    ClusterTarget,
    EmbeddedTarget,
    ListenerAddress,
    PassedAddress,
    SentinelTarget,
    Target,
    TcpAddress,
    TcpTarget,
    UnixAddress,
    UnixTarget,
    leads_to,
    parse_address,
    parse_listener,
    parse_node,
    parse_upstream,
)
from proxy.config.describe import describe, describe_in_public
from proxy.config.load import ConfigError, Flags, environment_twins, load
from proxy.config.settings import (
    Admin,
    Guard,
    Limits,
    Listener,
    Log,
    Rule,
    Server,
    Settings,
    Upstream,
    parse_listen,
)
from proxy.config.variables import unknown_variables

__all__ = [
    "Address",
    "Admin",
    "ClusterTarget",
    "ConfigError",
    "EmbeddedTarget",
    "Flags",
    "Guard",
    "Limits",
    "Listener",
    "ListenerAddress",
    "Log",
    "PassedAddress",
    "Rule",
    "SentinelTarget",
    "Server",
    "Settings",
    "Target",
    "TcpAddress",
    "TcpTarget",
    "UnixAddress",
    "UnixTarget",
    "Upstream",
    "describe",
    "describe_in_public",
    "environment_twins",
    "leads_to",
    "load",
    "parse_address",
    "parse_listen",
    "parse_listener",
    "parse_node",
    "parse_upstream",
    "unknown_variables",
]
