"""The proxy's own logins, at Redis and at sentinels. A password file is read at each login, so it may change."""

from typing import NamedTuple

from proxy.config import passwords
from proxy.resp.encode import command


class Login(NamedTuple):
    """A user name and a password."""

    username: str | None
    password: str | None
    password_file: str | None

    def request(self) -> bytes:
        """The AUTH request. Raises PasswordError."""
        user = () if self.username is None else (self.username.encode(),)
        return command(b"AUTH", *user, passwords.read(self.password, self.password_file) or b"")
