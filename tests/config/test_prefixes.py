"""`--prefix` and its variable: rules without a file."""

from pathlib import Path
from typing import Any

import pytest

from proxy.codec.glob import compile_glob
from proxy.config import ConfigError, Flags, Rule, Settings, load
from proxy.config.prefixes import glob_of, ordered

VARIABLE = "FLASK_CACHE_PROXY_PREFIX"


def rules(*prefixes: str, file: Path | None = None, variable: str | None = None) -> list[str]:
    environ = {} if variable is None else {VARIABLE: variable}
    return [rule.keys for rule in load(file, environ, Flags(prefix=prefixes)).rule]


def errors(*prefixes: str, variable: str | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        rules(*prefixes, variable=variable)
    return caught.value.errors


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "config.toml"
    written.write_text('[[rule]]\nkeys = "file_*"\nas = "view"\n[[rule]]\nkeys = "other_*"\n')
    return written


def test_flags_win_over_the_variable_and_that_over_the_file(file: Path) -> None:
    assert rules(file=file) == ["file_*", "other_*"]
    assert rules(file=file, variable="shop_, blog_") == ["shop_*", "blog_*"]
    assert rules("flag_", file=file, variable="shop_") == ["flag_*"]
    assert load(file, {}, Flags(prefix=("shop_",))).rule == (Rule(keys="shop_*"),)


def test_the_empty_prefix_manages_every_key_by_the_flag_only(file: Path) -> None:
    assert rules("") == ["*"]
    assert rules("", "shop_") == ["shop_*", "*"]
    assert rules(variable="") == [rule.keys for rule in Settings().rule]
    for stray in (",", "shop_,", ",shop_", "shop_, ,blog_"):
        (error,) = errors(variable=stray)
        assert error.startswith(f"{VARIABLE}: has an empty prefix, got ")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a", "ab", "abc"], ["abc", "ab", "a"]),
        (["abc", "a", "ab"], ["abc", "ab", "a"]),
        (["x", "a", "y", "ab"], ["x", "ab", "a", "y"]),
        (["", "b", "a"], ["b", "a", ""]),
        (["a", "a"], ["a"]),
    ],
)
def test_a_longer_prefix_stands_before_the_one_that_begins_it(given: list[str], expected: list[str]) -> None:
    assert ordered(given) == expected


def test_ten_thousand_prefixes_are_not_compared_with_each_other() -> None:
    compared = []

    class Counted(str):
        def startswith(self, *args: Any) -> bool:
            compared.append(args)
            return super().startswith(*args)

    given = [Counted(f"p{number}_") for number in range(10_000)]
    assert ordered(given) == given
    assert not compared
    assert ordered([*given, Counted("p9_x"), Counted("p")]) == [*given[:9], "p9_x", *given[9:], "p"]
    assert len(compared) == 10


@pytest.mark.parametrize("prefix", ["*", "a?", "[ab]_", "a\\", "a\\*", "]^-", "caf\u00e9_", "a b:"])
def test_glob_characters_stand_for_themselves(prefix: str) -> None:
    (keys,) = rules(prefix)
    assert keys == glob_of(prefix)
    matches = compile_glob(keys.encode())
    assert matches(prefix.encode() + b"x")
    assert matches(prefix.encode())
    assert not matches(b"ab_x")
    assert not matches(b"x" + prefix.encode())


def test_a_prefix_that_is_no_text_is_an_error() -> None:
    (error,) = errors("shop_", "a\udcff_")
    assert error.startswith("--prefix: rule[1].keys: expected UTF-8 text")
    assert error.isprintable()
