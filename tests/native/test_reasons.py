"""The reason of a failed conversion is a label of the metrics: the same in both engines."""

import pickle

import pytest

from proxy.codec import CodecError, CodecLimits, Options
from tests.codec.pickles import obj
from tests.native.engines import pair

TIGHT = CodecLimits(payload_bytes=2000, decoded_bytes=1000, nodes=50, depth=5)
DEEP: list[object] = []
for _ in range(10):
    DEEP = [DEEP]


def reason(transcoder: object, direction: str, value: bytes) -> str:
    with pytest.raises(CodecError) as raised:
        getattr(transcoder, direction)(value)
    return raised.value.reason


@pytest.mark.parametrize("types", ["tagged", "plain"])
@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (b"!" + pickle.dumps([0] * 100), "nodes"),
        (b"!" + pickle.dumps(DEEP), "depth"),
        (b"!" + pickle.dumps("x" * 990), "decoded_bytes"),
        (b"!" + b"x" * 1000, "decoded_bytes"),
        (b"!" + pickle.dumps(["\x01" * 300]), "decoded_bytes"),
        (b"!no pickle", "invalid"),
        (b"!", "invalid"),
        (b"!\x80\x04" + obj("shop.models", "Product") + b".", "read_classes"),
    ],
    ids=["nodes", "depth", "text", "size", "escapes", "no pickle", "no bytes", "class"],
)
def test_of_stored_values(stored: bytes, expected: str, types: str) -> None:
    both = pair(Options(limits=TIGHT, types=types, read_classes=()))
    assert [reason(each, "decode", stored) for each in (both.reference, both.native)] == [expected] * 2


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"[" + b"0," * 100 + b"0]", "nodes"),
        (b"[" * 10 + b"]" * 10, "depth"),
        (b'"' + b"x" * 2000 + b'"', "payload_bytes"),
        (b'"' + b"x" * 1500 + b'"', "decoded_bytes"),
        (b"{", "invalid"),
        (b"", "invalid"),
        (b'{"py/set": [{}]}', "invalid"),
    ],
    ids=["nodes", "depth", "payload", "stored", "broken", "empty", "unhashable"],
)
def test_of_payloads(payload: bytes, expected: str) -> None:
    both = pair(Options(limits=TIGHT))
    assert [reason(each, "encode", payload) for each in (both.reference, both.native)] == [expected] * 2
