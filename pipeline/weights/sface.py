"""SFace: OpenCV Zoo's ONNX file rebuilt as a Keras network (Apache-2.0).

Reads the fp32 file (``face_recognition_sface_2021dec.onnx``) and the block-quantised one
(``…_int8bq.onnx``), whose weights are folded back to float32: the engines dequantise them
at every call otherwise. The network is a plain chain, so it is rebuilt node by node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from pipeline.errors import WeightsCorrupt
from pipeline.weights.sources import Source

SIDE = 112
"""The network takes (n, 112, 112, 3) float32 RGB, 0..255 as it is."""
DIMENSIONS = 128

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation of the chain: its attributes, and the constants among its inputs, in order."""

    operation: str
    attributes: Mapping[str, Any]
    constants: tuple[Array, ...]


def build(source: Source) -> keras.Model:
    """The network with its weights. Its output is (n, 128), each row of length 1.

    Raises WeightsCorrupt.
    """
    nodes = read_chain(source.read())
    inputs = keras.Input((SIDE, SIDE, 3), name="crops")
    tensor, weights = inputs, []
    for node in nodes:
        if node.operation not in _BUILDERS:
            raise WeightsCorrupt(f"SFace has no operation {node.operation}")
        for layer, values in _BUILDERS[node.operation](node):
            tensor = layer(tensor)
            weights.append((layer, values))
    for layer, values in weights:
        layer.set_weights(values)
    return keras.Model(inputs, keras.layers.UnitNormalization()(tensor), name="sface")


def read_chain(onnx_file: bytes) -> list[Node]:
    """The operations from the input to the output, quantised weights folded to float32."""
    graph = onnx.load_model_from_string(onnx_file).graph
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    chain = []
    for node in graph.node:
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        values = [constants[name] for name in node.input if name in constants]
        if len(values) == len(node.input):
            constants[node.output[0]] = _fold(node.op_type, attributes, values)
        elif node.op_type not in ("Dropout", "Flatten"):  # idle here; a Gemm flattens its input itself
            chain.append(Node(node.op_type, attributes, tuple(values)))
    return chain


def _fold(operation: str, attributes: Mapping[str, Any], values: list[NDArray[Any]]) -> NDArray[Any]:
    """The value of an operation on constants alone."""
    if operation == "DequantizeLinear":
        return _dequantise(*values, axis=attributes["axis"], block=attributes["block_size"])
    if operation == "Reshape":
        return values[0].reshape(values[1])
    if operation == "Constant":
        return numpy_helper.to_array(attributes["value"])
    raise WeightsCorrupt(f"SFace has no operation {operation} on constants")


def _dequantise(
    quantised: NDArray[np.int8], scales: Array, zeros: NDArray[np.int8], *, axis: int, block: int
) -> Array:
    """Each run of ``block`` values along ``axis`` has a scale and a zero point of its own."""
    size = quantised.shape[axis]
    scale, zero = (
        np.repeat(item.astype(np.float32), block, axis).take(range(size), axis) for item in (scales, zeros)
    )
    return np.asarray((quantised - zero) * scale, dtype=np.float32)


Layers = list[tuple[keras.Layer, list[Array]]]


def _subtract(node: Node) -> Layers:
    return [(keras.layers.Rescaling(1.0, offset=-node.constants[0].item()), [])]


def _multiply(node: Node) -> Layers:
    return [(keras.layers.Rescaling(node.constants[0].item()), [])]


def _convolution(node: Node) -> Layers:
    """ONNX pads both sides alike, which Keras's "same" does not do at stride 2."""
    kernel = node.constants[0].transpose(2, 3, 1, 0)  # (h, w, in / groups, out)
    size, strides, pad = kernel.shape[:2], node.attributes["strides"], node.attributes["pads"][0]
    padding: Layers = [(keras.layers.ZeroPadding2D(pad), [])] if pad else []
    if node.attributes["group"] == 1:
        return [*padding, (keras.layers.Conv2D(kernel.shape[3], size, strides, use_bias=False), [kernel])]
    depthwise = keras.layers.DepthwiseConv2D(size, strides, use_bias=False)
    return [*padding, (depthwise, [kernel.transpose(0, 1, 3, 2)])]


def _normalisation(node: Node) -> Layers:
    return [(keras.layers.BatchNormalization(epsilon=node.attributes["epsilon"]), list(node.constants))]


def _prelu(node: Node) -> Layers:
    return [(keras.layers.PReLU(shared_axes=[1, 2]), [node.constants[0].reshape(1, 1, -1)])]


def _dense(node: Node) -> Layers:
    """ONNX flattens (channels, height, width)."""
    kernel, bias = node.constants
    flatten: Layers = [(keras.layers.Permute((3, 1, 2)), []), (keras.layers.Flatten(), [])]
    return [*flatten, (keras.layers.Dense(len(bias)), [kernel.T, bias])]


_BUILDERS: Mapping[str, Callable[[Node], Layers]] = {
    "Sub": _subtract,
    "Mul": _multiply,
    "Conv": _convolution,
    "BatchNormalization": _normalisation,
    "PRelu": _prelu,
    "Gemm": _dense,
}
