"""Perceptual hash of a picture: near copies (scaled, recompressed, slightly edited) differ in few bits."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from pipeline.ports import Rgb


def perceptual_hash(rgb: Rgb) -> int:
    """64 bits, the first one the highest; the same as ImageHash's `phash`, without its SciPy.

    The signs, against their median, of the 8 x 8 lowest frequencies of the picture's 32 x 32
    greyscale thumbnail.
    """
    thumbnail = Image.fromarray(rgb).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    # OpenCV's transform is orthonormal, ImageHash's is not: the constant terms differ by sqrt(2).
    weights = np.where(np.arange(8) == 0, np.sqrt(2), 1.0)
    low = cv2.dct(np.asarray(thumbnail, dtype=np.float64))[:8, :8] * np.outer(weights, weights)
    bits = low > np.median(low)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
