"""The prefixes of keys that the log may name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.survey.prefixes import MOST_NAMED, Names, prefix_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"shop_1", "shop_"),
        (b"shop:view:1", "shop:"),
        (b"view//index", "view/"),
        (b"flask_cache_view//", "flask_"),
        (b"abc_", "abc_"),
        (b"ab_c", None),
        (b"ab_c_d", "ab_c_"),
        (b"___x", None),
        (b"____x", "____"),
        (b"my_shop_1", "my_shop_"),
        (b"", None),
        (b"abcdef", None),
        (b"a b c_d", "a b c_"),
        (b"a" * 31 + b"_", "a" * 31 + "_"),
        (b"a" * 32 + b"_", None),
        (b"caf\xc3\xa9_1", None),
        (b"a\nbc_1", None),
        (b"a\x1b[31mb_1", None),
        (b"abc\x7f_1", None),
        (b"abc_\xff\x00", "abc_"),
    ],
    ids=repr,
)
def test_a_prefix_ends_with_the_first_separator_behind_three_bytes(key: bytes, expected: str | None) -> None:
    assert prefix_of(key) == expected


@given(key=st.binary(max_size=50) | st.text("ab_:/", max_size=40).map(str.encode))
def test_a_prefix_is_short_printable_and_the_beginning_of_its_key(key: bytes) -> None:
    prefix = prefix_of(key)
    separators = [at for at, char in enumerate(key) if char in b"_:/" and at >= 3]
    if prefix is None:
        before = key[: separators[0] + 1] if separators else None
        assert before is None or len(before) > 32 or not (before.isascii() and before.decode().isprintable())
    else:
        assert key.startswith(prefix.encode("ascii"))
        assert len(prefix) == separators[0] + 1 <= 32
        assert prefix.isprintable()


def test_a_process_names_only_so_many_prefixes() -> None:
    names = Names()
    first = [f"app{number}_" for number in range(MOST_NAMED)]
    assert all(map(names.admit_new, first))
    assert not names.admit_new("another_")
    assert not names.admit("another_")
    assert names.admit(first[3])
    assert not names.admit_new(first[3])
