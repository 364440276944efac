"""The types of payloads."""

import pytest

from proxy.codec.nodes import TAGS
from proxy.inside.finding import kind_of


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"null", "None"),
        (b"true", "bool"),
        (b"-7", "int"),
        (b"1.5", "float"),
        (b"1e300", "float"),
        (b'"x"', "str"),
        (b"[]", "list"),
        (b"{}", "dict"),
        (b'{"py/set": 1, "b": 2}', "dict"),
        (b'{"py/unknown": 1}', "dict"),
    ],
)
def test_natural_types(payload: bytes, kind: str) -> None:
    assert kind_of(payload) == kind


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_tags(tag: str) -> None:
    assert kind_of(b'{"%s": []}' % tag.encode()) == tag.removeprefix("py/")
