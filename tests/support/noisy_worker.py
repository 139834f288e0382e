"""`python -m support.noisy_worker run …`: `python -m worker run` with jobs that make libraries write.

What a job does besides being verified is in its ID.
"""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pipeline.verdict import Gender, Photo, Verified
from worker import runtime
from worker.cli import main
from worker.logs import current

LAST_WORDS: Final = b"double free or corruption (!prev)\n"
KEY: Final = "".join(("s3", "cret"))  # not in one piece: Sentry shows the lines of the source
WARNING: Final = "this photo has an odd profile"


def _libraries() -> None:
    """LiteRT says what it has made, libc what went wrong; Python prints and warns."""
    Interpreter(str(next(runtime.settings().bundle.glob("*.tflite"))))
    ctypes.CDLL(None).perror(b"libpng warning: iCCP")
    sys.stdout.write("a line on standard output\n")
    sys.stdout.flush()
    warnings.warn(WARNING, stacklevel=1)


def _mediapipe() -> None:
    """Look for a face: its libraries, TensorFlow among them, greet, warn and report on standard error."""
    import mediapipe

    with mediapipe.solutions.face_detection.FaceDetection() as detector:
        detector.process(np.zeros((64, 64, 3), np.uint8))


def _abort() -> None:
    os.write(2, LAST_WORDS)
    os.abort()


def _raise() -> None:
    """With a signed link in a variable of each frame, and in the text."""
    link = f"https://cdn.example.com/a.jpg?X-Amz-Signature={KEY}"
    _fetch(link, {"Authorization": f"Bearer {KEY}"})


def _fetch(link: str, headers: Mapping[str, str]) -> None:
    pool = f"HTTPConnectionPool(host='cdn.example.com'): Max retries exceeded with url: /a.jpg?sig={KEY}"
    member = current()["member"]
    raise RuntimeError(f"{link} of {member} not retrieved with {len(headers)} headers: {pool}")


NOISE: Final[dict[str, Callable[[], None]]] = {
    "libraries": _libraries,
    "mediapipe": _mediapipe,
    "abort": _abort,
    "raise": _raise,
}


def _noisy(
    verify: Callable[..., Verified],
) -> Callable[[Photo, Sequence[Photo], Gender | None], Verified]:
    def verified(selfie: Photo, photos: Sequence[Photo], declared_gender: Gender | None) -> Verified:
        NOISE.get(current()["job"], lambda: None)()
        return verify(selfie, photos, declared_gender)

    return verified


def _main() -> None:
    worker: Any = runtime
    worker._verify = _noisy(worker._verify)
    main()


if __name__ == "__main__":
    _main()
