"""Run networks on one thread: on LiteRT, or on ONNX Runtime where a network cannot be converted.

ONNX Runtime is an extra (`pipeline/requirements-onnx.txt`), loaded only for such a network.
"""

from __future__ import annotations

import ctypes
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BundleIncompatible, WeightsCorrupt, WeightsMissing
from pipeline.faces.types import Floats
from pipeline.stderr import without_xnnpack_note

MADV_DONTNEED = 4
EXTRA = "pip install -r pipeline/requirements-onnx.txt"


class Network(ABC):
    """A loaded network with one input (n, height, width, channels) and one output (n, d), both float32."""

    input_shape: tuple[int, ...]
    """Of one row: (height, width, channels)."""
    dimensions: int
    """Length of one row of the output."""

    def __init__(self, path: Path) -> None:
        """Load ``path``. Raises WeightsMissing."""
        if not path.is_file():
            raise WeightsMissing(f"the network {path.name} is not there")
        self._path = path

    def sha256(self) -> str:
        """Of the network's file."""
        return hashlib.sha256(self._path.read_bytes()).hexdigest()

    def run(self, batch: Floats) -> Floats:
        """(n, height, width, channels) to (n, d), one row at a time.

        Several at a time are no faster on one thread, give the same numbers, and need memory for each.
        """
        rows = [self._invoke(batch[i : i + 1]) for i in range(len(batch))]
        return np.concatenate([np.empty((0, self.dimensions), np.float32), *rows])

    @abstractmethod
    def _invoke(self, batch: Floats) -> Floats:
        """The output for one row."""


class LiteRtNetwork(Network):
    """A network in a LiteRT file. It is run once when loaded."""

    def __init__(self, path: Path) -> None:
        """Load ``path``. Raises WeightsMissing or WeightsCorrupt."""
        super().__init__(path)
        self._interpreter = open_interpreter(path)
        details = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        self._input, self._output = (detail["index"] for detail in details)
        self.input_shape = tuple(int(size) for size in details[0]["shape"][1:])
        self.dimensions = int(details[1]["shape"][-1])
        self._invoke(np.zeros((1, *self.input_shape), np.float32))
        release_pages(path)

    def _invoke(self, batch: Floats) -> Floats:
        self._interpreter.set_tensor(self._input, batch)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output))


class OnnxNetwork(Network):
    """A network in an ONNX file. It is run once when loaded."""

    def __init__(self, path: Path) -> None:
        """Load ``path``.

        Raises WeightsMissing or WeightsCorrupt, and BundleIncompatible without ONNX Runtime.
        """
        super().__init__(path)
        try:
            runtime = import_module("onnxruntime")
        except ImportError as error:
            raise BundleIncompatible(f"{path.name} runs on ONNX Runtime: {EXTRA}") from error
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self._input = self._session.get_inputs()[0]
            channels, height, width = self._input.shape[1:]
            self.input_shape = int(height), int(width), int(channels)
            self.dimensions = self._invoke(np.zeros((1, *self.input_shape), np.float32)).shape[1]
        except Exception as error:  # its errors have no common base
            raise WeightsCorrupt(f"{path.name} is not a network that ONNX Runtime can run") from error

    def _invoke(self, batch: Floats) -> Floats:
        pictures = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        (found, *_) = self._session.run(None, {self._input.name: pictures})
        return np.asarray(found, np.float32).reshape(1, -1)


def open_network(path: Path) -> Network:
    """The network in this file, by its suffix, on weights of its own. Raises ModelError."""
    return OnnxNetwork(path) if path.suffix == ".onnx" else LiteRtNetwork(path)


def open_interpreter(path: Path) -> Any:
    """A LiteRT interpreter on one thread, ready to run. Raises WeightsMissing or WeightsCorrupt."""
    from ai_edge_litert.interpreter import Interpreter

    if not path.is_file():
        raise WeightsMissing(f"the network {path.name} is not there")
    try:
        with without_xnnpack_note():
            interpreter = Interpreter(str(path), num_threads=1)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise WeightsCorrupt(f"{path.name} is not a network that LiteRT can run") from error
    return interpreter


def release_pages(path: Path) -> None:
    """Give back the memory that mapped the file: XNNPACK computes from its own packed copy.

    The map is shared and read-only: a page that is needed after all is read again. With both
    embedders this saves a process 120 MB (312 → 193, measured).
    """
    madvise = ctypes.CDLL(None).madvise
    for start, end in _mapped(path):
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED)


def _mapped(path: Path) -> Iterator[tuple[int, int]]:
    """The addresses where the file is mapped into this process; none on systems without ``/proc``."""
    maps, end_of_line = Path("/proc/self/maps"), f" {path.resolve()}"
    for line in maps.read_text(encoding="utf-8").splitlines() if maps.is_file() else ():
        if line.endswith(end_of_line):
            start, end = line.split(maxsplit=1)[0].split("-")
            yield int(start, 16), int(end, 16)
