"""From trials to tables: mean and spread over seeds, and what differs by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t

from pipeline.experiments.tables import Condition, Row, Table

Trials = Sequence[Mapping[str, Any]]


def summarise(tables: Sequence[Table], trials: Mapping[Condition, Trials]) -> list[dict[str, Any]]:
    """JSON for each table, in order."""
    return [
        {
            "name": table.name,
            "base": table.rows[table.base].label,
            "rows": [
                _row(row, trials[row.condition], trials[table.rows[table.base].condition])
                for row in table.rows
            ],
        }
        for table in tables
    ]


def _row(row: Row, own: Trials, base: Trials) -> dict[str, Any]:
    """``difference`` is in accuracy against the base row, seed by seed: the same people, the same pairs."""
    gender = [trial["gender"] for trial in own]
    gender_before = [trial["before"]["gender"] for trial in own]
    apart = [mine["accuracy"] - theirs["accuracy"] for mine, theirs in zip(own, base, strict=True)]
    return {
        "label": row.label,
        "source": row.source,
        "source_gender": row.source_gender,
        **{name: spread([trial[name] for trial in own]) for name in ("accuracy", "auc", "fmr", "fnmr")},
        "before": spread([trial["before"]["accuracy"] for trial in own]),
        "gender": spread([one["accuracy"] for one in gender]) if all(gender) else None,
        "gender_before": spread([one["accuracy"] for one in gender_before]) if all(gender) else None,
        "gender_constant": spread([one["constant"] for one in gender]) if all(gender) else None,
        "pairs": [trial["pairs"] for trial in own],
        "kept_epochs": [trial["kept_epoch"] for trial in own],
        "difference": None if own is base else difference(apart),
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation (of a sample) and each value."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "std": deviation, "each": [float(value) for value in values]}


def difference(values: Sequence[float]) -> dict[str, Any]:
    """With the 95 % interval of its mean (Student's t); ``told`` where that leaves 0 out."""
    found = spread(values)
    if len(values) < 2:
        return {**found, "interval95": None, "told": False}
    half = float(t.ppf(0.975, len(values) - 1)) * found["std"] / float(np.sqrt(len(values)))
    low, high = found["mean"] - half, found["mean"] + half
    return {**found, "interval95": (low, high), "told": bool(low > 0 or high < 0)}
