"""Who may speak, where the proxy itself is logged in to Redis: the listener's password in place of Redis' own.

A client's AUTH is then checked here and never forwarded. Texts and limits as in Redis (acl.c, networking.c, hello in
networking.c), whose user is `default`.
"""

import hmac
from typing import Final, NamedTuple

from proxy.resp import writers

OK: Final = b"+OK\r\n"
NOAUTH: Final = writers.error("NOAUTH Authentication required.")
NOAUTH_EXEC: Final = writers.error("EXECABORT Transaction discarded because of: NOAUTH Authentication required.")
WRONGPASS: Final = writers.error("WRONGPASS invalid username-password pair or user is disabled.")
NOAUTH_HELLO: Final = writers.error(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> "
    "option can be used to authenticate the client and select the RESP protocol version at the same time"
)
_NO_PASSWORD: Final = writers.error(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration "
    "is correct?"
)
_SYNTAX: Final = writers.error("ERR syntax error")
_ARITY: Final = writers.error("ERR wrong number of arguments for 'auth' command")
_HELLO_OPTIONS: Final = {b"AUTH": 2, b"SETNAME": 1}
"""With the number of their operands."""
_USER: Final = b"default"

_MOST_ARGUMENTS: Final = 10
_LONGEST_ARGUMENT: Final = 16 * 1024
TOO_LONG: Final = "ERR Protocol error: unauthenticated bulk length"
MOST_BYTES: Final = _MOST_ARGUMENTS * _LONGEST_ARGUMENT
"""Of a request, before the password."""


class Hello(NamedTuple):
    """A HELLO without its AUTH, and what that said."""

    args: list[bytes]
    login: tuple[bytes, bytes] | None


class Gate(NamedTuple):
    """The password of one listener."""

    password: bytes | None
    """None: whoever reaches the listener is in."""

    @property
    def is_open(self) -> bool:
        """No password is needed."""
        return self.password is None

    def admits(self, user: bytes, password: bytes) -> bool:
        """Whether this user and password are right, in a time that does not tell how nearly."""
        if self.password is None:
            return user == _USER
        right = hmac.compare_digest(password, self.password)
        return right and user == _USER

    def answer(self, args: list[bytes]) -> bytes:
        """The reply to an AUTH."""
        if len(args) < 2:
            return _ARITY
        if len(args) > 3:
            return _SYNTAX
        if len(args) == 2 and self.password is None:
            return _NO_PASSWORD
        user = args[1] if len(args) == 3 else _USER
        return OK if self.admits(user, args[-1]) else WRONGPASS


def without_login(args: list[bytes]) -> Hello:
    r"""A HELLO whose AUTH is taken out. Of an option that is none of Redis' nothing follows: Redis must refuse it.

    Redis compares options as C strings, for which `AUTH\0x` is AUTH: they are read, and written, up to a NUL.
    """
    kept, login = args[:2], None
    rest = args[2:]
    while rest:
        option = rest[0].partition(b"\0")[0]
        operands = _HELLO_OPTIONS.get(option.upper())
        if operands is None or len(rest) <= operands:
            return Hello([*kept, option], login)  # a syntax error, as it was
        if option.upper() == b"AUTH":
            login = rest[1], rest[2]
        else:
            kept += (option, *rest[1 : 1 + operands])
        rest = rest[1 + operands :]
    return Hello(kept, login)


def excess(args: list[bytes]) -> str | None:
    """What is too much about a request before the password, in Redis' words; None: nothing."""
    if len(args) > _MOST_ARGUMENTS:
        return "ERR Protocol error: unauthenticated multibulk length"
    if max(map(len, args)) > _LONGEST_ARGUMENT:
        return TOO_LONG
    return None
