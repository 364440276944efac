"""An error about a part of a payload names its place, the same that a reader's error gives."""

import json
from typing import Any

import msgpack
import pytest

from proxy.codec import Options, PayloadError, Transcoder, UndecodableError
from proxy.codec.payload.written_places import place_of
from proxy.engine import ENGINE, REFERENCE

PRODUCT = {"py/instance": {"class": "shop.models.Product", "value": {"id": 1}}}
BAD = {"py/date": "tomorrow"}
PLACES = [
    (lambda it: it, "$"),
    (lambda it: [1, it], "$[1]"),
    (lambda it: {"items": [1, 2, 3, it]}, "$.items[3]"),
    (lambda it: {"a b": {"c": it}}, "$['a b'].c"),
    (lambda it: {"py/tuple": [0, it]}, "$[1]"),
    (lambda it: {"py/dict": [["a", 1], ["b", it]]}, "$.b"),
    (lambda it: {"py/dict": [[it, 1]]}, "$[0]"),
    (lambda it: {"py/ordereddict": [[1, 2], [3, it]]}, "$[1]"),
    (lambda it: {"py/counter": {"a": it}}, "$.a"),
    (lambda it: {"py/deque": {"items": [1, it], "maxlen": None}}, "$[1]"),
    (lambda it: {"py/defaultdict": {"factory": None, "dict": {"k": it}}}, "$.k"),
    (lambda it: {"py/defaultdict": {"factory": None, "dict": {"py/dict": [[1, it]]}}}, "$[0]"),
    (lambda it: {"a": {"py/date": "2024-01-02"}, "b": it}, "$.b"),
]


def refusal(tree: Any, payload: str) -> str:
    """The error for a tree, the same on both engines."""
    raw = json.dumps(tree).encode() if payload == "json" else msgpack.packb(tree)
    texts = set()
    for engine in (ENGINE, REFERENCE):
        with pytest.raises(PayloadError) as caught:
            Transcoder(Options(payload=payload), engine).encode(raw)
        texts.add(str(caught.value))
    (text,) = texts
    return text


@pytest.mark.parametrize("payload", ["json", "msgpack"])
@pytest.mark.parametrize(("around", "place"), PLACES, ids=[str(number) for number in range(len(PLACES))])
def test_the_place_is_named(around: Any, place: str, payload: str) -> None:
    said = refusal(around(PRODUCT), payload)
    assert said.startswith(f"{place} is a shop.models.Product, which can be read but not written; to write ")
    where = "" if place == "$" else f"{place}: "
    assert refusal(around(BAD), payload).startswith(f"{where}the content of py/date must be an ISO 8601 date; ")


@pytest.mark.parametrize(("around", "place"), PLACES[:8], ids=[place for _, place in PLACES[:8]])
def test_it_is_the_place_that_a_reader_gets(around: Any, place: str) -> None:
    """A date in place of the object is stored, and its class is then renamed in the pickle."""
    stored = Transcoder(Options(pickle_protocol=3)).encode(json.dumps(around({"py/date": "2024-01-02"})).encode())
    assert b"cdatetime\ndate\n" in stored
    stored = stored.replace(b"cdatetime\ndate\n", b"cshop\nProduct\n")
    for engine in (ENGINE, REFERENCE):
        with pytest.raises(UndecodableError) as caught:
            Transcoder(Options(read_classes=()), engine).decode(stored)
        assert str(caught.value) == f"{place} is a shop.Product, which read_classes does not cover"


def test_a_key_of_msgpack_that_is_no_text_has_the_place_of_its_pair() -> None:
    raw = b"\x82\x01\x02\x07" + msgpack.packb(BAD)  # {1: 2, 7: BAD}
    with pytest.raises(PayloadError, match=r"^\$\[1\]: the content of py/date"):
        Transcoder(Options(payload="msgpack")).encode(raw)


def test_what_is_not_in_the_tree_has_no_place() -> None:
    assert place_of([{"a": [1]}], [1]) is None
    assert place_of({}, 1) is None


def test_the_way_to_a_deep_place_is_cut() -> None:
    tree: Any = PRODUCT
    for _ in range(60):
        tree = [tree]
    said = refusal(tree, "json")
    assert said.startswith("$[0][0]")
    assert " ... is a shop.models.Product" in said
    assert len(said) < 400
