"""Run all trials and summarise them; each is a file when it is done, so that a stopped run continues."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from pipeline.datasets.embeddings import replacing
from pipeline.experiments.tables import QUICK, TABLES, Condition, Row, Size, Table, conditions
from pipeline.experiments.trial import Experiment, Weights, run_trial
from pipeline.terminal import track

VERSION = 1
"""Raised with every change that makes earlier trials invalid."""
Trial = Callable[[Condition, int], dict[str, Any]]
Trials = Sequence[Mapping[str, Any]]


def run_all(experiment: Experiment, out: Path) -> dict[str, Any]:
    """Run every trial that is not in ``out`` yet, then write and return `results.json`."""
    weights, size = experiment.weights, experiment.size
    files = [face.file for face in experiment.collection.faces]
    trials = do_trials(
        out,
        lambda condition: fingerprint(files, size, weights, condition),
        size.seeds,
        lambda condition, seed: run_trial(experiment, condition, seed),
    )
    results = {
        "made": dt.datetime.now(dt.UTC).date().isoformat(),
        "photos": len(files),
        "people": len({face.identity for face in experiment.collection.faces}),
        "quick": size == QUICK,
        "size": asdict(size),
        "networks": {
            str(network): {
                "weights": weights.said(network),
                "side": weights.side(network, size),
                "epochs": size.epochs[network],
            }
            for network in dict.fromkeys(condition.network for condition in conditions())
        },
        "minutes": round(sum(trial["seconds"] for own in trials.values() for trial in own) / 60, 1),
        "tables": summarise(TABLES, trials),
    }
    write(out / "results.json", results)
    return results


def fingerprint(files: Sequence[str], size: Size, weights: Weights, condition: Condition) -> str:
    """Changes with anything that a trial depends on, except its seed."""
    network = condition.network
    sizes = (*size.of(network), weights.side(network, size))
    parts = (VERSION, [*files], sizes, condition.name, weights.said(network))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def do_trials(
    out: Path, mark: Callable[[Condition], str], seeds: Sequence[int], trial: Trial
) -> dict[Condition, list[dict[str, Any]]]:
    """The trials by condition, in the order of the seeds."""
    todo = [(condition, seed) for condition in conditions() for seed in seeds]
    done: dict[Condition, list[dict[str, Any]]] = {condition: [] for condition, _ in todo}
    for condition, seed in track(todo, len(todo), "experiments"):
        path = out / "trials" / f"{condition.name}-{seed}.json"
        done[condition].append(
            _known(path, mark(condition)) or _do(path, mark(condition), condition, seed, trial)
        )
    return done


def _known(path: Path, mark: str) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return record if record["fingerprint"] == mark else None


def _do(path: Path, mark: str, condition: Condition, seed: int, trial: Trial) -> dict[str, Any]:
    record = {"fingerprint": mark, "condition": condition.name, "seed": seed, **trial(condition, seed)}
    write(path, record)
    return record


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def summarise(tables: Sequence[Table], trials: Mapping[Condition, Trials]) -> list[dict[str, Any]]:
    """The results of each table as JSON, in order."""
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
    """``difference`` is in accuracy against the base row, by seed: the same people, the same pairs."""
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
    """With the 95 % interval of its mean (Student's t); ``told`` where that excludes 0."""
    found = spread(values)
    if len(values) < 2:
        return {**found, "interval95": None, "told": False}
    half = float(t.ppf(0.975, len(values) - 1)) * found["std"] / float(np.sqrt(len(values)))
    low, high = found["mean"] - half, found["mean"] + half
    return {**found, "interval95": (low, high), "told": bool(low > 0 or high < 0)}
