"""A contact sheet of the augmentation: photos across, kinds down, random mixtures at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.faces.types import Rgb
from pipeline.training.data.augment import Kind, apply, augment
from pipeline.training.data.windows import Window

TILE = 160
LABEL = 22
MIXTURES = 3


def contact_sheet(windows: Sequence[Window], seed: int) -> Rgb:
    """(height, width, 3) uint8: a row for each photo, a column for the original, each kind, mixtures."""
    names = ["as it is", *Kind, *(f"mixture {number}" for number in range(1, MIXTURES + 1))]
    heads = np.hstack([_label(name) for name in names])
    return np.vstack([heads, *(_row(window, seed, photo) for photo, window in enumerate(windows))])


def _row(window: Window, seed: int, photo: int) -> Rgb:
    rgb, face = window.rgb(), window.face
    single = [apply(rgb, face, [kind], np.random.default_rng((seed, photo)))[0] for kind in Kind]
    mixed = [augment(rgb, face, (seed, photo, number))[0] for number in range(MIXTURES)]
    tiles = [cv2.resize(tile, (TILE, TILE), interpolation=cv2.INTER_AREA) for tile in (rgb, *single, *mixed)]
    return np.hstack(tiles).astype(np.uint8)


def _label(text: str) -> Rgb:
    strip = np.full((LABEL, TILE, 3), 255, np.uint8)
    cv2.putText(strip, text, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def write_sheet(sheet: Rgb, path: Path) -> None:
    """As PNG, whatever the name's ending; imencode copes with names that imwrite cannot."""
    _, packed = cv2.imencode(".png", sheet[..., ::-1])
    path.write_bytes(packed.tobytes())
