"""Clients' logins where the proxy itself logs in to Redis: clients give the listener's password, not Redis' own.

The proxy then checks AUTH and never forwards it. The limits for unauthenticated clients hold in both cases. Texts and
limits are those of Redis (acl.c, networking.c). The only user is `default`.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final, NamedTuple

from proxy.resp import encode

OK: Final = b"+OK\r\n"
NOAUTH: Final = encode.error("NOAUTH Authentication required.")
NOAUTH_EXEC: Final = encode.error("EXECABORT Transaction discarded because of: NOAUTH Authentication required.")
WRONGPASS: Final = encode.error("WRONGPASS invalid username-password pair or user is disabled.")
NOAUTH_HELLO: Final = encode.error(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> "
    "<pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
)
_NO_PASSWORD: Final = encode.error(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration "
    "is correct?"
)
_SYNTAX: Final = encode.error("ERR syntax error")
_ARITY: Final = encode.error("ERR wrong number of arguments for 'auth' command")
_HELLO_OPTIONS: Final = {b"AUTH": 2, b"SETNAME": 1}
"""Options of HELLO, and the number of operands of each."""
_USER: Final = b"default"

_MOST_ARGUMENTS: Final = 10
_LONGEST_ARGUMENT: Final = 16 * 1024


class Hello(NamedTuple):
    """A HELLO, split into the request without AUTH and the login."""

    args: list[bytes]
    """The request without AUTH."""
    login: tuple[bytes, bytes] | None
    """User and password; None: no AUTH, or a syntax error."""
    wrong: bytes | None = None
    """The option that is a syntax error; None: there is no such option."""


class Gate:
    """The passwords of one listener. A client needs one of them. It keeps digests only."""

    __slots__ = ("_digests",)

    def __init__(self, passwords: Iterable[bytes] | None) -> None:
        """None: the listener admits every client. Without any password it admits no client."""
        self._digests = None if passwords is None else tuple(map(_digest, passwords))

    @property
    def is_open(self) -> bool:
        """No password is needed."""
        return self._digests is None

    def admits(self, user: bytes, password: bytes) -> bool:
        """Whether user and password are right.

        The time depends neither on the passwords' bytes and lengths, nor on which of them is right: digests are
        compared, and all of them.
        """
        if self._digests is None:
            return user == _USER
        if len(password) > _LONGEST_ARGUMENT:
            return False  # a digest of it would take long, and no password is so long
        given = _digest(password)
        found = [hmac.compare_digest(given, digest) for digest in self._digests]
        return any(found) and user == _USER

    def answer(self, args: list[bytes]) -> bytes:
        """The reply to AUTH."""
        if len(args) < 2:
            return _ARITY
        if len(args) > 3:
            return _SYNTAX
        if len(args) == 2 and self.is_open:
            return _NO_PASSWORD
        user = args[1] if len(args) == 3 else _USER
        return OK if self.admits(user, args[-1]) else WRONGPASS


def _digest(password: bytes) -> bytes:
    return hashlib.sha256(password).digest()


def without_login(args: list[bytes]) -> Hello:
    r"""A HELLO without its AUTH. An unknown option ends the request: Redis must refuse it, and no login takes place.

    Redis compares options as C strings: for Redis, `AUTH\0x` is AUTH. So options are read and written up to a NUL.
    """
    kept, login = args[:2], None
    rest = args[2:]
    while rest:
        option = rest[0].partition(b"\0")[0]
        operands = _HELLO_OPTIONS.get(option.upper())
        if operands is None or len(rest) <= operands:
            return Hello([*kept, option], None, option)
        if option.upper() == b"AUTH":
            login = rest[1], rest[2]
        else:
            kept += (option, *rest[1 : 1 + operands])
        rest = rest[1 + operands :]
    return Hello(kept, login)


def hello_name(args: list[bytes]) -> bytes | None:
    """The name that a valid HELLO gives its client: the last one counts, as in Redis. None: it gives no name."""
    name, rest = None, args[2:]
    while rest:
        option = rest[0].partition(b"\0")[0].upper()
        operands = _HELLO_OPTIONS.get(option, len(rest))
        if option == b"SETNAME" and len(rest) > 1:
            name = rest[1]
        rest = rest[1 + operands :]
    return name


def has_login(args: list[bytes]) -> bool:
    """Whether a HELLO may log in. True for any AUTH among the arguments: a newer server may know more options."""
    return any(option.partition(b"\0")[0].upper() == b"AUTH" for option in args[2:])


def excess(arguments: int, longest: int) -> str | None:
    """Redis' error if a request exceeds the limits for unauthenticated clients; None: it does not.

    `longest`: bytes of the longest argument.
    """
    if arguments > _MOST_ARGUMENTS:
        return "ERR Protocol error: unauthenticated multibulk length"
    if longest > _LONGEST_ARGUMENT:
        return "ERR Protocol error: unauthenticated bulk length"
    return None
