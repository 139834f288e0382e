"""What the story in `verify.py` needs of the models, in its own words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.verdict import Box

Rgb = NDArray[np.uint8]
"""(height, width, 3) uint8, RGB, upright."""
Vector = NDArray[np.float32]
Vectors = NDArray[np.float32]
Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """What the face mesh says of a face, in pixels of the upright photo.

    ``five`` is (5, 2) float32: the person's right eye, left eye, nose tip, right and left corner
    of the mouth. The mesh's own box, tighter than the detector's, has its middle at ``centre``,
    ``width`` and ``height`` along the face's own axes, which are turned by ``roll`` (radians).
    """

    five: Points
    centre: tuple[float, float]
    width: float
    height: float
    roll: float
    shape: Points
    """(468, 3) float32: every point in the network's own crop, in half sides of it from its middle; the
    third number is depth. The network computes them from 288 features, all of which they carry."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A detected face in pixels of the upright photo.

    ``landmarks`` is (6, 2) float32 in BlazeFace's order: the right eye and the left eye of the
    person (right comes first and lies left in the picture), nose tip, mouth centre, right ear
    tragion, left ear tragion. ``score`` is the detector's confidence, 0..1.
    """

    box: Box
    landmarks: Points
    score: float
    mesh: Mesh | None = None
    """None until it was looked for, or where the mesh does not fit."""
    presence: float | None = None
    """The logit by which the mesh sees a face there; None until it was looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """What was found in a photo. ``faces`` are in pixels of ``rgb``, the largest first.

    ``rgb`` is the photo as given, or turned by 90, 180 or 270 degrees where its faces stood
    upright only then (``turned``, counter-clockwise).
    """

    rgb: Rgb
    faces: tuple[Face, ...]
    turned: int = 0


class FaceDetector(Protocol):
    """Finds faces."""

    def detect(self, rgb: Rgb) -> Detection:
        """All faces; none is an answer, not an error."""
        ...
