"""Photos spoilt on purpose, so that a gate refuses the face: something over it, out of focus, few pixels."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.drawing import Drawn, draw
from pipeline.painting import Random
from pipeline.ports import Face, Rgb
from pipeline.verdict import Outcome


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
