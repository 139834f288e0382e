"""The page's figures, as SVG text that needs nothing from the network."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.fitting import metrics

Scores = NDArray[np.float64]
GENUINE, IMPOSTOR, EDGE, QUIET = "#0072B2", "#D55E00", "#333333", "#999999"
"""Colours that colour-blind people can tell apart (Okabe and Ito)."""
SIZE = (5.4, 3.7)
MOST_POINTS = 400
FLOOR = 1e-6
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "verify", "font.family": "sans-serif", "font.size": 11}


def roc_svg(genuine: Scores, impostor: Scores) -> str:
    """True-match rate over false-match rate, the latter on a logarithmic scale."""

    def _draw(axes: Axes) -> None:
        _, false_match, false_non_match = _thinned(genuine, impostor)
        axes.plot(np.maximum(false_match, FLOOR), 1 - false_non_match, color=GENUINE, lw=2)
        at = max(metrics.fmr(impostor, 0.0) or 0.0, _smallest(impostor)), np.mean(genuine >= 0)
        axes.plot(*at, "o", color=EDGE, ms=8, label="approve edge")
        axes.set_xscale("log")
        axes.set_xlim(_smallest(impostor) / 2, 1)
        axes.set(xlabel="impostors that pass (FMR)", ylabel="genuine pairs that pass")
        axes.legend(loc="lower right", frameon=False)

    return _svg(_draw)


def det_svg(curves: Mapping[str, tuple[Scores, Scores]]) -> str:
    """FNMR over FMR, both logarithmic, one curve for each (genuine, impostor) by name.

    No error at all is drawn as half a pair.
    """

    def _draw(axes: Axes) -> None:
        for (name, (genuine, impostor)), colour in zip(curves.items(), (GENUINE, IMPOSTOR), strict=False):
            _, false_match, false_non_match = _thinned(genuine, impostor)
            least = 0.5 / len(impostor), 0.5 / len(genuine)
            rates = np.maximum(false_match, least[0]), np.maximum(false_non_match, least[1])
            axes.plot(*rates, color=colour, lw=2, label=name)
            edge = np.maximum([np.mean(impostor >= 0), np.mean(genuine < 0)], least)
            axes.plot(edge[0], edge[1], "o", color=colour, ms=8)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set(xlabel="impostors that pass (FMR)", ylabel="genuine pairs refused (FNMR)")
        axes.legend(loc="lower left", frameon=False, fontsize=9)

    return _svg(_draw)


def histogram_svg(genuine: Scores, impostor: Scores, band: Scores, *, logarithmic: bool = False) -> str:
    """Shares of pairs by score; 0 is the approve edge, the shaded band is where nobody knows."""

    def _draw(axes: Axes) -> None:
        found = [scores[np.isfinite(scores)] for scores in (genuine, impostor)]
        every = np.concatenate(found)
        bins = np.linspace(every.min(), every.max(), 61)
        for scores, colour, name in zip(found, (GENUINE, IMPOSTOR), ("genuine", "impostor"), strict=True):
            if len(scores):
                weights = np.full(len(scores), 1 / len(scores))
                axes.hist(scores, bins, weights=weights, color=colour, alpha=0.6, label=name, log=logarithmic)
        width = float(np.median(band[band > 0])) if (band > 0).any() else 0.0
        axes.axvspan(-width, 0, color=QUIET, alpha=0.25, lw=0, label="undecided")
        axes.axvline(0, color=EDGE, lw=1.6)
        axes.axvline(-width, color=EDGE, lw=1.6, ls="--")
        axes.set(xlabel="score, 0 = approve edge, dashed = different edge", ylabel="share of pairs")
        axes.legend(loc="upper center", frameon=False, ncols=3, fontsize=9, bbox_to_anchor=(0.5, 1.14))

    return _svg(_draw)


def gender_svg(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """Accuracy with its interval for each group, women and men in their own colours."""
    names = [name for name, row in groups.items() if row["accuracy"] is not None]

    def _draw(axes: Axes) -> None:
        for place, name in enumerate(reversed(names)):
            row = groups[name]
            colour = IMPOSTOR if name.startswith("women") else GENUINE
            axes.plot(row["interval95"], [place, place], color=colour, lw=2)
            axes.plot(row["accuracy"], place, "o", color=colour, ms=7)
        axes.set_yticks(range(len(names)), list(reversed(names)))
        axes.set_xlim(right=1.01)
        axes.set_xlabel("gender read rightly (line: 95 % interval)")

    return _svg(_draw, (SIZE[0], 1.2 + 0.3 * len(names)))


def trials_svg(rows: Mapping[str, Sequence[float]], constant: float) -> str:
    """A line for each name with a dot for every trial and a bar at their mean; dashed: a constant answer."""
    names = [*rows]

    def _draw(axes: Axes) -> None:
        for place, name in enumerate(reversed(names)):
            values = np.array(rows[name]) * 100
            axes.plot(values, np.full(len(values), place), "o", color=GENUINE, ms=8, alpha=0.55, mew=0)
            axes.plot([values.mean()] * 2, [place - 0.25, place + 0.25], color=EDGE, lw=2)
        axes.axvline(constant * 100, color=IMPOSTOR, lw=1.6, ls="--")
        axes.set_yticks(range(len(names)), list(reversed(names)))
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlim(min(45.0, axes.get_xlim()[0]), 101)
        axes.set_xlabel("pairs called rightly, %")

    return _svg(_draw, (SIZE[0], 1.0 + 0.42 * len(names)))


def _svg(draw: Callable[[Axes], None], size: tuple[float, float] = SIZE) -> str:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.grid(color="#e5e5e5", lw=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _thinned(genuine: Scores, impostor: Scores) -> tuple[Scores, Scores, Scores]:
    """The curve at a few hundred thresholds: every kth of all, and more where errors are rare."""
    thresholds, false_match, false_non_match = metrics.roc(genuine, impostor)
    spread = np.linspace(0, len(thresholds) - 1, MOST_POINTS)
    rare = len(thresholds) - np.geomspace(1, len(thresholds), MOST_POINTS)
    low = np.geomspace(1, len(thresholds), MOST_POINTS) - 1
    keep = np.unique(np.concatenate([spread, rare, low]).astype(np.int64))
    return thresholds[keep], false_match[keep], false_non_match[keep]


def _smallest(impostor: Scores) -> float:
    """The lowest rate but 0 that so many pairs can show."""
    return max(1 / max(len(impostor), 1), FLOOR)
