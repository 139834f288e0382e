"""MediaPipe's BlazeFace on LiteRT: the faces in one square of a picture.

The networks are the two that mediapipe 0.10.21 carries in its wheel. What its graph does around
them (letterbox, anchors, decoding, weighted suppression) is done here in numpy, because
`import mediapipe` costs hundreds of megabytes and pulls in TensorFlow where that is installed.
Sources: mediapipe/modules/face_detection/face_detection.pbtxt and the calculators it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import WeightsCorrupt
from pipeline.faces.networks import open_interpreter
from pipeline.faces.types import Doubles, Face, Floats, Rgb
from pipeline.verdict import Box

_OVERLAP = 0.3  # min_suppression_threshold of MediaPipe's graph
_CLIP = 100.0  # score_clipping_thresh


@dataclass(frozen=True, slots=True)
class Square:
    """The part of a picture that a network sees, in pixels; it may reach over the borders."""

    x: float
    y: float
    side: float


@dataclass(frozen=True, slots=True)
class Grid:
    """The anchors of a network: its input side and, for each layer, stride and anchors per cell."""

    size: int
    layers: tuple[tuple[int, int], ...]

    def centres(self) -> Floats:
        """(n, 2) anchor centres in 0..1; their size is fixed at 1 (fixed_anchor_size)."""
        rows = [self._layer(stride, count) for stride, count in self.layers]
        return np.concatenate(rows).astype(np.float32)

    def _layer(self, stride: int, count: int) -> Doubles:
        cells = -(-self.size // stride)
        y, x = np.mgrid[:cells, :cells]
        return np.repeat((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells, count, axis=0)


SHORT_RANGE = Grid(128, ((8, 2), (16, 6)))
"""For faces within about two metres; 896 anchors."""
FULL_RANGE = Grid(192, ((4, 1),))
"""For faces within about five metres; 2,304 anchors."""


class BlazeFace:
    """One of the two networks. Not thread-safe."""

    def __init__(self, path: Path, grid: Grid) -> None:
        """Load ``path``, on one thread.

        Raises WeightsMissing without the file, WeightsCorrupt if it is no such network.
        """
        self.size = grid.size
        self._anchors = grid.centres()
        self._network = open_interpreter(path)
        self._input = self._network.get_input_details()[0]["index"]
        outputs = {int(detail["shape"][-1]): detail["index"] for detail in self._network.get_output_details()}
        if set(outputs) != {1, 16}:
            raise WeightsCorrupt(f"{path.name} is not a BlazeFace network")
        self._regressors, self._scores = outputs[16], outputs[1]

    def detect(self, rgb: Rgb, square: Square, min_score: float) -> list[Face]:
        """Faces in one square of ``rgb``, in pixels of the whole picture, best score first."""
        self._network.set_tensor(self._input, letterbox(rgb, square, self.size)[None])
        self._network.invoke()
        scores = _sigmoid(self._network.get_tensor(self._scores)[0, :, 0])
        kept = np.flatnonzero(scores >= min_score)
        raw = self._network.get_tensor(self._regressors)[0][kept]
        points = self._decode(raw, self._anchors[kept])
        points = points * square.side + np.array([square.x, square.y], dtype=np.float32)
        return suppress(points, scores[kept])

    def _decode(self, raw: Floats, anchors: Floats) -> Floats:
        """(n, 16) offsets → (n, 8, 2) in 0..1 of the square: box corners, then six landmarks."""
        offsets = raw.reshape(-1, 8, 2) / np.float32(self.size)
        centre, size = offsets[:, :1] + anchors[:, None], offsets[:, 1:2]
        marks = offsets[:, 2:] + anchors[:, None]
        return np.concatenate([centre - size / 2, centre + size / 2, marks], axis=1)


def letterbox(rgb: Rgb, square: Square, size: int) -> Floats:
    """The square as (size, size, 3) float32 in -1..1, black outside the picture."""
    scale = size / square.side
    warp = np.array([[scale, 0, -square.x * scale], [0, scale, -square.y * scale]], dtype=np.float64)
    patch = cv2.warpAffine(rgb, warp, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return patch.astype(np.float32) * np.float32(2 / 255) - np.float32(1)


def _sigmoid(raw: Floats) -> Floats:
    clipped = np.clip(raw.astype(np.float64), -_CLIP, _CLIP)  # exp(100) does not fit into float32
    return (1 / (1 + np.exp(-clipped))).astype(np.float32)


def suppress(points: Floats, scores: Floats) -> list[Face]:
    """Weighted suppression: overlapping candidates become their mean, weighted by score.

    ``points`` is (n, 8, 2): box corners, then six landmarks.
    """
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    faces = []
    while len(scores):
        together = overlaps(points[0], points) > _OVERLAP
        together[0] = True  # also a box without an area, which overlaps nothing
        mean = np.average(points[together], axis=0, weights=scores[together]).astype(np.float32)
        faces.append(_face(mean, float(scores[0])))
        points, scores = points[~together], scores[~together]
    return faces


def overlaps(one: Floats, many: Floats) -> Floats:
    """Intersection over union of a box with each of (n, >= 2, 2) boxes given by corners."""
    low = np.maximum(one[0], many[:, 0])
    high = np.minimum(one[1], many[:, 1])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(np.clip(many[:, 1] - many[:, 0], 0, None), axis=1)
    own = np.prod(np.clip(one[1] - one[0], 0, None))
    return np.asarray(shared / np.maximum(own + areas - shared, 1e-9), dtype=np.float32)


def _face(points: Floats, score: float) -> Face:
    (left, top), (right, bottom) = points[0].tolist(), points[1].tolist()
    return Face(Box(left, top, right - left, bottom - top), points[2:], score)


def corners(faces: Sequence[Face]) -> Floats:
    """(n, 2, 2) box corners of the faces."""
    boxes = [((f.box.x, f.box.y), (f.box.x + f.box.width, f.box.y + f.box.height)) for f in faces]
    return np.array(boxes, dtype=np.float32).reshape(-1, 2, 2)
