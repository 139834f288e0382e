"""Windows: faces with their surroundings, to be augmented and cropped in every epoch of fine-tuning.

They are cut from the photo once and cached by its content, so that an epoch neither decodes whole photos nor
detects faces again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from pipeline.bundles.models import Models
from pipeline.datasets.embeddings import main_face, save_arrays
from pipeline.faces.align import Border, StretchedGeometry, crop_stretched
from pipeline.faces.types import Face, Rgb
from pipeline.images.decode import decode
from pipeline.terminal import track
from pipeline.training.data.faces import cache_path
from pipeline.verdict import Box

WIDTH = 2.2
"""Side of a window in sides of the face box: wide enough for every crop, with a small rotation."""
SIDE = 320
"""Side of a window in pixels; the face box has 145 of them."""
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A square cut around a face, packed as JPEG, and the face in its pixels."""

    packed: bytes
    face: Face

    def rgb(self) -> Rgb:
        """(320, 320, 3) uint8."""
        bgr = cv2.imdecode(np.frombuffer(self.packed, np.uint8), cv2.IMREAD_COLOR)
        return np.ascontiguousarray(bgr[..., ::-1])


def cut_window(rgb: Rgb, face: Face) -> Window:
    """The face's surroundings; beyond the photo's border the last pixels are repeated."""
    geometry = StretchedGeometry(WIDTH, WIDTH, 0.0, SIDE, border=Border.REPLICATE)
    bgr = crop_stretched(rgb, face, geometry)[..., ::-1]
    _, packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    scale = SIDE / (WIDTH * face.box.side)
    shift = SIDE / 2 - scale * np.array(face.box.centre)
    size = scale * np.array([face.box.width, face.box.height])
    box = Box(*(SIDE / 2 - size / 2).tolist(), *size.tolist())
    landmarks = (face.landmarks * scale + shift).astype(np.float32)
    return Window(packed.tobytes(), replace(face, box=box, landmarks=landmarks, mesh=None))


def read_windows(models: Models, root: Path, files: Sequence[str], cache: Path | None) -> list[Window]:
    """The main face of every photo. Each photo must show one (`select_faces`)."""
    return [read_window(models, root / file, cache) for file in track(files, len(files), "cutting faces out")]


def read_window(models: Models, path: Path, cache: Path | None) -> Window:
    """The main face of one photo, which must show one."""
    data = path.read_bytes()
    kept = cache_path(cache, hashlib.sha256(data).hexdigest(), ".npz") if cache else None
    if kept and kept.is_file():
        return _load(kept)
    detection = models.detector.detect(decode(data).rgb)
    window = cut_window(detection.rgb, main_face(detection.rgb, detection.faces))
    if kept:
        _save(window, kept)
    return window


def _save(window: Window, path: Path) -> None:
    box = window.face.box
    position = np.array([box.x, box.y, box.width, box.height, window.face.score])
    packed = np.frombuffer(window.packed, np.uint8)
    save_arrays(path, packed=packed, box=position, landmarks=window.face.landmarks)


def _load(path: Path) -> Window:
    with np.load(path, allow_pickle=False) as data:
        *box, score = data["box"].tolist()
        return Window(data["packed"].tobytes(), Face(Box(*box), data["landmarks"], score))
