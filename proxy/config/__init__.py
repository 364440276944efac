"""Configuration: a TOML file, the environment and flags become frozen, typed settings.

A leaf: it imports nothing of `proxy`, opens no socket and reads no file but the one it is given.
"""

from proxy.config.address import (
    Address,
    EmbeddedTarget,
    SentinelTarget,
    Target,
    TcpAddress,
    TcpTarget,
    UnixAddress,
    UnixTarget,
    parse_address,
    parse_upstream,
)
from proxy.config.describe import describe
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

__all__ = [
    "Address",
    "Admin",
    "ConfigError",
    "EmbeddedTarget",
    "Flags",
    "Guard",
    "Limits",
    "Listener",
    "Log",
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
    "environment_twins",
    "load",
    "parse_address",
    "parse_listen",
    "parse_upstream",
]
