"""MediaPipe's face mesh on LiteRT: 468 points where BlazeFace has six.

BlazeFace takes the whole photo in 128 pixels, so its landmarks are a pixel or two off, which makes
embeddings worse. The mesh takes the face alone in 192 pixels. On LFW this lifts SFace's
accuracy and halves the share of East-Asian impostors that pass (`docs/accuracy.md`). The network
comes from mediapipe's wheel; the region of interest follows its graph
(mediapipe/modules/face_landmark/face_detection_front_detection_to_roi.pbtxt).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import WeightsCorrupt
from pipeline.faces.align import roll_of
from pipeline.faces.networks import open_interpreter
from pipeline.faces.types import Doubles, Face, Mesh, Points, Rgb

SIDE = 192
REGION = 1.5
"""Side of the region of interest in sides of the face box."""
_POINTS = 468
_EYES = ((33, 133), (362, 263))  # outer and inner corners: the person's right eye, then the left
_NOSE, _MOUTH = 1, (61, 291)


class FaceMesh:
    """Refines the landmarks of a detected face."""

    def __init__(self, path: Path) -> None:
        """Load the network on one thread. Raises ModelError."""
        self._network = open_interpreter(path)
        self._input = self._network.get_input_details()[0]["index"]
        outputs = {
            int(np.prod(detail["shape"])): detail["index"] for detail in self._network.get_output_details()
        }
        if set(outputs) != {1, 3 * _POINTS}:
            raise WeightsCorrupt(f"{path.name} is not a face mesh")
        self._points, self._presence = outputs[3 * _POINTS], outputs[1]
        self.fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()

    def refine(self, rgb: Rgb, face: Face) -> Face:
        """The face with the network's presence logit, and with its mesh where that is not negative."""
        patch, to_patch = _region(rgb, face)
        self._network.set_tensor(self._input, patch[None].astype(np.float32) / np.float32(255))
        self._network.invoke()
        face = replace(face, presence=float(self._network.get_tensor(self._presence).flat[0]))
        if face.presence is None or face.presence < 0:
            return face
        points = self._network.get_tensor(self._points).reshape(_POINTS, 3).astype(np.float64)
        linear, offset = to_patch[:, :2], to_patch[:, 2]
        shape: Points = np.asarray(points / (SIDE / 2) - [1, 1, 0], dtype=np.float32)
        mesh = _mesh((points[:, :2] - offset) @ np.linalg.inv(linear).T, shape)
        return replace(face, mesh=mesh)


def _region(rgb: Rgb, face: Face) -> tuple[Rgb, Doubles]:
    """The face upright in (192, 192, 3), and the (2, 3) transform from the photo's pixels."""
    scale, roll = SIDE / (REGION * face.box.side), roll_of(face)
    cos, sin = scale * np.cos(roll), scale * np.sin(roll)
    linear = np.array([[cos, sin], [-sin, cos]])
    way = np.column_stack([linear, SIDE / 2 - linear @ np.array(face.box.centre)])
    how = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(rgb, way, (SIDE, SIDE), flags=how), dtype=np.uint8), way


def _mesh(points: Doubles, shape: Points) -> Mesh:
    """The five points that embedders align on, and the upright box around all."""
    eyes = [points[list(corners)].mean(axis=0) for corners in _EYES]
    five: Points = np.array([*eyes, points[_NOSE], *points[list(_MOUTH)]], dtype=np.float32)
    across = five[1] - five[0]
    roll = float(np.arctan2(across[1], across[0]))
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    upright = points @ turn.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    x, y = turn.T @ ((low + high) / 2)
    width, height = high - low
    return Mesh(five, (float(x), float(y)), float(width), float(height), roll, shape)
