"""Plots are SVG, and the same for the same figures."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import plots

PANELS = {"one": {"ours": [3.0, 2.5, 4.0], "theirs": [5.0, 5.0, 5.0]}, "two": {"ours": [1.0]}}


def test_the_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    files = [
        plots.bars(tmp_path / name, "Title", "us", PANELS, ours=["ours"], columns=3) for name in ("a.svg", "b.svg")
    ]
    first, second = (file.read_bytes() for file in files if file)
    assert first == second
    assert ElementTree.fromstring(first).tag.endswith("svg")
    assert first.count(b'id="axes_') == len(PANELS)  # and none for the third column


def test_a_plot_of_nothing_is_left_out_with_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plots.bars(tmp_path / "a.svg", "Title", "us", {}) is None
    assert "No plot a.svg: there is nothing to draw" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_there_is_a_word_and_no_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert plots.bars(tmp_path / "a.svg", "Title", "us", PANELS) is None
    assert "matplotlib is missing" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
