"""What is learned from open data: the scorer's means, projection and edges, and the gender head.

Small convex problems on embeddings that are computed once, so a fit takes seconds and gives
the same numbers every time. Cross-fit evaluation calls the same functions with the tested
people left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from pipeline.bundles.head_params import ReplayLimits
from pipeline.errors import DataError
from pipeline.faces.types import Vectors
from pipeline.fitting import metrics
from pipeline.fitting.fusion import LabelledVectors, with_learned_weights
from pipeline.gender import GenderJudge
from pipeline.score import Edges, Scorer, Tower

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
MALE, FEMALE, UNKNOWN = 1, 0, -1

REPLAY_SHARE = 0.001
"""Of genuine pairs that look like one picture sent twice: what a person is shown for nothing."""
COME_ALONG = {"facenet", "sface", "mobilefacenet", "faceres", "vgg19", "own_cnn"}
"""Embedders that this project makes; any other in a table is an operator's own."""
ENOUGH_FOR_WEIGHTS = 50
"""People of the users' kind by whose impostor pairs the weights of added networks are learned."""
BLOCK = 1024
"""Rows of a score matrix that are held at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceTable:
    """n labelled faces and their embeddings, (n, d) for each embedder by name."""

    vectors: Mapping[str, Vectors]
    identity: Codes
    gender: Codes
    """`MALE`, `FEMALE` or `UNKNOWN`."""
    users_kind: Flags
    """Faces like the users': the approve edge is set by their impostor pairs."""
    weight: NDArray[np.float64]
    """Of a face in the gender fit."""

    def only(self, chosen: Flags) -> FaceTable:
        """The flagged faces."""
        return FaceTable(
            {name: rows[chosen] for name, rows in self.vectors.items()},
            self.identity[chosen],
            self.gender[chosen],
            self.users_kind[chosen],
            self.weight[chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """Copies of k photos of a table, spoilt so that a gate refuses the face.

    ``rows`` (k,) were copied, ``others`` (k,) are another photo of the same person each; ``vectors`` are
    the copies' embeddings, (k, d) for each embedder by name.
    """

    rows: Codes
    others: Codes
    vectors: Mapping[str, Vectors]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How the shipped head is fitted. The choices were made on LFW's folds 1 to 3."""

    weights: Mapping[str, float] = field(
        default_factory=lambda: {"sface": 1.0, "mobilefacenet": 0.2, "facenet": 0.1}
    )
    """Of the embedders that a table has vectors of. Those of an operator's own networks are learned
    (`pipeline.fitting.fusion`)."""
    centred: frozenset[str] = frozenset({"facenet", "mobilefacenet"})
    """Embedders whose mean is taken off. SFace's is not: that doubles the share of seniors'
    impostors that pass."""
    dimensions: Mapping[str, int] = field(default_factory=lambda: {"facenet": 128})
    """Directions that are kept; all where none are named."""
    approve_fmr: float = 0.001
    different_fnmr: float = 0.003
    refused_fnmr: float = 0.005
    """The same where a gate refuses one of the two faces."""
    not_for_gender: frozenset[str] = frozenset({"mobilefacenet"})
    """Embedders that gender is not read from. Nor is it from those that an operator has added."""
    gender_strength: float = 1.0
    """Inverse of the regularisation of the gender head."""
    gender_margin: float = 0.70


def fit_scorer(table: FaceTable, settings: FitSettings) -> Scorer:
    """Means, projections and edges. Raises DataError where a table cannot give them."""
    scorer = fit_towers(table, settings)
    return replace(scorer, edges=fit_edges(scorer, table, settings))


def fit_towers(table: FaceTable, settings: FitSettings) -> Scorer:
    """Means and projections; every edge is 0."""
    compared = sorted(settings.weights.keys() & table.vectors.keys())
    towers = {name: _tower(table.vectors[name], name, settings) for name in compared}
    further = added(table, settings)
    towers |= {name: _tower(table.vectors[name], name, settings) for name in further}
    faces, fmr = _teaching_weights(table), settings.approve_fmr
    return with_learned_weights(Scorer(towers, Edges(0.0, 0.0, 1.0)), faces, further, fmr)


def _teaching_weights(table: FaceTable) -> LabelledVectors:
    """Impostors of the users' kind, as for the approve edge; everybody's where they are few."""
    known = table.only(table.gender != UNKNOWN)
    kind = known.users_kind
    several = len(np.unique(known.identity[kind])) >= ENOUGH_FOR_WEIGHTS
    impostors = kind if several else np.ones(len(kind), np.bool_)
    return LabelledVectors(known.vectors, known.identity, known.gender, impostors)


def added(table: FaceTable, settings: FitSettings) -> list[str]:
    """The operator's own embedders of a table."""
    return sorted(table.vectors.keys() - settings.weights.keys() - COME_ALONG)


def _tower(vectors: Vectors, name: str, settings: FitSettings) -> Tower:
    """The mean, where it is taken off, and the directions in which faces differ most (PCA).

    A projection onto the leading directions keeps nearly all of the cosine, so an untrained
    head is as good as the embedder itself; training starts from here.
    """
    size = vectors.shape[1]
    mean = vectors.mean(axis=0) if name in settings.centred else np.zeros(size, np.float32)
    keep = min(settings.dimensions.get(name, size), size)
    if keep == size:
        return Tower(mean.astype(np.float32), np.eye(size, dtype=np.float32), settings.weights.get(name, 0.0))
    centred = (vectors - mean).astype(np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    projection = directions[:, ::-1][:, :keep].astype(np.float32)
    return Tower(mean.astype(np.float32), projection, settings.weights.get(name, 0.0))


def fit_edges(scorer: Scorer, table: FaceTable, settings: FitSettings) -> Edges:
    """The approve edge by FMR among the users' kind, the different edge by FNMR of all.

    Every two people of the users' kind weigh the same, however many photos they have: two look-alikes
    with many would set the edge alone. Without impostor pairs of that kind it is set by everybody's.
    """
    return edges_by_kind(genuine_scores(scorer, table), scorer, table.only(table.users_kind), table, settings)


def edges_by_kind(
    genuine: metrics.Scores, scorer: Scorer, kind: FaceTable, everybody: FaceTable, settings: FitSettings
) -> Edges:
    """Edges by the impostor pairs of ``kind`` or, where it has none, of ``everybody``."""
    alike, weight = users_impostors(scorer, kind)
    if len(alike):
        return edges_at(genuine, alike, settings, weight)
    return edges_at(genuine, pair_scores(scorer, everybody)[1], settings)


def edges_at(
    genuine: metrics.Scores,
    impostor: metrics.Scores,
    settings: FitSettings,
    weight: metrics.Scores | None = None,
) -> Edges:
    """The edges that the settings' rates give on these pairs. Raises DataError without any.

    ``weight`` (n,) is of the impostor pairs; all count alike without it. The slope is how fast the log of
    the false-match rate falls between ten times the rate and the edge.
    """
    if len(genuine) == 0 or len(impostor) == 0:
        raise DataError("the faces give no genuine or no impostor pairs: edges cannot be set")
    rate = settings.approve_fmr
    approve, loose = (metrics.threshold_at_fmr(impostor, rate * times, weight) for times in (1, 10))
    different = min(metrics.threshold_at_fnmr(genuine, settings.different_fnmr), approve)
    return Edges(approve, different, float(np.log(10) / max(approve - loose, 1e-6)))


def users_impostors(scorer: Scorer, table: FaceTable) -> tuple[metrics.Scores, metrics.Scores]:
    """Scores of all impostor pairs of one gender, and weights (n,) with which every two people count once."""
    table = table.only(table.gender != UNKNOWN)
    first, second = np.triu_indices(len(table.identity), 1)
    person, gender = table.identity, table.gender
    apart = (person[first] != person[second]) & (gender[first] == gender[second])
    first, second = first[apart], second[apart]
    projected = scorer.project(table.vectors)
    two = np.sort(np.column_stack([person[first], person[second]]), axis=1)
    _, which, count = np.unique(two, axis=0, return_inverse=True, return_counts=True)
    return scorer.matrix(projected, projected)[first, second], 1.0 / count[which.reshape(-1)]


def fit_refused(
    scorer: Scorer, table: FaceTable, copies: Mapping[str, Copies], settings: FitSettings
) -> dict[str, float]:
    """The thresholds of `Edges.refused`, by the outcome for which the ``copies`` were made.

    Below each lies the setting's share of the genuine pairs of a copy and another photo.
    """
    return {
        outcome: min(
            metrics.threshold_at_fnmr(copied_scores(scorer, table, some), settings.refused_fnmr),
            scorer.edges.different,
        )
        for outcome, some in copies.items()
        if len(some.rows)
    }


def copied_scores(scorer: Scorer, table: FaceTable, copies: Copies) -> metrics.Scores:
    """(k,) of each copy with the other photo of the same person."""
    others = {name: vectors[copies.others] for name, vectors in table.vectors.items()}
    return scorer.scores(scorer.project(copies.vectors), scorer.project(others))


def pair_scores(scorer: Scorer, table: FaceTable) -> tuple[metrics.Scores, metrics.Scores]:
    """Scores of all genuine pairs, and of all impostor pairs of one gender, where it is known."""
    table = table.only(table.gender != UNKNOWN)
    projected = scorer.project(table.vectors)
    genuine, impostor = [np.empty(0)], [np.empty(0)]
    for start in range(0, len(table.identity), BLOCK):
        rows = slice(start, start + BLOCK)
        scores = scorer.matrix({name: v[rows] for name, v in projected.items()}, projected)
        later = np.arange(len(table.identity))[None] > np.arange(len(table.identity))[rows, None]
        same = table.identity[rows, None] == table.identity[None]
        genuine.append(scores[later & same])
        impostor.append(scores[later & ~same & (table.gender[rows, None] == table.gender[None])])
    return np.concatenate(genuine), np.concatenate(impostor)


def genuine_scores(scorer: Scorer, table: FaceTable) -> metrics.Scores:
    """Scores of all pairs of one person's photos, where the gender is known."""
    known = table.only(table.gender != UNKNOWN)
    return np.concatenate([np.empty(0), *scores_of_each(scorer, known)])


def scores_of_each(scorer: Scorer, table: FaceTable) -> Iterator[metrics.Scores]:
    """For each person with two photos or more, the scores of all pairs of them."""
    projected = scorer.project(table.vectors)
    for rows in metrics.rows_of_each(table.identity):
        if len(rows) > 1:
            own = {name: vectors[rows] for name, vectors in projected.items()}
            yield scorer.matrix(own, own)[np.triu_indices(len(rows), 1)]


def fit_gender(table: FaceTable, settings: FitSettings) -> GenderJudge:
    """A logistic head on the embeddings. Both genders weigh the same. Raises DataError."""
    known = table.only(table.gender != UNKNOWN)
    counts = np.bincount(known.gender, weights=known.weight, minlength=2)
    if not counts.all():
        raise DataError("the faces show one gender only: a gender head cannot be fitted")
    names = sorted(known.vectors.keys() - settings.not_for_gender - {*added(known, settings)})
    weight = known.weight * (counts.sum() / 2 / counts)[known.gender]
    model = LogisticRegression(C=settings.gender_strength, max_iter=2000)
    model.fit(np.hstack([known.vectors[name] for name in names]), known.gender, sample_weight=weight)
    widths = np.cumsum([known.vectors[name].shape[1] for name in names])[:-1]
    parts = np.split(model.coef_[0].astype(np.float32), widths)
    return GenderJudge(
        dict(zip(names, parts, strict=True)), float(model.intercept_[0]), settings.gender_margin
    )


def replay_limits(scorer: Scorer, table: FaceTable) -> ReplayLimits:
    """A likeness that only `REPLAY_SHARE` of genuine pairs of different pictures reach."""
    alike = genuine_scores(replace(scorer, expectation=None), table)
    return ReplayLimits(score=metrics.threshold_at_fmr(alike, REPLAY_SHARE))
