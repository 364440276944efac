"""The session without the fast path, to compare with."""

from typing import Any

import pytest

from proxy.session.fastpath import replies, requests
from proxy.session.fastpath.replies import ReplyPath
from proxy.session.fastpath.requests import RequestPath
from proxy.session.state import Conversation


class _NoRequests:
    """As FlatRequests, but takes nothing."""

    def __init__(self, *_: Any) -> None:
        pass

    def use(self, *_: Any) -> None:
        pass

    def take(self, _data: bytes) -> None:
        return None


class _NoReplies(_NoRequests):
    """As FlatReplies, but takes nothing."""

    def __init__(self, conversation: Conversation, *_: Any) -> None:
        self._framer = conversation.home.framer

    def take(self, data: bytes) -> None:
        self._framer.feed(data)


def go_the_long_way(patch: pytest.MonkeyPatch) -> None:
    """New sessions handle one request and one reply at a time."""
    patch.setattr(requests, "FlatRequests", _NoRequests)
    patch.setattr(RequestPath, "take_other", lambda path, data: path._parser.feed(data))
    patch.setattr(RequestPath, "pass_on", lambda _path, _data: 0)
    patch.setattr(RequestPath, "take_ready", lambda _path, _request: False)
    patch.setattr(replies, "FlatReplies", _NoReplies)
    patch.setattr(ReplyPath, "take_some", lambda _path: False)
