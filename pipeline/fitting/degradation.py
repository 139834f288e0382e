"""Photos spoilt on purpose, so that a gate refuses the face: something over it, out of focus, few pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.faces.types import Face, Rgb
from pipeline.fitting.painting import Random
from pipeline.fitting.synthetic_occlusion import Drawn, draw
from pipeline.verdict import Box, Outcome


def damage(rgb: Rgb, face: Face, outcome: Outcome, rng: Random) -> Rgb:
    """A copy of the photo whose ``face`` a gate is likely to refuse with ``outcome``, one of `DAMAGES`."""
    return DAMAGES[outcome](rgb, face, rng)


def _hidden(rgb: Rgb, face: Face, rng: Random) -> Rgb:
    return draw(rgb, face, Drawn.MASK if rng.random() < 0.5 else Drawn.SUNGLASSES, rng)


def _blurred(rgb: Rgb, face: Face, rng: Random) -> Rgb:
    """From about the least blur that the gate refuses to twice as much, where faces are hardly found."""
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.04, 0.075) * face.box.side), np.uint8)


def _small(rgb: Rgb, face: Face, rng: Random) -> Rgb:
    """The whole photo so much smaller that the face has 24 to 44 pixels."""
    scale = min(1.0, rng.uniform(24, 44) / face.box.side)
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


DAMAGES: dict[Outcome, Callable[[Rgb, Face, Random], Rgb]] = {
    Outcome.OCCLUDED: _hidden,
    Outcome.TOO_BLURRED: _blurred,
    Outcome.FACE_TOO_SMALL: _small,
}


def worsened(rgb: Rgb, face: Face, rng: Random) -> tuple[Rgb, Face]:
    """The photo as it might have arrived, and where its face lies then."""
    if rng.random() < 0.6:
        rgb, face = _cut(rgb, face, rng)
    rgb, face = _resized(rgb, face, rng)
    if rng.random() < 0.25:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 1.6)), dtype=np.uint8)
    gamma = rng.uniform(0.5, 1.9) if rng.random() < 0.5 else 1.0
    gain = rng.uniform(0.8, 1.4) if rng.random() < 0.3 else 1.0
    curve = 255 * np.clip(gain * (np.arange(256) / 255) ** gamma, 0, 1)
    image = cv2.LUT(rgb, curve.astype(np.uint8))
    if rng.random() < 0.1:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8), face


def _cut(rgb: Rgb, face: Face, rng: Random) -> tuple[Rgb, Face]:
    """The face alone, as in a cropped profile picture; half of them just around the face."""
    (x, y), half = face.box.centre, face.box.side / 2
    least, most = (0.72, 1.15) if rng.random() < 0.5 else (0.85, 1.8)
    left, top = (max(0, int(at - half * rng.uniform(least, most))) for at in (x, y))
    right, bottom = (max(1, int(at + half * rng.uniform(least, most))) for at in (x, y))
    return rgb[top:bottom, left:right], _moved(face, np.array([left, top]), np.ones(2))


def _resized(rgb: Rgb, face: Face, rng: Random) -> tuple[Rgb, Face]:
    """Smaller in half of cases, and stretched a little in a quarter."""
    scale = min(1.0, rng.uniform(35, 130) / face.box.side) if rng.random() < 0.5 else 1.0
    stretch = rng.uniform(0.85, 1.2) if rng.random() < 0.25 else 1.0
    size = [
        max(1, round(side * by)) for side, by in zip(rgb.shape[1::-1], (scale * stretch, scale), strict=True)
    ]
    image = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return image, _moved(face, np.zeros(2), np.array(size) / rgb.shape[1::-1])


def _moved(face: Face, origin: NDArray[Any], scale: NDArray[Any]) -> Face:
    """The face in a picture that begins at ``origin`` of the old one and is scaled by ``scale`` (x, y)."""
    x, y = (np.array([face.box.x, face.box.y]) - origin) * scale
    width, height = np.array([face.box.width, face.box.height]) * scale
    landmarks = ((face.landmarks - origin) * scale).astype(np.float32)
    return Face(Box(float(x), float(y), float(width), float(height)), landmarks, 0.0)
