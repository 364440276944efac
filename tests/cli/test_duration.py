"""Durations as people type them."""

import click
import pytest

from proxy.cli.duration import DURATION


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("2.5", 2.5), ("500ms", 0.5), ("30s", 30), ("5m", 300), ("1.5h", 5400), ("2d", 172800)],
)
def test_a_number_with_or_without_a_unit(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1", "1 s", "1w", "1S", "nan", "inf", "1e3", "1.", "9" * 13, "\u0663s"])
def test_anything_else_is_an_error_that_shows_the_form(text: str) -> None:
    with pytest.raises(click.BadParameter, match="500ms, 30s, 5m"):
        DURATION.convert(text, None, None)
