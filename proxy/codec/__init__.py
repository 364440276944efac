"""Payload <-> stored value. Knows nothing of Redis, reads and writes no file or socket.

`Transcoder(Options(payload="json")).encode(b'"foo"')` gives what Flask would have stored, `.decode` gives it
back; `dumps` and `loads` do the same for Python values. Bad payloads raise PayloadError, stored values that
cannot be read raise UndecodableError.
"""

from proxy.codec.errors import CodecError, PayloadError, UndecodableError
from proxy.codec.limits import CodecLimits
from proxy.codec.transcoder import Options, Transcoder
from proxy.codec.values import Markup, Response, dumps, loads

__all__ = [
    "CodecError",
    "CodecLimits",
    "Markup",
    "Options",
    "PayloadError",
    "Response",
    "Transcoder",
    "UndecodableError",
    "dumps",
    "loads",
]
