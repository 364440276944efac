"""The reply to HELLO that a client of a shared connection gets."""

import pytest

from proxy.resp.encode import bulk
from proxy.session.sharing.greeting import with_id
from tests.session.sharing.script import greeting


@pytest.mark.parametrize("protocol", [2, 3])
def test_it_has_the_id_of_the_client(protocol: int) -> None:
    assert with_id(greeting(protocol, 42), 123) == greeting(protocol, 123)


def test_a_value_that_looks_like_the_field_stays() -> None:
    reply = b"*4\r\n" + bulk(b"server") + bulk(b"id") + bulk(b"id") + b":42\r\n"
    assert with_id(reply, 7) == reply.replace(b":42", b":7")


@pytest.mark.parametrize("reply", [b"-NOPERM no\r\n", b"*0\r\n", b"%1\r\n$5\r\nproto\r\n:3\r\n"])
def test_a_reply_without_an_id_stays(reply: bytes) -> None:
    assert with_id(reply, 7) == reply
