"""Is the face of a gallery photo the selfie's face in the same picture, however that was edited?

Two photos of one person differ in light, pose and expression, so the fine structure of their faces
agrees here and there only. In a picture that was cropped, turned, mirrored, filtered or
photographed off a screen it still agrees nearly everywhere. Both faces are laid onto one template
by their mesh, light, colour and noise are filtered out, and small parts of the one are looked for
in the other near the same place by normalised cross-correlation (template matching): near, because
filters and perspective move them a little. Nearly a third of the parts may disagree: lettering and
glare hide some, while between two frames of one moment mouth and eyes have moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.align import Border, crop_similarity
from pipeline.ports import Face, Rgb

Structure = NDArray[np.float32]
"""(80, 80): a face on ArcFace's template, in grey values between two blurs."""
Places = Sequence[tuple[int, int]]
"""Left upper corners (x, y) of parts of a face."""

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
FLAT: Final = 0.25
"""Grey values (root mean square) below which a part shows nothing that could agree."""
MAY_DISAGREE: Final = 0.3
"""Share of the parts: the agreement of two faces is this quantile of its parts' agreements."""
PROMISING: Final = 0.8
"""What copies reach on a third of the parts, and few pairs of different photos."""

_STARTS: Final = range(NEAR, SIDE - PART - NEAR + 1, STEP)
_ALL: Final = [(x, y) for y in _STARTS for x in _STARTS]
_SOME: Final = _ALL[::3]


def fine_structure(rgb: Rgb, face: Face) -> Structure:
    """The structure of a face that is given in pixels of ``rgb``, at best with its mesh."""
    crop = crop_similarity(rgb, face, SIDE, Border.REPLICATE)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (FINE, COARSE))
    return np.asarray(fine - coarse, dtype=np.float32)


def agreement(first: Structure, second: Structure) -> float:
    """How well two faces agree, -1..1, the first one as it is or mirrored, whichever agrees better.

    Of two photos of one person about 0.7, of a picture and its edited copy 0.95 and more. Where
    some of the parts tell already that they are no copies, the others are not looked at.
    """
    ways = (first, np.ascontiguousarray(first[:, ::-1]))
    some = [_agreement(way, second, _SOME) for way in ways]
    likelier = int(np.argmax(some))
    return some[likelier] if some[likelier] < PROMISING else _agreement(ways[likelier], second, _ALL)


def _agreement(first: Structure, second: Structure, places: Places) -> float:
    return float(np.quantile([_match(first, second, x, y) for x, y in places], MAY_DISAGREE))


def _match(first: Structure, second: Structure, x: int, y: int) -> float:
    """The best correlation of one part, -1..1; 0 where it is flat."""
    part = first[y : y + PART, x : x + PART]
    if cv2.norm(part) < FLAT * PART:  # the mean is about 0
        return 0.0
    around = second[y - NEAR : y + PART + NEAR, x - NEAR : x + PART + NEAR]
    return float(cv2.matchTemplate(around, part, cv2.TM_CCOEFF_NORMED).max())
