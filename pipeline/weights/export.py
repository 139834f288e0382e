"""Keras → LiteRT."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def to_tflite(model: keras.Model, *, eight_bit: bool = False) -> bytes:
    """The network as a LiteRT flatbuffer with an open batch size, in float32.

    With ``eight_bit`` the weights have 8 bits, and activations are quantised for each face (dynamic range),
    which needs no photos to calibrate. Keras's own export (`from_keras_model`) gives the same but takes twice
    as long.
    """
    spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="crops")
    call = tf.function(lambda crops: model(crops, training=False)).get_concrete_function(spec)
    holder = tf.Module()  # the converter freezes the variables that it can reach from here
    holder.variables_of_the_model = [variable.value for variable in model.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([call], holder)
    if eight_bit:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    flatbuffer: Any = converter.convert()
    return bytes(flatbuffer)
