"""Fit a head on labelled faces: means, projections, thresholds and the gender head.

The problems are small and convex, on embeddings that are computed once, so a fit takes seconds and always
gives the same numbers. Cross-fit evaluation calls the same functions without the tested people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from pipeline.bundles.models import ReplayLimits
from pipeline.errors import DataError
from pipeline.faces.types import Codes, Doubles, Embeddings, EmbeddingsByName, Flags, Rows, Scores
from pipeline.fitting import metrics
from pipeline.fitting.fusion import LabelledEmbeddings, with_learned_weights
from pipeline.score import GenderHead, Scorer, Thresholds, Tower

MALE, FEMALE, UNKNOWN = 1, 0, -1

REPLAY_SHARE = 0.001
"""Share of genuine pairs that are taken for one picture sent twice and reviewed for nothing."""
COME_ALONG = {
    *("facenet", "sface", "sface8", "mobilefacenet", "faceres", "faceres8"),
    *("vgg19", "own_cnn"),
}
"""Embedders of this project; any other in a table is an operator's own."""
ENOUGH_FOR_WEIGHTS = 50
"""With fewer people of the users' kind the weights of added networks are learned on everybody."""
BLOCK = 1024
"""Rows of a score matrix that are computed at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceTable(Rows):
    """n labelled faces and their embeddings, (n, d) by embedder."""

    embeddings: EmbeddingsByName
    identity: Codes
    gender: Codes
    """`MALE`, `FEMALE` or `UNKNOWN`."""
    users_kind: Flags
    """Whether the face is like the users'; the approve threshold is set on such impostor pairs."""
    weight: Doubles
    """Weight of the face in the gender fit."""


@dataclass(frozen=True, slots=True, eq=False)
class DegradedCopies:
    """Copies of k photos of a table, degraded so that a gate refuses the face.

    ``rows`` (k,) are the copied photos, ``others`` (k,) another photo of the same person each; ``embeddings``
    are those of the copies, (k, d) by embedder.
    """

    rows: Codes
    others: Codes
    embeddings: EmbeddingsByName


@dataclass(frozen=True, slots=True)
class FitSettings:
    """The settings of a fit. The defaults were chosen on LFW's folds 1 to 3."""

    weights: Mapping[str, float] = field(
        default_factory=lambda: {"sface": 1.0, "mobilefacenet": 0.2, "facenet": 0.1}
    )
    """Of the embedders in a table. Weights of an operator's own networks are learned
    (`pipeline.fitting.fusion`)."""
    centred: frozenset[str] = frozenset({"facenet", "mobilefacenet"})
    """Embedders whose mean is subtracted. Subtracting SFace's doubles the false-match rate among seniors."""
    dimensions: Mapping[str, int] = field(default_factory=lambda: {"facenet": 128})
    """Number of directions that are kept; all without an entry."""
    approve_fmr: float = 0.001
    different_fnmr: float = 0.003
    refused_fnmr: float = 0.005
    """The rate of the different threshold where a gate refuses one of the two faces."""
    for_gender: frozenset[str] = frozenset({"faceres8", "sface8"})
    """The embedders of the gender head, where a table has them all: fast ones, which read genders as well as
    with FaceNet added."""
    not_for_gender: frozenset[str] = frozenset({"mobilefacenet", "sface8", "faceres8"})
    """Embedders that it does not use otherwise. It does not use added ones either."""
    gender_strength: float = 1.0
    """Inverse of the regularisation of the gender head."""
    gender_margin: float = 0.70


def fit_scorer(table: FaceTable, settings: FitSettings) -> Scorer:
    """Means, projections and thresholds. Raises DataError where the table has too few pairs."""
    scorer = fit_towers(table, settings)
    return replace(scorer, thresholds=fit_thresholds(scorer, table, settings))


def fit_towers(table: FaceTable, settings: FitSettings) -> Scorer:
    """A scorer with means and projections, whose thresholds are 0."""
    compared = sorted(settings.weights.keys() & table.embeddings.keys())
    towers = {name: _tower(table.embeddings[name], name, settings) for name in compared}
    further = added_embedders(table, settings)
    towers |= {name: _tower(table.embeddings[name], name, settings) for name in further}
    faces, fmr = _faces_for_weights(table), settings.approve_fmr
    return with_learned_weights(Scorer(towers, Thresholds(0.0, 0.0, 1.0)), faces, further, fmr)


def _faces_for_weights(table: FaceTable) -> LabelledEmbeddings:
    """Impostors of the users' kind; everybody where they are few."""
    known = table.only(table.gender != UNKNOWN)
    kind = known.users_kind
    several = len(np.unique(known.identity[kind])) >= ENOUGH_FOR_WEIGHTS
    impostors = kind if several else np.ones(len(kind), np.bool_)
    return LabelledEmbeddings(known.embeddings, known.identity, known.gender, impostors)


def added_embedders(table: FaceTable, settings: FitSettings) -> list[str]:
    """The operator's own embedders in a table, by name."""
    return sorted(table.embeddings.keys() - settings.weights.keys() - COME_ALONG)


def _tower(embeddings: Embeddings, name: str, settings: FitSettings) -> Tower:
    """The mean, where it is subtracted, and the directions in which faces differ most (PCA).

    Projecting onto the leading directions keeps nearly all of the cosine, so an untrained head is as good as
    the embedder itself; training starts from here.
    """
    size = embeddings.shape[1]
    mean = embeddings.mean(axis=0) if name in settings.centred else np.zeros(size, np.float32)
    keep = min(settings.dimensions.get(name, size), size)
    if keep == size:
        return Tower(mean.astype(np.float32), np.eye(size, dtype=np.float32), settings.weights.get(name, 0.0))
    centred = (embeddings - mean).astype(np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    projection = directions[:, ::-1][:, :keep].astype(np.float32)
    return Tower(mean.astype(np.float32), projection, settings.weights.get(name, 0.0))


def fit_thresholds(scorer: Scorer, table: FaceTable, settings: FitSettings) -> Thresholds:
    """The approve threshold by the FMR of the users' kind, the different threshold by the FNMR of all.

    Every two people of the users' kind have the same weight, however many photos they have, so that two
    similar people with many photos do not set the threshold alone. Without impostor pairs of that kind all
    impostor pairs are used.
    """
    return thresholds_by_kind(
        genuine_scores(scorer, table), scorer, table.only(table.users_kind), table, settings
    )


def thresholds_by_kind(
    genuine: Scores, scorer: Scorer, kind: FaceTable, everybody: FaceTable, settings: FitSettings
) -> Thresholds:
    """Thresholds by the impostor pairs of ``kind`` or, where it has none, of ``everybody``."""
    impostor, weight = users_impostors(scorer, kind)
    if len(impostor):
        return thresholds_at(genuine, impostor, settings, weight)
    return thresholds_at(genuine, pair_scores(scorer, everybody)[1], settings)


def thresholds_at(
    genuine: Scores, impostor: Scores, settings: FitSettings, weight: Scores | None = None
) -> Thresholds:
    """The thresholds at the settings' rates on these pairs. Raises DataError without pairs.

    ``weight`` (n,) is of the impostor pairs; without it all have the same. The slope is how fast the log of
    the false-match rate falls between ten times the rate and the threshold.
    """
    if len(genuine) == 0 or len(impostor) == 0:
        raise DataError("the faces give no genuine or no impostor pairs: thresholds cannot be set")
    rate = settings.approve_fmr
    approve, loose = (metrics.threshold_at_fmr(impostor, rate * times, weight) for times in (1, 10))
    different = min(metrics.threshold_at_fnmr(genuine, settings.different_fnmr), approve)
    return Thresholds(approve, different, float(np.log(10) / max(approve - loose, 1e-6)))


def users_impostors(scorer: Scorer, table: FaceTable) -> tuple[Scores, Scores]:
    """Scores of all impostor pairs of one gender, and weights (n,) with which every two people count once."""
    table = table.only(table.gender != UNKNOWN)
    first, second = np.triu_indices(len(table.identity), 1)
    person, gender = table.identity, table.gender
    apart = (person[first] != person[second]) & (gender[first] == gender[second])
    first, second = first[apart], second[apart]
    projected = scorer.project(table.embeddings)
    two = np.sort(np.column_stack([person[first], person[second]]), axis=1)
    _, which, count = np.unique(two, axis=0, return_inverse=True, return_counts=True)
    return scorer.matrix(projected, projected)[first, second], 1.0 / count[which.reshape(-1)]


def fit_refused(
    scorer: Scorer, table: FaceTable, copies: Mapping[str, DegradedCopies], settings: FitSettings
) -> dict[str, float]:
    """The thresholds `Thresholds.refused`, by the outcome for which the ``copies`` were made.

    The settings' share of the genuine pairs of a copy and another photo lies below each.
    """
    return {
        outcome: min(
            metrics.threshold_at_fnmr(copied_scores(scorer, table, some), settings.refused_fnmr),
            scorer.thresholds.different,
        )
        for outcome, some in copies.items()
        if len(some.rows)
    }


def copied_scores(scorer: Scorer, table: FaceTable, copies: DegradedCopies) -> Scores:
    """(k,) scores of each copy with the other photo of the same person."""
    others = {name: embeddings[copies.others] for name, embeddings in table.embeddings.items()}
    return scorer.scores(scorer.project(copies.embeddings), scorer.project(others))


def pair_scores(scorer: Scorer, table: FaceTable) -> tuple[Scores, Scores]:
    """Scores of all genuine pairs, and of all impostor pairs of one gender, among faces of known gender."""
    table = table.only(table.gender != UNKNOWN)
    projected = scorer.project(table.embeddings)
    genuine, impostor = [np.empty(0)], [np.empty(0)]
    for start in range(0, len(table.identity), BLOCK):
        rows = slice(start, start + BLOCK)
        scores = scorer.matrix({name: v[rows] for name, v in projected.items()}, projected)
        later = np.arange(len(table.identity))[None] > np.arange(len(table.identity))[rows, None]
        same = table.identity[rows, None] == table.identity[None]
        genuine.append(scores[later & same])
        impostor.append(scores[later & ~same & (table.gender[rows, None] == table.gender[None])])
    return np.concatenate(genuine), np.concatenate(impostor)


def genuine_scores(scorer: Scorer, table: FaceTable) -> Scores:
    """Scores of all genuine pairs among faces of known gender."""
    known = table.only(table.gender != UNKNOWN)
    return np.concatenate([np.empty(0), *genuine_scores_by_person(scorer, known)])


def genuine_scores_by_person(scorer: Scorer, table: FaceTable) -> Iterator[Scores]:
    """The scores of the genuine pairs of each person with two photos or more."""
    projected = scorer.project(table.embeddings)
    for rows in metrics.rows_of_each(table.identity):
        if len(rows) > 1:
            own = {name: embeddings[rows] for name, embeddings in projected.items()}
            yield scorer.matrix(own, own)[np.triu_indices(len(rows), 1)]


def fit_gender(table: FaceTable, settings: FitSettings) -> GenderHead:
    """A logistic head on the embeddings; both genders have the same weight. Raises DataError without both."""
    known = table.only(table.gender != UNKNOWN)
    counts = np.bincount(known.gender, weights=known.weight, minlength=2)
    if not counts.all():
        raise DataError("the faces show one gender only: a gender head cannot be fitted")
    names = sorted(gender_embedders(known, settings))
    weight = known.weight * (counts.sum() / 2 / counts)[known.gender]
    model = LogisticRegression(C=settings.gender_strength, max_iter=2000)
    model.fit(np.hstack([known.embeddings[name] for name in names]), known.gender, sample_weight=weight)
    widths = np.cumsum([known.embeddings[name].shape[1] for name in names])[:-1]
    parts = np.split(model.coef_[0].astype(np.float32), widths)
    return GenderHead(
        dict(zip(names, parts, strict=True)), float(model.intercept_[0]), settings.gender_margin
    )


def gender_embedders(table: FaceTable, settings: FitSettings) -> frozenset[str]:
    """The embedders that a gender head is fitted on."""
    there = frozenset(table.embeddings)
    if settings.for_gender <= there:
        return settings.for_gender
    return there - settings.not_for_gender - {*added_embedders(table, settings)}


def replay_limits(scorer: Scorer, table: FaceTable) -> ReplayLimits:
    """The limit that only `REPLAY_SHARE` of the genuine pairs of different pictures reach."""
    genuine = genuine_scores(replace(scorer, expectation=None), table)
    return ReplayLimits(score=metrics.threshold_at_fmr(genuine, REPLAY_SHARE))
