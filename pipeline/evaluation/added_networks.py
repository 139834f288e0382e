"""What an operator's own networks gain: figures with them, without them and by each alone, and the gate.

Each side is fitted without the people that it is tested on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

import numpy as np

from pipeline.bundles.models import HeadParams
from pipeline.datasets.data import Pair
from pipeline.datasets.embeddings import EmbeddingTable
from pipeline.datasets.tables import NO_AGE, PersonCodes
from pipeline.evaluation.protocol import fit_without, score_pairs
from pipeline.evaluation.report import Scored, summary
from pipeline.fitting.fit import FaceTable, FitSettings, added_embedders, fit_gender, fit_scorer
from pipeline.promotion.gate import check_challenger
from pipeline.promotion.paired_scores import FrozenFaces

TEST_SHARE: Final = 3
"""One of so many people is in the gate's test set, by their codes."""
SHOWN: Final = ("pairs", "failed_to_acquire", "undecided", "auc", "eer", "tar_at_fmr", "at_threshold")


def added_figures(
    pairs: Sequence[Pair], embedded: EmbeddingTable, people: PersonCodes, table: FaceTable, scored: Scored
) -> dict[str, Any]:
    """``sides`` has the figures of all pairs and of each set by the networks used. Raises DataError.

    ``scored`` are the pairs scored with all networks.
    """
    settings, sides = FitSettings(), {"with": _shown(scored)}
    own = added_embedders(table, settings)
    ways = {"without": (sorted(table.embeddings.keys() - own), settings)}
    for name in own:
        ways[f"{name} alone"] = ([name], FitSettings(weights={name: 1.0}, centred=frozenset()))
    for way, (names, fit) in ways.items():
        fewer = replace(table, embeddings=_only(table.embeddings, names))
        fewer_embedded = replace(embedded, embeddings=_only(embedded.embeddings, names))
        scorer_for = partial(fit_without, table=fewer, settings=fit)
        sides[way] = _shown(score_pairs(pairs, fewer_embedded, people, scorer_for))
    return {"networks": own, "sides": sides}


def _only(embeddings: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: embeddings[name] for name in names}


def _shown(scored: Scored) -> dict[str, Any]:
    whole = summary(scored, {})
    sets = {name: {key: row[key] for key in SHOWN} for name, row in whole["sets"].items()}
    return {"all": {key: whole[key] for key in SHOWN}, **sets}


def gate_figures(params: HeadParams, table: FaceTable) -> dict[str, Any]:
    """What the promotion gate says of a head with the added networks, the one without being champion.

    Both are fitted on two of three people and tested on the third. Raises DataError where these are too few.
    """
    settings, in_test_set = FitSettings(), table.identity % TEST_SHARE == 0
    training = table.only(~in_test_set)
    own = added_embedders(table, settings)
    without = replace(
        training, embeddings={n: rows for n, rows in training.embeddings.items() if n not in own}
    )
    champion, challenger = (
        replace(params, scorer=fit_scorer(faces, settings), gender=fit_gender(faces, settings))
        for faces in (without, training)
    )
    faces = table.only(in_test_set)
    ages = np.full(len(faces.identity), NO_AGE)
    return asdict(check_challenger(champion, challenger, FrozenFaces(faces, ages)))
