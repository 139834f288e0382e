"""The format of a file by its first bytes; names and content types are ignored."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from pipeline.errors import UndecodableImage, UnsupportedFormat


class ImageFormat(StrEnum):
    """The supported formats."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    HEIC = "HEIC"
    BMP = "BMP"


_SUPPORTED = (
    (b"\xff\xd8", ImageFormat.JPEG),
    (b"\x89PNG\r\n\x1a\n", ImageFormat.PNG),
    (b"BM", ImageFormat.BMP),
)
_MOST_IN_FRONT: Final = 4096
"""Bytes that may stand in front of a picture: a line break, a byte order mark, an upload's header."""
_PICTURE_START: Final = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]|\x89PNG\r\n\x1a\n")
_UNSUPPORTED = (
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\1\0", "ICO"),
    (b"%PDF", "PDF"),
    (b"8BPS", "PSD"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"PK\3\4", "ZIP"),
)
_MARKUP = ((b"<svg", "SVG"), (b"<html", "HTML"), (b"<!doctype html", "HTML"), (b"<?xml", "XML"))
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def sniff(data: bytes) -> tuple[ImageFormat, int]:
    """The format of ``data``, and where in it the picture begins.

    Raises UnsupportedFormat with the name of a known format that is not supported, and
    UndecodableImage for everything else.
    """
    if not data:
        raise UndecodableImage("the file is empty")
    for magic, supported in _SUPPORTED:
        if data.startswith(magic):
            return supported, 0
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ImageFormat.WEBP, 0
    if data[4:8] == b"ftyp":
        return _iso_media(data), 0
    if name := _unsupported(data):
        raise UnsupportedFormat(name)
    if found := _PICTURE_START.search(data, 0, _MOST_IN_FRONT):
        return (ImageFormat.PNG if found[0] == _SUPPORTED[1][0] else ImageFormat.JPEG), found.start()
    raise UndecodableImage("not an image")


def _iso_media(data: bytes) -> ImageFormat:
    """HEIC, AVIF and videos share one container; its brands tell them apart."""
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, length, 4))}
    if brands & _AVIF_BRANDS:
        raise UnsupportedFormat("AVIF")
    if brands & _HEIC_BRANDS:
        return ImageFormat.HEIC
    raise UnsupportedFormat("this ISO media file (a video?)")


def _unsupported(data: bytes) -> str | None:
    for magic, name in _UNSUPPORTED:
        if data.startswith(magic):
            return name
    text = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<"):
        return next((name for tag, name in _MARKUP if tag in text), None)
    return None
