"""Medians, spreads and ratios."""

from benchmarks.figures import Spread, interleaved, percentile, ratio, spread


def test_a_spread_is_the_median_and_the_quartiles() -> None:
    assert spread([5, 1, 4, 2, 3]) == Spread(3, 2, 4)
    assert spread([1, 2, 3, 1000]) == Spread(2.5, 1.75, 252.25)


def test_one_round_has_no_spread() -> None:
    assert spread([7]) == Spread(7, 7, 7)


def test_a_ratio_is_that_of_the_medians_and_spreads_as_the_rounds_do() -> None:
    # Both slow down together: what they say about each other stays.
    assert ratio([2, 20, 200], [1, 10, 100]) == Spread(2, 2, 2)
    assert ratio([1, 2, 9], [2, 2, 3]) == Spread(1, 0.75, 2)
    assert ratio([1, 2, 9], [0, 2, 3]) == Spread(1, 1.5, 2.5)  # a round without the other says nothing


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(1000)]
    assert [percentile(values, share) for share in (0, 0.5, 0.99, 0.999, 1)] == [0, 500, 990, 999, 999]
    assert percentile([3.0], 0.99) == 3


def test_each_round_has_every_contender_and_begins_with_another() -> None:
    order = [(number, name) for number, name in interleaved("abc", 4)]
    assert ["".join(name for at, name in order if at == number) for number in range(4)] == ["abc", "bca", "cab", "abc"]
