"""Answers of normal and malicious servers to the proxy's own queries."""

import pytest

from proxy.resp import Answer, AnswerReader, ErrorAnswer, FramingError
from proxy.resp.answers import MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS

ANSWERS: list[tuple[bytes, Answer]] = [
    (b"+OK\r\n", "OK"),
    (b"-ERR no\r\n", ErrorAnswer("ERR no")),
    (b":-5\r\n", -5),
    (b"$3\r\na\r\n\r\n", "a\r\n"),
    (b"$0\r\n\r\n", ""),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*3\r\n*2\r\n+a\r\n*0\r\n$-1\r\n:1\r\n", [["a", []], None, 1]),
    (b"$1\r\n\xff\r\n", "\ufffd"),
]


@pytest.mark.parametrize(("data", "answer"), ANSWERS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_answer_however_it_is_cut(data: bytes, answer: Answer, size: int) -> None:
    reader = AnswerReader()
    found = [one for at in range(0, len(data), size) for one in reader.feed(data[at : at + size])]
    assert found == [answer]


def test_one_after_the_other() -> None:
    reader = AnswerReader()
    assert reader.feed(b"".join(data for data, _ in ANSWERS)) == [answer for _, answer in ANSWERS]
    many = b"*%d\r\n" % MAX_ELEMENTS + b"+\r\n" * MAX_ELEMENTS
    assert [reader.feed(many) for _ in range(3)] == [[[""] * MAX_ELEMENTS]] * 3


@pytest.mark.parametrize(
    "data",
    [
        b"*100000000\r\n" * 7,
        b"*%d\r\n" % (MAX_ELEMENTS + 1),
        b"*2\r\n*%d\r\n" % MAX_ELEMENTS,
        b"*1\r\n" * (MAX_DEPTH + 1),
        b"$100000000\r\n",
        b"$%d\r\n" % MAX_BYTES,
        b"+" + b"x" * (MAX_BYTES + 1),
        b"*9\r\n" + b"$9000\r\n%s\r\n" % (b"x" * 9000) * 9,
        b"%1\r\n+a\r\n+b\r\n",
        b"~1\r\n+a\r\n",
        b">1\r\n+a\r\n",
        b"_\r\n",
        b",1.5\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\0\r\n",
        b"\r\n",
        b":\r\n",
        b":1x\r\n",
        b":+1\r\n",
        b"$ 1\r\na\r\n",
        b"*1_0\r\n",
        b"$1\r\nabc",
        b":" + b"9" * 5000 + b"\r\n",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_no_answer_or_too_much_of_one_is_an_error_at_once(data: bytes) -> None:
    with pytest.raises(FramingError):
        AnswerReader().feed(data)
