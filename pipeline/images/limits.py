"""Limits of decoding: pixels, sides and memory of one photo, and the time of all photos of a job.

The table holds the growth of the process at its peak and its processor time: the median of three, each in
a fresh process, on photo-like pictures with grain, on two cores that were busy with other work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pipeline.errors import DecodeBudgetSpent, ImageTooLarge, Limit


class Decoding(StrEnum):
    """How a photo is decoded; memory and time depend on it."""

    JPEG = "JPEG"
    """One scan of all colours: decoded row by row and at up to an eighth of the size."""
    JPEG_WHOLE = "progressive JPEG"
    """Progressive, or one scan for each colour: libjpeg holds the coefficients of all pixels."""
    PNG = "PNG"
    PNG_BLENDED = "PNG with a palette or transparency"
    """Converted at its full size before it is scaled down."""
    WEBP = "WebP"
    HEIC = "HEIC"
    HEIC_DEEP = "HEIC of more than 8 bits"
    BMP = "BMP"


@dataclass(frozen=True, slots=True)
class Cap:
    """Most pixels of a kind of photo, and the cost of each."""

    pixels: int
    bytes_per_pixel: float
    """Of memory at the peak, on top of the file."""
    ns_per_pixel: float
    """Of processor time."""


CAPS: Final[Mapping[Decoding, Cap]] = {
    #                      most pixels, bytes, ns     measured at so many million pixels
    Decoding.JPEG:        Cap(210_000_000,  0.4,   8),  # 200: 65 MB, 0.75 s; 108: 67 MB, 0.5 s
    Decoding.JPEG_WHOLE:  Cap(75_000_000,   3.3,  30),  # 74 in 4:2:0: 239 MB, 0.9 s; 38 in 4:4:4: 261 MB
    Decoding.PNG:         Cap(48_000_000,   5.2,  32),  # 48: 284 MB, of which the file has 60, 1.4 s
    Decoding.PNG_BLENDED: Cap(27_000_000,   9.0,  46),  # 27: 277 MB, of which the file has 38, 1.1 s
    Decoding.WEBP:        Cap(16_200_000,  15.4,  40),  # 16: 246 MB, 0.6 s
    Decoding.HEIC:        Cap(54_000_000,   4.6,  55),  # 48: 222 MB, 1.2 s (a phone's) to 2.9 s (grainy)
    Decoding.HEIC_DEEP:   Cap(32_000_000,   7.6, 110),  # 24: 182 MB, 2.9 s
    Decoding.BMP:         Cap(48_000_000,   5.2,  12),  # 48: 227 MB, 0.55 s
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Limits of one photo. Pixels are counted as the header states them."""

    memory: int = 250_000_000
    """Bytes that decoding may take at its peak: the process has 350 MB already, and is replaced at 800."""
    max_side: int = 40_000
    """Panoramas have 16,382 pixels on iPhones, and more on other phones."""
    long_side: int = 1_600
    """A larger picture is scaled down to this, which is enough for a face."""
    jpeg_scans: int = 64
    """A progressive JPEG has about ten; thousands are a known way to keep a decoder busy."""

    def check(self, decoding: Decoding, width: int, height: int, memory: int | None = None) -> None:
        """Raises ImageTooLarge, with the broken limit; ``memory`` is in bytes, where it is known."""
        cap, pixels, side = CAPS[decoding], width * height, max(width, height)
        if memory is None:
            memory = round(pixels * cap.bytes_per_pixel)
        if side > self.max_side:
            raise ImageTooLarge(
                (width, height), Limit.SIDE, f"a side may have at most {self.max_side:,} pixels"
            )
        if pixels > cap.pixels:
            why = f"of {decoding} at most {cap.pixels / 1e6:.0f} million pixels are taken"
            raise ImageTooLarge((width, height), Limit.PIXELS, why)
        if memory > self.memory:
            why = f"as {decoding} {memory / 1e6:.0f} MB to decode, at most {self.memory / 1e6:.0f}"
            raise ImageTooLarge((width, height), Limit.MEMORY, why)


LIMITS: Final = ImageLimits()


@dataclass(slots=True)
class DecodeBudget:
    """Processor time for decoding that the photos of one job share.

    It is estimated by `CAPS` and not measured, so that a job has the same verdict on every machine.
    """

    seconds: float = 15.0
    """Of a job's 50, of which the downloads may have taken 20. Enough for 21 photos of 12 megapixels
    in the slowest kind, HEIC."""

    def spend(self, decoding: Decoding, pixels: int) -> None:
        """Subtract the time for a photo. Raises DecodeBudgetSpent where too little is left."""
        cost = pixels * CAPS[decoding].ns_per_pixel / 1e9
        if cost > self.seconds:
            raise DecodeBudgetSpent(decoding, pixels, cost, self.seconds)
        self.seconds -= cost
