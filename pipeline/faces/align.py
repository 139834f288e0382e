"""Align a face: the crop that a network was trained on.

Each crop is one affine warp of the photo. Where that reduces strongly the photo is first
shrunk by area averaging, because bilinear sampling alone would skip pixels (aliasing).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from pipeline.faces.types import Doubles, Face, Points, Rgb

Affine = Doubles
"""(2, 3): photo pixels to crop pixels."""


class Border(StrEnum):
    """How the crop is filled where it reaches over the photo's border."""

    REPLICATE = "replicate"
    BLACK = "black"


class Preprocess(StrEnum):
    """The colours that a network takes."""

    COLOR = "color"
    GRAY = "gray"
    GRAY_EQUALIZED = "gray_equalized"


@dataclass(frozen=True, slots=True)
class StretchedGeometry:
    """A crop in sides of the face box, stretched to a square of ``size`` pixels, as FaceNet was trained."""

    width: float = 1.2
    height: float = 1.5
    shift_up: float = 0.08
    """How far the crop's centre lies above the box's, in box sides."""
    size: int = 160
    upright: bool = False
    """Whether the face's roll is removed first."""
    border: Border = Border.REPLICATE


ARCFACE_FIVE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float64,
)
"""Right eye, left eye, nose tip and the mouth's corners in a crop of 112 x 112 pixels: ArcFace's
alignment template (insightface, `arcface_torch`)."""

ARCFACE_TEMPLATE = np.vstack([ARCFACE_FIVE[:3], ARCFACE_FIVE[3:].mean(axis=0)])
"""The same with the mouth's centre, because BlazeFace has no corners."""


def crop_stretched(rgb: Rgb, face: Face, geometry: StretchedGeometry) -> Rgb:
    """The face box, widened and stretched to (size, size, 3) uint8."""
    side, roll = max(face.box.side, 1.0), roll_of(face) if geometry.upright else 0.0
    cos, sin = np.cos(roll), np.sin(roll)
    x, y = face.box.centre
    shift = geometry.shift_up * side
    centre = np.array([x + sin * shift, y - cos * shift])
    scale = np.diag([geometry.size / (geometry.width * side), geometry.size / (geometry.height * side)])
    linear = scale @ np.array([[cos, sin], [-sin, cos]])
    offset = geometry.size / 2 - linear @ centre
    return _warp(rgb, np.column_stack([linear, offset]), geometry.size, geometry.border)


def crop_similarity(rgb: Rgb, face: Face, size: int = 112, border: Border = Border.BLACK) -> Rgb:
    """Eyes, nose and mouth laid onto ArcFace's template: (size, size, 3) uint8.

    By the face mesh where there is one, else by the detector's coarser landmarks.
    """
    points, template = (
        (face.landmarks[:4], ARCFACE_TEMPLATE) if face.mesh is None else (face.mesh.five, ARCFACE_FIVE)
    )
    affine = similarity(points, template * (size / 112))
    return _warp(rgb, affine, size, border)


def similarity(source: Points, target: Doubles) -> Affine:
    """The least-squares similarity (turn, scale, shift) from (n, 2) points to others.

    Closed form in the plane: with centred points as complex numbers, target = a * source. Points
    that all lie in one place are only moved.
    """
    points = source.astype(np.float64)
    from_centre, to_centre = points.mean(axis=0), target.mean(axis=0)
    from_plane = (points - from_centre) @ np.array([1, 1j])
    to_plane = (target - to_centre) @ np.array([1, 1j])
    spread = float(np.sum(np.abs(from_plane) ** 2))
    factor = np.sum(np.conj(from_plane) * to_plane) / spread if spread > 1e-6 else 1.0 + 0.0j
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, to_centre - linear @ from_centre])


def roll_of(face: Face) -> float:
    """How far the face is turned in the picture's plane, in radians; positive is clockwise.

    It is the turn of the similarity onto the template, because in a profile the eyes are too close
    together to tell.
    """
    affine = similarity(face.landmarks[:4], ARCFACE_TEMPLATE)
    return float(np.arctan2(-affine[1, 0], affine[0, 0]))


def preprocess(crop: Rgb, mode: Preprocess) -> Rgb:
    """The crop in the colours of ``mode``; always three channels."""
    if mode is Preprocess.COLOR:
        return crop
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    if mode is Preprocess.GRAY_EQUALIZED:
        gray = cv2.equalizeHist(gray)
    return np.asarray(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def _warp(rgb: Rgb, affine: Affine, size: int, border: Border) -> Rgb:
    """One affine warp to (size, size, 3), after an area reduction where it shrinks by two or more."""
    shrink = int(1 / max(np.sqrt(abs(np.linalg.det(affine[:, :2]))), 1e-6))
    if shrink >= 2:
        rgb, affine = _reduce(rgb, affine, size, shrink)
    mode = cv2.BORDER_REPLICATE if border is Border.REPLICATE else cv2.BORDER_CONSTANT
    # OpenCV puts pixel centres at whole numbers; everything here counts from pixels' corners.
    half = affine[:, :2] @ np.array([0.5, 0.5]) - 0.5
    shifted = np.column_stack([affine[:, :2], affine[:, 2] + half])
    warped = cv2.warpAffine(rgb, shifted, (size, size), flags=cv2.INTER_LINEAR, borderMode=mode)
    return np.asarray(warped, dtype=np.uint8)


def _reduce(rgb: Rgb, affine: Affine, size: int, shrink: int) -> tuple[Rgb, Affine]:
    """The part that the crop covers, ``shrink`` times smaller, and the warp from there."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], dtype=np.float64)
    touched = (corners - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T
    limits = np.array([rgb.shape[1], rgb.shape[0]])
    low = np.clip(np.floor(touched.min(axis=0)) - shrink, 0, limits - 1).astype(int)
    high = np.clip(np.ceil(touched.max(axis=0)) + shrink, low + 1, limits).astype(int)
    # Whole multiples of ``shrink``, which OpenCV averages several times faster than other sizes.
    count = np.maximum((high - low) // shrink, 1)
    part = rgb[low[1] : low[1] + count[1] * shrink, low[0] : low[0] + count[0] * shrink]
    reduced = cv2.resize(part, (int(count[0]), int(count[1])), interpolation=cv2.INTER_AREA)
    back = np.diag([part.shape[1] / count[0], part.shape[0] / count[1]])
    offset = affine[:, 2] + affine[:, :2] @ low
    return np.asarray(reduced, dtype=np.uint8), np.column_stack([affine[:, :2] @ back, offset])
