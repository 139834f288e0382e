"""A portrait in every form that a phone, an editor or a broken upload gives it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pillow_heif
from PIL import Image, ImageOps
from PIL.Image import Transpose

from support.odd_files import chunk, in_separate_scans, saved, video, with_chunk

_TURNS: Final = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}
"""How the pixels lie under each EXIF orientation, so that the picture is shown upright."""
_ORIENTATION: Final = 0x0112
_SVG: Final = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


@dataclass(frozen=True, slots=True)
class HardFile:
    """A file, and what must be found in it: so many faces, or the error that refuses it."""

    data: bytes
    faces: int = 0
    error: str | None = None


def hard_files(portrait: Path) -> dict[str, HardFile]:
    """Made of a portrait of one person, by what is odd about them."""
    with Image.open(portrait) as opened:
        picture = opened.convert("RGB")
    return {
        **{name: HardFile(data, faces=1) for name, data in _whole(picture).items()},
        **{name: HardFile(data) for name, data in _faceless().items()},
        **{name: HardFile(data, error=error) for name, (error, data) in _refused(picture).items()},
    }


def _whole(picture: Image.Image) -> dict[str, bytes]:
    grey = picture.convert("L")
    exif = {f"exif orientation {i}": _with_orientation(picture, i) for i in range(1, 9)}
    return {
        **exif,
        "on its side": saved(picture.transpose(Transpose.ROTATE_90)),
        "upside down": saved(picture.transpose(Transpose.ROTATE_180)),
        "tilted by 30 degrees": saved(picture.rotate(30, expand=True)),
        "mirrored": saved(ImageOps.mirror(picture)),
        "cmyk": saved(picture.convert("CMYK")),
        "16 bits": _sixteen_bits(np.asarray(picture)[:, :, ::-1]),
        "16 bits, grey": _sixteen_bits(np.asarray(grey)),
        "palette": saved(picture.convert("P"), "PNG"),
        "black and white": saved(picture.convert("1"), "PNG"),
        "alpha": saved(_with_alpha(picture), "PNG"),
        "grey with alpha": saved(_with_alpha(picture).convert("LA"), "PNG"),
        "webp": saved(picture, "WEBP"),
        "heif": _heif(picture),
        "progressive": saved(picture, progressive=True),
        "one scan for each colour": in_separate_scans(picture),
        "BMP": saved(picture, "BMP"),
        **_odd(saved(picture, quality=90), saved(picture, "PNG")),
    }


def _odd(jpeg: bytes, png: bytes) -> dict[str, bytes]:
    """With bytes that do not belong there, or without some that do."""
    return {
        "bytes behind the end": jpeg + bytes(1000),
        "motion photo": jpeg + video(),
        "motion photo without EOI": jpeg[:-2] + video(),
        "no EOI": jpeg[:-2],
        "half a percent is missing": jpeg[: -len(jpeg) // 200],
        "a line break in front": b"\r\n" + jpeg,
        "a text that unfolds to 50 MB": with_chunk(
            png, chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000)))
        ),
    }


def _refused(picture: Image.Image) -> dict[str, tuple[str, bytes]]:
    jpeg, png = saved(picture), saved(picture, "PNG")
    return {
        "GIF": ("UnsupportedFormat", saved(picture, "GIF")),
        "TIFF": ("UnsupportedFormat", saved(picture, "TIFF")),
        "SVG": ("UnsupportedFormat", _SVG),
        "PNG of 400 megapixels": ("ImageTooLarge", _flat_png(20_000)),
        "half a JPEG": ("UndecodableImage", jpeg[: len(jpeg) // 2]),
        "half a PNG": ("UndecodableImage", png[: len(png) // 2]),
        "nothing": ("UndecodableImage", b""),
        "noise": ("UndecodableImage", np.random.default_rng(1).bytes(20_000)),
        "a web page": ("UnsupportedFormat", b"<!doctype html><title>Not found</title>"),
    }


def _faceless() -> dict[str, bytes]:
    sizes = {"one pixel": (1, 1), "tiny": (8, 8), "a line": (900, 3), "grey": (640, 480)}
    return {name: saved(Image.new("RGB", size, (90, 90, 90)), "PNG") for name, size in sizes.items()}


def darker(portrait: Path, share: float) -> bytes:
    """The portrait at a share of its brightness."""
    return _changed(portrait, lambda rgb: rgb * share)


def brighter(portrait: Path, more: float) -> bytes:
    """The portrait with every value raised by ``more`` of 255."""
    return _changed(portrait, lambda rgb: rgb + more)


def _changed(portrait: Path, change: Callable[[Any], Any]) -> bytes:
    with Image.open(portrait) as opened:
        rgb = np.asarray(opened.convert("RGB"), np.float64)
    return saved(Image.fromarray(np.clip(change(rgb), 0, 255).astype(np.uint8)), "PNG")


def _with_orientation(picture: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    lying = picture.transpose(_TURNS[orientation]) if orientation in _TURNS else picture
    return saved(lying, exif=exif.tobytes())


def _sixteen_bits(pixels: Any) -> bytes:
    return cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes()


def _with_alpha(picture: Image.Image) -> Image.Image:
    """Everything around the middle is transparent."""
    alpha = Image.new("L", picture.size, 0)
    margin = picture.width // 10
    alpha.paste(255, (margin, 0, picture.width - margin, picture.height))
    cut = picture.copy()
    cut.putalpha(alpha)
    return cut


def _heif(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, format="HEIF", quality=80)
    return file.getvalue()


def _flat_png(side: int) -> bytes:
    """A square of one colour, one bit a pixel: a few kilobytes that claim to be gigantic."""
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(side * (side // 8 + 1)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
