"""SFace: OpenCV Zoo's ONNX file rebuilt as a Keras network (Apache-2.0).

Takes the fp32 file (``face_recognition_sface_2021dec.onnx``) and the block-quantised one (``…_int8bq.onnx``).
"""

from __future__ import annotations

import keras

from pipeline.weights import onnx_graph
from pipeline.weights.sources import Source

SIDE = 112
"""The network takes (n, 112, 112, 3) float32 RGB, 0..255 as it is."""
DIMENSIONS = 128


def build(source: Source) -> keras.Model:
    """The network with its weights. Its output is (n, 128), each row of length 1.

    Raises WeightsCorrupt.
    """
    return onnx_graph.build(source.read(), "sface")
