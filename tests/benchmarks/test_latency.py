"""Every kind of latency is measured, from every client, of a proxy and of straight Redis."""

import shutil
from collections.abc import Iterator

import pytest

from benchmarks import latency, peers
from benchmarks.latency import PARTS, Part, Setting

NEEDED = {"go": "go", "node": "node", "python": "redis-server"}
KINDS = {(part.client, part.mix, part.tls, part.share, part.rate == 0): part for part in PARTS}
"""One part of each kind."""


@pytest.fixture(scope="module")
def setting() -> Iterator[Setting]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers.Checkout, "engines", lambda _: ["python"])
        with latency.setting() as made:
            yield made._replace(
                contenders={name: made.contenders[name] for name in (latency.STRAIGHT, "python engine")}
            )


@pytest.mark.parametrize("part", KINDS.values(), ids=lambda part: part.name)
def test_a_part_is_measured(part: Part, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which(NEEDED[part.client]):
        pytest.skip(f"needs {NEEDED[part.client]}")
    monkeypatch.setattr(latency, "_CONNECTIONS_TIMED", 3)
    slow = part._replace(rate=min(part.rate, 500), connections=3)
    straight, ours = (row for row in latency.measure(slow, setting, rounds=1, seconds=0.1) if row)
    assert (straight["contender"], ours["contender"]) == (latency.STRAIGHT, "python engine")
    assert straight["added_p99_ms"] == [0, 0, 0]
    assert ours["errors"] == 0
    assert 0 < ours["p50_ms"][0] <= ours["p99_ms"][0] <= ours["p999_ms"][0]
    assert ours["added_p50_ms"][0] == pytest.approx(ours["p50_ms"][0] - straight["p50_ms"][0], abs=0.002)
    assert ("limit" in ours) is (part.share < 1)
    assert ("bystander_p99_ms" in ours) is (part.mix == "views")
    assert "added" in latency.sentence(ours)


@pytest.mark.skipif(not shutil.which("go"), reason="needs go")
def test_who_does_not_keep_up_with_the_rate_is_told(setting: Setting) -> None:
    part = Part("more than anything does", rate=200_000, connections=2)
    straight, ours = (row for row in latency.measure(part, setting, rounds=1, seconds=0.01) if row)
    assert "THE CLIENT DOES NOT KEEP UP" in latency.sentence(straight)
    assert ours["keeps_up"] is False


@pytest.mark.parametrize("engine", peers.ENGINES)
def test_a_shared_worker_is_measured_with_one_client_at_fixed_rates_and_saturated(
    engine: str, setting: Setting
) -> None:
    name = f"{engine} engine, shared"
    beside = setting._replace(contenders={**setting.contenders, name: setting.contenders["python engine"]})
    taking = [part.name for part in PARTS if name in latency.taking(part, beside)]
    assert taking == ["go-redis 1,000/s", "go-redis 5,000/s", "go-redis 1,000/s, one client", "saturation"]


def test_the_parts_have_different_names() -> None:
    assert len({part.name for part in PARTS}) == len(PARTS)
