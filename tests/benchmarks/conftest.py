"""A Redis as the benchmarks start it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import peers


@pytest.fixture(scope="session")
def bench_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Server]:
    """Shared: tests use keys of their own."""
    with peers.redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where results go instead of the ones that are committed."""
    path = tmp_path / "results"
    monkeypatch.setattr("benchmarks.report.RESULTS", path)
    return path
