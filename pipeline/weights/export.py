"""Keras → LiteRT."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

import keras
import tensorflow as tf
from ai_edge_quantizer import qtyping
from ai_edge_quantizer.quantizer import Quantizer


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


def with_eight_bit_products(network: bytes) -> bytes:
    """The network with 8 bits in its convolutions that are no depthwise ones, and in its dense layers.

    Weights have a scale for each channel, activations are quantised for each face (dynamic range).
    TensorFlow's converter cannot leave the depthwise convolutions in float32, where LiteRT is fast.
    """
    weights = qtyping.TensorQuantizationConfig(
        num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
    )
    how = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.INTEGER
    )
    quantizer = Quantizer(network)
    for operation in (qtyping.TFLOperationName.CONV_2D, qtyping.TFLOperationName.FULLY_CONNECTED):
        quantizer.update_quantization_recipe(".*", operation, how)
    with redirect_stdout(io.StringIO()):  # it prints its gains
        return bytes(quantizer.quantize().quantized_model)
