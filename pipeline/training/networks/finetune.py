"""Fine-tuning: train the last blocks of a backbone on augmented photos, and export it to LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import keras
import numpy as np

from pipeline.datasets.tables import Labels
from pipeline.faces.types import Codes, Embeddings, Face, Flags, Rgb
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
    verification_rate,
)
from pipeline.training.networks.siamese import Siamese, build_siamese
from pipeline.training.recipe import Recipe
from pipeline.weights.export import to_tflite

AT_ONCE = 32
"""Faces in a batch while nothing is trained."""


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """The fine-tuned backbone for LiteRT, the projection on top, and the history."""

    network: bytes
    tower: Tower
    history: History
    held_out: Flags
    """(n,) faces of people who were held out."""


Crop = Callable[[Rgb, Face], Rgb]
"""How the tower's crops are cut and coloured; from the bundle."""
Seeds = Sequence[tuple[int, ...]]


def crops_of(windows: Sequence[Window], crop: Crop, seeds: Seeds | None = None) -> Faces:
    """(n, 160, 160, 3) float32, standardised as every backbone takes them.

    With seeds the faces are augmented.
    """
    faces = [(window.rgb(), window.face) for window in windows]
    if seeds is not None:
        faces = [augment(rgb, face, seed) for (rgb, face), seed in zip(faces, seeds, strict=True)]
    crops = np.stack([crop(rgb, face) for rgb, face in faces])
    return (crops.astype(np.float32) - np.float32(127.5)) / np.float32(128)


class Photos(Protocol):
    """n photos as input of a backbone, (len(rows), ...) float32 for the given rows."""

    def __len__(self) -> int: ...

    def plain(self, rows: Codes) -> Faces:
        """The photos without augmentation."""

    def augmented(self, rows: Codes, seeds: Seeds) -> Faces:
        """Augmented photos; the same seed gives the same picture."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowPhotos:
    """Windows that are augmented and cropped whenever they are read."""

    windows: Sequence[Window]
    crop: Crop

    def __len__(self) -> int:
        return len(self.windows)

    def plain(self, rows: Codes) -> Faces:
        """The photos without augmentation."""
        return crops_of([self.windows[row] for row in rows.tolist()], self.crop)

    def augmented(self, rows: Codes, seeds: Seeds) -> Faces:
        """Each photo augmented with its own seed."""
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
    """The history, and the held-out faces (n,)."""

    history: History
    held_out: Flags


Metric = Callable[[Embeddings, Labels], float]
"""Rates projected embeddings (n, k) of held-out people; higher is better."""


def tune(
    siamese: Siamese,
    photos: Photos,
    labels: Labels,
    features: Embeddings,
    recipe: Recipe,
    *,
    metric: Metric = verification_rate,
) -> Tuned:
    """Train until the held-out people gain no more; ``features`` are those of the untrained backbone.

    Raises DataError where the faces give no pairs.
    """
    held = split_by_identity(labels.identity, recipe.hold_out, recipe.schedule.seed)
    tuner = _Tuner(siamese, photos, labels, recipe, features, metric)
    history = learn(
        siamese,
        lambda n: tuner.epoch(n, np.flatnonzero(~held)),
        lambda: tuner.validate(np.flatnonzero(held)),
        recipe.schedule,
    )
    return Tuned(history, held)


def features_of(backbone: keras.Model, photos: Photos, rows: Codes | None = None) -> Embeddings:
    """(n, d) of the photos, or of some rows, without augmentation."""
    rows = np.arange(len(photos)) if rows is None else rows
    parts = [
        np.asarray(backbone(photos.plain(rows[i : i + AT_ONCE]), training=False))
        for i in range(0, len(rows), AT_ONCE)
    ]
    return np.concatenate([np.empty((0, backbone.output_shape[-1]), np.float32), *parts])


def starting_tower(features: Embeddings, labels: Labels, recipe: Recipe) -> Tower:
    """The principal directions of these faces, which are as good as the features themselves."""
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
    features: Embeddings
    """Of the untrained backbone, by which hard pairs are chosen."""
    metric: Metric

    def epoch(self, number: int, rows: Codes) -> Iterator[Batch]:
        """Batches of pairs of the faces ``rows``, every photo augmented anew."""
        seed, chosen = self.recipe.schedule.seed, np.isin(np.arange(len(self.photos)), rows)
        labels = self.labels.only(chosen)
        projected = self.siamese.tower(1.0).project(self.features[chosen])
        pairs = draw_pairs(labels, projected, self.recipe.pairs, np.random.default_rng((seed, number)))

        def faces(picked: Codes, side: int) -> Faces:
            photos = rows[picked]
            seeds = [(seed, number, side, photo, place) for place, photo in enumerate(photos.tolist())]
            return self.photos.augmented(photos, seeds)

        return batches(pairs, labels, self.recipe.schedule.batch, faces)

    def validate(self, rows: Codes) -> float:
        """The metric of the faces ``rows`` without augmentation."""
        features = features_of(self.siamese.backbone, self.photos, rows)
        chosen = np.isin(np.arange(len(self.photos)), rows)
        return self.metric(self.siamese.tower(1.0).project(features), self.labels.only(chosen))
