"""Payload <-> stored value. Independent of Redis, without files and sockets.

`Transcoder(Options(payload="json")).encode(b'"foo"')` returns the bytes that Flask would store. `.decode` returns the
payload. `dumps` and `loads` do the same for Python values. An invalid payload raises PayloadError. A stored value that
cannot be read raises UndecodableError.
"""

from proxy.codec.errors import CodecError, PayloadError, UndecodableError
from proxy.codec.frame_values import Array, Column, Frame, Labels, Levels, NumpyScalar, Series, Timestamp
from proxy.codec.limits import CodecLimits
from proxy.codec.python_values import Cycle, Global, Instance, Markup, Response, dumps, loads
from proxy.codec.transcoder import Options, Transcoder

__all__ = [
    "Array",
    "CodecError",
    "CodecLimits",
    "Column",
    "Cycle",
    "Frame",
    "Global",
    "Instance",
    "Labels",
    "Levels",
    "Markup",
    "NumpyScalar",
    "Options",
    "PayloadError",
    "Response",
    "Series",
    "Timestamp",
    "Transcoder",
    "UndecodableError",
    "dumps",
    "loads",
]
