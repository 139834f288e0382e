"""Perceptual hash of a picture: near copies (scaled, recompressed, slightly edited) differ in few bits."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.faces.types import Rgb


def perceptual_hash(rgb: Rgb) -> tuple[int, int]:
    """The hash of the picture and the one of its mirror image, 64 bits each, the first one the highest.

    The same as ImageHash's `phash`, without its SciPy: the signs, against their median, of the
    8 x 8 lowest frequencies of the picture's 32 x 32 greyscale thumbnail. A large picture is
    halved first, which is ten times faster and changes a bit at most now and then.
    """
    while min(rgb.shape[:2]) >= 384:
        even = rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2]
        rgb = np.asarray(cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    small = Image.fromarray(rgb).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    thumbnail = np.asarray(small, dtype=np.float64)
    return _hash(thumbnail), _hash(np.ascontiguousarray(thumbnail[:, ::-1]))


def _hash(thumbnail: NDArray[np.float64]) -> int:
    # OpenCV's transform is orthonormal, ImageHash's is not: the constant terms differ by sqrt(2).
    weights = np.where(np.arange(8) == 0, np.sqrt(2), 1.0)
    low = cv2.dct(thumbnail)[:8, :8] * np.outer(weights, weights)
    bits = low > np.median(low)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
