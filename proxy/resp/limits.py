"""The limits of one request, and the errors for a request over them."""

from typing import Final, NamedTuple

from proxy.resp.errors import ProtocolError

MAX_BULK: Final = 512 * 1024 * 1024
"""Redis' default proto-max-bulk-len in bytes. Redis calls a longer bulk an invalid length."""


class RequestLimits(NamedTuple):
    """Limits for one request: its bytes, its arguments, and the bytes of a client's first request."""

    request_bytes: int = 64 * 1024 * 1024
    arguments: int = 1024 * 1024
    first_bytes: int = MAX_BULK

    def most_bytes(self, *, first: bool) -> int:
        """The limit for the bytes of a request. `first`: it is the client's first request."""
        return min(self.request_bytes, self.first_bytes) if first else self.request_bytes

    def check_arguments(self, count: int) -> None:
        """Raise ProtocolError if `count` arguments are over the limit."""
        if count > self.arguments:
            raise ProtocolError(
                f"ERR flask-cache-proxy: a request of {count} arguments is over the limit of"
                f" {self.arguments} ([limits] arguments)",
                "arguments",
            )

    def check_bytes(self, size: int, *, first: bool) -> None:
        """Raise ProtocolError if `size` bytes are over the limit. `first`: it is the client's first request."""
        if size > self.request_bytes:
            raise ProtocolError(
                f"ERR flask-cache-proxy: a request of {size} bytes or more is over the limit of"
                f" {self.request_bytes} ([limits] request_bytes)",
                "request_bytes",
            )
        if first and size > self.first_bytes:
            raise ProtocolError(
                f"ERR flask-cache-proxy: a first command of {size} bytes or more is over the limit of"
                f" {self.first_bytes} ([limits] first_command_bytes)",
                "first_command_bytes",
            )
