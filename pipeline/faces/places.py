"""Where a detected face lies in its photo as it was decoded, which the detector may have turned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pipeline.faces.types import Detection, Doubles, Face, Points
from pipeline.verdict import Box, Landmark, Landmarks

_OF_THE_MESH: Final = (
    *(Landmark.RIGHT_EYE, Landmark.LEFT_EYE, Landmark.NOSE),
    *(Landmark.MOUTH_RIGHT, Landmark.MOUTH_LEFT),
)
_OF_THE_DETECTOR: Final = (Landmark.RIGHT_EYE, Landmark.LEFT_EYE, Landmark.NOSE, Landmark.MOUTH)
_DIGITS: Final = 1
"""Of a pixel's fractions: the networks are no more exact."""


def box_in_photo(detection: Detection, face: Face, times: float = 1.0) -> Box:
    """The face's box, in the photo made so many ``times`` larger."""
    box = face.box
    corners = [[box.x, box.y], [box.x + box.width, box.y + box.height]]
    low, high = np.sort(times * _turned_back(corners, detection), axis=0)
    return Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))


def landmarks_in_photo(detection: Detection, face: Face, times: float = 1.0) -> Landmarks:
    """The points that `align.crop_similarity` lays onto its template, and no others; ``times`` as before."""
    if face.mesh is None:
        return _named(_OF_THE_DETECTOR, face.landmarks[:4], detection, times)
    return _named(_OF_THE_MESH, face.mesh.five, detection, times)


def _named(names: Sequence[Landmark], points: Points, detection: Detection, times: float) -> Landmarks:
    places = (times * _turned_back(points.tolist(), detection)).round(_DIGITS).tolist()
    return {name: (x, y) for name, (x, y) in zip(names, places, strict=True)}


def _turned_back(points: Sequence[Sequence[float]], detection: Detection) -> Doubles:
    """(n, 2): the detector turned the photo counter-clockwise, by quarters."""
    places, (height, width) = np.array(points, dtype=np.float64), detection.rgb.shape[:2]
    for _ in range(detection.turned // 90):
        places = np.column_stack([height - places[:, 1], places[:, 0]])
        height, width = width, height
    return places
