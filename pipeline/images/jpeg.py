"""Extract the JPEG picture from a file, without the data that a decoder does not need.

Phones append videos, second pictures and notes, uploads lose their last bytes, servers put text in
front, and metadata can be larger than the picture. So the markers are followed as ITU-T T.81 (annex B)
defines them, the picture's own segments are kept, and the decoder gets nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from pipeline.errors import UndecodableImage, UnsupportedFormat

_SOI, _EOI, _SOS, _APP0, _APP1, _APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
_TABLES: Final = frozenset({0xC4, 0xCC, 0xDB, 0xDD})
"""Huffman tables, arithmetic conditioning, quantization tables, restart interval."""
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODABLE: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_PROGRESSIVE: Final = frozenset({0xC2, 0xCA})
_ARITHMETIC: Final = frozenset({0xC9, 0xCA})
_ALONE: Final = frozenset({0x01, _SOI})
"""Markers without a segment; in front of the picture they are passed over."""
_BETWEEN_SCANS: Final = _TABLES | {_SOS, _EOI, 0xFE, *range(0xE0, 0xF0)}
_MARKER: Final = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""Any but a stuffed zero, a fill byte, and the restarts, which belong to the data of a scan."""
_ORIENTATION: Final = (b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0")
"""The beginnings of an APP1 that may tell how the picture is turned; the first of each counts."""
_MOST_SEGMENTS: Final = 4_000
"""A depth map inside the metadata takes some hundreds."""
_FEWEST_ZEROS: Final = 16
"""So many zero bytes at the end of a file were never written."""
_COARSE: Final = 6
"""A block shows nothing without its first coefficients, in the order of a file."""
_NEARLY_SHARP: Final = 1
"""Bits that may be missing of a coefficient, as before the last scan of brightness: hardly visible."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame header."""

    marker: int
    width: int
    height: int
    components: tuple[int, ...]
    """Their numbers in the file; the first is brightness, but for pictures in RGB or CMYK."""
    coefficients: int
    """Of all components; libjpeg needs two bytes for each where it must hold them all."""

    @property
    def progressive(self) -> bool:
        """Whether each scan adds to those before."""
        return self.marker in _PROGRESSIVE

    @property
    def arithmetic(self) -> bool:
        """Whether the coding hides where data are missing."""
        return self.marker in _ARITHMETIC


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A picture for a decoder."""

    frame: Frame
    data: bytes
    """From SOI to EOI, without comments, profiles, previews and surrounding data."""
    scans: int
    ended: bool
    """False where EOI was missing: then data may be missing, too."""
    settled: bool
    """Whether the brightness of every pixel has come in scans that are whole."""
    whole: bool
    """Whether the decoder holds all coefficients before it shows a row."""


def read_jpeg(data: bytes, start: int, most_scans: int) -> Jpeg:
    """The JPEG whose SOI is at ``start``. Raises UnsupportedFormat and UndecodableImage."""
    walk = _Walk(data, most_scans)
    walk.follow(start + 2)
    if walk.frame is None or not walk.scans:
        raise UndecodableImage("cut off: the JPEG ends before its picture begins")
    picture = b"".join([b"\xff\xd8", *walk.kept, b"\xff\xd9"])
    settled = max(walk.whole[:_COARSE]) <= _NEARLY_SHARP and max(walk.begun) <= _NEARLY_SHARP
    whole = walk.frame.progressive or not walk.at_once
    return Jpeg(walk.frame, picture, walk.scans, walk.ended, settled, whole)


@dataclass(slots=True)
class _Walk:
    """Walks from marker to marker and keeps the segments of the picture."""

    data: bytes
    most_scans: int
    kept: list[memoryview] = field(default_factory=list)
    frame: Frame | None = None
    scans: int = 0
    ended: bool = False
    begun: list[int] = field(default_factory=lambda: [99] * 64)
    """Bits missing of each coefficient of the first component after all scans so far."""
    whole: list[int] = field(default_factory=lambda: [99] * 64)
    """The same after the scans that are known to be whole."""
    _coded: set[int] = field(default_factory=set)
    """Components that a scan has held."""
    at_once: bool = False
    """Whether the first scan has all components: libjpeg goes by that, whatever follows."""
    _known_texts: set[bytes] = field(default_factory=set)

    def follow(self, at: int) -> None:
        """Walk until EOI, or until something that cannot belong to the picture."""
        for _ in range(_MOST_SEGMENTS):
            found = _MARKER.search(self.data, at)
            if self.scans:
                self._keep(at, found.start() if found else self._end_of_data(at))
            if found is None or not self._belongs(found[1][0], found.end()):
                return
            self.whole = list(self.begun)
            at = self._read_segment(found[1][0], found.end())
            if self.ended:
                return
        raise UndecodableImage(f"a JPEG of more than {_MOST_SEGMENTS:,} segments")

    def _keep(self, start: int, end: int) -> None:
        self.kept.append(memoryview(self.data)[start:end])

    def _end_of_data(self, at: int) -> int:
        """The end of the last scan's data where no marker ends them; zero padding is left out."""
        data = len(self.data[at:].rstrip(b"\0"))
        return len(self.data) if len(self.data) - at - data < _FEWEST_ZEROS else at + data

    def _belongs(self, marker: int, at: int) -> bool:
        """Whether the marker belongs to this picture, and not to data that were appended."""
        if not self.scans:
            return marker in _ALONE or (marker != _EOI and self._end(at) is not None)
        if marker == _EOI:
            return True
        end = self._end(at)
        if marker not in _BETWEEN_SCANS or self._complete() or end is None:
            return False
        if marker == _SOS:
            return self._scan(at, end) is not None
        following = self.data[end : end + 2]  # tables and notes come with no data of their own
        return len(following) == 2 and following[0] == 0xFF and following[1] in _BETWEEN_SCANS

    def _complete(self) -> bool:
        """Whether no scan can follow: a sequential JPEG has one for each component at most."""
        frame = self.frame
        return frame is not None and not frame.progressive and self._coded >= set(frame.components)

    def _end(self, at: int) -> int | None:
        """The end of the segment whose length is at ``at``; None where it exceeds the file."""
        length = int.from_bytes(self.data[at : at + 2], "big")
        return at + length if length >= 2 and at + length <= len(self.data) else None

    def _read_segment(self, marker: int, at: int) -> int:
        """Keep the segment if the decoder needs it; the position behind it."""
        end = self._end(at)
        if marker == _EOI or marker in _ALONE or end is None:
            self.ended = marker == _EOI
            return at
        if marker in _FRAMES:
            self._begin(marker, self.data[at + 2 : end])
        elif marker == _SOS:
            self._begin_scan(at, end)
        if marker in _FRAMES or marker == _SOS or marker in _TABLES or self._describes_pixels(marker, at + 2):
            self._keep(at - 2, end)
        return end

    def _describes_pixels(self, marker: int, body: int) -> bool:
        """Whether the segment holds the colours (JFIF, Adobe) or the orientation (Exif, XMP)."""
        if marker in (_APP0, _APP14):
            return self.data.startswith((b"JFIF\0", b"Adobe"), body)
        known = [name for name in _ORIENTATION if self.data.startswith(name, body)] if marker == _APP1 else []
        first = bool(known) and known[0] not in self._known_texts
        self._known_texts.update(known)
        return first

    def _begin(self, marker: int, body: bytes) -> None:
        """Read a frame header. Raises UnsupportedFormat or UndecodableImage."""
        if self.frame is not None or len(body) < 9 or len(body) != 6 + 3 * body[5]:
            raise UndecodableImage("damaged JPEG: frame header")
        if marker not in _DECODABLE or body[0] != 8:
            raise UnsupportedFormat(f"a JPEG of {body[0]} bits, process {marker - 0xC0},")
        height, width = (int.from_bytes(body[i : i + 2], "big") for i in (1, 3))
        factors = [(byte >> 4, byte & 15) for byte in body[7::3]]
        if not width or not height or not all(1 <= f <= 4 for pair in factors for f in pair):
            raise UndecodableImage("damaged JPEG: no size")
        full = max(across for across, _ in factors) * max(down for _, down in factors)
        coefficients = width * height * sum(across * down for across, down in factors) // full
        self.frame = Frame(marker, width, height, tuple(body[6::3]), coefficients)

    def _begin_scan(self, at: int, end: int) -> None:
        """Read a scan header. Raises UndecodableImage."""
        scan = self._scan(at, end)
        if scan is None:
            raise UndecodableImage("damaged JPEG: scan header")
        self.scans += 1
        if self.scans > self.most_scans:
            raise UndecodableImage(f"a JPEG of more than {self.most_scans} scans")
        components, first, last, bits = scan
        if self.scans == 1 and self.frame is not None:
            self.at_once = self.data[at + 2] >= len(self.frame.components)
        self._coded |= components
        if self.frame is not None and self.frame.components[0] in components:
            self.begun[first : last + 1] = [bits] * (last + 1 - first)

    def _scan(self, at: int, end: int) -> tuple[set[int], int, int, int] | None:
        """A scan's components, its first and last coefficient, and the bits still missing of those."""
        body = self.data[at + 2 : end]
        if self.frame is None or not body or len(body) != 4 + 2 * body[0]:
            return None
        components = set(body[1:-3:2])
        first, last, bits = (body[-3], body[-2], body[-1] & 15) if self.frame.progressive else (0, 63, 0)
        if not components or not components <= set(self.frame.components) or not first <= last < 64:
            return None
        return components, first, last, bits
