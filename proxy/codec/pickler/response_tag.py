"""The tag of a Flask or Werkzeug response, with a check that a server would send the response."""

import re
from http import HTTPStatus
from typing import Any, Final

from proxy.codec.limits import HEADER_NODES, RESPONSE_NODES
from proxy.codec.pickler import contents
from proxy.codec.pickler.pickler import Pickler, Plan, TagWriter

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e\xa0-\xff]*")
_LENGTH: Final = "content-length"
_WITHOUT_BODY: Final = frozenset({204, 304})
_NOT_THE_APPS: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te"),
        *("trailer", "trailers", "transfer-encoding", "upgrade", "status"),
    }
)
"""Hop-by-hop headers, and the status line of CGI."""


def _response(pickler: Pickler, content: Any, tag: str) -> Plan:
    """The only form that every Flask and Werkzeug loads: the old path of Headers, and `_charset`."""
    status, headers, body = _response_parts(content, tag)
    reason = _unservable(status, headers, body)
    if reason is not None:
        raise contents.bad(tag, f"a response that a WSGI server sends: {reason}")
    return _response_plan(pickler, status, headers, body)


def _read_response(pickler: Pickler, content: Any, tag: str) -> Plan:
    """A response that is already stored, even if a server would not send it."""
    return _response_plan(pickler, *_response_parts(content, tag))


def _response_parts(content: Any, tag: str) -> tuple[int, list[list[str]], bytes]:
    """Status, headers and body."""
    wanted = '{"status": 200, "headers": [["Content-Type", "..."]], "body": "..." or {"py/bytes": ...}}'
    if type(content) is not dict or set(content) != {"status", "headers", "body"}:
        raise contents.bad(tag, wanted)
    status, headers, body = content["status"], content["headers"], content["body"]
    if type(body) is dict and list(body) == ["py/bytes"]:
        body = contents.raw(body["py/bytes"], tag)
    if type(status) is not int or not _are_headers(headers) or type(body) not in (str, bytes):
        raise contents.bad(tag, wanted)
    return status, headers, body.encode() if type(body) is str else body


def _response_plan(pickler: Pickler, status: int, headers: list[list[str]], body: bytes) -> Plan:
    pickler.count(HEADER_NODES * len(headers))
    s = pickler.string
    return Plan(
        b"".join(
            (
                pickler.symbol("flask.wrappers", "Response") + b")\x81}(",
                s("_charset") + s("utf-8"),
                s("headers") + pickler.symbol("werkzeug.datastructures", "Headers") + b")\x81}",
                s("_list") + b"](" + b"".join(s(name) + s(value) + b"\x86" for name, value in headers) + b"esb",
                s("_status") + s(_status_line(status)),
                s("_status_code") + pickler.integer(status),
                s("direct_passthrough") + b"\x89",
                s("_on_close") + b"]",
                s("response") + b"]" + pickler.binary(body) + b"a",
                b"ub",
            )
        )
    )


def _are_headers(headers: Any) -> bool:
    return type(headers) is list and all(
        type(pair) is list and len(pair) == 2 and type(pair[0]) is type(pair[1]) is str for pair in headers
    )


def _unservable(status: int, headers: list[list[str]], body: bytes) -> str | None:
    """The rule that a response breaks; None: a WSGI server sends it.

    Without these rules, a server would refuse the response, or its client would misread the framing.
    """
    if not 200 <= status <= 599:
        return "with a status from 200 to 599"
    if body and status in _WITHOUT_BODY:
        return f"with an empty body where the status is {status}"
    names = [name.lower() for name, _ in headers]
    if not all(map(_TOKEN.fullmatch, names)):
        return "a header's name is a token of RFC 9110, as in X-Name"
    if not all(is_header_value(value) for _, value in headers):
        return "a header's value is Latin-1 without control characters"
    unsendable = _NOT_THE_APPS.intersection(names)
    if unsendable:
        return f"without the header {min(unsendable)}, which is the server's"
    lengths = [value for name, value in zip(names, (value for _, value in headers), strict=True) if name == _LENGTH]
    if lengths not in ([], [str(len(body))]):
        return f"its one Content-Length, if any, is that of the body, {len(body)}"
    return None


def is_header_value(text: str) -> bool:
    """Whether a text is the value of a header: Latin-1 without control characters, neither those of ASCII nor C1."""
    return _HEADER_VALUE.fullmatch(text) is not None


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase.upper()}"
    except ValueError:
        return f"{status} UNKNOWN"


RESPONSE: Final = TagWriter(_response, nodes=RESPONSE_NODES)
STORED_RESPONSE: Final = TagWriter(_read_response, nodes=RESPONSE_NODES)
