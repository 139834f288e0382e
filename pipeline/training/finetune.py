"""Fine-tuning: the last blocks of a backbone learn too, on augmented photos; exported to LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.fit import FaceTable, fit_towers
from pipeline.ports import Face, Rgb, Vectors
from pipeline.score import Tower
from pipeline.training.augment import augment
from pipeline.training.backbones import build_backbone, unfreeze_last_blocks
from pipeline.training.learning import Batch, Faces, History, batches, learn, seed_everything, told_apart
from pipeline.training.pairs import Labels, draw_pairs, split_by_identity
from pipeline.training.recipe import Recipe
from pipeline.training.siamese import Siamese, build_siamese
from pipeline.training.windows import Window
from pipeline.weights.export import to_tflite

AT_ONCE = 32
"""Faces that a network sees at a time while nothing is learned."""


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """The backbone as LiteRT runs it, the projection on top, and how it came about."""

    network: bytes
    tower: Tower
    history: History
    held_out: NDArray[np.bool_]
    """(n,) faces of the people who were not learned from."""


Crop = Callable[[Rgb, Face], Rgb]
"""How the tower's crops are cut and coloured: a property of the bundle."""
Seeds = Sequence[tuple[int, ...]]


def crops_of(windows: Sequence[Window], crop: Crop, seeds: Seeds | None = None) -> Faces:
    """(n, 160, 160, 3) float32, standardised as every backbone takes it; augmented where there are seeds."""
    faces = [(window.rgb(), window.face) for window in windows]
    if seeds is not None:
        faces = [augment(rgb, face, seed) for (rgb, face), seed in zip(faces, seeds, strict=True)]
    crops = np.stack([crop(rgb, face) for rgb, face in faces])
    return (crops.astype(np.float32) - np.float32(127.5)) / np.float32(128)


def finetune(windows: Sequence[Window], labels: Labels, crop: Crop, recipe: Recipe) -> FineTuned:
    """Train on the windows; the projection starts from the principal directions of these faces.

    Raises DataError where the faces give no pairs, WeightsMissing without the backbone's weights.
    """
    seed_everything(recipe.schedule.seed)
    backbone = build_backbone(recipe.backbone, recipe.weights)
    unfreeze_last_blocks(backbone, recipe.backbone)
    features = features_of(backbone, windows, crop)
    start = _start(features, labels, recipe)
    siamese = build_siamese(backbone, start.projection.shape[1], recipe.siamese)
    siamese.set_tower(start)
    held = split_by_identity(labels.identity, recipe.hold_out, recipe.schedule.seed)
    tuner = _Tuner(siamese, [*windows], labels, crop, recipe, features)
    history = learn(
        siamese,
        lambda n: tuner.epoch(n, np.flatnonzero(~held)),
        lambda: tuner.judge(np.flatnonzero(held)),
        recipe.schedule,
    )
    return FineTuned(to_tflite(backbone), siamese.tower(start.weight), history, held)


def features_of(backbone: keras.Model, windows: Sequence[Window], crop: Crop) -> Vectors:
    """(n, d) of the photos as they are."""
    parts = [
        np.asarray(backbone(crops_of(windows[i : i + AT_ONCE], crop), training=False))
        for i in range(0, len(windows), AT_ONCE)
    ]
    return np.concatenate([np.empty((0, backbone.output_shape[-1]), np.float32), *parts])


def _start(features: Vectors, labels: Labels, recipe: Recipe) -> Tower:
    nothing = np.zeros(len(features), dtype=bool)
    table = FaceTable(
        {recipe.tower: features}, labels.identity, labels.gender, nothing, nothing.astype(float)
    )
    alone = replace(recipe.fit, weights={recipe.tower: recipe.fit.weights[recipe.tower]})
    return fit_towers(table, alone).towers[recipe.tower]


@dataclass(frozen=True, slots=True, eq=False)
class _Tuner:
    siamese: Siamese
    windows: list[Window]
    labels: Labels
    crop: Crop
    recipe: Recipe
    features: Vectors
    """Of the untrained backbone: hard pairs are mined by what was hard at the start."""

    def epoch(self, number: int, rows: NDArray[np.int64]) -> Iterator[Batch]:
        """Pairs of the faces ``rows``, every photo augmented anew."""
        seed, chosen = self.recipe.schedule.seed, np.isin(np.arange(len(self.windows)), rows)
        labels = self.labels.only(chosen)
        projected = self.siamese.tower(1.0).project(self.features[chosen])
        pairs = draw_pairs(labels, projected, self.recipe.pairs, np.random.default_rng((seed, number)))

        def faces(picked: NDArray[np.int64], side: int) -> Faces:
            photos = rows[picked].tolist()
            seeds = [(seed, number, side, photo, place) for place, photo in enumerate(photos)]
            return crops_of([self.windows[photo] for photo in photos], self.crop, seeds)

        return batches(pairs, labels, self.recipe.schedule.batch, faces)

    def judge(self, rows: NDArray[np.int64]) -> float:
        """How well the faces ``rows``, as they are, are told apart."""
        features = features_of(self.siamese.backbone, [self.windows[row] for row in rows], self.crop)
        chosen = np.isin(np.arange(len(self.windows)), rows)
        return told_apart(self.siamese.tower(1.0).project(features), self.labels.only(chosen))
