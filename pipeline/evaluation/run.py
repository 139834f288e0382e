"""One evaluation from labelled photos to figures: what `python -m pipeline evaluate` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.data import LabelledFace, read_pairs
from pipeline.evaluation.exhaustive import Impostors, all_impostors, exhaustive_figures, named_groups
from pipeline.evaluation.extract import Album
from pipeline.evaluation.genders import gender_figures
from pipeline.evaluation.impostors import impostor_figures
from pipeline.evaluation.populate import Sources, labelled_faces, populate, spread
from pipeline.evaluation.protocol import (
    Judge,
    People,
    fixed_judge,
    judge_without,
    reference_threshold,
    score_pairs,
)
from pipeline.evaluation.report import Scored, summary
from pipeline.evaluation.sample import replay_figures, sample_figures
from pipeline.evaluation.simulation import simulate
from pipeline.evaluation.strangers import Shipped, require_strangers
from pipeline.fit import FaceTable, FitSettings

Codes = NDArray[np.int64]
JudgeFor = Callable[[Codes], Judge]


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured beside the pairs."""

    impostor_csvs: Sequence[Path] = ()
    gender_csvs: Sequence[Path] = ()
    shipped: Shipped = field(default_factory=Shipped)
    sample: int = 0
    """So many pairs go through the whole product, and a third as many photos are sent twice,
    in every altered form, or are retouched for the simulation."""
    members: int = 2000
    """So many honest members are simulated, and five impostors for every two of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The figures as `--json` prints them, and the scores that they were made from."""

    figures: dict[str, Any]
    scored: Scored
    impostors: Mapping[str, Impostors] = field(default_factory=dict)


def evaluate(album: Album, pairs_csv: Path, training: Sequence[LabelledFace], options: Options) -> Evaluation:
    """Everything about one list of pairs. Raises DataError."""
    pairs, settings, people = read_pairs(pairs_csv), FitSettings(), People(training)
    started = time.perf_counter()
    photos = [file for pair in pairs for file in (pair.file_x, pair.file_y)]
    known = require_strangers(album, people.names(photos), options.shipped)
    embedded = album.embed([*photos, *(face.file for face in training)])
    labelled = labelled_faces(training, embedded, people)
    judge_for = judges(album, labelled.table, settings, options.shipped)
    scored = score_pairs(pairs, embedded, people, judge_for)
    extra: dict[str, Any] = {
        "model_version": album.models.version,
        "fitted": "as shipped" if options.shipped.head else "without the people of each fold or set",
        "in_sample": known,
        "seconds_per_pair": (time.perf_counter() - started) / len(pairs),
    }
    named = named_groups(pairs, people)
    found = all_impostors(named, labelled.table, judge_for)
    extra["exhaustive"] = exhaustive_figures(found)
    if options.impostor_csvs:
        extra["impostors"] = impostor_figures(album, options.impostor_csvs, labelled.table, settings)
    if options.gender_csvs:
        extra["gender"] = gender_figures(album, options.gender_csvs, labelled.table, settings)
    if options.sample:
        extra["sample"] = sample_figures(album, pairs, options.sample)
        whole = replace(options.shipped, head=True, in_sample=True)
        extra["sample"]["in_sample"] = require_strangers(album, people.names(photos), whole)
        extra["replays"] = replay_figures(album, spread(photos, options.sample // 3))
    sources = Sources(options.impostor_csvs, options.gender_csvs, retouched=options.sample // 3)
    worlds = populate(album, named, labelled, judge_for, sources)
    extra["simulation"] = simulate(worlds, honest=options.members, impostors=options.members * 5 // 2)
    return Evaluation(summary(scored, extra), scored, found)


def judges(album: Album, table: FaceTable, settings: FitSettings, mode: Shipped) -> JudgeFor:
    """The judge for tested people; each is made once, however many figures need it."""
    shipped, known = album.models.judges.scorer, dict[bytes, Judge]()

    def judge_for(people: Codes) -> Judge:
        key = b"" if mode.head else np.unique(people).tobytes()
        if key not in known:
            known[key] = (
                fixed_judge(shipped, reference_threshold(shipped, table))
                if mode.head
                else judge_without(people, table, settings)
            )
        return known[key]

    return judge_for
