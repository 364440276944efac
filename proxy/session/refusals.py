"""Refusals and failed conversions, as a session reports them: client's name, command, rule, reason. No key, no value.

The reasons are a closed list. Metrics have them as labels, so a new refusal needs a member here or an existing one.
"""

from enum import Enum
from typing import Final, NamedTuple

from proxy.codec import CodecError


class Reason(Enum):
    """Why a command is refused, or why a stored value cannot be decoded. `value` is the label of the metric."""

    # -- commands that are refused ---------------------------------------------------------------------
    UNKNOWN_COMMAND = "unknown_command"
    UNKNOWN_SUBCOMMAND = "unknown_subcommand"
    UNKNOWN_OPTION = "unknown_option"
    SYNTAX = "syntax"
    NOT_AUTHENTICATED = "not_authenticated"
    LOGIN_FAILED = "login_failed"
    GUARD = "guard"
    SCRIPT = "script"
    NEVER = "never"
    NOT_KNOWN = "not_known"
    CLUSTER = "cluster"
    ONE_NODE_ONLY = "one_node_only"
    CROSS_SLOT = "cross_slot"
    AFTER_MONITOR = "after_monitor"
    IN_MULTI = "in_multi"
    MULTI_IS_FULL = "multi_full"
    LISTENER_ONLY_READS = "listener_only_reads"
    RULE_ONLY_READS = "rule_only_reads"
    STORED_BYTES = "stored_bytes"
    LONG_KEY = "long_key"
    ACROSS_RULES = "across_rules"
    PICKLED_INT = "pickled_int"
    COMPARES_BYTES = "compares_bytes"
    UNSERVABLE = "unservable"
    PATTERN = "pattern"
    INVALID_PAYLOAD = "invalid_payload"
    PAYLOAD_LIMIT = "payload_limit"
    PAYLOAD_FAILED = "payload_failed"
    # -- stored values that cannot be decoded ----------------------------------------------------------
    UNDECODABLE = "undecodable"
    VALUE_LIMIT = "value_limit"
    VALUE_CLASS = "value_class"
    VALUE_FAILED = "value_failed"


TEXTS: Final = {
    Reason.UNKNOWN_COMMAND: "the name of the command has invalid characters",
    Reason.UNKNOWN_SUBCOMMAND: "the command has no such subcommand",
    Reason.UNKNOWN_OPTION: "the option is not known for keys that hold cached values",
    Reason.SYNTAX: "the number of arguments or of keys is wrong",
    Reason.NOT_AUTHENTICATED: "the client has not given the listener's password",
    Reason.LOGIN_FAILED: "user or password are wrong",
    Reason.GUARD: "[guard] allow does not name the command",
    Reason.SCRIPT: "scripts can write any key ([guard] allow_scripts)",
    Reason.NEVER: "the command would bypass the proxy",
    Reason.NOT_KNOWN: "the proxy does not know the command",
    Reason.CLUSTER: "the proxy answers as a Redis that is not in cluster mode",
    Reason.ONE_NODE_ONLY: "the command does not work across the nodes of a cluster",
    Reason.CROSS_SLOT: "the transaction is on another node than the key",
    Reason.AFTER_MONITOR: "after MONITOR only RESET and QUIT are allowed",
    Reason.IN_MULTI: "the command is refused inside MULTI",
    Reason.MULTI_IS_FULL: "MULTI is full ([limits] pending_commands and buffered_bytes)",
    Reason.LISTENER_ONLY_READS: "the listener only reads",
    Reason.RULE_ONLY_READS: "the rule of the key is read-only",
    Reason.STORED_BYTES: "the command works on stored bytes, or would store another type",
    Reason.LONG_KEY: "the key is too long to match, and may hold a cached value",
    Reason.ACROSS_RULES: "the keys have different rules",
    Reason.PICKLED_INT: "the rule pickles its ints (stored)",
    Reason.COMPARES_BYTES: "the option compares stored bytes",
    Reason.UNSERVABLE: "Flask could not serve the value as a view (check_views)",
    Reason.PATTERN: "the command may read keys that hold cached values, other than those that it names",
    Reason.INVALID_PAYLOAD: "the payload cannot be encoded",
    Reason.PAYLOAD_LIMIT: "the payload is over a limit ([limits])",
    Reason.PAYLOAD_FAILED: "the converter could not encode the payload",
    Reason.UNDECODABLE: "the stored value cannot be decoded",
    Reason.VALUE_LIMIT: "the stored value is over a limit ([limits])",
    Reason.VALUE_CLASS: "read_classes does not cover an object of the stored value",
    Reason.VALUE_FAILED: "the converter could not decode the stored value",
}
"""The reasons in words."""
FAILURES: Final = frozenset({Reason.UNDECODABLE, Reason.VALUE_LIMIT, Reason.VALUE_CLASS, Reason.VALUE_FAILED})
"""Reasons of failed conversions: the command itself is not refused."""
_NOT_ENCODED: Final = {
    "invalid": Reason.INVALID_PAYLOAD,
    "unservable": Reason.UNSERVABLE,
    "failed": Reason.PAYLOAD_FAILED,
}
_NOT_DECODED: Final = {
    "invalid": Reason.UNDECODABLE,
    "read_classes": Reason.VALUE_CLASS,
    "failed": Reason.VALUE_FAILED,
}


def not_encoded(error: CodecError) -> Reason:
    """The reason for a payload that cannot be encoded."""
    return _NOT_ENCODED.get(error.reason, Reason.PAYLOAD_LIMIT)


def not_decoded(error: CodecError) -> Reason:
    """The reason for a stored value that cannot be decoded."""
    return _NOT_DECODED.get(error.reason, Reason.VALUE_LIMIT)


class Refusal(NamedTuple):
    """A reason, and the error for the client."""

    reason: Reason
    text: str
    """It begins with the error code."""


class Report(NamedTuple):
    """A refusal, or a failed conversion."""

    reason: Reason
    command: str = "other"
    """The command of the table; `other` if the table does not have it."""
    rule: str = ""
    """The name of the rule; empty if no rule is the cause."""
    name: bytes = b""
    """The client's name, as Redis has accepted it: any bytes, but not many."""
