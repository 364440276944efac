"""Which values would survive `stored = "json"`."""

import json
import pickle
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings

from proxy.codec import CodecLimits, PayloadError
from proxy.inspection.entries import lossless
from proxy.inspection.json_ready import obstacles
from tests import effort
from tests.codec.test_lossless import VALUES

LIMITS = CodecLimits()


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"a": [1, 1.5, None, "x", True]}, []),
        ({"py/tuple": [1, 2]}, ["py/tuple at $"]),
        ({"user": {"tags": [1, {"py/set": [1]}]}}, ["py/set at $.user.tags[1]"]),
        ([{"py/date": "x"}, {"py/date": "y"}, {"py/bytes": ""}], ["py/date at $[0]", "py/bytes at $[2]"]),
        ({"py/instance": {"class": "shop.P", "value": {"py/tuple": []}}}, ["py/instance of shop.P at $"]),
        ([{"py/global": "shop.P"}], ["py/global of shop.P at $[0]"]),
        ({"py/tuple": 1, "b": 2}, []),
        ({"py/dict": [["py/bytearray", None]]}, []),
        ({"py/dict": [["py/set", {"py/date": "x"}]]}, ["py/date at $.py/set"]),
        ({"py/dict": [[1, 2]]}, ["py/dict at $"]),
        ([{"py/int": "9007199254740993"}, {"py/int": "1" * 5000}], ["py/int at $[1]"]),
        (
            [{"py/set": []}, {"py/date": ""}, {"py/uuid": ""}, {"py/time": ""}, {"py/int": ""}],
            ["py/set at $[0]", "py/date at $[1]", "py/uuid at $[2]", "2 more"],
        ),
    ],
)
def test_obstacles_have_a_place(payload: Any, told: list[str]) -> None:
    assert obstacles(json.dumps(payload).encode()) == told


@settings(max_examples=effort.cases(150), deadline=None)
@given(VALUES)
def test_they_are_those_that_a_writer_would_meet(value: Any) -> None:
    payload = lossless(LIMITS).decode(b"!" + pickle.dumps(value))
    try:
        lossless(LIMITS, "json").encode(payload)
        refused = False
    except PayloadError:
        refused = True
    assert refused is bool(obstacles(payload))


def test_deep_and_wide_values_cost_little() -> None:
    deep: Any = {"py/set": []}
    for _ in range(99):
        deep = [deep]
    assert obstacles(json.dumps(deep).encode()) == ["py/set at $" + "[0]" * 99]
    assert obstacles(json.dumps([{"py/set": []}] * 50_000).encode()) == ["py/set at $[0]"]
    assert len(obstacles(json.dumps(Counter("abc")).encode())) == 0
