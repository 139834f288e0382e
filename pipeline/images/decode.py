"""Decode the bytes of a photo: a known format, a bounded size, upright, RGB.

The cost of decoding is read from the header before anything is decoded, so that a small file which
unfolds to hundreds of megapixels costs nothing. A large JPEG is decoded at a half, a quarter or an eighth
of its size (libjpeg's draft mode), which no other format offers.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from pipeline.images.perceptual_hash import picture_hashes
from pipeline.images.png import essentials
from pipeline.images.sniff import ImageFormat, sniff
from pipeline.verdict import PictureHashes

SMALL: Final = 800
"""Pixels: in a smaller picture many faces would be too small for the networks."""
_MOST_ROWS_LOST: Final = 0.05
"""Share of the rows that may be missing at the end of a JPEG, where hardly any face is."""
_UNTOUCHED: Final = (127, 128)
"""Values that libjpeg puts where data are missing: the middle of the range."""
_USUAL_SCANS: Final = 10
_FOUR_COLOURS: Final = 4
"""Components of a JPEG for printers; Pillow converts their colours more exactly."""
_REDUCED: Final = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
_REDUCED_PICTURE: Final = 20_000_000
"""Bytes of the picture that libjpeg makes: at most twice as large as the one asked for."""
_CUT_OFF: Final = re.compile("truncated|end of file", re.IGNORECASE)
"""Matches the errors that the libraries raise for a file whose end is missing."""
_HEIC_SIZES: Final = re.compile(rb"ispe\0{4}(.{4})(.{4})", re.DOTALL)
"""The properties with the size of a file's images, or of tiles of them, before they are cropped."""

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
"""The errors that Pillow and pillow-heif raised on damaged files.

A MemoryError is not among them: the caps have been checked by then, so the machine lacks memory and the
file is not to blame.
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
"""By EXIF orientation, the turn that makes the picture upright."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded photo."""

    rgb: Rgb
    """(height, width, 3) uint8, upright, the long side at most `ImageLimits.long_side`."""
    sha256: str
    """Of the file's bytes, hexadecimal."""
    hashes: PictureHashes
    format: ImageFormat
    width: int
    """Of the upright original, in pixels."""
    height: int

    @property
    def scale(self) -> float:
        """How many pixels of the original make one of ``rgb``; at least 1."""
        return max(1.0, max(self.width, self.height) / max(self.rgb.shape[:2]))

    @property
    def places(self) -> float:
        """How many pixels of the picture that `decode` gives by default make one of ``rgb``; at least 1."""
        usual = reduced_size((self.width, self.height), LIMITS.long_side)
        return max(1.0, max(usual) / max(self.rgb.shape[:2]))


@dataclass(frozen=True, slots=True)
class _Source:
    """A file, and the limits for decoding it."""

    data: bytes
    start: int
    """Where the picture begins in the file."""
    limits: ImageLimits
    budget: DecodeBudget | None
    small: bool = False

    @property
    def file(self) -> io.BytesIO:
        return io.BytesIO(self.data)

    def check_cost(
        self, decoding: Decoding, size: tuple[int, int], memory: int | None = None, times: float = 1.0
    ) -> None:
        """Raises ImageTooLarge or DecodeBudgetSpent where decoding would cost too much.

        ``memory`` is in bytes, where it is known better than by the pixels; ``times`` scales the usual time.
        """
        self.limits.check(decoding, *size, memory)
        if self.budget is not None:
            self.budget.spend(decoding, round(size[0] * size[1] * times))


_Decoded = tuple[Rgb, int, int]
"""The upright picture, and width and height of the original."""


def decode(
    data: bytes,
    limits: ImageLimits = LIMITS,
    budget: DecodeBudget | None = None,
    *,
    small: bool = False,
) -> Picture:
    """The picture in a file's bytes.

    With ``small`` it has a half, a quarter or an eighth of the size, the long side at least `SMALL`, where
    that halves the time: for large JPEGs that libjpeg need not hold as a whole.

    Raises UnsupportedFormat (naming the format), ImageTooLarge or UndecodableImage; DecodeBudgetSpent
    where the job's ``budget`` has too little time left for the photo.
    """
    kind, start = sniff(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a photo with a damaged EXIF block is used all the same
            rgb, width, height = _READERS[kind](_Source(data, start, limits, budget, small))
    except DECODER_ERRORS as error:
        what = "cut off" if _CUT_OFF.search(str(error)) else "damaged"
        raise UndecodableImage(f"{what} {kind}: {type(error).__name__}: {error}") from error
    return Picture(rgb, hashlib.sha256(data).hexdigest(), picture_hashes(rgb), kind, width, height)


def _read_jpeg(source: _Source) -> _Decoded:
    jpeg = read_jpeg(source.data, source.start, source.limits.jpeg_scans)
    size = jpeg.frame.width, jpeg.frame.height
    if jpeg.whole:
        memory = 2 * jpeg.frame.coefficients + _REDUCED_PICTURE
        source.check_cost(Decoding.JPEG_WHOLE, size, memory, max(1.0, jpeg.scans / _USUAL_SCANS))
    else:
        source.check_cost(Decoding.JPEG, size)
    if source.small and not jpeg.whole:
        source = _reduced(source, max(size))
    image, small = JpegImageFile(io.BytesIO(jpeg.data)), reduced_size(size, source.limits.long_side)
    if jpeg.ended and not jpeg.frame.arithmetic and len(jpeg.frame.components) != _FOUR_COLOURS:
        rgb = _decoded(jpeg, small)
        if rgb.shape[1::-1] != small:
            rgb = np.asarray(_scaled(Image.fromarray(rgb), small))
        return _upright(rgb, _orientation(image), size)
    image.draft("RGB", small)
    if not jpeg.ended and not jpeg.settled:
        _check_rows(image, jpeg)
    return _finish(source, image, size)


def _reduced(source: _Source, long_side: int) -> _Source:
    """To be decoded at the least scale of libjpeg whose long side is not below `SMALL`."""
    reduction = max((times for times in _REDUCED if long_side // times >= SMALL), default=1)
    limit = min(source.limits.long_side, long_side // reduction)
    return replace(source, limits=replace(source.limits, long_side=limit))


def _decoded(jpeg: Jpeg, size: tuple[int, int]) -> Rgb:
    """The pixels, at the least scale of libjpeg that has ``size``. Raises UndecodableImage.

    They are Pillow's, which uses the same library, in half the time: it makes two copies more.
    """
    fits = min(jpeg.frame.width // size[0], jpeg.frame.height // size[1])
    reading = next((flag for times, flag in _REDUCED.items() if fits >= times), cv2.IMREAD_COLOR)
    packed = np.frombuffer(jpeg.data, np.uint8)
    bgr = cv2.imdecode(packed, reading | cv2.IMREAD_IGNORE_ORIENTATION)
    if bgr is None:
        raise UndecodableImage("damaged JPEG: its picture cannot be read")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr), dtype=np.uint8)


def _check_rows(image: Image.Image, jpeg: Jpeg) -> None:
    """Raises UndecodableImage where too many rows are missing at the end."""
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
    source.check_cost(Decoding.PNG_BLENDED if blended else Decoding.PNG, image.size)
    return _finish(source, image, image.size)


def _read_webp(source: _Source) -> _Decoded:
    if _little(source.data[4:8]) + 8 > len(source.data):
        raise UndecodableImage("cut off: the WebP says that it is longer")
    source.limits.check(Decoding.WEBP, *_webp_canvas(source.data))
    image = WebPImageFile(source.file)
    source.check_cost(Decoding.WEBP, image.size)
    return _finish(source, image, image.size)


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """The size in the header, read here because Pillow allocates the canvas before it tells the size."""
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
    source.check_cost(Decoding.HEIC_DEEP if deep else Decoding.HEIC, largest)
    small = reduced_size((width, height), source.limits.long_side)
    # As an array it is not copied, and libheif has turned it upright already.
    pixels = cv2.resize(np.asarray(heif), small, interpolation=cv2.INTER_AREA)
    return to_rgb(Image.fromarray(np.asarray(pixels, dtype=np.uint8), heif.mode)), width, height


def _read_bmp(source: _Source) -> _Decoded:
    image = BmpImageFile(source.file)
    if any(tile.codec_name != "raw" for tile in image.tile):
        raise UnsupportedFormat("a compressed BMP")  # Pillow unpacks it pixel by pixel, in Python
    source.check_cost(Decoding.BMP, image.size)
    return _finish(source, image, image.size)


_READERS: Final[dict[ImageFormat, Callable[[_Source], _Decoded]]] = {
    ImageFormat.JPEG: _read_jpeg,
    ImageFormat.PNG: _read_png,
    ImageFormat.WEBP: _read_webp,
    ImageFormat.HEIC: _read_heic,
    ImageFormat.BMP: _read_bmp,
}


def reduced_size(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """The size after scaling the long side down to ``long_side``; never up."""
    factor = min(1.0, long_side / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _finish(source: _Source, image: Image.Image, size: tuple[int, int]) -> _Decoded:
    """Decode the image, scale it down and turn it upright; with the upright size of the original."""
    image.load()
    orientation = _orientation(image)
    rgb = to_rgb(_scaled(image, reduced_size(size, source.limits.long_side)))
    return _upright(rgb, orientation, size)


def _upright(rgb: Rgb, orientation: int, size: tuple[int, int]) -> _Decoded:
    if orientation in _TURNS:
        rgb = _TURNS[orientation](rgb)
    width, height = size[::-1] if orientation >= 5 else size
    return np.ascontiguousarray(rgb), width, height


def _scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture averaged down to ``size`` before any copy is made at full size."""
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
