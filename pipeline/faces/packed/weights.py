"""Packed weights of networks in a folder, for all processes of a host.

XNNPACK computes from a packed copy of the weights. An `Interpreter` packs one in each process; here it lies
in a file that all processes map. XNNPACK takes damaged files for good ones (wrong numbers, or a crash), and
writes into a file that others map. So each file is made under another name, tried, named by its digest, and
checked before it is loaded. Where anything is odd, the process packs weights of its own.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.faces.networks import Network, open_network, release_pages
from pipeline.faces.packed import model
from pipeline.faces.types import Floats
from pipeline.stderr import without_litert_notes

logger = logging.getLogger(__name__)

_SECONDS: Final = 15.0
"""Most for one file, and most that another process is waited for. A network takes half a second."""
_PROCESSOR: Final = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "cache size", "flags"),
)
_MAKING: Final = "making-"


class PackedNetwork(Network):
    """A LiteRT network on packed weights in a file. It is run once when loaded."""

    def __init__(self, path: Path, packed: Path) -> None:
        """Load ``path``. Raises WeightsMissing, and ValueError or RuntimeError where it cannot be run so."""
        super().__init__(path)
        with without_litert_notes():
            self._model = model.PackedModel(str(path), str(packed))
            self.input_shape = self._model.input_shape[1:]
            self.dimensions = self._model.output_shape[1]
            self._invoke(np.zeros(self._model.input_shape, np.float32))
        release_pages(path)

    def _invoke(self, batch: Floats) -> Floats:
        return self._model(batch)


class PackedWeights:
    """A folder of packed weights. It is only used where it is this user's alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._usable = sys.platform == "linux" and platform.machine() == "x86_64"

    def open(self, network: Path, sha256: str) -> Network:
        """The network of this digest, on weights in the folder if possible. Raises ModelError."""
        packed = self._find(network, sha256)
        if packed is not None:
            try:
                return PackedNetwork(network, packed)
            except (RuntimeError, ValueError) as error:
                self._give_up(error)
        return open_network(network)

    def _find(self, network: Path, sha256: str) -> Path | None:
        if not self._usable or network.suffix == ".onnx" or not network.is_file():
            return None
        try:
            _claim(self._folder)
            key = _key(sha256)
            return _intact(self._folder, key) or self._make(network, key)
        except (OSError, subprocess.SubprocessError) as error:
            self._give_up(error)
            return None

    def _make(self, network: Path, key: str) -> Path:
        with _alone(self._folder):
            return _intact(self._folder, key) or _make(self._folder, network, key)

    def _give_up(self, error: Exception) -> None:
        """Not tried again by this process, because it would take as long each time."""
        self._usable = False
        logger.info("this process packs weights of its own: %s", error)


def _claim(folder: Path) -> None:
    """Make the folder, or make sure that nobody else can write into it. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a folder of this user alone")


def _key(sha256: str) -> str:
    """Other networks, other versions of LiteRT and other processors have other packed weights."""
    parts = (sha256, version("ai-edge-litert"), *_processor())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _processor() -> list[str]:
    first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0].splitlines()
    return [line for line in first if line.split("\t")[0].strip() in _PROCESSOR]


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _intact(folder: Path, key: str) -> Path | None:
    """The file that is what its name says."""
    return next((file for file in folder.glob(f"{key}-*") if file.name == f"{key}-{_digest(file)}"), None)


def _make(folder: Path, network: Path, key: str) -> Path:
    """Raises OSError, and SubprocessError where the weights cannot be packed so."""
    for left in (*folder.glob(f"{_MAKING}*"), *folder.glob(f"{key}-*")):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    with tempfile.TemporaryDirectory(prefix=_MAKING, dir=folder) as making:
        made = Path(making) / "packed"
        words = [sys.executable, "-P", model.__file__, str(network.resolve()), str(made)]
        subprocess.run(words, check=True, capture_output=True, timeout=_SECONDS)
        made.chmod(0o400)
        return made.rename(folder / f"{key}-{_digest(made)}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other process makes weights. Raises TimeoutError, a kind of OSError."""
    import fcntl

    last = time.monotonic() + _SECONDS
    with (folder / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > last:
                    raise TimeoutError("another process has been packing weights for long") from None
                time.sleep(0.02)
        yield
