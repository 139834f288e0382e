"""One evaluation, from labelled photos to figures: the work of `python -m pipeline evaluate`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.datasets.data import LabelledFace, Pair, files_of, read_pairs
from pipeline.datasets.embeddings import Dataset
from pipeline.datasets.tables import PersonCodes, labels_of
from pipeline.evaluation.added_networks import added_figures, gate_figures
from pipeline.evaluation.genders import adults_for_gender, gender_figures
from pipeline.evaluation.impostors import (
    Impostors,
    all_impostors,
    exhaustive_figures,
    named_groups,
    seniors,
    single_photo_figures,
)
from pipeline.evaluation.leakage import Shipped, check_leakage
from pipeline.evaluation.protocol import NOBODY, of_any_gender, pair_scorers, require_enough, score_pairs
from pipeline.evaluation.report import Scored, summary
from pipeline.evaluation.sample import replay_figures, sample_figures
from pipeline.evaluation.simulated.population import Sources, build_populations, evenly_chosen, labelled_faces
from pipeline.evaluation.simulated.simulation import simulate
from pipeline.fitting.fit import UNKNOWN, FitSettings, added_embedders


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured beside the pairs."""

    impostor_csvs: Sequence[Path] = ()
    gender_csvs: Sequence[Path] = ()
    shipped: Shipped = field(default_factory=Shipped)
    sample: int = 0
    """Number of pairs that go through the whole product. A third as many photos are sent twice, edited in
    every way, and as many are retouched for the simulation."""
    members: int = 2000
    """Number of simulated honest members; for every two of them there are five impostors of each kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The figures for `--json`, and the scores that they were computed from."""

    figures: dict[str, Any]
    scored: Scored
    impostors: Mapping[str, Impostors] = field(default_factory=dict)


def evaluate(
    dataset: Dataset, pairs_csv: Path, training: Sequence[LabelledFace], options: Options
) -> Evaluation:
    """Evaluate a bundle on a list of pairs. Raises DataError, if possible before any photo is analysed."""
    pairs, settings, people = read_pairs(pairs_csv), FitSettings(), PersonCodes(training)
    photos, started = files_of(pairs), time.perf_counter()
    known = _check_leakage(dataset, people.names(photos), options)
    fixed = dataset.models.params if options.shipped.head else None
    if not fixed:
        _require_enough(pairs, training, options)
    embedded = dataset.embed([*photos, *(face.file for face in training)])
    labelled = labelled_faces(training, embedded, people)
    scorer_for = pair_scorers(labelled.table, settings, fixed)
    scored = score_pairs(pairs, embedded, people, scorer_for)
    extra: dict[str, Any] = {
        "model_version": dataset.models.version,
        "fitted": "as shipped" if fixed else "without the people of each fold or set",
        "in_sample": known,
        "genders_known": bool((labelled.table.gender != UNKNOWN).any()),
        "seconds_per_pair": (time.perf_counter() - started) / len(pairs),
    }
    named = named_groups(pairs, people)
    found = all_impostors(named, labelled.table, scorer_for)
    extra["exhaustive"] = exhaustive_figures(found)
    if csvs := options.impostor_csvs:
        extra["impostors"] = single_photo_figures(dataset, csvs, scorer_for(NOBODY))
    if csvs := options.gender_csvs:
        extra["gender"] = gender_figures(dataset, csvs, labelled.table, settings, fixed)
    extra |= _whole_product(dataset, pairs, people.names(photos), options)
    sources = Sources(options.impostor_csvs, options.gender_csvs, retouched=options.sample // 3)
    populations = build_populations(dataset, named, labelled, scorer_for, sources, fixed=fixed)
    if not fixed and added_embedders(labelled.table, settings):
        extra["added"] = added_figures(pairs, embedded, people, labelled.table, scored)
        if extra["genders_known"]:
            extra["added"]["gate"] = gate_figures(dataset.models.params, labelled.table)
    extra["simulation"] = simulate(populations, honest=options.members, impostors=options.members * 5 // 2)
    return Evaluation(summary(scored, extra), scored, found)


def _check_leakage(dataset: Dataset, names: AbstractSet[str], options: Options) -> int | None:
    """The leakage check for all tested people. Raises DataError, too, where a single photo is missing."""
    single = [face for path in options.impostor_csvs for face in seniors(path)]
    single += adults_for_gender(options.gender_csvs) if options.gender_csvs else []
    dataset.require(face.file for face in single)
    shipped = {face.identity for face in single} if options.shipped.head else set()
    return check_leakage(dataset, names | shipped, options.shipped)


def _require_enough(pairs: Sequence[Pair], training: Sequence[LabelledFace], options: Options) -> None:
    """By the labels alone, with codes of its own, because the order of codes decides later figures."""
    people = PersonCodes(training)
    groups = [*named_groups(pairs, people).values(), *([NOBODY] if options.impostor_csvs else [])]
    require_enough(groups, of_any_gender(labels_of(training, people)))


def _whole_product(
    dataset: Dataset, pairs: Sequence[Pair], names: AbstractSet[str], options: Options
) -> dict[str, Any]:
    """A sample of the pairs, and photos that are sent twice, through `pipeline.verify`."""
    if not options.sample:
        return {}
    known = check_leakage(dataset, names, replace(options.shipped, head=True, in_sample=True))
    return {
        "sample": {**sample_figures(dataset, pairs, options.sample), "in_sample": known},
        "replays": replay_figures(dataset, evenly_chosen(files_of(pairs), options.sample // 3)),
    }
