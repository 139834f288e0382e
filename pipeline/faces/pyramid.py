"""A photo at its size, a half, a quarter, ...: what a network looks at must not be skipped through.

MediaPipe samples the photo bilinearly, which from 1600 to 128 pixels reads one pixel in ten:
dithering and fine texture turn into noise. Halving by area first costs a millisecond once.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.faces.blazeface import BlazeFace, Square
from pipeline.faces.types import Face, Rgb
from pipeline.verdict import Box


class Pyramid:
    """A photo and its halvings, made when first needed."""

    def __init__(self, rgb: Rgb) -> None:
        """Start with the photo as it is."""
        self._levels = [rgb]

    @property
    def rgb(self) -> Rgb:
        """The photo at full size."""
        return self._levels[0]

    @property
    def long_side(self) -> int:
        """Of the photo, in pixels."""
        return max(self.rgb.shape[:2])

    def whole(self, zoom: float = 1.0) -> Square:
        """The square around the whole photo; below 1, ``zoom`` leaves a border around it."""
        height, width = self.rgb.shape[:2]
        side = max(height, width) / zoom
        return Square((width - side) / 2, (height - side) / 2, side)

    def look(self, network: BlazeFace, square: Square, min_score: float) -> list[Face]:
        """What ``network`` sees in ``square``, both in pixels of the photo at full size."""
        level = max(0, int(np.log2(max(square.side / network.size, 1.0))))
        rgb, times = self._level(level)
        shift = (times - 1) / 2  # where the centre of a halved pixel lies
        reduced = Square((square.x - shift) / times, (square.y - shift) / times, square.side / times)
        return [_enlarged(face, times, shift) for face in network.look(rgb, reduced, min_score)]

    def _level(self, wanted: int) -> tuple[Rgb, int]:
        """The photo halved ``wanted`` times, or as often as its size allows; and by how much."""
        while len(self._levels) <= wanted and min(self._levels[-1].shape[:2]) >= 4:
            self._levels.append(_halved(self._levels[-1]))
        level = min(wanted, len(self._levels) - 1)
        return self._levels[level], 2**level


def _halved(rgb: Rgb) -> Rgb:
    height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
    even = rgb[: height * 2, : width * 2]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _enlarged(face: Face, times: int, shift: float) -> Face:
    box = face.box
    return Face(
        Box(box.x * times + shift, box.y * times + shift, box.width * times, box.height * times),
        face.landmarks * np.float32(times) + np.float32(shift),
        face.score,
    )
