"""How near each network comes to what one processor can do: `PYTHONPATH=.:tests python -m bench.networks`.

Multiply-adds of one face, counted in the network's file, over the time that it takes, beside those of a
product of two float32 matrices by OpenBLAS. All of it on one thread, in turns.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from threadpoolctl import threadpool_limits

from pipeline.bundles.bundle import read_bundle
from pipeline.faces.networks import open_interpreter
from pipeline.terminal import console, new_table
from support.bundle import ensure_bundle

_MATRIX: Final = 1024
_PRODUCT: Final = "product of matrices"
_KINDS: Final = schema.BuiltinOperator
Run = Callable[[], object]


def multiply_adds(path: Path) -> int:
    """Those of the convolutions and full connections of one run; all else is a few hundredths of them."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (graph,) = model.subgraphs
    kinds = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return sum(_of_operator(graph, kinds[operator.opcodeIndex], operator) for operator in graph.operators)


def _of_operator(graph: Any, kind: int, operator: Any) -> int:
    """An output has as many as its weights have numbers for one channel."""

    def numbers(tensor: int) -> int:
        return math.prod(int(size) for size in graph.tensors[tensor].shape)

    if kind not in (_KINDS.CONV_2D, _KINDS.FULLY_CONNECTED, _KINDS.DEPTHWISE_CONV_2D):
        return 0
    channels = 3 if kind == _KINDS.DEPTHWISE_CONV_2D else 0  # the axis of the weights
    weights = operator.inputs[1]
    return numbers(operator.outputs[0]) * numbers(weights) // int(graph.tensors[weights].shape[channels])


def _contestants(folder: Path) -> Iterator[tuple[str, int, Run]]:
    for name, part in read_bundle(folder).manifest.parts.items():
        if part.file.endswith(".tflite"):
            network = open_interpreter(folder / part.file)
            taken = network.get_input_details()[0]
            picture = np.random.default_rng(1).uniform(-1, 1, taken["shape"])
            network.set_tensor(taken["index"], picture.astype(taken["dtype"]))
            yield name, multiply_adds(folder / part.file), network.invoke
    square = np.ones((_MATRIX, _MATRIX), np.float32)
    yield _PRODUCT, _MATRIX**3, lambda: square @ square


@click.command()
@click.option("--rounds", default=30, show_default=True, help="Runs of each, in turns.")
def main(rounds: int) -> None:
    """Operations of each network, and how many of them it does in a second."""
    found, seconds = list(_contestants(ensure_bundle())), defaultdict(list)
    with threadpool_limits(1):
        for _ in range(rounds + 2):
            for name, _, run in found:
                start = time.process_time()
                run()
                seconds[name].append(time.process_time() - start)
    times = {name: median(spent[2:]) for name, spent in seconds.items()}
    peak = _MATRIX**3 / times[_PRODUCT]
    table = new_table("one run of each", "million multiply-adds", "ms", "10^9 a second", "of the product's")
    for name, operations, _ in sorted(found, key=lambda one: -times[one[0]]):
        rate = operations / times[name]
        cells = f"{operations / 1e6:,.0f}", f"{1000 * times[name]:.1f}", f"{rate / 1e9:.1f}"
        table.add_row(name, *cells, f"{100 * rate / peak:.0f} %")
    console().print(table)


if __name__ == "__main__":
    main()
