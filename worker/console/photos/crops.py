"""Faces of two photos at one place and of one size: the eyes are laid onto fixed points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from pipeline.faces.align import Affine, similarity
from pipeline.faces.types import Doubles, Rgb
from pipeline.images.decode import reduced_size
from pipeline.verdict import Box, Landmark, Landmarks

SIDE: Final = 640
"""Pixels of a face's picture, which is square."""
EYES: Final[Doubles] = np.array([[0.4, 0.42], [0.6, 0.42]], dtype=np.float64) * float(SIDE)
"""Where the person's right and left eye come to lie: hair, chin and neck are in the picture as well."""
APART: Final = float(EYES[1, 0] - EYES[0, 0])
WHOLE_SIDE: Final = 1_600
"""The long side of a whole photo, at most; a smaller one is not enlarged."""
_LEAST_APART: Final = 0.25
"""Of the box's side. Eyes that are closer together are those of a face seen from the side: laid onto the
points they would make it far larger than the other."""
_BOX_SIDE: Final = 0.5 * SIDE
"""Of a face of which only the box is known. Measured on 60 photos of LFW: eyes are 0.40 of the box's side
apart (0.36 to 0.45 for nine tenths), and 0.25 of it above its centre (0.21 to 0.31)."""
_BOX_CENTRE: Final[Doubles] = np.array([0.5, 0.545], dtype=np.float64) * float(SIDE)
_BEYOND: Final = (38, 38, 38)
"""The colour where a crop reaches over the photo's border."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a face lies, in pixels of the picture that it is in."""

    box: Box | None
    eyes: Doubles | None
    """(2, 2): the person's right eye and left eye."""
    points: tuple[tuple[float, float], ...] = ()
    """All landmarks."""

    def scaled(self, by: Doubles) -> Place:
        """In another size of the same picture."""
        x, y = by.tolist()
        box = self.box and Box(self.box.x * x, self.box.y * y, self.box.width * x, self.box.height * y)
        points = tuple((px * x, py * y) for px, py in self.points)
        return Place(box, None if self.eyes is None else self.eyes * by, points)


@dataclass(frozen=True, slots=True)
class Marks:
    """Box and landmarks for an overlay, in pixels of the picture that is shown."""

    width: int
    height: int
    box: tuple[tuple[float, float], ...] = ()
    """Its four corners, which need not be level; empty where no face was found."""
    points: tuple[tuple[float, float], ...] = ()


def place_of(box: Box | None, landmarks: Landmarks | None) -> Place:
    """Of what the database knows of a face."""
    known = landmarks or {}
    eyes = [known[eye] for eye in (Landmark.RIGHT_EYE, Landmark.LEFT_EYE) if eye in known]
    return Place(box, np.array(eyes, dtype=np.float64) if len(eyes) == 2 else None, tuple(known.values()))


def face_affine(place: Place) -> Affine | None:
    """(2, 3) from the picture to the face's crop: by the eyes, else by the box; None without both."""
    if place.eyes is not None:
        apart = float(np.linalg.norm(place.eyes[1] - place.eyes[0]))
        least = _LEAST_APART * place.box.side if place.box else 0.0
        if apart > max(least, 1e-3):
            return similarity(np.asarray(place.eyes, dtype=np.float32), EYES)
        if place.box is not None:
            return _scaled_about(place.eyes.mean(axis=0), APART / least, EYES.mean(axis=0))
    if place.box is None or place.box.side <= 0:
        return None
    return _scaled_about(np.array(place.box.centre), _BOX_SIDE / place.box.side, _BOX_CENTRE)


def scale_of(affine: Affine) -> float:
    """How many pixels of the crop one of the picture makes, along a side."""
    return float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))


def _scaled_about(centre: Doubles, scale: float, to: Doubles) -> Affine:
    linear = np.eye(2) * scale
    return np.column_stack([linear, to - linear @ centre])


def cut(rgb: Rgb, affine: Affine) -> Rgb:
    """(SIDE, SIDE, 3): averaged where the face is larger than its crop, by Lanczos where it is smaller."""
    rgb, affine = _reduced(rgb, affine)
    # OpenCV puts pixel centres at whole numbers; coordinates count from pixels' corners.
    half = affine[:, :2] @ np.array([0.5, 0.5]) - 0.5
    shifted = np.column_stack([affine[:, :2], affine[:, 2] + half])
    crop = cv2.warpAffine(
        rgb,
        shifted,
        (SIDE, SIDE),
        flags=cv2.INTER_LANCZOS4,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=_BEYOND,
    )
    return np.asarray(crop, dtype=np.uint8)


def _reduced(rgb: Rgb, affine: Affine) -> tuple[Rgb, Affine]:
    """The part that the crop covers, no finer than the crop."""
    low, high = _covered(rgb, affine)
    part = rgb[low[1] : high[1], low[0] : high[0]]
    offset = affine[:, 2] + affine[:, :2] @ low
    scale = min(1.0, scale_of(affine))
    height, width = part.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (width, height):
        return np.ascontiguousarray(part), np.column_stack([affine[:, :2], offset])
    smaller = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    back = np.diag([width / size[0], height / size[1]])
    return np.asarray(smaller, dtype=np.uint8), np.column_stack([affine[:, :2] @ back, offset])


def _covered(rgb: Rgb, affine: Affine) -> tuple[Doubles, Doubles]:
    """Two corners, (x, y) in whole pixels, with a margin for the interpolation."""
    corners = np.array([[0, 0], [SIDE, 0], [0, SIDE], [SIDE, SIDE]], dtype=np.float64)
    touched = (corners - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T
    limits, margin = np.array([rgb.shape[1], rgb.shape[0]]), 4 + 4 / scale_of(affine)
    low = np.clip(np.floor(touched.min(axis=0) - margin), 0, limits - 1).astype(int)
    high = np.clip(np.ceil(touched.max(axis=0) + margin), low + 1, limits).astype(int)
    return low, high


def fitted(rgb: Rgb, long_side: int = WHOLE_SIDE) -> Rgb:
    """The whole picture, its long side at most that long."""
    height, width = rgb.shape[:2]
    size = reduced_size((width, height), long_side)
    if size == (width, height):
        return rgb
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def marks(place: Place, affine: Affine, size: tuple[int, int]) -> Marks:
    """Of a face, after this transform into a picture of ``size`` (width, height)."""
    corners: tuple[tuple[float, float], ...] = ()
    if box := place.box:
        right, bottom = box.x + box.width, box.y + box.height
        corners = ((box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom))
    return Marks(*size, _moved(corners, affine), _moved(place.points, affine))


def _moved(points: Iterable[tuple[float, float]], affine: Affine) -> tuple[tuple[float, float], ...]:
    places = [affine[:, :2] @ np.array(point) + affine[:, 2] for point in points]
    return tuple((round(float(x), 1), round(float(y), 1)) for x, y in places)
