"""Head mode: train the projection of one tower on embeddings that are computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.bundles.head import Head
from pipeline.bundles.identities import FittedOn, Learner
from pipeline.bundles.models import HeadParams
from pipeline.errors import DataError
from pipeline.faces.types import Embeddings, Flags, Scores
from pipeline.fitting.first_stage import fit_first_stage
from pipeline.fitting.fit import (
    FEMALE,
    MALE,
    FaceTable,
    FitSettings,
    fit_gender,
    fit_towers,
    pair_scores,
    replay_limits,
    thresholds_at,
)
from pipeline.score import GenderHead, Scorer, Thresholds, Tower
from pipeline.training.data.pairs import draw_pairs, split_by_identity
from pipeline.training.networks.backbones import precomputed
from pipeline.training.networks.learning import (
    Batch,
    History,
    batches,
    learn,
    run_epoch,
    seed_everything,
    verification_rate,
)
from pipeline.training.networks.siamese import build_siamese
from pipeline.training.recipe import Recipe, TrainingFaces

ENOUGH_FACES = 2000
"""With fewer faces, training starts from the bundle's means and projections."""
ENOUGH_OF_A_GENDER = 50
"""With fewer people of either gender, the bundle's gender head is kept."""
ENOUGH_FALSE_MATCHES = 3
"""The approve threshold may only be lowered where so many false matches are expected among impostors of the
users' kind."""
NO_THRESHOLDS = Thresholds(0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedHead:
    """The result of a head training."""

    params: HeadParams
    history: History


def train_head(
    faces: TrainingFaces,
    base: HeadParams,
    recipe: Recipe,
    genders: FaceTable | None = None,
    copies: Embeddings | None = None,
) -> TrainedHead:
    """Train the projection of the recipe's tower, then set thresholds, gender and replay limit.

    ``base`` has today's parameters; its occlusion and quality are kept. ``genders`` are further faces for the
    gender head; ``copies`` (k, n, d) are embeddings of k augmented copies of each face by the trained tower's
    network. Raises DataError where the faces give no pairs.
    """
    seed_everything(recipe.schedule.seed)
    start = starting_scorer(faces.table, base, recipe)
    held = split_by_identity(faces.table.identity, recipe.hold_out, recipe.schedule.seed)
    learner = _Learner(recipe, start.towers[recipe.tower], faces, copies)
    tower, history = learner.learn(held)
    scorer = with_tower(start, recipe, tower)
    scores = _honest_scores(faces, scorer, learner, history.best)
    thresholds = guarded_thresholds(*scores, base.scorer.thresholds, recipe.fit)
    scorer = replace(scorer, thresholds=thresholds)
    gender = gender_head(faces.table, genders, recipe.fit) or base.gender
    replay = replay_limits(scorer, faces.table)
    stage = fit_first_stage(scorer, faces.table, base.first_stage)
    return TrainedHead(HeadParams(scorer, gender, base.occlusion, base.quality, replay, stage), history)


def starting_scorer(table: FaceTable, base: HeadParams, recipe: Recipe) -> Scorer:
    """Untrained towers without thresholds, fitted on these faces where there are enough, else the bundle's.

    Raises DataError for a bundle without the tower that is trained.
    """
    if recipe.tower not in base.scorer.towers:
        raise DataError(f"the bundle holds no {recipe.tower} whose projection could be trained")
    if len(table.identity) < ENOUGH_FACES:
        return replace(base.scorer, thresholds=NO_THRESHOLDS)
    return fit_towers(table, recipe.fit)


def with_tower(scorer: Scorer, recipe: Recipe, tower: Tower) -> Scorer:
    """The scorer with this tower in place of the one that the recipe trains."""
    return replace(scorer, towers={**scorer.towers, recipe.tower: tower})


def inherits(base: HeadParams, new: HeadParams, table: FaceTable) -> bool:
    """Whether the new head, trained on ``table``, still holds something that ``base`` was fitted to."""
    kept = new.gender is base.gender or new.scorer.thresholds.approve == base.scorer.thresholds.approve
    return kept or len(table.identity) < ENOUGH_FACES


def inherited(head: Head, base: HeadParams, new: HeadParams, table: FaceTable) -> FittedOn:
    """The people that ``head``, that of ``base``, was fitted on, so far as the new head depends on them."""
    before = head.fitted_on
    return before if inherits(base, new, table) else before.only(Learner.NETWORKS)


class _Learner:
    """One network that is trained repeatedly from the same start, on some of the faces."""

    def __init__(self, recipe: Recipe, start: Tower, faces: TrainingFaces, copies: Embeddings | None) -> None:
        self.recipe, self._weight, self._faces = recipe, start.weight, faces
        own = faces.table.embeddings[recipe.tower][None]
        self._embeddings = own if copies is None else np.concatenate([own, copies])  # (1 + k, n, d)
        size, dimensions = start.projection.shape
        self._siamese = build_siamese(precomputed(size), dimensions, recipe.siamese)
        self._siamese.set_tower(start)
        self._start = self._siamese.state()

    def learn(self, held: Flags) -> tuple[Tower, History]:
        """Train until the held-out people, (n,) flags of their faces, gain no more."""
        self._siamese.restore(self._start)
        embeddings, labels = self._embeddings[0][held], self._faces.labels.only(held)

        def validate() -> float:
            return verification_rate(self._siamese.tower(1.0).project(embeddings), labels)

        history = learn(self._siamese, lambda n: self._epoch(~held, n), validate, self.recipe.schedule)
        return self._siamese.tower(self._weight), history

    def repeat(self, learned: Flags, epochs: int) -> Tower:
        """The tower after so many epochs on these faces alone."""
        self._siamese.restore(self._start)
        for number in range(1, epochs + 1):
            run_epoch(self._siamese, self._epoch(learned, number))
        return self._siamese.tower(self._weight)

    def _epoch(self, learned: Flags, number: int) -> Iterator[Batch]:
        """New pairs in each epoch, copies among them; hard pairs are those that are hard by now."""
        schedule, rows = self.recipe.schedule, np.tile(np.flatnonzero(learned), len(self._embeddings))
        embeddings = np.concatenate(self._embeddings[:, learned])
        labels = self._faces.labels.only(rows)
        rng = np.random.default_rng((schedule.seed, number))
        pairs = draw_pairs(labels, self._siamese.tower(1.0).project(embeddings), self.recipe.pairs, rng)
        return batches(pairs, labels, schedule.batch, lambda chosen, _side: embeddings[chosen])


def _honest_scores(
    faces: TrainingFaces, trained: Scorer, learner: _Learner, epochs: int
) -> tuple[Scores, Scores, Scores]:
    """`all_scores` by projections that were not trained on the people they score.

    Pairs of trained people have better scores than those of others. Each half of the people is scored by a
    projection that was trained, for as many epochs as the final one, on the other half.
    """
    if epochs == 0:
        return all_scores(trained, faces.table)
    half = split_by_identity(faces.table.identity, 0.5, learner.recipe.schedule.seed)
    parts = []
    for tested in (half, ~half):
        tower = learner.repeat(~tested, epochs)
        parts.append(all_scores(with_tower(trained, learner.recipe, tower), faces.table.only(tested)))
    genuine, everybody, users_kind = (np.concatenate(scores) for scores in zip(*parts, strict=True))
    return genuine, everybody, users_kind


def all_scores(scorer: Scorer, table: FaceTable) -> tuple[Scores, Scores, Scores]:
    """Scores of the genuine pairs, of all impostor pairs, and of the impostor pairs of the users' kind."""
    genuine, everybody = pair_scores(scorer, table)
    return genuine, everybody, pair_scores(scorer, table.only(table.users_kind))[1]


def guarded_thresholds(
    genuine: Scores, everybody: Scores, users_kind: Scores, before: Thresholds, settings: FitSettings
) -> Thresholds:
    """Thresholds at the settings' rates; those for refused faces are kept.

    Too few impostors of the users' kind may only raise the approve threshold: a few pairs, or people who are
    easier to tell apart than the users, could otherwise lower it by chance.
    """
    thresholds = thresholds_at(genuine, users_kind if len(users_kind) else everybody, settings).keeping(
        before
    )
    if len(users_kind) * settings.approve_fmr >= ENOUGH_FALSE_MATCHES:
        return thresholds
    return replace(thresholds, approve=max(thresholds.approve, before.approve))


def gender_head(table: FaceTable, more: FaceTable | None, settings: FitSettings) -> GenderHead | None:
    """A gender head fitted on these faces; None where a gender has too few people."""
    everybody = FaceTable.joined([table, more]) if more else table
    for gender in (MALE, FEMALE):
        if len(np.unique(everybody.identity[everybody.gender == gender])) < ENOUGH_OF_A_GENDER:
            return None
    return fit_gender(everybody, settings)
