"""One evaluation from labelled photos to figures: what `python -m pipeline evaluate` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.head_params import Judges
from pipeline.datasets.data import LabelledFace, Pair, read_pairs
from pipeline.datasets.embeddings import Album
from pipeline.datasets.tables import People, labels_of
from pipeline.evaluation.added import added_figures, gate_figures
from pipeline.evaluation.exhaustive import Impostors, all_impostors, exhaustive_figures, named_groups
from pipeline.evaluation.genders import adults_and_teachable, gender_figures
from pipeline.evaluation.impostors import impostor_figures, seniors
from pipeline.evaluation.leakage import Shipped, require_strangers
from pipeline.evaluation.protocol import (
    NOBODY,
    Judge,
    fixed_judge,
    judge_without,
    of_any_gender,
    reference_threshold,
    require_enough,
    score_pairs,
)
from pipeline.evaluation.report import Scored, summary
from pipeline.evaluation.sample import replay_figures, sample_figures
from pipeline.evaluation.simulated.population import Sources, labelled_faces, populate, spread
from pipeline.evaluation.simulated.simulation import simulate
from pipeline.fitting.fit import UNKNOWN, FaceTable, FitSettings, added

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
    """Everything about one list of pairs. Raises DataError; before a photo is looked at, where it can."""
    pairs, settings, people = read_pairs(pairs_csv), FitSettings(), People(training)
    photos, started = [file for pair in pairs for file in (pair.file_x, pair.file_y)], time.perf_counter()
    known = _strangers(album, people.names(photos), options)
    if not options.shipped.head:
        _require_enough(pairs, training, options)
    embedded = album.embed([*photos, *(face.file for face in training)])
    labelled = labelled_faces(training, embedded, people)
    judge_for = judges(album, labelled.table, settings, options.shipped)
    scored = score_pairs(pairs, embedded, people, judge_for)
    extra: dict[str, Any] = {
        "model_version": album.models.version,
        "fitted": "as shipped" if options.shipped.head else "without the people of each fold or set",
        "in_sample": known,
        "genders_known": bool((labelled.table.gender != UNKNOWN).any()),
        "seconds_per_pair": (time.perf_counter() - started) / len(pairs),
    }
    named = named_groups(pairs, people)
    found = all_impostors(named, labelled.table, judge_for)
    extra["exhaustive"] = exhaustive_figures(found)
    extra |= _of_single_photos(album, labelled.table, judge_for, options)
    extra |= _of_the_whole_product(album, pairs, people.names(photos), options)
    sources = Sources(options.impostor_csvs, options.gender_csvs, retouched=options.sample // 3)
    worlds = populate(album, named, labelled, judge_for, sources, fixed=_fixed(album, options))
    if not options.shipped.head and added(labelled.table, settings):
        extra["added"] = added_figures(pairs, embedded, people, labelled.table, scored)
        if extra["genders_known"]:
            extra["added"]["gate"] = gate_figures(album.models.judges, labelled.table)
    extra["simulation"] = simulate(worlds, honest=options.members, impostors=options.members * 5 // 2)
    return Evaluation(summary(scored, extra), scored, found)


def _strangers(album: Album, names: AbstractSet[str], options: Options) -> int | None:
    """How many of all tested people were learned from; see `require_strangers`.

    Raises DataError, too, where a single photo is not there.
    """
    single = [face for path in options.impostor_csvs for face in seniors(path)]
    single += adults_and_teachable(options.gender_csvs) if options.gender_csvs else []
    album.require(face.file for face in single)
    shipped = {face.identity for face in single} if options.shipped.head else set()
    return require_strangers(album, names | shipped, options.shipped)


def _require_enough(pairs: Sequence[Pair], training: Sequence[LabelledFace], options: Options) -> None:
    """By the labels alone, with numbers for the people that nothing else depends on."""
    people = People(training)
    groups = [*named_groups(pairs, people).values(), *([NOBODY] if options.impostor_csvs else [])]
    require_enough(groups, of_any_gender(labels_of(training, people)))


def _fixed(album: Album, options: Options) -> Judges | None:
    """The head that judges as it is shipped, if it does."""
    return album.models.judges if options.shipped.head else None


def _of_single_photos(
    album: Album, table: FaceTable, judge_for: JudgeFor, options: Options
) -> dict[str, Any]:
    """Impostors of the users' age, and gender, as far as there are CSVs for them."""
    figures: dict[str, Any] = {}
    if options.impostor_csvs:
        figures["impostors"] = impostor_figures(album, options.impostor_csvs, judge_for(NOBODY))
    if options.gender_csvs:
        head = _fixed(album, options)
        fixed = head.gender if head else None
        figures["gender"] = gender_figures(album, options.gender_csvs, table, FitSettings(), fixed)
    return figures


def _of_the_whole_product(
    album: Album, pairs: Sequence[Pair], names: AbstractSet[str], options: Options
) -> dict[str, Any]:
    """A sample of the pairs, and of the photos sent twice, through `pipeline.verify`."""
    if not options.sample:
        return {}
    whole = replace(options.shipped, head=True, in_sample=True)
    known = require_strangers(album, names, whole)
    photos = [file for pair in pairs for file in (pair.file_x, pair.file_y)]
    return {
        "sample": {**sample_figures(album, pairs, options.sample), "in_sample": known},
        "replays": replay_figures(album, spread(photos, options.sample // 3)),
    }


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
