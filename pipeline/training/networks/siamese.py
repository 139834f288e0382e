"""The siamese network: two faces to "same person" and the gender of the first.

One tower takes both inputs. Its last layer, `Projection`, is `pipeline.score.Tower` in Keras, and
`Similarity` is `pipeline.score.Thresholds`, so that a trained network and the scorer give the same numbers
(tests/models/test_training.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from pipeline.faces.types import Floats
from pipeline.score import Tower

PACKAGE = "verify"


class LossName(StrEnum):
    """The loss."""

    CONTRASTIVE = "contrastive"
    """On the distance: genuine pairs close together, impostors at least a margin apart."""
    CROSS_ENTROPY = "cross_entropy"
    """On the similarity, whose slope and threshold are trained as well."""


@keras.saving.register_keras_serializable(PACKAGE)
class Projection(keras.Layer):
    """(n, d) features to (n, k) of length 1: the mean subtracted, projected.

    ``pull`` weights a penalty on the distance of the projection from its start, which keeps it close to the
    embedder where there are few data.
    """

    def __init__(self, dimensions: int, pull: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dimensions, self.pull = dimensions, pull

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Weights; the mean and the start are set, not trained."""
        shape = (input_shape[-1], self.dimensions)
        self.mean = self.add_weight(shape=shape[:1], initializer="zeros", trainable=False, name="mean")
        self.start = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="start")
        self.kernel = self.add_weight(shape=shape, initializer="orthogonal", name="kernel")

    def call(self, features: Any) -> Any:
        """The same as `Tower.project`."""
        self.add_loss(self.pull * ops.sum(ops.square(self.kernel - self.start)))
        return ops.normalize(ops.matmul(features - self.mean, self.kernel), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dimensions": self.dimensions, "pull": self.pull}


@keras.saving.register_keras_serializable(PACKAGE)
class EuclideanDistance(keras.Layer):
    """Two (n, k) to (n, 1), 0..2 for rows of length 1."""

    def call(self, first: Any, second: Any) -> Any:
        """The distance, at least 1e-6, because the root has no slope at 0."""
        squared = ops.sum(ops.square(first - second), axis=-1, keepdims=True)
        return ops.sqrt(ops.maximum(squared, 1e-12))


@keras.saving.register_keras_serializable(PACKAGE)
class Similarity(keras.Layer):
    """(n, 1) distances to similarities 0..1 that are 0.5 at the approve threshold.

    ``threshold`` and ``scale`` are as in `pipeline.score.Thresholds`: on the cosine, 1 - distance²/2.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Initial values for cross-entropy: FaceNet's genuine pairs mostly have cosines above 0.5."""
        del input_shape
        self.threshold = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(0.5), name="threshold"
        )
        self.scale = self.add_weight(shape=(), initializer=keras.initializers.Constant(10.0), name="scale")

    def call(self, distance: Any) -> Any:
        """A sigmoid of the cosine's distance from the threshold."""
        return ops.sigmoid(self.scale * (1 - ops.square(distance) / 2 - self.threshold))


@keras.saving.register_keras_serializable(PACKAGE)
class ContrastiveLoss(keras.losses.Loss):
    """Hadsell, Chopra, LeCun 2006; the target is `pairs.SAME` or `pairs.DIFFERENT`."""

    def __init__(self, margin: float = 1.2, name: str = "contrastive", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Squared distance of genuine pairs, squared shortfall from the margin of impostors."""
        same = ops.cast(y_true, y_pred.dtype)
        apart = ops.square(ops.maximum(self.margin - y_pred, 0.0))
        return ops.mean(same * ops.square(y_pred) + (1 - same) * apart, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}


@dataclass(frozen=True, slots=True, eq=False)
class Siamese:
    """``model`` outputs [same, gender]; ``trainer`` shares its layers and is trained."""

    model: keras.Model
    trainer: keras.Model
    backbone: keras.Model
    projection: Projection
    similarity: Similarity

    def tower(self, weight: float) -> Tower:
        """The trained projection for the scorer."""
        mean, kernel = (np.asarray(w, np.float32) for w in (self.projection.mean, self.projection.kernel))
        return Tower(mean, kernel, weight)

    def set_tower(self, tower: Tower) -> None:
        self.projection.mean.assign(tower.mean)
        self.projection.kernel.assign(tower.projection)
        self.projection.start.assign(tower.projection)

    def set_gender(self, weight: Floats, bias: float) -> None:
        """Start from this logistic head on the features, ``weight`` (d,)."""
        self.trainer.get_layer("gender").set_weights([weight[:, None], np.array([bias], np.float32)])

    def male(self, features: Floats) -> Floats:
        """(n,) probability of male, from the backbone's (n, d) features."""
        return np.asarray(self.trainer.get_layer("gender")(features), dtype=np.float32)[:, 0]

    def state(self) -> list[NDArray[Any]]:
        """Everything that training changes, the optimiser's state included."""
        return [np.array(v) for v in (*self.trainer.variables, *self.trainer.optimizer.variables)]

    def restore(self, state: list[NDArray[Any]]) -> None:
        """Restore an earlier `state`, which is faster than building the network again."""
        variables = (*self.trainer.variables, *self.trainer.optimizer.variables)
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)


@dataclass(frozen=True, slots=True)
class SiameseSettings:
    """The settings of training."""

    loss: LossName = LossName.CONTRASTIVE
    margin: float = 1.2
    pull: float = 0.1
    gender_weight: float = 0.1
    """Weight of the gender's loss beside that of pairs."""
    learning_rate: float = 1e-3


def build_siamese(backbone: keras.Model, dimensions: int, settings: SiameseSettings) -> Siamese:
    """A compiled network with two inputs like the backbone's, one shared tower and two outputs.

    ``backbone`` gives (n, d) features of length 1. The trainer's targets are ``{"same", "gender"}``; a gender
    of `UNKNOWN` has weight 0.
    """
    first, second = (keras.Input(backbone.input_shape[1:], name=name) for name in ("selfie", "photo"))
    projection, similarity = Projection(dimensions, settings.pull, name="projection"), Similarity(name="same")
    features = backbone(first)
    distance = EuclideanDistance(name="distance")(projection(features), projection(backbone(second)))
    same = similarity(distance)
    gender = keras.layers.Dense(1, activation="sigmoid", name="gender")(features)
    contrastive = settings.loss is LossName.CONTRASTIVE
    trainer = keras.Model([first, second], {"same": distance if contrastive else same, "gender": gender})
    pair_loss = ContrastiveLoss(settings.margin) if contrastive else keras.losses.BinaryCrossentropy()
    trainer.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss={"same": pair_loss, "gender": keras.losses.BinaryCrossentropy()},
        loss_weights={"same": 1.0, "gender": settings.gender_weight},
        jit_compile=False,  # compiling takes longer than the training it would speed up
    )
    trainer.optimizer.build(trainer.trainable_variables)
    model = keras.Model([first, second], [same, gender], name="siamese")
    return Siamese(model, trainer, backbone, projection, similarity)
