"""Bytes to a picture, once: a known format, a bounded size, upright, RGB.

The size is read from the header before anything is decoded, so that a small file which unfolds
to hundreds of megapixels costs nothing. A large JPEG is decoded at a half, a quarter or an
eighth of its size (libjpeg's draft mode), which no other format offers.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pipeline.errors import ImageTooLarge, UndecodableImage
from pipeline.phash import perceptual_hash
from pipeline.ports import Rgb
from pipeline.sniff import ImageFormat, sniff


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What a photo may cost. Pixels are counted as the header states them."""

    reducible_pixels: int = 50_000_000
    """For a baseline JPEG, which is never in memory at full size."""
    whole_pixels: int = 25_000_000
    """For what must be decoded whole: PNG, HEIC (a phone's has 24 million), progressive JPEG."""
    webp_pixels: int = 16_000_000
    """For WebP, whose decoder holds four copies of the picture."""
    max_side: int = 12_000
    long_side: int = 1_600
    """A larger picture is scaled down to this; a face needs no more."""
    jpeg_scans: int = 64
    """A progressive JPEG has about ten; thousands are a known way to keep a decoder busy."""


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


# What Pillow and pillow-heif were seen to raise on damaged files. A MemoryError is not among
# them: the caps have been checked by then, so it is this machine's trouble and not the file's.
_DECODER_ERRORS = (
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

_TURNS: dict[int, Callable[[Rgb], Rgb]] = {
    2: np.fliplr,
    3: lambda rgb: np.rot90(rgb, 2),
    4: np.flipud,
    5: lambda rgb: np.transpose(rgb, (1, 0, 2)),
    6: lambda rgb: np.rot90(rgb, -1),
    7: lambda rgb: np.rot90(np.transpose(rgb, (1, 0, 2)), 2),
    8: np.rot90,
}
"""EXIF orientation to what makes the picture upright."""


def decode(data: bytes, limits: ImageLimits = ImageLimits()) -> Picture:
    """The picture in a file's bytes.

    Raises UnsupportedFormat (naming the format), ImageTooLarge, or UndecodableImage.
    """
    kind = sniff(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged EXIF block is no reason to refuse the photo
            rgb, width, height = _READERS[kind](data, limits)
    except _DECODER_ERRORS as error:
        raise UndecodableImage(f"damaged {kind}: {type(error).__name__}: {error}") from error
    return Picture(rgb, hashlib.sha256(data).hexdigest(), perceptual_hash(rgb), kind, width, height)


def _read_jpeg(data: bytes, limits: ImageLimits) -> tuple[Rgb, int, int]:
    if data.count(b"\xff\xda") > limits.jpeg_scans:  # cannot occur by chance inside compressed data
        raise UndecodableImage(f"a JPEG of more than {limits.jpeg_scans} scans")
    image = JpegImageFile(io.BytesIO(data))
    whole = "progressive" in image.info  # its coefficients are held in memory at full size
    size = _within(image.size, limits.whole_pixels if whole else limits.reducible_pixels, limits)
    image.draft("RGB", _reduced(size, limits.long_side))
    return _finish(image, size, limits)


def _read_png(data: bytes, limits: ImageLimits) -> tuple[Rgb, int, int]:
    image = PngImageFile(io.BytesIO(data))
    return _finish(image, _within(image.size, limits.whole_pixels, limits), limits)


def _read_webp(data: bytes, limits: ImageLimits) -> tuple[Rgb, int, int]:
    _within(_webp_canvas(data), limits.webp_pixels, limits)
    image = WebPImageFile(io.BytesIO(data))
    return _finish(image, _within(image.size, limits.webp_pixels, limits), limits)


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


def _read_heic(data: bytes, limits: ImageLimits) -> tuple[Rgb, int, int]:
    import pillow_heif  # seldom needed, and not small

    pillow_heif.options.DECODE_THREADS = 1
    heif = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
    size = _within(heif.size, limits.whole_pixels, limits)
    small = _reduced(size, limits.long_side)
    # As an array it is not copied, and libheif has turned it upright already.
    pixels = cv2.resize(np.asarray(heif), small, interpolation=cv2.INTER_AREA)
    return _to_rgb(Image.fromarray(np.asarray(pixels, dtype=np.uint8), heif.mode)), *size


_READERS: dict[ImageFormat, Callable[[bytes, ImageLimits], tuple[Rgb, int, int]]] = {
    ImageFormat.JPEG: _read_jpeg,
    ImageFormat.PNG: _read_png,
    ImageFormat.WEBP: _read_webp,
    ImageFormat.HEIC: _read_heic,
}


def _within(size: tuple[int, int], pixels: int, limits: ImageLimits) -> tuple[int, int]:
    """The size, if it may be decoded. Raises ImageTooLarge."""
    width, height = size
    if width * height > pixels or max(size) > limits.max_side:
        raise ImageTooLarge(width, height, pixels)
    return size


def _reduced(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """The size after scaling the long side down to ``long_side``; never up."""
    factor = min(1.0, long_side / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _finish(image: Image.Image, size: tuple[int, int], limits: ImageLimits) -> tuple[Rgb, int, int]:
    """Decode, scale down, turn upright; with the upright size of the original."""
    image.load()
    orientation = _orientation(image)
    rgb = _to_rgb(_scaled(image, _reduced(size, limits.long_side)))
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
    except _DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_rgb(image: Image.Image) -> Rgb:
    """(height, width, 3) uint8, whatever the mode; transparent parts on white."""
    if image.mode.startswith("I"):  # 16 bit grey: convert() would clip instead of scaling
        gray = np.clip(np.asarray(image, dtype=np.int32) >> 8, 0, 255).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), with_alpha)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
