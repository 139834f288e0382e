"""Fine-tuning: the last blocks of a backbone learn too, on augmented photos; exported to LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.labels import Labels
from pipeline.faces.types import Face, Rgb, Vectors
from pipeline.fitting.fit import FaceTable, fit_towers
from pipeline.score import Tower
from pipeline.training.data.augment import augment
from pipeline.training.data.pairs import draw_pairs, split_by_identity
from pipeline.training.data.windows import Window
from pipeline.training.networks.backbones import build_backbone, unfreeze_last_blocks
from pipeline.training.networks.learning import (
    Batch,
    Faces,
    History,
    batches,
    learn,
    seed_everything,
    told_apart,
)
from pipeline.training.networks.siamese import Siamese, build_siamese
from pipeline.training.recipe import Recipe
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
Codes = NDArray[np.int64]


def crops_of(windows: Sequence[Window], crop: Crop, seeds: Seeds | None = None) -> Faces:
    """(n, 160, 160, 3) float32, standardised as every backbone takes it; augmented where there are seeds."""
    faces = [(window.rgb(), window.face) for window in windows]
    if seeds is not None:
        faces = [augment(rgb, face, seed) for (rgb, face), seed in zip(faces, seeds, strict=True)]
    crops = np.stack([crop(rgb, face) for rgb, face in faces])
    return (crops.astype(np.float32) - np.float32(127.5)) / np.float32(128)


class Photos(Protocol):
    """n photos as a backbone takes them, (len(rows), ...) float32 for the rows that are asked for."""

    def __len__(self) -> int: ...

    def plain(self, rows: Codes) -> Faces:
        """As they are."""

    def augmented(self, rows: Codes, seeds: Seeds) -> Faces:
        """Made worse; the same seed, the same picture."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowPhotos:
    """Windows that are augmented and cropped anew whenever they are asked for."""

    windows: Sequence[Window]
    crop: Crop

    def __len__(self) -> int:
        """How many."""
        return len(self.windows)

    def plain(self, rows: Codes) -> Faces:
        """As they are."""
        return crops_of([self.windows[row] for row in rows.tolist()], self.crop)

    def augmented(self, rows: Codes, seeds: Seeds) -> Faces:
        """Each by its own seed."""
        return crops_of([self.windows[row] for row in rows.tolist()], self.crop, seeds)


def finetune(windows: Sequence[Window], labels: Labels, crop: Crop, recipe: Recipe) -> FineTuned:
    """Train on the windows; the projection starts from the principal directions of these faces.

    Raises DataError where the faces give no pairs, WeightsMissing without the backbone's weights.
    """
    seed_everything(recipe.schedule.seed)
    backbone = build_backbone(recipe.backbone, recipe.weights)
    unfreeze_last_blocks(backbone, recipe.backbone)
    photos = WindowPhotos(windows, crop)
    features = features_of(backbone, photos)
    start = starting_tower(features, labels, recipe)
    siamese = build_siamese(backbone, start.projection.shape[1], recipe.siamese)
    siamese.set_tower(start)
    tuned = tune(siamese, photos, labels, features, recipe)
    return FineTuned(to_tflite(backbone), siamese.tower(start.weight), tuned.history, tuned.held_out)


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """How a training went, and who was held out: (n,) faces that were not learned from."""

    history: History
    held_out: NDArray[np.bool_]


Judge = Callable[[Vectors, Labels], float]
"""How good projected vectors (n, k) of people held out are; higher is better."""


def tune(
    siamese: Siamese,
    photos: Photos,
    labels: Labels,
    features: Vectors,
    recipe: Recipe,
    *,
    judge: Judge = told_apart,
) -> Tuned:
    """Train until the people held out gain no more; ``features`` are the untrained backbone's.

    Raises DataError where the faces give no pairs.
    """
    held = split_by_identity(labels.identity, recipe.hold_out, recipe.schedule.seed)
    tuner = _Tuner(siamese, photos, labels, recipe, features, judge)
    history = learn(
        siamese,
        lambda n: tuner.epoch(n, np.flatnonzero(~held)),
        lambda: tuner.judge(np.flatnonzero(held)),
        recipe.schedule,
    )
    return Tuned(history, held)


def features_of(backbone: keras.Model, photos: Photos, rows: Codes | None = None) -> Vectors:
    """(n, d) of the photos, or of some rows of them, as they are."""
    rows = np.arange(len(photos)) if rows is None else rows
    parts = [
        np.asarray(backbone(photos.plain(rows[i : i + AT_ONCE]), training=False))
        for i in range(0, len(rows), AT_ONCE)
    ]
    return np.concatenate([np.empty((0, backbone.output_shape[-1]), np.float32), *parts])


def starting_tower(features: Vectors, labels: Labels, recipe: Recipe) -> Tower:
    """The principal directions of these faces: no worse than the features themselves."""
    nothing = np.zeros(len(features), dtype=bool)
    table = FaceTable(
        {recipe.tower: features}, labels.identity, labels.gender, nothing, nothing.astype(float)
    )
    alone = replace(recipe.fit, weights={recipe.tower: recipe.fit.weights[recipe.tower]})
    return fit_towers(table, alone).towers[recipe.tower]


@dataclass(frozen=True, slots=True, eq=False)
class _Tuner:
    siamese: Siamese
    photos: Photos
    labels: Labels
    recipe: Recipe
    features: Vectors
    """Of the untrained backbone: hard pairs are mined by what was hard at the start."""
    judged_by: Judge

    def epoch(self, number: int, rows: Codes) -> Iterator[Batch]:
        """Pairs of the faces ``rows``, every photo augmented anew."""
        seed, chosen = self.recipe.schedule.seed, np.isin(np.arange(len(self.photos)), rows)
        labels = self.labels.only(chosen)
        projected = self.siamese.tower(1.0).project(self.features[chosen])
        pairs = draw_pairs(labels, projected, self.recipe.pairs, np.random.default_rng((seed, number)))

        def faces(picked: Codes, side: int) -> Faces:
            photos = rows[picked]
            seeds = [(seed, number, side, photo, place) for place, photo in enumerate(photos.tolist())]
            return self.photos.augmented(photos, seeds)

        return batches(pairs, labels, self.recipe.schedule.batch, faces)

    def judge(self, rows: Codes) -> float:
        """How well the faces ``rows``, as they are, are told apart."""
        features = features_of(self.siamese.backbone, self.photos, rows)
        chosen = np.isin(np.arange(len(self.photos)), rows)
        return self.judged_by(self.siamese.tower(1.0).project(features), self.labels.only(chosen))
