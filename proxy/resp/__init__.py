"""The wire: Redis' RESP2 and RESP3 as bytes, both ways. Pure: it reads and writes no socket.

Requests (`requests`, `inline`) become argument lists, replies (`replies`) keep their raw bytes, `writers`
makes the few replies that are ours.
"""

from proxy.resp.errors import FramingError, ProtocolError
from proxy.resp.replies import ReplyFramer
from proxy.resp.requests import Request, RequestLimits, RequestParser

__all__ = ["FramingError", "ProtocolError", "ReplyFramer", "Request", "RequestLimits", "RequestParser"]
