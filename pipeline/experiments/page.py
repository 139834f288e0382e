"""The experiments as one HTML page: each table beside the source's, in words that claim no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.evaluation.pages import plots
from pipeline.evaluation.pages.html import render
from pipeline.experiments.tables import SOURCE_NOTE, TABLES, Table

Figures = Mapping[str, Any]
CONSTANT = 0.5


def page(results: Figures) -> str:
    """The whole page, from `results.json`."""
    figures = {found["name"]: found for found in results["tables"]}
    return render(
        "experiments/templates/experiments.html.j2",
        results=results,
        source_note=SOURCE_NOTE,
        tables=[_made(table, figures[table.name]) for table in TABLES],
        spread=_spread,
        mean=_mean,
        points=_points,
    )


def _made(table: Table, figures: Figures) -> Figures:
    """A table with its figures, what they say, and their picture."""
    rows = figures["rows"]
    return {
        "table": table,
        "rows": rows,
        "svg": plots.trials({row["label"]: row["accuracy"]["each"] for row in rows}, CONSTANT),
        "sentences": shows(figures),
        "gender_constant": next(row["gender_constant"] for row in rows if row["gender"]),
    }


def shows(figures: Figures) -> list[str]:
    """What a table says, in words that the numbers choose."""
    sentences = [_sentence(row, figures["base"]) for row in figures["rows"] if row["difference"]]
    return [*sentences, *(_start(row) for row in figures["rows"] if not row["difference"])]


def _start(row: Figures) -> str:
    pairs = (
        f"“{row['label']}” called {_mean(row['before'])} of the pairs rightly before it was trained here, "
        f"and {_mean(row['accuracy'])} after."
    )
    if not row["gender"]:
        return pairs
    before, after = (_mean(row[name]) for name in ("gender_before", "gender"))
    return f"{pairs} It read the gender rightly in {before} of the faces before, and in {after} after."


def _sentence(row: Figures, base: str) -> str:
    apart = row["difference"]
    size, seeds = f"{abs(100 * apart['mean']):.1f} points", len(apart["each"])
    if not apart["told"]:
        return (
            f"“{row['label']}” and “{base}” cannot be told apart by {seeds} seeds: they lie {size} apart, "
            f"which chance alone could explain."
        )
    better = "better" if apart["mean"] > 0 else "worse"
    return (
        f"“{row['label']}” is {better} than “{base}” by {size}, more than chance explains over {seeds} seeds."
    )


def _spread(value: Figures) -> str:
    return f"{100 * value['mean']:.1f} ± {100 * value['std']:.1f} %"


def _mean(value: Figures) -> str:
    return f"{100 * value['mean']:.1f} %"


def _points(apart: Figures) -> str:
    """Percentage points with their 95 % interval."""
    told = f"{100 * apart['mean']:+.1f}"
    if apart["interval95"] is None:
        return told
    low, high = apart["interval95"]
    return f"{told} ({100 * low:+.1f} to {100 * high:+.1f})"
