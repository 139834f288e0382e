"""Run a network on packed weights in a file, and make that file: `python -P model.py NETWORK FILE`.

A process of its own makes it, because XNNPACK ends the process where the disk is full. It imports nothing of
the project and starts in a tenth of a second.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class PackedModel:
    """A network of one input row and one output row on one thread; XNNPACK maps its weights from a file.

    It makes the file where there is none. It must not be resized: LiteRT 2.3 writes beyond its buffers then.
    """

    def __init__(self, network: str, packed: str) -> None:
        """Load the network. Raises RuntimeError or ValueError."""
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.options import CpuOptions, Options

        cpu = CpuOptions(num_threads=1, xnnpack_weight_cache_path=packed)
        environment = _environment(Path(packed).parent)
        model = CompiledModel.from_file(network, environment=environment, options=Options(cpu_options=cpu))
        self._model = model
        self._inputs, self._outputs = model.create_input_buffers(0), model.create_output_buffers(0)
        (signature, *_) = model.get_signature_list()
        self.input_shape = _shape(model.get_input_tensor_details(signature))
        self.output_shape = _shape(model.get_output_tensor_details(signature))
        if {self.input_shape[0], self.output_shape[0]} != {1} or len(self.output_shape) != 2:
            raise ValueError(f"not one row: {self.input_shape}, {self.output_shape}")

    def __call__(self, row: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The output for one row."""
        if row.shape != self.input_shape:
            raise ValueError(f"{row.shape} is not {self.input_shape}")
        self._inputs[0].write(row)
        self._model.run_by_index(0, self._inputs, self._outputs)
        found: npt.NDArray[np.float32] = self._outputs[0].read(self.output_shape[1], np.float32)
        return found.reshape(self.output_shape)


def _shape(details: dict[str, Any]) -> tuple[int, ...]:
    (only,) = details.values()
    if only["dtype"] != "float32":
        raise ValueError(f"not float32: {only['dtype']}")
    return tuple(int(size) for size in only["shape"])


@lru_cache(maxsize=1)
def _environment(folder: Path) -> Any:
    """For all networks of the process. LiteRT looks for compilers in ``folder`` and finds none.

    By default it would load those of its package, which need libraries that are not installed.
    """
    from ai_edge_litert.environment import Environment

    return Environment.create(
        runtime_path=os.devnull, compiler_plugin_path=str(folder), dispatch_library_path=os.devnull
    )


def same_numbers(network: str, packed: str) -> bool:
    """Whether packed weights give the same numbers as the network's own weights, to the last bit."""
    from ai_edge_litert.interpreter import Interpreter

    model, own = PackedModel(network, packed), Interpreter(network, num_threads=1)
    own.allocate_tensors()
    taken, given = own.get_input_details()[0]["index"], own.get_output_details()[0]["index"]
    for row in np.random.default_rng(1).uniform(-1, 1, (2, *model.input_shape)).astype(np.float32):
        own.set_tensor(taken, row)
        own.invoke()
        if not np.array_equal(model(row), own.get_tensor(given)):
            return False
    return True


def main(network: str, packed: str) -> int:
    """Make the file, and try it as the next process will find it."""
    PackedModel(network, packed)
    before = _state(packed)
    kept = same_numbers(network, packed) and _state(packed) == before
    return 0 if kept else 1


def _state(file: str) -> tuple[int, int, int]:
    found = Path(file).stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
