"""Rebuild ONNX files of face embedders as Keras networks, node by node.

The operations of such networks are supported (SFace, MobileFaceNet, the residual networks of ArcFace and
AdaFace); of SFace OpenCV Zoo's fp32 file and the block-quantised one. Quantised weights are converted to
float32, because engines dequantise them at every call otherwise. Tensors are (n, height, width, channels)
here and (n, channels, height, width) in ONNX.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from pipeline.errors import WeightsCorrupt
from pipeline.faces.types import Floats

IDLE: Final = ("Dropout", "Identity")
"""Operations without effect in a trained network."""


class UnknownOperation(WeightsCorrupt):
    """The network has an operation that is not supported."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation: its attributes, the names of its inputs and of its output.

    ``constants`` are those among its inputs, in order.
    """

    operation: str
    attributes: Mapping[str, Any]
    inputs: tuple[str, ...]
    output: str
    constants: tuple[Floats, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """The operations in order, and the names of input and output.

    The input are pictures of (side, side) pixels.
    """

    nodes: tuple[Node, ...]
    entry: str
    exit: str
    side: int


def build(onnx_file: bytes, name: str) -> keras.Model:
    """The network with its weights: (n, side, side, 3) float32 to (n, d), each row of length 1.

    Raises UnknownOperation, and various errors for a file that holds something else.
    """
    graph = read_graph(onnx_file)
    inputs = keras.Input((graph.side, graph.side, 3), name="crops")
    tensors: dict[str, Any] = {graph.entry: inputs}
    weights: list[tuple[keras.layers.Layer, list[Floats]]] = []
    for node in graph.nodes:
        tensors[node.output] = _applied(node, [tensors[entry] for entry in node.inputs], weights)
    for layer, values in weights:
        layer.set_weights(values)
    embeddings = _flat(tensors[graph.exit])
    return keras.Model(inputs, keras.layers.UnitNormalization()(embeddings), name=name)


def read_graph(onnx_file: bytes) -> Graph:
    """The operations from the input to the first output; those on constants alone are computed.

    Raises UnknownOperation.
    """
    graph = onnx.load_model_from_string(onnx_file).graph
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    nodes = []
    for node in graph.node:
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        names = [name for name in node.input if name]
        values = [constants[name] for name in names if name in constants]
        if len(values) == len(names):
            constants[node.output[0]] = _fold(node.op_type, attributes, values)
        else:
            computed = tuple(name for name in names if name not in constants)
            nodes.append(Node(node.op_type, attributes, computed, node.output[0], tuple(values)))
    used = {name for node in nodes for name in node.inputs}
    (entry,) = (item for item in graph.input if item.name in used)
    side = int(entry.type.tensor_type.shape.dim[-1].dim_value)
    return Graph(tuple(nodes), entry.name, graph.output[0].name, side)


def _fold(operation: str, attributes: Mapping[str, Any], values: list[NDArray[Any]]) -> NDArray[Any]:
    if operation == "DequantizeLinear":
        return _dequantise(*values, axis=attributes["axis"], block=attributes["block_size"])
    if operation == "Reshape":
        return values[0].reshape(values[1])
    if operation == "Constant":
        return numpy_helper.to_array(attributes["value"])
    raise UnknownOperation(f"{operation} on constants is not rebuilt")


def _dequantise(
    quantised: NDArray[np.int8], scales: Floats, zeros: NDArray[np.int8], *, axis: int, block: int
) -> Floats:
    """Each run of ``block`` values along ``axis`` has its own scale and zero point."""
    size = quantised.shape[axis]
    scale, zero = (
        np.repeat(item.astype(np.float32), block, axis).take(range(size), axis) for item in (scales, zeros)
    )
    return np.asarray((quantised - zero) * scale, dtype=np.float32)


def _applied(node: Node, tensors: list[Any], weights: list[Any]) -> Any:
    """The output of the operation; new layers are added to ``weights`` with their values."""
    if node.operation in IDLE:
        return tensors[0]
    if node.operation in ("Flatten", "Reshape"):  # a row for each face is all that either is for
        return _flat(tensors[0])
    if len(tensors) > 1:
        return _joined(node, tensors)
    if node.operation == "ReduceL2" and len(tensors[0].shape) == 2:  # of the vector, to divide it by
        return keras.ops.norm(tensors[0], axis=-1, keepdims=True)
    if node.operation not in _BUILDERS:
        raise UnknownOperation(f"{node.operation} is not rebuilt")
    (tensor,) = tensors
    if node.operation == "Gemm":
        tensor = _flat(tensor)
    for layer, values in _BUILDERS[node.operation](node):
        tensor = layer(tensor)
        weights.append((layer, values))
    return tensor


def _joined(node: Node, tensors: list[Any]) -> Any:
    if node.operation == "Add":
        return keras.layers.Add()(tensors)
    if node.operation == "Mul":
        return keras.layers.Multiply()(tensors)
    if node.operation == "Div":
        return keras.ops.divide(*tensors)
    raise UnknownOperation(f"{node.operation} of two tensors is not rebuilt")


def _flat(tensor: Any) -> Any:
    """(n, d) of any tensor. ONNX flattens (channels, height, width)."""
    if len(tensor.shape) > 2:
        tensor = keras.layers.Flatten()(keras.layers.Permute((3, 1, 2))(tensor))
    return tensor


Layers = list[tuple[keras.layers.Layer, list[Floats]]]


def _shifted(sign: int) -> Callable[[Node], Layers]:
    return lambda node: [(keras.layers.Rescaling(1.0, offset=sign * _broadcast(node)), [])]


def _broadcast(node: Node) -> float | Floats:
    """The constant as one number, or as one for each channel."""
    (values,) = node.constants
    return values.item() if values.size == 1 else values.reshape(-1)


def _convolution(node: Node) -> Layers:
    """A convolution with explicit padding: Keras's "same" differs at stride 2."""
    kernel, *bias = node.constants
    group, strides = node.attributes.get("group", 1), node.attributes.get("strides", [1, 1])
    if any(step != 1 for step in node.attributes.get("dilations", ())) or "auto_pad" in node.attributes:
        raise UnknownOperation("a convolution with holes, or without numbers for its padding, is not rebuilt")
    padding, size, turned = _padding(node), kernel.shape[2:], kernel.transpose(2, 3, 1, 0)
    if group == 1:
        layer = keras.layers.Conv2D(kernel.shape[0], size, strides, use_bias=bool(bias))
        return [*padding, (layer, [turned, *bias])]
    if group != kernel.shape[0] or kernel.shape[1] != 1:
        raise UnknownOperation("a convolution in groups is not rebuilt")
    depthwise = keras.layers.DepthwiseConv2D(size, strides, use_bias=bool(bias))
    return [*padding, (depthwise, [turned.transpose(0, 1, 3, 2), *bias])]


def _padding(node: Node) -> Layers:
    top, left, bottom, right = node.attributes.get("pads", (0, 0, 0, 0))
    if not any((top, left, bottom, right)):
        return []
    return [(keras.layers.ZeroPadding2D(((top, bottom), (left, right))), [])]


def _normalisation(node: Node) -> Layers:
    layer = keras.layers.BatchNormalization(epsilon=node.attributes.get("epsilon", 1e-5))
    return [(layer, list(node.constants))]


def _prelu(node: Node) -> Layers:
    return [(keras.layers.PReLU(shared_axes=[1, 2]), [node.constants[0].reshape(1, 1, -1)])]


def _dense(node: Node) -> Layers:
    kernel, *bias = node.constants
    kernel = kernel.T if node.attributes.get("transB") else kernel
    return [(keras.layers.Dense(kernel.shape[1], use_bias=bool(bias)), [kernel, *bias])]


def _subsampling(node: Node) -> Layers:
    if any(node.attributes.get("pads", ())):
        raise UnknownOperation("a maximum over padding is not rebuilt")
    size, strides = node.attributes["kernel_shape"], node.attributes.get("strides", [1, 1])
    return [(keras.layers.MaxPooling2D(size, strides), [])]


_BUILDERS: Final[Mapping[str, Callable[[Node], Layers]]] = {
    "Add": _shifted(1),
    "Sub": _shifted(-1),
    "Mul": lambda node: [(keras.layers.Rescaling(_broadcast(node)), [])],
    "Conv": _convolution,
    "BatchNormalization": _normalisation,
    "PRelu": _prelu,
    "Relu": lambda _: [(keras.layers.ReLU(), [])],
    "Sigmoid": lambda _: [(keras.layers.Activation("sigmoid"), [])],
    "MaxPool": _subsampling,
    "GlobalAveragePool": lambda _: [(keras.layers.GlobalAveragePooling2D(keepdims=True), [])],
    "Gemm": _dense,
}
