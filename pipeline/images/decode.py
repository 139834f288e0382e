"""Bytes to a picture, once: a known format, a bounded size, upright, RGB.

What decoding will cost is read from the header before anything is decoded, so that a small file which
unfolds to hundreds of megapixels costs nothing. A large JPEG is decoded at a half, a quarter or an eighth
of its size (libjpeg's draft mode), which no other format offers.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pipeline.errors import UndecodableImage, UnsupportedFormat
from pipeline.faces.types import Rgb
from pipeline.images.jpeg import Jpeg, read_jpeg
from pipeline.images.limits import LIMITS, DecodeBudget, Decoding, ImageLimits
from pipeline.images.phash import perceptual_hash
from pipeline.images.pixels import DECODER_ERRORS, finish, reduced, to_rgb
from pipeline.images.png import essentials
from pipeline.images.sniff import ImageFormat, sniff

_MOST_ROWS_LOST: Final = 0.05
"""Share of the rows that may be missing at the end of a JPEG: a face is not down there."""
_UNTOUCHED: Final = (127, 128)
"""What libjpeg makes of data that are missing: the middle of the range."""
_USUAL_SCANS: Final = 10
_REDUCED_PICTURE: Final = 20_000_000
"""Bytes of what libjpeg makes, at the most twice as large as what is wanted of it."""
_CUT_OFF: Final = re.compile("truncated|end of file", re.IGNORECASE)
"""In what the libraries say of a file whose end is missing."""
_HEIC_SIZES: Final = re.compile(rb"ispe\0{4}(.{4})(.{4})", re.DOTALL)
"""The properties that say how large the images of a file, or tiles of them, are before they are cropped."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded photo."""

    rgb: Rgb
    """(height, width, 3) uint8, upright, the long side at most `ImageLimits.long_side`."""
    sha256: str
    """Of the file's bytes, hexadecimal."""
    hashes: tuple[int, int]
    """Perceptual hashes, 64 bit, of the picture and of its mirror image: near copies differ in few bits."""
    format: ImageFormat
    width: int
    """Of the upright original, in pixels."""
    height: int

    @property
    def scale(self) -> float:
        """How many pixels of the original make one of ``rgb``; at least 1."""
        return max(1.0, max(self.width, self.height) / max(self.rgb.shape[:2]))


@dataclass(frozen=True, slots=True)
class _Source:
    """A file, and what decoding it may cost."""

    data: bytes
    start: int
    """Where in it the picture begins."""
    limits: ImageLimits
    budget: DecodeBudget | None

    @property
    def file(self) -> io.BytesIO:
        return io.BytesIO(self.data)

    def admit(
        self, decoding: Decoding, size: tuple[int, int], memory: int | None = None, times: float = 1.0
    ) -> None:
        """Raises ImageTooLarge and DecodeBudgetSpent.

        ``memory`` in bytes where it is known better than by the pixels, ``times`` the usual time.
        """
        self.limits.check(decoding, *size, memory)
        if self.budget is not None:
            self.budget.spend(decoding, round(size[0] * size[1] * times))

    def finish(self, image: Image.Image, size: tuple[int, int]) -> _Decoded:
        return finish(image, size, self.limits.long_side)


_Decoded = tuple[Rgb, int, int]
"""The picture, upright, with width and height of the original."""


def decode(data: bytes, limits: ImageLimits = LIMITS, budget: DecodeBudget | None = None) -> Picture:
    """The picture in a file's bytes.

    Raises UnsupportedFormat (naming the format), ImageTooLarge, or UndecodableImage; DecodeBudgetSpent
    where the photo's share is no longer in the ``budget`` of a job.
    """
    kind, start = sniff(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged EXIF block is no reason to refuse the photo
            rgb, width, height = _READERS[kind](_Source(data, start, limits, budget))
    except DECODER_ERRORS as error:
        what = "cut off" if _CUT_OFF.search(str(error)) else "damaged"
        raise UndecodableImage(f"{what} {kind}: {type(error).__name__}: {error}") from error
    return Picture(rgb, hashlib.sha256(data).hexdigest(), perceptual_hash(rgb), kind, width, height)


def _read_jpeg(source: _Source) -> _Decoded:
    jpeg = read_jpeg(source.data, source.start, source.limits.jpeg_scans)
    size = jpeg.frame.width, jpeg.frame.height
    if jpeg.whole:
        memory = 2 * jpeg.frame.coefficients + _REDUCED_PICTURE
        source.admit(Decoding.JPEG_WHOLE, size, memory, max(1.0, jpeg.scans / _USUAL_SCANS))
    else:
        source.admit(Decoding.JPEG, size)
    image = JpegImageFile(io.BytesIO(jpeg.data))
    image.draft("RGB", reduced(size, source.limits.long_side))
    if not jpeg.ended and not jpeg.settled:
        _check_rows(image, jpeg)
    return source.finish(image, size)


def _check_rows(image: Image.Image, jpeg: Jpeg) -> None:
    """Whether nearly all rows are there. Raises UndecodableImage."""
    if jpeg.frame.progressive or jpeg.frame.arithmetic:
        raise UndecodableImage("cut off: of the whole JPEG a part of the details is missing")
    pixels = np.asarray(image).reshape(image.height, -1)
    shown = np.flatnonzero(((pixels < _UNTOUCHED[0]) | (pixels > _UNTOUCHED[1])).any(axis=1))
    lost = 1 - (shown[-1] + 1 if len(shown) else 0) / image.height
    if lost > _MOST_ROWS_LOST:
        raise UndecodableImage(f"cut off: {lost:.0%} of the JPEG's rows are missing")


def _read_png(source: _Source) -> _Decoded:
    image = PngImageFile(io.BytesIO(essentials(source.data, source.start)))
    blended = image.mode in ("1", "P") or image.has_transparency_data
    source.admit(Decoding.PNG_BLENDED if blended else Decoding.PNG, image.size)
    return source.finish(image, image.size)


def _read_webp(source: _Source) -> _Decoded:
    if _little(source.data[4:8]) + 8 > len(source.data):
        raise UndecodableImage("cut off: the WebP says that it is longer")
    source.limits.check(Decoding.WEBP, *_webp_canvas(source.data))
    image = WebPImageFile(source.file)
    source.admit(Decoding.WEBP, image.size)
    return source.finish(image, image.size)


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """The size in the head: Pillow's decoder makes room for it before it says how large it is."""
    head = data[:30].ljust(30, b"\0")
    match head[12:16]:
        case b"VP8X":
            return _little(head[24:27]) + 1, _little(head[27:30]) + 1
        case b"VP8L":
            sides = _little(head[21:25])
            return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    return _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF


def _little(number: bytes) -> int:
    return int.from_bytes(number, "little")


def _big(number: bytes) -> int:
    return int.from_bytes(number, "big")


def _read_heic(source: _Source) -> _Decoded:
    import pillow_heif  # seldom needed, and not small

    options = pillow_heif.options
    options.DECODE_THREADS, options.THUMBNAILS = 1, False
    options.DEPTH_IMAGES = options.AUX_IMAGES = False
    heif = pillow_heif.open_heif(source.data, convert_hdr_to_8bit=True)
    width, height = heif.size
    deep = heif.info["bit_depth"] > 8 or heif.has_alpha
    coded = ((_big(across), _big(down)) for across, down in _HEIC_SIZES.findall(source.data))
    largest = max(heif.size, *coded, key=lambda size: size[0] * size[1])
    source.admit(Decoding.HEIC_DEEP if deep else Decoding.HEIC, largest)
    small = reduced((width, height), source.limits.long_side)
    # As an array it is not copied, and libheif has turned it upright already.
    pixels = cv2.resize(np.asarray(heif), small, interpolation=cv2.INTER_AREA)
    return to_rgb(Image.fromarray(np.asarray(pixels, dtype=np.uint8), heif.mode)), width, height


def _read_bmp(source: _Source) -> _Decoded:
    image = BmpImageFile(source.file)
    if any(tile.codec_name != "raw" for tile in image.tile):
        raise UnsupportedFormat("a compressed BMP")  # Pillow unpacks it pixel by pixel, in Python
    source.admit(Decoding.BMP, image.size)
    return source.finish(image, image.size)


_READERS: Final[dict[ImageFormat, Callable[[_Source], _Decoded]]] = {
    ImageFormat.JPEG: _read_jpeg,
    ImageFormat.PNG: _read_png,
    ImageFormat.WEBP: _read_webp,
    ImageFormat.HEIC: _read_heic,
    ImageFormat.BMP: _read_bmp,
}
