"""Photos as beauty filters leave them: smooth, bright skin and a slimmer jaw."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.bundles.models import Models
from pipeline.datasets.embeddings import Album, embed_picture, main_face
from pipeline.errors import ImageError
from pipeline.faces.types import Rgb, Vectors
from pipeline.images.decode import decode
from pipeline.progress import track
from pipeline.verdict import Box

SLIMMER = 0.07
"""The lower half of a face loses so much of its width."""
BRIGHTER = 1.08


def retouch(rgb: Rgb, box: Box) -> Rgb:
    """The whole picture smoothed and brightened, the face in ``box`` made slimmer."""
    slim = _slim(rgb, box)
    smooth = cv2.bilateralFilter(cv2.bilateralFilter(slim, 9, 45, 9), 9, 45, 9)
    return np.clip(smooth.astype(np.float32) * BRIGHTER + 4, 0, 255).astype(np.uint8)


def _slim(rgb: Rgb, box: Box) -> Rgb:
    """Squeezes towards the middle of the face, most at the chin, fading out at the sides."""
    height, width = rgb.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    across = (x - box.centre[0]) / box.width
    down = (y - (box.y + 0.85 * box.height)) / box.height
    amount = SLIMMER * np.exp(-(across**2) / 0.5 - (down**2) / 0.18)
    pulled = box.centre[0] + (x - box.centre[0]) * (1 + amount)
    slim = cv2.remap(rgb, pulled.astype(np.float32), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(slim, dtype=np.uint8)


def retouched_faces(album: Album, files: Sequence[str]) -> tuple[list[str], dict[str, Vectors]]:
    """The photos in which a face is still found, and (n, d) embeddings after retouching."""
    kept: list[str] = []
    rows: dict[str, list[Vectors]] = {name: [] for name in album.models.embedders}
    for file in track(files, len(files), "retouching"):
        vectors = _embed_retouched(album.models, (album.root / file).read_bytes())
        if vectors is None:
            continue
        kept.append(file)
        for name, vector in vectors.items():
            rows[name].append(vector)
    return kept, {name: np.array(found, np.float32) for name, found in rows.items()}


def _embed_retouched(models: Models, data: bytes) -> dict[str, Vectors] | None:
    try:
        picture = decode(data)
    except ImageError:
        return None
    found = models.detector.detect(picture.rgb)
    if not found.faces:
        return None
    return embed_picture(models, retouch(found.rgb, main_face(found.rgb, found.faces).box))
