"""Made-up photos whose faces are known: two bright eyes in a dark picture, with a phone's EXIF block."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from PIL import ExifTags, Image

from pipeline.faces.types import Rgb
from pipeline.verdict import Box, Landmark, Landmarks

SECRET: Final = "SN-4711-SECRET"
OWNER: Final = "Kim Younghee"
TAKEN: Final = "2026:05:04 13:02:01"
Point = tuple[float, float]


def face_picture(size: tuple[int, int], *pairs: Sequence[Point]) -> Rgb:
    """A dark picture of ``size`` (width, height) with a white spot at each eye."""
    noise = np.random.default_rng(0).integers(20, 50, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    rgb = cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
    for eyes in pairs:
        apart = float(np.hypot(eyes[1][0] - eyes[0][0], eyes[1][1] - eyes[0][1]))
        for x, y in eyes:
            radius = max(2, round(apart / 12))
            # The spot's middle in OpenCV, whose pixel centres are whole numbers, in sixteenths.
            centre = round((x - 0.5) * 16), round((y - 0.5) * 16)
            cv2.circle(rgb, centre, radius * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return np.asarray(rgb, dtype=np.uint8)


def turned_pair(centre: Point, apart: float, degrees: float) -> tuple[Point, Point]:
    """The person's right and left eye, so far apart, of a face that is turned clockwise."""
    angle = np.radians(degrees)
    across = np.array([np.cos(angle), np.sin(angle)]) * apart / 2
    right, left = np.array(centre) - across, np.array(centre) + across
    return (float(right[0]), float(right[1])), (float(left[0]), float(left[1]))


def landmarks_of(eyes: Sequence[Point]) -> Landmarks:
    return {Landmark.RIGHT_EYE: eyes[0], Landmark.LEFT_EYE: eyes[1]}


def box_of(eyes: Sequence[Point]) -> Box:
    """About as large as the detector's."""
    (x, y), (x2, y2) = eyes
    side = float(np.hypot(x2 - x, y2 - y)) / 0.4
    return Box((x + x2) / 2 - side / 2, (y + y2) / 2 - 0.25 * side, side, side)


def phone_exif(orientation: int = 1) -> Image.Exif:
    """With a position, a serial number and an owner."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "samsung", "SM-S911N"
    exif[ExifTags.Base.Software] = "S911NKSU3CXF1"
    exif[ExifTags.Base.DateTime] = "2026:06:01 10:00:00"
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Artist] = OWNER
    exif[ExifTags.Base.HostComputer] = f"Phone of {OWNER}"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = TAKEN
    details[ExifTags.Base.BodySerialNumber] = SECRET
    details[ExifTags.Base.CameraOwnerName] = OWNER
    position = exif.get_ifd(ExifTags.IFD.GPSInfo)
    position[ExifTags.GPS.GPSLatitudeRef], position[ExifTags.GPS.GPSLatitude] = "N", (37.0, 33.0, 59.4321)
    return exif


def saved(rgb: Rgb, form: str = "JPEG", exif: Image.Exif | None = None) -> bytes:
    """The file's bytes."""
    file = io.BytesIO()
    options = {"quality": 95} if form != "PNG" else {}
    if exif is not None:
        options["exif"] = exif.tobytes()  # type: ignore[assignment]
    Image.fromarray(rgb).save(file, form, **options)
    return file.getvalue()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
