"""One ONNX network on one thread, for networks that cannot be converted to LiteRT.

ONNX Runtime is an extra (`pipeline/requirements-onnx.txt`), loaded only by who has such a network.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path

import numpy as np

from pipeline.errors import BundleIncompatible, WeightsCorrupt, WeightsMissing
from pipeline.faces.types import Vectors

EXTRA = "pip install -r pipeline/requirements-onnx.txt"


class OnnxNetwork:
    """Runs a network with one input (1, channels, height, width) and one output of d numbers, both float32.

    Stands where `pipeline.faces.litert.Network` does.
    """

    def __init__(self, path: Path) -> None:
        """Load ``path`` and run it once. Raises WeightsMissing, WeightsCorrupt, and BundleIncompatible
        without ONNX Runtime."""
        if not path.is_file():
            raise WeightsMissing(f"the network {path.name} is not there")
        try:
            runtime = import_module("onnxruntime")
        except ImportError as error:
            raise BundleIncompatible(f"{path.name} runs on ONNX Runtime: {EXTRA}") from error
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._path = path
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self._input = self._session.get_inputs()[0]
            self.dimensions = self._invoke(np.zeros((1, *self.input_shape), np.float32)).shape[1]
        except Exception as error:  # its errors have no common base
            raise WeightsCorrupt(f"{path.name} is not a network that ONNX Runtime can run") from error

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one row: (height, width, channels)."""
        channels, height, width = self._input.shape[1:]
        return int(height), int(width), int(channels)

    def sha256(self) -> str:
        """Of the network's file."""
        return hashlib.sha256(self._path.read_bytes()).hexdigest()

    def run(self, batch: Vectors) -> Vectors:
        """(n, height, width, channels) to (n, d), one row at a time: most files take no other number."""
        rows = [self._invoke(batch[i : i + 1]) for i in range(len(batch))]
        return np.concatenate([np.empty((0, self.dimensions), np.float32), *rows])

    def _invoke(self, row: Vectors) -> Vectors:
        """(1, height, width, channels) to (1, d)."""
        pictures = np.ascontiguousarray(row.transpose(0, 3, 1, 2))
        (found, *_) = self._session.run(None, {self._input.name: pictures})
        return np.asarray(found, np.float32).reshape(1, -1)
