"""Faces of a photo, however it was taken: near or far, filling the frame, lying on its side.

One look with the short-range network settles most photos. Where it finds nothing, or nothing
certain, the search widens step by step.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.blazeface import FULL_RANGE, SHORT_RANGE, BlazeFace, Square, corners, overlaps
from pipeline.ports import Detection, Face, Rgb

SHORT_SCORE = 0.5
FULL_SCORE = 0.6
_CERTAIN = 0.75
_TURNS = (0, 90, 270, 180)


class TwoRangeDetector:
    """Both BlazeFace networks behind the `FaceDetector` port. One thread at a time."""

    def __init__(self, short: Path, full: Path) -> None:
        """Load the short-range and the full-range network. Raises ModelError."""
        self._short = BlazeFace(short, SHORT_RANGE)
        self._full = BlazeFace(full, FULL_RANGE)

    def detect(self, rgb: Rgb) -> Detection:
        """All faces, the largest first; see `Detection`."""
        for turned in _TURNS:
            turned_rgb = np.ascontiguousarray(np.rot90(rgb, turned // 90))
            faces = self._upright(turned_rgb)
            if faces:
                return Detection(turned_rgb, faces, turned)
        return Detection(rgb, ())

    def _upright(self, rgb: Rgb) -> tuple[Face, ...]:
        faces = self._short.look(rgb, Square.around(rgb), SHORT_SCORE)
        if not faces or faces[0].score < _CERTAIN:
            faces = merge([*faces, *self._full.look(rgb, Square.around(rgb), FULL_SCORE)])
        if not faces:
            faces = self._short.look(rgb, Square.around(rgb, 0.6), SHORT_SCORE)
        return tuple(sorted(faces, key=lambda face: -face.box.side))


def merge(faces: Iterable[Face]) -> list[Face]:
    """The faces without those that overlap one of a better score."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not kept or overlaps(corners([face])[0], corners(kept)).max() <= 0.3:
            kept.append(face)
    return kept
