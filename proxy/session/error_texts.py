"""Error texts: Redis' own where Redis would refuse too (server.c, commandCheckExistence), else ours."""

from collections.abc import Sequence
from itertools import islice
from typing import Final

from proxy.codec import CodecError
from proxy.commands import Command

OURS: Final = "ERR flask-cache-proxy: "
"""The prefix of each error of ours."""
SHOWN: Final = 128
"""The number of a client's bytes that Redis repeats in an error. (It repeats a whole option; we do not.)"""

# -- ours ----------------------------------------------------------------------------------------------

MULTI_IS_FULL: Final = f"{OURS}MULTI is full ([limits] pending_commands and buffered_bytes)"
AFTER_MONITOR: Final = f"{OURS}after MONITOR only RESET and QUIT are allowed"
AUTH_IN_MULTI: Final = f"{OURS}AUTH is refused inside MULTI, where Redis may leave it unanswered"
OWN_AUTH_IN_MULTI: Final = f"{OURS}AUTH is refused inside MULTI, because the proxy answers it itself"
NOW_MANAGED: Final = f"{OURS}a reload has given the key of this request a rule while it came; send it again"
CLIENT_REPLY_IN_MULTI: Final = (
    f"{OURS}CLIENT REPLY is refused inside MULTI, because it could cut EXEC's reply short; send it outside MULTI"
)
ONLY_READS: Final = "this listener only reads"
"""The reason with which a plain listener refuses a command."""
NO_NUMBER_AS_VIEW: Final = (
    "Flask would answer 500 to every visitor of a view that is a number; check_views = false in the rule allows it"
)
"""The reason with which INCR and the like are refused on the key of a cached view."""
REDIRECTED: Final = f"{OURS}Redis redirected this command; a cluster needs upstream.url = redis-cluster://"
NOT_FOLLOWED: Final = f"{OURS}Redis redirected this command in a way that the cluster's nodes do not confirm"
PART_REFUSED: Final = f"{OURS}a node of the cluster refused its part of the command"
CURSOR_TOO_LARGE: Final = f"{OURS}the cursor of this node is too large to be shown with the node's number"
FOREIGN_CURSOR: Final = f"{OURS}the cursor names no node of the cluster; its nodes have changed, so begin again with 0"
INVALID_CURSOR: Final = "ERR invalid cursor"
"""Redis' own."""
CROSS_SLOT: Final = "CROSSSLOT Keys in request don't hash to the same slot"
"""Redis' own."""
SLOT_MOVES: Final = (
    "TRYAGAIN flask-cache-proxy: the keys of the transaction are moving to another node; nothing was done"
)
TOO_MANY_HOPS: Final = f"{OURS}the nodes of the cluster redirected this command too often; nothing was done"
TOO_MANY_PARTS: Final = f"{OURS}the keys of this command need too many parts on a cluster; send fewer keys at a time"
NOT_AGAIN: Final = "Redis refused the client's name or protocol on a connection of its own"
NO_ADDRESS: Final = f"{OURS}the proxy has no address for this reply; [listener] announce names one"


def lane_lost(address: str) -> str:
    """For a request whose reply did not come."""
    return f"{OURS}the connection to {address} was lost; whether this command was done is not known"


def name(command: Command) -> str:
    """The name of a command in its usual spelling, as `CONFIG GET`."""
    return command.name.decode().replace("|", " ")


def ours(text: str) -> str:
    """Make an error of ours from a sentence."""
    return OURS + text


def subscribe_in_multi(kind: bytes) -> str:
    """For SUBSCRIBE, PSUBSCRIBE and the like."""
    return (
        f"{OURS}{kind.decode().upper()} is refused inside MULTI, because its confirmations and the other"
        " replies of EXEC cannot be told apart; send it outside MULTI"
    )


def not_encodable(error: CodecError) -> str:
    """For the payload of a request with one value."""
    return f"{OURS}{error}; nothing was stored"


def not_decodable(error: CodecError, *, applied: bool) -> str:
    """For a stored value. `applied`: the command has already written."""
    return f"{OURS}cannot decode the stored value: {error}{'; the command was applied' if applied else ''}"


def reaching(command: Command) -> str:
    """For a command whose patterns may match managed keys."""
    return f"{OURS}{name(command)} may read keys that hold cached values, other than those that it names"


def wrong_number_of_keys(command: Command) -> str:
    """For a wrong `numkeys`: without it, the values cannot be found."""
    return f"{OURS}{name(command)}: the number of keys is wrong"


def unknown_on_managed(name: str) -> str:
    """For a command that the table does not have and that names a managed key."""
    return f"{OURS}{name} is not known here and names a key that holds a cached value"


def not_known_here(name: str, because: str) -> str:
    """For a command that the table does not have. `because`: the reason if COMMAND INFO fails, else empty."""
    why = f", and Redis does not say what it is ({because})" if because else ""
    return f'{OURS}{name} is not known here{why}; "{name}" in [guard] allow lets it through'


def guarded(command: Command) -> str:
    """For a command that a setting may allow."""
    return f'{OURS}{name(command)} is refused; "{command.name.decode()}" in [guard] allow lets it through'


def guarded_script(command: Command, sha1: bytes | None) -> str:
    """For EVAL, FCALL and the like. `sha1`: of the script, in hex; None: it has none, or is too long to compute it."""
    if command.name.startswith(b"FCALL"):
        way = 'scripts = "allow" in [guard] lets it through'
    elif sha1 is None:
        way = "its SHA1 in [guard] allow_scripts lets it through"
    else:
        way = f'"{sha1.decode()}" in [guard] allow_scripts lets it through'
    return (
        f"{OURS}{name(command)} is refused, because a script can write any key; {way}, or use {name(command)}_RO for a"
        " script that only reads"
    )


def refused(command: Command, because: str) -> str:
    """For a command that no setting allows."""
    return f"{OURS}{name(command)} is refused: {because}"


def refused_on_managed(command: Command) -> str:
    """For a command that does not work on cached values."""
    because = "it works on their stored bytes"
    if command.of_another_type:
        because = "it would put another type there" if command.writes else "it reads another type"
    return (
        f"{OURS}{name(command)} is refused on keys that hold cached values: {because}; if this key is no cached value,"
        ' a rule with as = "untouched" before the others lets it through'
    )


def across_rules(command: Command) -> str:
    """For RENAME, COPY and the like."""
    return f"{OURS}{name(command)} must stay within the keys of one rule"


def refused_option(option: bytes) -> str:
    """For an option that compares stored bytes."""
    return f"{OURS}{option.decode()} is refused on cached values: equal values need not have equal bytes"


# -- Redis' own ----------------------------------------------------------------------------------------


NO_SCRIPT: Final = "NOSCRIPT No matching script. Please use EVAL."
"""For an EVALSHA whose argument is not a SHA1, so that no script can match."""


def unknown_command(args: Sequence[bytes]) -> str:
    """For a name that is not a command. It shows the first 128 bytes of the arguments."""
    shown = b""
    for arg in islice(args, 1, None):
        if len(shown) >= SHOWN:
            break
        shown += b"'%b' " % arg[: SHOWN - len(shown)].partition(b"\0")[0]
    return f"ERR unknown command '{_c_string(args[0])}', with args beginning with: {_text(shown)}"


def unknown_subcommand(args: Sequence[bytes]) -> str:
    """For a command that does not have this subcommand."""
    return f"ERR unknown subcommand '{_c_string(args[1])}'. Try {_c_string(args[0]).upper()} HELP."


def wrong_hello(option: bytes) -> str:
    """For a HELLO with an unknown option, or an option without its operand."""
    return f"ERR Syntax error in HELLO option '{_c_string(option)}'"


def wrong_number(name: bytes) -> str:
    """For a command, by its full name, with too few or too many arguments."""
    return f"ERR wrong number of arguments for '{name.decode().lower()}' command"


def not_for_subscribers(name: bytes) -> str:
    """For a command, by its full name, of a subscriber in RESP2."""
    return (
        f"ERR Can't execute '{name.decode().lower()}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are"
        " allowed in this context"
    )


def unknown_option(text: str, option: bytes) -> str:
    """`text`: the command's own error, with `{}` in place of the option."""
    return text.format(_c_string(option))


def _c_string(text: bytes) -> str:
    return _text(text[:SHOWN].partition(b"\0")[0])


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
