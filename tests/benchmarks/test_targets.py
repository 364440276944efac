"""The targets are of what is measured, and are judged right."""

import pytest

from benchmarks import peers, targets
from benchmarks.targets import Target
from benchmarks.throughput import DEFAULT, FULL

OURS = {f"{engine}, {keys}" for engine in peers.ENGINES for keys in ("managed", "unmanaged")}


def row(contender: str, *rounds: float) -> dict[str, object]:
    return {"case": "case", "contender": contender, "cpu_us_rounds": list(rounds)}


@pytest.mark.parametrize("target", targets.THROUGHPUT, ids=lambda target: f"{target.case}: {target.ours}")
def test_every_target_is_of_cases_and_contenders_that_the_default_measures(target: Target) -> None:
    assert target.case in {case.name for case in DEFAULT}
    assert target.ours in OURS
    assert target.theirs in {*OURS, "twemproxy", "twemproxy, default", "Envoy"}


def test_the_cases_have_different_names() -> None:
    for cases in (DEFAULT, FULL):
        assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize(
    ("limit", "at_least", "met"), [(2.0, False, True), (1.9, False, False), (2.0, True, True), (2.1, True, False)]
)
def test_a_target_is_met_or_not(limit: float, at_least: bool, met: bool) -> None:
    target = Target("case", "ours", "theirs", limit, at_least)
    (found,) = targets.shown([target], [row("ours", 4, 6, 5), row("theirs", 2, 3, 2.5)])
    assert (found["ratio"], found["met"]) == ([2, 2, 2], met)
    assert ("MISSED" in targets.sentence(found)) is not met


def test_a_target_whose_contender_is_missing_is_not_measured() -> None:
    (found,) = targets.shown([Target("case", "ours", "theirs", 1.0)], [row("theirs", 1)])
    assert found["met"] is None
    assert "not measured" in targets.sentence(found)
