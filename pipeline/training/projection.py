"""Head mode: the projection of one tower trained on embeddings that are computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.evaluation.genders import joined
from pipeline.fit import (
    FEMALE,
    MALE,
    FaceTable,
    FitSettings,
    edges_at,
    fit_edges,
    fit_gender,
    fit_towers,
    pair_scores,
    replay_limits,
)
from pipeline.gender import GenderJudge
from pipeline.judges import Judges
from pipeline.score import Edges, Scorer, Tower
from pipeline.training.backbones import precomputed
from pipeline.training.learning import (
    Batch,
    History,
    batches,
    learn,
    run_epoch,
    seed_everything,
    told_apart,
)
from pipeline.training.pairs import draw_pairs, split_by_identity
from pipeline.training.recipe import Recipe, TrainingFaces
from pipeline.training.siamese import Siamese, build_siamese

ENOUGH_FACES = 2000
"""For a mean and directions of their own; with fewer, training starts from the bundle's."""
ENOUGH_OF_A_GENDER = 50
"""People of each gender for a gender head of their own; with fewer the bundle's stays."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedHead:
    """What a head training gives."""

    judges: Judges
    history: History


def train_head(
    faces: TrainingFaces, base: Judges, recipe: Recipe, genders: FaceTable | None = None
) -> TrainedHead:
    """Train the projection of the recipe's tower, then set edges, gender and replay limit anew.

    ``base`` is what the bundle judges with today; occlusion and quality stay as they are there.
    ``genders`` are further faces for the gender head alone. Raises DataError where the faces
    give no pairs.
    """
    seed_everything(recipe.schedule.seed)
    towers = starting_towers(faces.table, base, recipe)
    held = split_by_identity(faces.table.identity, recipe.hold_out, recipe.schedule.seed)
    learner = _Learner(recipe, towers[recipe.tower])
    siamese, history = learner.learn(faces.only(~held), faces.only(held))
    trained = {**towers, recipe.tower: siamese.tower(towers[recipe.tower].weight)}
    edges = _honest_edges(faces, trained, learner, history.best, recipe.fit)
    scorer = Scorer(trained, edges)
    gender = gender_judge(faces.table, genders, recipe.fit) or base.gender
    replay = replay_limits(scorer, faces.table)
    return TrainedHead(Judges(scorer, gender, base.occlusion, base.quality, replay), history)


def starting_towers(table: FaceTable, base: Judges, recipe: Recipe) -> dict[str, Tower]:
    """Untrained towers: from these faces where there are enough of them, else the bundle's.

    Raises DataError for a bundle without the tower that is to be trained.
    """
    if recipe.tower not in base.scorer.towers:
        raise DataError(f"the bundle holds no {recipe.tower} whose projection could be trained")
    if len(table.identity) < ENOUGH_FACES:
        return dict(base.scorer.towers)
    return dict(fit_towers(table, recipe.fit).towers)


@dataclass(frozen=True, slots=True, eq=False)
class _Learner:
    recipe: Recipe
    start: Tower

    def learn(self, learned: TrainingFaces, held: TrainingFaces) -> tuple[Siamese, History]:
        """Until the people held out gain no more."""
        siamese, vectors = self._fresh(), held.table.vectors[self.recipe.tower]

        def judge() -> float:
            return told_apart(siamese.tower(1.0).project(vectors), held.labels)

        history = learn(siamese, lambda n: self._epoch(siamese, learned, n), judge, self.recipe.schedule)
        return siamese, history

    def repeat(self, learned: TrainingFaces, epochs: int) -> Tower:
        """The tower after so many epochs on these faces alone."""
        siamese = self._fresh()
        for number in range(1, epochs + 1):
            run_epoch(siamese, self._epoch(siamese, learned, number))
        return siamese.tower(self.start.weight)

    def _fresh(self) -> Siamese:
        size, dimensions = self.start.projection.shape
        siamese = build_siamese(precomputed(size), dimensions, self.recipe.siamese)
        siamese.set_tower(self.start)
        return siamese

    def _epoch(self, siamese: Siamese, learned: TrainingFaces, number: int) -> Iterator[Batch]:
        """New pairs each time; the hard ones are those that are hard by now."""
        vectors, schedule = learned.table.vectors[self.recipe.tower], self.recipe.schedule
        rng = np.random.default_rng((schedule.seed, number))
        pairs = draw_pairs(learned.labels, siamese.tower(1.0).project(vectors), self.recipe.pairs, rng)
        return batches(pairs, learned.labels, schedule.batch, lambda rows, _side: vectors[rows])


def _honest_edges(
    faces: TrainingFaces, towers: dict[str, Tower], learner: _Learner, epochs: int, settings: FitSettings
) -> Edges:
    """Edges from people whom the projection that scores them has not learned from.

    Those who were learned from look better apart than strangers will, so each half of the people
    is scored by a projection that was trained, as long as the final one, on the other half.
    """
    if epochs == 0:
        return fit_edges(Scorer(towers, Edges(0.0, 0.0, 1.0)), faces.table, settings)
    half = split_by_identity(faces.table.identity, 0.5, learner.recipe.schedule.seed)
    scores = []
    for tested in (half, ~half):
        tower = learner.repeat(faces.only(~tested), epochs)
        scorer = Scorer({**towers, learner.recipe.tower: tower}, Edges(0.0, 0.0, 1.0))
        scores.append(_scores(scorer, faces.table.only(tested)))
    genuine, everybody, alike = (np.concatenate(parts) for parts in zip(*scores, strict=True))
    return edges_at(genuine, alike if len(alike) else everybody, settings)


def _scores(scorer: Scorer, table: FaceTable) -> tuple[NDArray[np.float64], ...]:
    genuine, everybody = pair_scores(scorer, table)
    return genuine, everybody, pair_scores(scorer, table.only(table.users_kind))[1]


def gender_judge(table: FaceTable, more: FaceTable | None, settings: FitSettings) -> GenderJudge | None:
    """A gender head from these faces; None where one gender has too few people."""
    everybody = joined(table, more) if more else table
    for gender in (MALE, FEMALE):
        if len(np.unique(everybody.identity[everybody.gender == gender])) < ENOUGH_OF_A_GENDER:
            return None
    return fit_gender(everybody, settings)
