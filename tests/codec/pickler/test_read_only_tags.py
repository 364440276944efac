"""Tags of values that can only be read are errors for writers, by name, with any content."""

import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.codec import Cycle, Global, Instance, PayloadError, dumps
from proxy.codec.nodes import READ_ONLY_TAGS
from tests.codec.samples import encode, transcoder
from tests.codec.test_lossless import JSON_VALUES

TAGS = sorted(READ_ONLY_TAGS)
WRAPS = [
    lambda it: it,
    lambda it: [1, it],
    lambda it: {"a": {"b": it}},
    lambda it: {"py/tuple": [it]},
    lambda it: {"py/set": [it]},
    lambda it: {"py/dict": [[it, 1]]},
    lambda it: {"py/counter": {"a": it}},
    lambda it: {"py/deque": {"items": [it], "maxlen": None}},
    lambda it: {"py/defaultdict": {"factory": None, "dict": {"py/dict": [[1, it]]}}},
]


@given(st.sampled_from(TAGS), JSON_VALUES, st.sampled_from(WRAPS), st.sampled_from([("data",), ("int",), ("zoned",)]))
def test_no_content_and_no_place_makes_a_read_only_tag_writable(
    tag: str, content: Any, wrap: Any, accept: tuple[str, ...]
) -> None:
    tree = wrap({tag: content})
    for payload, pack in (("json", lambda tree: json.dumps(tree).encode()), ("msgpack", msgpack.packb)):
        try:
            raw = pack(tree)
        except OverflowError:
            continue
        with pytest.raises(PayloadError, match=r"can be read but not written|is not accepted") as caught:
            transcoder(payload, accept_tags=accept).encode(raw)
        assert len(str(caught.value)) < 400
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"py/instance": {"class": "shop.models.Product", "value": {}}}, "is a shop.models.Product, which can be read"),
        ({"py/global": "os.system"}, "is the class or function os.system, which can be read"),
        ({"py/instance": {"class": "a\n" + "b" * 10**6, "value": {}}}, f"is an a.{'b' * 98}, which can"),
        ({"py/instance": {"class": 1}}, "is a py/instance, which can be read"),
        ({"py/cycle": 1}, "is a py/cycle, which can be read"),
        ({"py/timestamp": "2024-01-02"}, "is a py/timestamp, which can be read"),
        ({"py/ndarray": {"dtype": "int8", "shape": [], "values": []}}, "is a py/ndarray, which can be read"),
    ],
    ids=lambda it: str(it)[:50],
)
def test_the_error_names_the_class_and_how_to_write_the_object_as_it_is(tree: Any, said: str) -> None:
    (tag,) = tree
    with pytest.raises(PayloadError, match=rf'^\$\[0\] {said}.*escape it as {{"py/dict": \[\["{tag}"'):
        encode([tree])


@pytest.mark.parametrize("tag", TAGS)
def test_no_rule_can_name_a_read_only_tag(tag: str) -> None:
    with pytest.raises(ValueError, match="accept_tags must be a tuple of tags"):
        transcoder(accept_tags=("data", tag.removeprefix("py/")))


@pytest.mark.parametrize("stand_in", [Instance("shop.P", {"a": 1}), Global("os.system"), Cycle(1)], ids=repr)
def test_stand_ins_of_python_cannot_be_dumped(stand_in: Any) -> None:
    for value in (stand_in, [stand_in], {"a": (stand_in,)}, [{1: stand_in}]):
        with pytest.raises(PayloadError, match=f"{type(stand_in).__name__} stands for a value that can only be read"):
            dumps(value)
