"""The wire: Redis' RESP2 and RESP3 as bytes, both ways. Pure: it reads and writes no socket.

Requests (`requests`, `inline`) become argument lists, replies (`replies`) keep their raw bytes, `writers`
makes the few replies that are ours. Replies are framed by the native engine where it runs.
"""

from typing import TYPE_CHECKING

from proxy import engine
from proxy.resp.errors import FramingError, ProtocolError
from proxy.resp.replies import ReplyFramer
from proxy.resp.requests import Request, RequestLimits, RequestParser

if not TYPE_CHECKING and engine.NATIVE is not None:
    ReplyFramer = engine.NATIVE.ReplyFramer

__all__ = ["FramingError", "ProtocolError", "ReplyFramer", "Request", "RequestLimits", "RequestParser"]
