"""The pages' figures, as SVG text that needs nothing from the network."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from pipeline.faces.types import Scores
from pipeline.fitting import metrics

P = ParamSpec("P")
GENUINE, IMPOSTOR, INK, QUIET = "#0072B2", "#D55E00", "#1c2430", "#999999"
"""Colours that colour-blind people can tell apart (Okabe and Ito)."""
WIDTH, HEIGHT, PER_LINE = 4.8, 3.4, 0.32
MOST_POINTS, STEPS = 400, (1, 2, 2.5, 5, 10)
FLOOR = 1e-6
FMR, FNMR = "impostors that pass (FMR)", "genuine pairs refused (FNMR)"
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "verify",
    "font.family": "sans-serif",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e5e5",
    "legend.fontsize": 9,
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}


def _percent(x: float, _place: float = 0) -> str:
    return f"{100 * x:g} %"


class _LogPercent(LogFormatter):
    """The ticks that a logarithmic axis labels, in percent."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return _percent(x) if super().__call__(x, pos) else ""


def _in_percent(*axes: Axis) -> None:
    for axis in axes:
        if axis.get_scale() == "log":
            axis.set_minor_formatter(_LogPercent())
        axis.set_major_formatter(_LogPercent() if axis.get_scale() == "log" else _percent)


def _svg(draw: Callable[Concatenate[Axes, P], float | None]) -> Callable[P, str]:
    """A function that draws on axes as one that returns the SVG, its legend above the axes.

    Drawing returns the height that the figure needs, or None for the usual one.
    """

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> str:
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
            axes = figure.add_subplot()
            figure.set_figheight(draw(axes, *args, **kwargs) or HEIGHT)
            named = len(axes.get_legend_handles_labels()[1])
            if named:
                figure.legend(loc="outside upper left", ncols=min(named, 3))
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None})
        text = buffer.getvalue()
        return text[text.index("<svg") :]

    return drawn


@_svg
def roc(axes: Axes, genuine: Scores, impostor: Scores) -> None:
    """True-match rate over false-match rate, the latter on a logarithmic scale."""
    false_match, false_non_match = _thinned(genuine, impostor)
    axes.plot(np.maximum(false_match, FLOOR), 1 - false_non_match, color=GENUINE, lw=2)
    least = max(1 / max(len(impostor), 1), FLOOR)
    at = max(metrics.fmr(impostor, 0.0) or 0.0, least), np.mean(genuine >= 0)
    axes.plot(*at, "o", color=INK, ms=8, clip_on=False, label="approve threshold")
    axes.set(xscale="log", xlim=(least / 2, 1), xlabel=FMR, ylabel="genuine pairs that pass")
    _in_percent(axes.xaxis, axes.yaxis)


@_svg
def det(axes: Axes, curves: Mapping[str, tuple[Scores, Scores]]) -> None:
    """FNMR over FMR, both logarithmic, one curve for each (genuine, impostor) by name.

    No error at all is drawn as half a pair.
    """
    for (name, (genuine, impostor)), colour in zip(curves.items(), (GENUINE, IMPOSTOR), strict=False):
        false_match, false_non_match = _thinned(genuine, impostor)
        least = 0.5 / len(impostor), 0.5 / len(genuine)
        rates = np.maximum(false_match, least[0]), np.maximum(false_non_match, least[1])
        axes.plot(*rates, color=colour, lw=2, label=name)
        at = np.maximum([np.mean(impostor >= 0), np.mean(genuine < 0)], least)
        axes.plot(*at, "o", color=colour, ms=8)
    axes.set(xscale="log", yscale="log", xlabel=FMR, ylabel=FNMR)
    _in_percent(axes.xaxis, axes.yaxis)


@_svg
def histogram(
    axes: Axes, genuine: Scores, impostor: Scores, band: Scores, *, logarithmic: bool = False
) -> None:
    """Shares of pairs by score; 0 is the approve threshold, the shaded band is where nobody knows."""
    found = [scores[np.isfinite(scores)] for scores in (genuine, impostor)]
    every = np.concatenate(found)
    bins = np.linspace(every.min(), every.max(), 61)
    for scores, colour, name in zip(found, (GENUINE, IMPOSTOR), ("genuine", "impostor"), strict=True):
        if len(scores):
            weights = np.full(len(scores), 1 / len(scores))
            axes.hist(scores, bins, weights=weights, color=colour, alpha=0.6, label=name, log=logarithmic)
    width = float(np.median(band[band > 0])) if (band > 0).any() else 0.0
    axes.axvspan(-width, 0, color=QUIET, alpha=0.25, lw=0, label="undecided")
    axes.axvline(0, color=INK, lw=1.6, label="approve threshold")
    axes.axvline(-width, color=INK, lw=1.6, ls="--", label="different threshold")
    axes.set(xlabel="score, 0 = approve threshold", ylabel="share of pairs")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
    _in_percent(axes.yaxis)


@_svg
def intervals(axes: Axes, groups: Mapping[str, Mapping[str, Any]]) -> float:
    """Accuracy with its interval for each group, women and men in their own colours."""
    names = [name for name, row in groups.items() if row["accuracy"] is not None]
    for place, name in enumerate(names):
        colour = IMPOSTOR if name.startswith("women") else GENUINE
        axes.plot(groups[name]["interval95"], [place, place], color=colour, lw=2)
        axes.plot(groups[name]["accuracy"], place, "o", color=colour, ms=7, clip_on=False)
    axes.set(xlim=(None, 1.01), xlabel="gender read rightly (line: 95 % interval)")
    return _lines(axes, names)


@_svg
def trials(axes: Axes, rows: Mapping[str, Sequence[float]], constant: float) -> float:
    """A line for each name with a dot for every trial and a bar at their mean; dashed: a constant answer."""
    for place, shares in enumerate(rows.values()):
        axes.plot(shares, np.full(len(shares), place), "o", color=GENUINE, ms=8, alpha=0.55, mew=0)
        axes.plot([np.mean(shares)] * 2, [place - 0.25, place + 0.25], color=INK, lw=2)
    axes.axvline(constant, color=IMPOSTOR, lw=1.6, ls="--")
    axes.set(xlim=(min(0.45, axes.get_xlim()[0]), 1.01), xlabel="pairs called rightly")
    return _lines(axes, [*rows])


def _lines(axes: Axes, names: Sequence[str]) -> float:
    """Name the lines, the first on top, each over shares. Returns the height that they need."""
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
    _in_percent(axes.xaxis)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    return 0.9 + PER_LINE * len(names)


def _thinned(genuine: Scores, impostor: Scores) -> tuple[Scores, Scores]:
    """FMR and FNMR at a few hundred thresholds: every kth of all, and more where errors are rare."""
    thresholds, false_match, false_non_match = metrics.roc(genuine, impostor)
    spread = np.linspace(0, len(thresholds) - 1, MOST_POINTS)
    rare = len(thresholds) - np.geomspace(1, len(thresholds), MOST_POINTS)
    low = np.geomspace(1, len(thresholds), MOST_POINTS) - 1
    keep = np.unique(np.concatenate([spread, rare, low]).astype(np.int64))
    return false_match[keep], false_non_match[keep]
