"""Perceptual hashes of a picture: near copies differ in few bits.

Two hashes, because one does not do for both purposes. The coarse one is ImageHash's `phash`, without its
SciPy: short enough to be looked up in a database of a million photos, but there hundreds of portraits of
other people differ from each photo in as few bits as its copies do. The fine one, `phash` with four times as
many frequencies, tells those apart.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from PIL import Image

from pipeline.faces.types import Doubles, Rgb
from pipeline.verdict import PerceptualHash, PictureHashes

_OVERSAMPLED: Final = 4
"""Pixels of a thumbnail's side for each frequency that is kept, as ImageHash has it."""
_COARSE: Final = 8
_FINE: Final = 16
"""Frequencies in each direction."""
FEATURELESS: Final = 24.0
"""Below this median distance of the frequencies from their median a picture is too plain for its hash.

A small head before an even wall has the hash of every other one there. Measured: 0 to 2 for empty
pictures, 1 to 17 (medians of 300) for heads on a third to a half of an even picture's side, and for
7,835 photos of people 20 to 134, below 24 for 5 of them.
"""


def picture_hashes(rgb: Rgb) -> PictureHashes:
    """The hashes of the picture and of its mirror image.

    A large picture is halved first, which is ten times faster and changes a bit at most now and then.
    """
    while min(rgb.shape[:2]) >= 384:
        even = rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2]
        rgb = np.asarray(cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    grey = Image.fromarray(rgb).convert("L")
    coarse, fine = (_frequencies(grey, number) for number in (_COARSE, _FINE))
    plain = float(np.median(np.abs(fine - np.median(fine)))) < FEATURELESS
    return PictureHashes(
        PerceptualHash(_bits(coarse), _bits(fine)),
        PerceptualHash(_bits(_mirrored(coarse)), _bits(_mirrored(fine))),
        featureless=plain,
    )


def _frequencies(grey: Image.Image, number: int) -> Doubles:
    """(number, number), the lowest ones of a thumbnail."""
    side = number * _OVERSAMPLED
    thumbnail = np.asarray(grey.resize((side, side), Image.Resampling.LANCZOS), dtype=np.float64)
    # OpenCV's transform is orthonormal, ImageHash's is not: the constant terms differ by sqrt(2).
    weights = np.where(np.arange(number) == 0, np.sqrt(2), 1.0)
    return np.asarray(cv2.dct(thumbnail)[:number, :number] * np.outer(weights, weights))


def _mirrored(frequencies: Doubles) -> Doubles:
    """Those of the mirror image: every other one across has its sign turned."""
    return np.asarray(frequencies * np.where(np.arange(frequencies.shape[1]) % 2, -1.0, 1.0))


def _bits(frequencies: Doubles) -> int:
    """One for each frequency, its side of the median; the first one is the highest bit."""
    return int.from_bytes(np.packbits(frequencies > np.median(frequencies)).tobytes(), "big")
