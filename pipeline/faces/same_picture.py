"""Is a gallery photo an edited copy of the selfie's picture?

Two photos of one person differ in light, pose and expression, so the fine structure of their faces
agrees in a few places only. In a picture that was cropped, turned, mirrored, filtered or photographed off a
screen it still agrees nearly everywhere. Both faces are laid onto one template
by their mesh, light, colour and noise are filtered out, and small parts of the one are looked for
in the other near the same place by normalised cross-correlation (template matching), a little turned
or scaled too, because filters and perspective bend the picture. Nearly a third of the parts may
disagree: lettering and glare hide some, while between two frames of one moment mouth and eyes have
moved.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np

from pipeline.faces.align import Border, crop_similarity
from pipeline.faces.types import Face, Floats, Rgb

Structure = Floats
"""(80, 80): a face on ArcFace's template, in grey values between two blurs."""

SIDE: Final = 80
"""The eyes are 25 pixels apart."""
FINE: Final = 1.5
COARSE: Final = 6.0
"""Standard deviations of the two blurs in pixels: what is finer is lost in small or recompressed
copies, what is coarser is light."""
PART: Final = 16
"""Side of a part in pixels."""
STEP: Final = 12
"""From one part to the next."""
NEAR: Final = 8
"""How far a part may have moved."""
TURNED: Final = 10.0
"""Degrees by which a part is tried turned, either way."""
SCALED: Final = 1.13
"""How much larger and smaller it is tried."""
FLAT: Final = 0.25
"""Grey values (root mean square) below which a part is too flat to compare."""
AGREES: Final = 0.95
"""From this on a part is not tried turned and scaled."""
MAY_DISAGREE: Final = 0.3
"""Share of the parts: the agreement of two faces is this quantile of its parts' agreements."""
PROMISING: Final = 0.8
"""Reached by copies on a third of the parts, and by few pairs of different photos."""

_STARTS: Final = range(NEAR, SIDE - PART - NEAR + 1, STEP)
_ALL: Final = [(x, y) for y in _STARTS for x in _STARTS]
"""The parts' left upper corners."""
_SOME: Final = _ALL[::3]


def fine_structure(rgb: Rgb, face: Face) -> Structure:
    """The structure of a face in pixels of ``rgb``; with its mesh the alignment is better."""
    crop = crop_similarity(rgb, face, SIDE, Border.REPLICATE)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (FINE, COARSE))
    return np.asarray(fine - coarse, dtype=np.float32)


def agreement(first: Structure, second: Structure) -> float:
    """How well two faces agree, -1..1, the first one as it is or mirrored, whichever agrees better.

    Two photos of one person reach about 0.7, a picture and its edited copy 0.95 and more. Where a third of
    the parts disagree clearly, the others are not compared.
    """
    ways = (first, np.ascontiguousarray(first[:, ::-1]))
    some = [_quantile(_match(_part(way, x, y), second, x, y) for x, y in _SOME) for way in ways]
    likelier = int(np.argmax(some))
    if some[likelier] < PROMISING:
        return some[likelier]
    return _quantile(_best_match(ways[likelier], second, x, y) for x, y in _ALL)


def _quantile(agreements: Iterable[float]) -> float:
    return float(np.quantile(list(agreements), MAY_DISAGREE))


def _best_match(first: Structure, second: Structure, x: int, y: int) -> float:
    """The correlation of a part as it is and, where that is low, turned and scaled."""
    found = [_match(_part(first, x, y), second, x, y)]
    if found[0] >= AGREES:
        return found[0]
    middle = (x + (PART - 1) / 2, y + (PART - 1) / 2)
    for degrees, scale in ((TURNED, 1), (-TURNED, 1), (0, SCALED), (0, 1 / SCALED)):
        way = cv2.getRotationMatrix2D(middle, degrees, scale) - np.array([[0, 0, x], [0, 0, y]])
        part = cv2.warpAffine(first, way, (PART, PART), borderMode=cv2.BORDER_REPLICATE)
        found.append(_match(np.asarray(part, np.float32), second, x, y))
    return max(found)


def _part(structure: Structure, x: int, y: int) -> Structure:
    return structure[y : y + PART, x : x + PART]


def _match(part: Structure, second: Structure, x: int, y: int) -> float:
    """The best correlation of a part near its place, -1..1; 0 where it is flat."""
    if cv2.norm(part) < FLAT * PART:  # the mean is about 0
        return 0.0
    around = second[y - NEAR : y + PART + NEAR, x - NEAR : x + PART + NEAR]
    return float(cv2.matchTemplate(around, part, cv2.TM_CCOEFF_NORMED).max())
