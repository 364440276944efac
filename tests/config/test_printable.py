"""Printable text stays unchanged, and other characters are escaped."""

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.printable import json_text, printable, toml_text

UNSAFE = [
    *map(chr, [*range(0x20), *range(0x7F, 0xA0)]),
    *"\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e",
    *"\u2060\u2066\u2067\u2068\u2069\ufeff\U000e0001\U000e0041",
]


@pytest.mark.parametrize("char", UNSAFE, ids=lambda char: f"U+{ord(char):04X}")
def test_what_a_terminal_obeys_reorders_or_hides_is_escaped(char: str) -> None:
    for spell in (printable, json_text, toml_text):
        shown = spell(f"a{char}b")
        assert shown.startswith("a\\")
        assert shown.endswith("b")
        assert shown.isascii()


def test_each_spelling() -> None:
    assert printable("\x9b\u202e\U000e0001") == r"\x9b\u202e\U000e0001"
    assert json_text("\x9b\u202e\U000e0001") == r"\u009b\u202e\udb40\udc01"
    assert toml_text("\x9b\u202e\U000e0001") == r"\u009b\u202e\U000e0001"


@pytest.mark.parametrize("text", ["", "plain", "é ß 日本語 עברית \U0001f600", "a\u0301", '"\\/'])
def test_text_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == json_text(text) == toml_text(text) == text


def test_bytes_that_are_no_text_are_named() -> None:
    assert printable(b"a\xff\xc3\xa9") == "a\\xffé"


@given(st.text() | st.binary())
def test_what_is_printable_is_one_line_of_text(raw: str | bytes) -> None:
    text = printable(raw)
    assert text.isprintable()
    text.encode()


@given(st.text())
def test_it_means_the_same(text: str) -> None:
    spelt = json_text(json.dumps(text, ensure_ascii=False))
    assert spelt.isprintable()
    assert json.loads(spelt) == text
    spelt = toml_text(json.dumps(text, ensure_ascii=False))
    assert spelt.isprintable()
    assert tomllib.loads(f"a = {spelt}") == {"a": text}
