"""Whose screen a photo was on, and when: burned into its pixels, small, at the upper and the lower border.

OpenCV's letters are ASCII. A Korean name is left out of the pixels: the number of the account stands for it
there, and the page lays the name over the photo.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import cv2
import numpy as np

from pipeline.faces.types import Rgb
from worker.console.photos.pictures import jpeg, pixels

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_HEIGHT: Final = 0.45
"""Of the letters, in OpenCV's measure, in a picture of 640 pixels."""
_STRENGTH: Final = 0.55
"""1 hides the photo behind the letters."""
_MARGIN: Final = 8
_QUALITY: Final = 90
_LONGEST: Final = 24


def mark_of(account_id: int, name: str, now: datetime, zone: ZoneInfo) -> str:
    """What is burned in: the account, and the minute with the name of its zone, in ASCII."""
    local = now.astimezone(zone)
    known = "".join(c for c in name if c.isascii() and c.isprintable()).strip()[:_LONGEST]
    return f"#{account_id} {known} {local:%Y-%m-%d %H:%M} {_zone(local)}".replace("  ", " ")


def label_of(name: str, now: datetime, zone: ZoneInfo) -> str:
    """What a page lays over a photo: the same with the whole name."""
    local = now.astimezone(zone)
    return f"{name} {local:%Y-%m-%d %H:%M} {_zone(local)}"


def _zone(local: datetime) -> str:
    name = local.tzname() or ""
    return name if name.isascii() and name.isalpha() else f"UTC{local:%z}"


def marked(picture: bytes, mark: str) -> bytes:
    """The JPEG with the mark in its pixels."""
    return jpeg(_burned(pixels(picture), mark), _QUALITY)


def _burned(rgb: Rgb, mark: str) -> Rgb:
    """White letters with a dark edge, so that they show on any photo."""
    height, width = rgb.shape[:2]
    size = _HEIGHT * max(1.0, min(width, height) / 640)
    (across, down), below = cv2.getTextSize(mark, _FONT, size, 1)
    size *= min(1.0, (width - 2 * _MARGIN) / max(across, 1))
    over = rgb.copy()
    right = max(_MARGIN, width - across - _MARGIN)
    for x, y in ((_MARGIN, height - _MARGIN - below), (right, _MARGIN + down)):
        cv2.putText(over, mark, (x, y), _FONT, size, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(over, mark, (x, y), _FONT, size, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(cv2.addWeighted(over, _STRENGTH, rgb, 1 - _STRENGTH, 0), dtype=np.uint8)
