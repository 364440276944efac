"""Plots of results: SVG, and the same bytes for the same figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

_OURS: Final = "#1b6ca8"
_OTHERS: Final = "#b8bec5"
_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "flask-cache-proxy",
    "svg.fonttype": "path",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
}

Bars = Mapping[str, Sequence[float]]
"""By label: a figure, or a median with its lower and upper quartile."""


def _told(figure: float) -> str:
    """No label for a missing bar."""
    if not figure:
        return ""
    return f"{figure:.3g}" if figure < 1000 else f"{figure:,.0f}"


def bars(
    path: Path,
    title: str,
    unit: str,
    panels: Mapping[str, Bars],
    *,
    ours: Sequence[str] = (),
    columns: int = 2,
    logarithmic: bool = False,
) -> Path | None:
    """Horizontal bars in a panel for each case, `ours` in a colour.

    None, with a word, where there are no panels or matplotlib is missing.
    """
    if not panels:
        click.secho(f"No plot {path.name}: there is nothing to draw", fg="yellow", err=True)
        return None
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        click.secho("No plot: matplotlib is missing, see pip install '.[bench]'", fg="yellow", err=True)
        return None
    with mpl.rc_context(_STYLE):
        lines = -(-len(panels) // columns)
        most = max(len(panel) for panel in panels.values())
        figure = Figure(figsize=(5.2 * columns, lines * (0.27 * most + 0.75) + 0.6), layout="constrained")
        figure.suptitle(title, fontsize=11)
        axes = list(figure.subplots(lines, columns, squeeze=False).flat)
        for axis, (name, panel) in zip(axes, panels.items(), strict=False):
            _draw(axis, panel, ours)
            axis.set_title(name, fontsize=9, loc="left")
            axis.set_xlabel(unit, fontsize=8)
            if logarithmic:
                axis.set_xscale("log")
            axis.grid(axis="x", color="#e5e5e5")
        for axis in axes[len(panels) :]:
            axis.remove()
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})
    return path


def _draw(axis: Any, panel: Bars, ours: Sequence[str]) -> None:
    """The bars of one panel, with the spread of their figures."""
    middles = [figures[0] for figures in panel.values()]
    errors = [
        [max(0.0, figures[0] - figures[1]) if len(figures) > 1 else 0.0 for figures in panel.values()],
        [max(0.0, figures[2] - figures[0]) if len(figures) > 1 else 0.0 for figures in panel.values()],
    ]
    colours = [_OURS if label in ours else _OTHERS for label in panel]
    drawn = axis.barh(list(panel), middles, xerr=errors, color=colours, ecolor="#444444", height=0.7)
    axis.bar_label(drawn, [_told(middle) for middle in middles], padding=4, fontsize=8)
    axis.invert_yaxis()
    axis.margins(x=0.15)
