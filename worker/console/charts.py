"""The geometry of charts: templates draw them as SVG, with classes and without styles.

A chart is 360 units wide, so that its letters have their own size on a phone and a larger one beside others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline.bundles.reference import BINS, REACH, Reference, log_odds_of
from worker.serving.references import References

WIDTH: Final = 360.0
LEFT: Final = 30.0
"""Room for the numbers at the axis."""
RIGHT: Final = 8.0
"""Room for half of the last day's name."""
TOP: Final = 10.0
HEIGHT: Final = 130.0
"""Of the part in which there is something to see."""
_GAP: Final = 0.22
"""Share of a column's place that stays free."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Of one series, in the units of the chart."""

    series: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A number or a word at an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Columns:
    """A column for each day, whose parts lie above each other."""

    rectangles: tuple[Rectangle, ...]
    levels: tuple[Mark, ...]
    """On the vertical axis."""
    days: tuple[Mark, ...]
    """On the horizontal axis, a few."""

    @property
    def empty(self) -> bool:
        return not self.rectangles


def columns(days: Sequence[str], values: Sequence[Mapping[str, int]], order: Sequence[str]) -> Columns:
    """Columns of these values by series, for each day; the first of ``order`` lies at the bottom."""
    most = _round_up(max((sum(value.values()) for value in values), default=0))
    step = (WIDTH - LEFT - RIGHT) / max(len(days), 1)
    found = []
    for number, value in enumerate(values):
        bottom = TOP + HEIGHT
        for series in order:
            height = HEIGHT * value.get(series, 0) / most
            if height:
                bottom -= height
                x, width = LEFT + step * (number + _GAP / 2), step * (1 - _GAP)
                found.append(Rectangle(series, _r(x), _r(bottom), _r(width), _r(height)))
    levels = tuple(Mark(_r(TOP + HEIGHT * (1 - part)), f"{most * part:,.0f}") for part in (0, 0.5, 1))
    shown = range(len(days) - 1, -1, -7)
    return Columns(
        tuple(found), levels, tuple(Mark(_r(LEFT + step * (n + 0.5)), days[n]) for n in reversed(shown))
    )


def _round_up(value: float) -> float:
    """To 2, 4, 6, 10, 20, 40, ...: the half of it is a whole number, too."""
    size = 1
    while True:
        for step in (2, 4, 6, 10):
            if value <= step * size:
                return step * size
        size *= 10


@dataclass(frozen=True, slots=True)
class SimilarityChart:
    """Genuine pairs above an axis of similarity and impostor pairs below it, with the thresholds and,
    if one is asked about, a similarity."""

    genuine: tuple[Rectangle, ...]
    impostor: tuple[Rectangle, ...]
    own: tuple[Rectangle, ...]
    """Of the operator's own members; empty where one similarity is asked about."""
    axis: float
    """Where the two meet."""
    approve: float
    different: float
    marker: float | None
    ticks: tuple[Mark, ...]
    reference: Reference
    similarity: float | None = None
    impostors_above: float | None = None
    """Share of the impostor pairs that are as similar or more."""
    genuine_below: float | None = None
    """Share of the genuine pairs that are less similar."""


_TICKS: Final = ((-20.7, "10⁻⁹"), (-6.907, "0.001"), (0.0, "0.5"), (6.907, "0.999"), (20.7, "1−10⁻⁹"))
_UP: Final = 72.0
_DOWN: Final = 52.0


def similarity_chart(
    reference: Reference,
    different: float,
    similarity: float | None = None,
    own: Sequence[int] = (),
) -> SimilarityChart:
    """The histograms of a head's reference.

    ``different``: the different threshold as log-odds. ``own``: how many similarities of members
    lie in each bin.
    """
    axis, most = TOP + _UP, max(*(reference.genuine or (0,)), *_shares(own), 0.01)
    chart = SimilarityChart(
        genuine=_bars("genuine", reference.genuine or (), axis, _UP / most),
        impostor=_bars("impostor", reference.impostor, axis, -_DOWN / max(reference.impostor)),
        own=_bars("own", _shares(own), axis, _UP / most),
        axis=axis,
        approve=_x(0.0),
        different=_x(different),
        marker=None if similarity is None else _x(log_odds_of(similarity)),
        ticks=tuple(Mark(_x(odds), text) for odds, text in _TICKS),
        reference=reference,
    )
    if similarity is None:
        return chart
    odds = log_odds_of(similarity)
    return replace(
        chart,
        similarity=similarity,
        impostors_above=1 - _below(reference.impostor, odds),
        genuine_below=None if reference.genuine is None else _below(reference.genuine, odds),
    )


def similarity_of(
    references: References | None, version: str | None, similarity: float
) -> SimilarityChart | None:
    """Where a similarity lies among the pairs of the head that found it; None where that has no reference."""
    head = references.of(version) if references and version else None
    if head is None or head.reference is None:
        return None
    return similarity_chart(head.reference, head.different, similarity)


def _below(shares: Sequence[float], odds: float) -> float:
    """The share of pairs below; within a bin they count as evenly spread."""
    place = (odds + REACH) / (2 * REACH) * BINS
    whole = min(int(place), BINS - 1)
    return max(0.0, min(1.0, sum(shares[:whole]) + shares[whole] * (place - whole)))


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total for count in counts] if total else []


def _x(odds: float) -> float:
    return _r(LEFT / 2 + (WIDTH - LEFT) * (max(-REACH, min(REACH, odds)) + REACH) / (2 * REACH))


def _bars(series: str, shares: Sequence[float], axis: float, scale: float) -> tuple[Rectangle, ...]:
    """Upwards, or downwards where the scale is negative."""
    width, found = (WIDTH - LEFT) / BINS, []
    for number, share in enumerate(shares):
        height = abs(share * scale)
        if height:
            x, y = LEFT / 2 + width * number, axis - height if scale > 0 else axis
            found.append(Rectangle(series, _r(x + 0.4), _r(y), _r(width - 0.8), _r(height)))
    return tuple(found)


def _r(value: float) -> float:
    return round(value, 2)
