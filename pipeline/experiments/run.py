"""All trials, one after another; each is a file when it is done, so that a stopped run goes on."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.experiments.sizes import QUICK, Size
from pipeline.experiments.summary import summarise
from pipeline.experiments.tables import TABLES, Condition, conditions
from pipeline.experiments.trial import Experiment, Weights, run_trial
from pipeline.progress import track

VERSION = 1
"""Raised with every change that makes earlier trials worth nothing."""
Trial = Callable[[Condition, int], dict[str, Any]]


def run_all(experiment: Experiment, out: Path) -> dict[str, Any]:
    """Every trial that is not in ``out`` yet; then `results.json`, which is returned too."""
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
    """Changes with anything that a trial depends on, but for its seed."""
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
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
