"""What verifications run on, prepared before a worker forks."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import numpy as np
from threadpoolctl import threadpool_limits


def one_thread() -> None:
    """A pool has a process for each processor; libraries that start threads besides slow them all.

    Called before a fork, or OpenBLAS would start the thread that it then does not use. OpenCV reads its
    variable when it is loaded; for numpy, which has been, a variable would come too late.
    """
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
    threadpool_limits(1)


def load() -> str | None:
    """Load them before the fork: pool processes share them, and are ready sooner.

    Not on macOS, where OpenCV brings frameworks that must not be forked. Returns why one of them cannot be
    loaded, in one line.
    """
    if sys.platform == "linux":
        try:
            _load()
        except ImportError as error:
            return f"{error} (OpenCV needs: apt-get install libgl1 libglib2.0-0)"
    return None


def _load() -> None:
    for module in ("pipeline.bundles.load", "pipeline.verify", "ai_edge_litert.compiled_model"):
        import_module(module)
    # OpenCV computes its tables for colours at the first use, a tenth of a second.
    import cv2

    cv2.cvtColor(np.zeros((1, 1, 3), np.uint8), cv2.COLOR_RGB2LAB)
