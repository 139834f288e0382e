"""What a photo's file says of itself: camera, date, software, size. Never where it was taken, or by whom."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pipeline.images.decode import DECODER_ERRORS, Picture
from pipeline.images.png import essentials
from pipeline.images.sniff import ImageFormat, sniff

_LONGEST: Final = 60
"""Characters of a text that a camera or a program has written."""
_MOST_EXIF: Final = 256 * 1024
_MOMENT: Final = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d)(?::\d\d)?")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Of one file. Texts are what the file says, which anybody can have written."""

    format: str
    width: int
    """Of the upright original, in pixels."""
    height: int
    bytes: int
    camera: str | None = None
    taken: str | None = None
    """`2026-11-29 14:05` by the camera's clock, which has no zone."""
    software: str | None = None


def facts_of(data: bytes, picture: Picture) -> FileFacts:
    """Of a file that was decoded."""
    told: Mapping[int, Any] = {}
    details: Mapping[int, Any] = {}
    with suppress(*DECODER_ERRORS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exif = _exif(data)
        # Only what is named below is read: no position, no serial number, no owner.
        told, details = exif, exif.get_ifd(ExifTags.IFD.Exif)
    return FileFacts(
        format=picture.format,
        width=picture.width,
        height=picture.height,
        bytes=len(data),
        camera=_camera(_text(told, ExifTags.Base.Make), _text(told, ExifTags.Base.Model)),
        taken=_moment(_text(details, ExifTags.Base.DateTimeOriginal) or _text(told, ExifTags.Base.DateTime)),
        software=_text(told, ExifTags.Base.Software),
    )


def _exif(data: bytes) -> Image.Exif:
    """Raises what Pillow raises."""
    kind, start = sniff(data)
    match kind:
        case ImageFormat.JPEG:
            return JpegImageFile(io.BytesIO(data[start:])).getexif()
        case ImageFormat.PNG:
            return PngImageFile(io.BytesIO(essentials(data, start))).getexif()
        case ImageFormat.WEBP:
            return WebPImageFile(io.BytesIO(data)).getexif()
        case ImageFormat.HEIC:
            return _exif_of_heic(data)
    return Image.Exif()


def _exif_of_heic(data: bytes) -> Image.Exif:
    import pillow_heif  # seldom needed, and not small

    exif, written = Image.Exif(), pillow_heif.open_heif(data).info.get("exif") or b""
    if len(written) <= _MOST_EXIF:
        exif.load(written)
    return exif


def _text(told: Mapping[int, Any], name: int) -> str | None:
    """On one line, without what cannot be printed."""
    value = told.get(name)
    if not isinstance(value, str):
        return None
    plain = "".join(c if c.isprintable() else " " for c in value[: 4 * _LONGEST])
    return " ".join(plain.split())[:_LONGEST] or None


def _camera(make: str | None, model: str | None) -> str | None:
    """Most models begin with their make."""
    if make and model and not model.lower().startswith(make.split()[0].lower()):
        return f"{make} {model}"[:_LONGEST]
    return model or make


def _moment(text: str | None) -> str | None:
    found = _MOMENT.fullmatch(text or "")
    return "{}-{}-{} {}:{}".format(*found.groups()) if found else None
