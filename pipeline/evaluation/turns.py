"""Time the verification of two photos in turns: this checkout, others, and a peer.

Each contestant has a process of its own and does one round at a time, so that other work on the machine slows
all of them alike. A checkout is any version of this project with a bundle of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from pipeline.errors import DataError
from pipeline.evaluation.bench import quartiles
from pipeline.terminal import track

PEER: Final = "face_recognition (dlib)"
_ROUNDS: Final = """
for _ in sys.stdin:
    wall, processor = time.perf_counter(), time.process_time()
    once()
    print((time.process_time() - processor) * 1000, (time.perf_counter() - wall) * 1000, flush=True)
"""
_OURS: Final = (
    """
import sys, time
from pathlib import Path
import cv2
from threadpoolctl import threadpool_limits
from pipeline.bundles.load import load_models, warm_up
from pipeline.verify import verify

models = load_models(Path(sys.argv[1]))
warm_up(models)
one, other = (Path(path).read_bytes() for path in sys.argv[2:4])
threadpool_limits(1)
cv2.setNumThreads(1)

def once():
    verify(models, one, [other])

once()
print(flush=True)
"""
    + _ROUNDS
)
_PEER: Final = (
    """
import sys, time
from pathlib import Path
from pipeline.evaluation.bench import FaceRecognition
from pipeline.images.decode import decode

peer = FaceRecognition()

def once():
    one, other = (peer.describe(decode(Path(path).read_bytes()).rgb) for path in sys.argv[2:4])
    peer.score(one, other)

once()
print(flush=True)
"""
    + _ROUNDS
)


class Contestant:
    """A process that verifies the two photos once whenever it is asked to."""

    def __init__(self, script: str, checkout: Path, bundle: Path, photos: Sequence[Path]) -> None:
        """Start the process and let it verify once, to warm up. Raises DataError where it cannot."""
        self._where = checkout
        words = [sys.executable, "-c", script, str(bundle), *map(str, photos)]
        self._process = subprocess.Popen(
            words,
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def once(self) -> tuple[float, float]:
        """Milliseconds of processor time, and on the clock."""
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        processor, wall = map(float, self._answer().split())
        return processor, wall

    def _answer(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            _, said = self._process.communicate()
            last = said.strip().splitlines()[-1:] or ["it ended"]
            raise DataError(f"{self._where} cannot be timed: {last[0]}")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def ours(checkout: Path, bundle: Path, photos: Sequence[Path]) -> Contestant:
    """A whole verification by the version at ``checkout``, with gender, hashes and gates."""
    return Contestant(_OURS, checkout, bundle, photos)


def peer(checkout: Path, photos: Sequence[Path]) -> Contestant:
    """The same two photos by face_recognition: decode, find the faces, describe them, compare."""
    return Contestant(_PEER, checkout, Path(), photos)


def in_turns(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, Any]:
    """Quartiles of the milliseconds of each, and of how many times the first one's each took; JSON."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in track(range(rounds), rounds, "rounds"):
        for name, contestant in contestants.items():
            times[name].append(contestant.once())
    own = np.array(next(iter(times.values())))[:, 0]
    return {
        name: {
            "milliseconds": quartiles([processor for processor, _ in found]),
            "wall": quartiles([wall for _, wall in found]),
            "times": quartiles((np.array(found)[:, 0] / own).tolist()),
        }
        for name, found in times.items()
    }
