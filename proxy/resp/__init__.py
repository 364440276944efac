"""Redis' protocol RESP2 and RESP3, in both directions. Pure: it uses no socket.

`request_parser` parses requests with two readers, `hiredis_reader` and `strict_reader`. `reply_framer` splits Redis'
bytes into replies and keeps them raw, and `reply_splitter` does so for a shared connection; the native engine has its
own. `encode` writes the proxy's own replies.
`answers` parses the answers to the proxy's own queries.
"""

from typing import TYPE_CHECKING, Final

from proxy.engine import ENGINE
from proxy.resp import canonical
from proxy.resp.answers import Answer, AnswerReader, ErrorAnswer
from proxy.resp.errors import FramingError, ProtocolError
from proxy.resp.limits import RequestLimits
from proxy.resp.reply_framer import ReplyFramer
from proxy.resp.reply_splitter import ReplySplitter
from proxy.resp.request import Request
from proxy.resp.request_parser import RequestParser

if not TYPE_CHECKING:
    ReplyFramer = ENGINE.of("ReplyFramer", ReplyFramer)
    ReplySplitter = ENGINE.of("ReplySplitter", ReplySplitter)

count_commands: Final = ENGINE.of("count_commands", canonical.count_commands)

__all__ = [
    "Answer",
    "AnswerReader",
    "ErrorAnswer",
    "FramingError",
    "ProtocolError",
    "ReplyFramer",
    "ReplySplitter",
    "Request",
    "RequestLimits",
    "RequestParser",
    "count_commands",
]
