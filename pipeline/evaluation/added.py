"""What an operator's own networks bring: the figures with them, without and alone, and the gate's word.

Each side is fitted anew without the people that it is tested on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

import numpy as np

from pipeline.bundles.head_params import Judges
from pipeline.datasets.data import Pair
from pipeline.datasets.embeddings import Embedded
from pipeline.datasets.labels import NO_AGE
from pipeline.datasets.tables import People
from pipeline.evaluation.protocol import judge_without, score_pairs
from pipeline.evaluation.report import Scored, summary
from pipeline.fitting.fit import FaceTable, FitSettings, added, fit_gender, fit_scorer
from pipeline.promotion.gate import judge_challenger
from pipeline.promotion.paired_scores import FrozenFaces

TESTED: Final = 3
"""One of so many people is kept for the gate, by the number that they happen to have."""
SHOWN: Final = ("pairs", "failed_to_acquire", "undecided", "auc", "eer", "tar_at_fmr", "at_threshold")


def added_figures(
    pairs: Sequence[Pair],
    embedded: Embedded,
    people: People,
    table: FaceTable,
    scored: Scored,
) -> dict[str, Any]:
    """``sides`` has the figures of all pairs and of each set by the way of judging; ``scored`` is with all
    networks. Raises DataError."""
    settings, sides = FitSettings(), {"with": _shown(scored)}
    own = added(table, settings)
    ways = {"without": (sorted(table.vectors.keys() - own), settings)}
    ways |= {f"{name} alone": ([name], _by_itself(name)) for name in own}
    for way, (names, fit) in ways.items():
        fewer = replace(table, vectors=_only(table.vectors, names))
        seen = replace(embedded, vectors=_only(embedded.vectors, names))
        judge_for = partial(judge_without, table=fewer, settings=fit)
        sides[way] = _shown(score_pairs(pairs, seen, people, judge_for))
    return {"networks": own, "sides": sides}


def _by_itself(name: str) -> FitSettings:
    return FitSettings(weights={name: 1.0}, centred=frozenset())


def _only(vectors: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: vectors[name] for name in names}


def _shown(scored: Scored) -> dict[str, Any]:
    """All pairs, and each named set."""
    whole = summary(scored, {})
    sets = {name: {key: row[key] for key in SHOWN} for name, row in whole["sets"].items()}
    return {"all": {key: whole[key] for key in SHOWN}, **sets}


def gate_figures(judges: Judges, table: FaceTable) -> dict[str, Any]:
    """What the promotion gate says of a head with the added networks, the one without being champion.

    Both are fitted on two of three people and held against the third. Raises DataError where these are too
    few to fit on.
    """
    settings, tested = FitSettings(), table.identity % TESTED == 0
    learned = table.only(~tested)
    own = added(table, settings)
    without = replace(learned, vectors={n: rows for n, rows in learned.vectors.items() if n not in own})
    champion, challenger = (
        replace(judges, scorer=fit_scorer(faces, settings), gender=fit_gender(faces, settings))
        for faces in (without, learned)
    )
    faces = table.only(tested)
    ages = np.full(len(faces.identity), NO_AGE)
    return asdict(judge_challenger(champion, challenger, FrozenFaces(faces, ages)))
