"""Head mode: the projection of one tower trained on embeddings that are computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.bundles.head import Head
from pipeline.bundles.head_params import Judges
from pipeline.bundles.identities import FittedOn, Learner
from pipeline.datasets.labels import Flags
from pipeline.datasets.tables import joined
from pipeline.errors import DataError
from pipeline.faces.types import Vectors
from pipeline.fitting.fit import (
    FEMALE,
    MALE,
    FaceTable,
    FitSettings,
    edges_at,
    fit_gender,
    fit_towers,
    pair_scores,
    replay_limits,
)
from pipeline.fitting.metrics import Scores
from pipeline.gender import GenderJudge
from pipeline.score import Edges, Scorer, Tower
from pipeline.training.data.pairs import draw_pairs, split_by_identity
from pipeline.training.networks.backbones import precomputed
from pipeline.training.networks.learning import (
    Batch,
    History,
    batches,
    learn,
    run_epoch,
    seed_everything,
    told_apart,
)
from pipeline.training.networks.siamese import build_siamese
from pipeline.training.recipe import Recipe, TrainingFaces

ENOUGH_FACES = 2000
"""For a mean and directions of their own; with fewer, training starts from the bundle's."""
ENOUGH_OF_A_GENDER = 50
"""People of each gender for a gender head of their own; with fewer the bundle's stays."""
ENOUGH_FALSE_MATCHES = 3
"""So many must be expected among impostors of the users' kind before they may lower the approve edge."""
NO_EDGES = Edges(0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedHead:
    """What a head training gives."""

    judges: Judges
    history: History


def train_head(
    faces: TrainingFaces,
    base: Judges,
    recipe: Recipe,
    genders: FaceTable | None = None,
    copies: Vectors | None = None,
) -> TrainedHead:
    """Train the projection of the recipe's tower, then set edges, gender and replay limit anew.

    ``base`` is what the bundle judges with today; occlusion and quality stay as they are there.
    ``genders`` are further faces for the gender head alone; ``copies`` (k, n, d) is what the trained
    tower's network says of k augmented copies of each face. Raises DataError where the faces give
    no pairs.
    """
    seed_everything(recipe.schedule.seed)
    start = starting_scorer(faces.table, base, recipe)
    held = split_by_identity(faces.table.identity, recipe.hold_out, recipe.schedule.seed)
    learner = _Learner(recipe, start.towers[recipe.tower], faces, copies)
    tower, history = learner.learn(held)
    scorer = with_tower(start, recipe, tower)
    scores = _honest_scores(faces, scorer, learner, history.best)
    edges = guarded_edges(*scores, base.scorer.edges, recipe.fit)
    scorer = replace(scorer, edges=edges)
    gender = gender_judge(faces.table, genders, recipe.fit) or base.gender
    replay = replay_limits(scorer, faces.table)
    return TrainedHead(Judges(scorer, gender, base.occlusion, base.quality, replay), history)


def starting_scorer(table: FaceTable, base: Judges, recipe: Recipe) -> Scorer:
    """Untrained towers and no edges: from these faces where there are enough of them, else the bundle's.

    Raises DataError for a bundle without the tower that is to be trained.
    """
    if recipe.tower not in base.scorer.towers:
        raise DataError(f"the bundle holds no {recipe.tower} whose projection could be trained")
    if len(table.identity) < ENOUGH_FACES:
        return replace(base.scorer, edges=NO_EDGES)
    return fit_towers(table, recipe.fit)


def with_tower(scorer: Scorer, recipe: Recipe, tower: Tower) -> Scorer:
    """The scorer with this in place of the tower that the recipe trains."""
    return replace(scorer, towers={**scorer.towers, recipe.tower: tower})


def inherits(base: Judges, new: Judges, table: FaceTable) -> bool:
    """Whether the new head, trained on ``table``, still holds something that ``base`` had learned."""
    kept = new.gender is base.gender or new.scorer.edges.approve == base.scorer.edges.approve
    return kept or len(table.identity) < ENOUGH_FACES


def inherited(head: Head, base: Judges, new: Judges, table: FaceTable) -> FittedOn:
    """From whom ``head``, that of ``base``, had learned, so far as it is left in the new one."""
    before = FittedOn.read(head)
    return before if inherits(base, new, table) else before.only(Learner.NETWORKS)


class _Learner:
    """One network that is trained again and again from the same start, on some of the faces."""

    def __init__(self, recipe: Recipe, start: Tower, faces: TrainingFaces, copies: Vectors | None) -> None:
        self.recipe, self._weight, self._faces = recipe, start.weight, faces
        own = faces.table.vectors[recipe.tower][None]
        self._vectors = own if copies is None else np.concatenate([own, copies])  # (1 + k, n, d)
        size, dimensions = start.projection.shape
        self._siamese = build_siamese(precomputed(size), dimensions, recipe.siamese)
        self._siamese.set_tower(start)
        self._start = self._siamese.state()

    def learn(self, held: Flags) -> tuple[Tower, History]:
        """Until the people held out, (n,) flags of their faces, gain no more."""
        self._siamese.restore(self._start)
        vectors, labels = self._vectors[0][held], self._faces.labels.only(held)

        def judge() -> float:
            return told_apart(self._siamese.tower(1.0).project(vectors), labels)

        history = learn(self._siamese, lambda n: self._epoch(~held, n), judge, self.recipe.schedule)
        return self._siamese.tower(self._weight), history

    def repeat(self, learned: Flags, epochs: int) -> Tower:
        """The tower after so many epochs on these faces alone."""
        self._siamese.restore(self._start)
        for number in range(1, epochs + 1):
            run_epoch(self._siamese, self._epoch(learned, number))
        return self._siamese.tower(self._weight)

    def _epoch(self, learned: Flags, number: int) -> Iterator[Batch]:
        """New pairs each time, copies among them; the hard ones are those that are hard by now."""
        schedule, rows = self.recipe.schedule, np.tile(np.flatnonzero(learned), len(self._vectors))
        vectors = np.concatenate(self._vectors[:, learned])
        labels = self._faces.labels.only(rows)
        rng = np.random.default_rng((schedule.seed, number))
        pairs = draw_pairs(labels, self._siamese.tower(1.0).project(vectors), self.recipe.pairs, rng)
        return batches(pairs, labels, schedule.batch, lambda chosen, _side: vectors[chosen])


def _honest_scores(
    faces: TrainingFaces, trained: Scorer, learner: _Learner, epochs: int
) -> tuple[Scores, Scores, Scores]:
    """`all_scores` by projections that have not learned from the people they score.

    Those who were learned from look better apart than strangers will, so each half of the people
    is scored by a projection that was trained, as long as the final one, on the other half.
    """
    if epochs == 0:
        return all_scores(trained, faces.table)
    half = split_by_identity(faces.table.identity, 0.5, learner.recipe.schedule.seed)
    parts = []
    for tested in (half, ~half):
        tower = learner.repeat(~tested, epochs)
        parts.append(all_scores(with_tower(trained, learner.recipe, tower), faces.table.only(tested)))
    genuine, everybody, alike = (np.concatenate(scores) for scores in zip(*parts, strict=True))
    return genuine, everybody, alike


def all_scores(scorer: Scorer, table: FaceTable) -> tuple[Scores, Scores, Scores]:
    """Of the genuine pairs, of all impostor pairs, of the impostor pairs of the users' kind."""
    genuine, everybody = pair_scores(scorer, table)
    return genuine, everybody, pair_scores(scorer, table.only(table.users_kind))[1]


def guarded_edges(
    genuine: Scores, everybody: Scores, alike: Scores, before: Edges, settings: FitSettings
) -> Edges:
    """Edges at the settings' rates; those for refused faces stay. Too few impostors of the users' kind may
    only raise the approve edge.

    Else a handful of lucky pairs, or people who are easier to tell apart than the users, would
    let strangers in.
    """
    edges = edges_at(genuine, alike if len(alike) else everybody, settings).keeping(before)
    if len(alike) * settings.approve_fmr >= ENOUGH_FALSE_MATCHES:
        return edges
    return replace(edges, approve=max(edges.approve, before.approve))


def gender_judge(table: FaceTable, more: FaceTable | None, settings: FitSettings) -> GenderJudge | None:
    """A gender head from these faces; None where one gender has too few people."""
    everybody = joined(table, more) if more else table
    for gender in (MALE, FEMALE):
        if len(np.unique(everybody.identity[everybody.gender == gender])) < ENOUGH_OF_A_GENDER:
            return None
    return fit_gender(everybody, settings)
