"""From an image that a library has opened to RGB of a bounded size, upright."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image

from pipeline.faces.types import Rgb

DECODER_ERRORS: Final = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)
"""What Pillow and pillow-heif were seen to raise on damaged files.

A MemoryError is not among them: the caps have been checked by then, so it is this machine's trouble
and not the file's.
"""

_TURNS: Final[dict[int, Callable[[Rgb], Rgb]]] = {
    2: np.fliplr,
    3: lambda rgb: np.rot90(rgb, 2),
    4: np.flipud,
    5: lambda rgb: np.transpose(rgb, (1, 0, 2)),
    6: lambda rgb: np.rot90(rgb, -1),
    7: lambda rgb: np.rot90(np.transpose(rgb, (1, 0, 2)), 2),
    8: np.rot90,
}
"""EXIF orientation to what makes the picture upright."""


def reduced(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """The size after scaling the long side down to ``long_side``; never up."""
    factor = min(1.0, long_side / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def finish(image: Image.Image, size: tuple[int, int], long_side: int) -> tuple[Rgb, int, int]:
    """Decode, scale down, turn upright; with the upright size of the original."""
    image.load()
    orientation = _orientation(image)
    rgb = to_rgb(_scaled(image, reduced(size, long_side)))
    if orientation in _TURNS:
        rgb = _TURNS[orientation](rgb)
    width, height = size[::-1] if orientation >= 5 else size
    return np.ascontiguousarray(rgb), width, height


def _scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture averaged down to ``size``, before any copy of it is made at full size."""
    if image.size == size:
        return image
    if image.mode in ("1", "P"):  # their values are no brightnesses and cannot be averaged
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.resize(size, Image.Resampling.BOX)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1..8; 1 where there is none that can be read."""
    try:
        value = image.getexif().get(0x0112, 1)
    except DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def to_rgb(image: Image.Image) -> Rgb:
    """(height, width, 3) uint8, whatever the mode; transparent parts on white."""
    if image.mode.startswith("I"):  # 16 bit grey: convert() would clip instead of scaling
        gray = np.clip(np.asarray(image, dtype=np.int32) >> 8, 0, 255).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), with_alpha)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
