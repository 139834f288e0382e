"""Keras → LiteRT."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def to_tflite(model: keras.Model, *, half: bool = False) -> bytes:
    """The network as a LiteRT flatbuffer whose batch size is left open.

    ``half`` stores the weights as float16 (half the file); arithmetic stays float32.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    flatbuffer: Any = converter.convert()
    return bytes(flatbuffer)
