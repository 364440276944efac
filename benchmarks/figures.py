"""Figures of repeated rounds: medians with their spread, and ratios of them."""

import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

_T = TypeVar("_T")


class Spread(NamedTuple):
    """The median of some rounds, and the quartiles around it."""

    median: float
    low: float
    high: float

    def rounded(self, digits: int) -> list[float]:
        """For JSON: median, lower and upper quartile."""
        return [round(value, digits) for value in self]


def spread(values: Sequence[float]) -> Spread:
    """Of at least one round."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """The ratio of the medians; its spread is that of the rounds' own ratios: both were measured within each.

    A round in which the other had zero has no ratio. Raises ZeroDivisionError if that is their median.
    """
    median = statistics.median(ours) / statistics.median(theirs)
    each = spread([one / other for one, other in zip(ours, theirs, strict=True) if other])
    return Spread(median, each.low, each.high)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of values in ascending order, at least one."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def interleaved(contenders: Sequence[_T], rounds: int) -> Iterator[tuple[int, _T]]:
    """Each contender once a round, another one first each time: who follows whom should not decide."""
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in (*contenders[turn:], *contenders[:turn]):
            yield number, contender
