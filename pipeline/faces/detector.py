"""Detect faces that are near or far, fill the frame, or lie on their side.

Each search proposes faces, and each proposal is confirmed by the short-range network on a square of
twice the face's side. There a face has the size that this network detects best: on LFW all score 0.74
or more, dogs and dresses next to nothing, and a face that was small in the photo gets landmarks several
times finer.

The searches are run in order, until one has found faces so large that the next could not find a second
person: the whole photo with the short-range network, with the full-range network, that network on four
overlapping tiles; then the whole photo made smaller, for faces that fill the frame; then the photo turned
by 90, 270 and 180 degrees, for cameras that wrote no orientation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from pipeline.faces.align import roll_of
from pipeline.faces.blazeface import FULL_RANGE, SHORT_RANGE, BlazeFace, Square, corners, overlaps
from pipeline.faces.types import Detection, Face, Rgb
from pipeline.verdict import Box

SAME_FACE = 0.3
"""Boxes that share more than this (intersection over union) show one face; MediaPipe's limit."""
LYING = np.radians(55)
"""A face turned further than this is detected in the turned photo, where the networks are better."""


@dataclass(frozen=True, slots=True)
class DetectorLimits:
    """Scores are 0..1, shares are of the photo's long side."""

    proposal: float = 0.5
    """MediaPipe's own limit; its full-range network needs 0.6."""
    full_proposal: float = 0.6
    confirmed: float = 0.55
    """For a confirmed face; see the module docstring."""
    unconfirmed: float = 0.75
    """The score that a proposal needs where it is not confirmed, as some profiles are not."""
    certain: float = 0.8
    """Below this the photo is also searched turned."""
    turned: float = 0.65
    """The score that a face needs in a turned photo."""
    turn_gain: float = 0.05
    """By how much it must exceed the score of the upright photo."""
    far: float = 0.25
    """The full-range network is used where the largest face is smaller than this."""
    tiny: float = 0.08
    """The tiles are searched where the largest face is smaller than this."""
    most: int = 12
    """So many proposals of one search are confirmed, the largest first."""


class Pyramid:
    """A photo at full size, a half, a quarter, ...; each level is made when first needed.

    MediaPipe samples the photo bilinearly, which from 1600 to 128 pixels reads one pixel in ten:
    dithering and fine texture become noise. Halving by area first costs a millisecond once.
    """

    def __init__(self, rgb: Rgb) -> None:
        self._levels = [rgb]

    @property
    def rgb(self) -> Rgb:
        return self._levels[0]

    @property
    def long_side(self) -> int:
        return max(self.rgb.shape[:2])

    def whole(self, zoom: float = 1.0) -> Square:
        """The square around the whole photo; below 1, ``zoom`` leaves a border around it."""
        height, width = self.rgb.shape[:2]
        side = max(height, width) / zoom
        return Square((width - side) / 2, (height - side) / 2, side)

    def detect(self, network: BlazeFace, square: Square, min_score: float) -> list[Face]:
        """The faces that ``network`` finds in ``square``, both in pixels of the photo at full size."""
        level = max(0, int(np.log2(max(square.side / network.size, 1.0))))
        rgb, times = self._level(level)
        shift = (times - 1) / 2  # where the centre of a halved pixel lies
        reduced = Square((square.x - shift) / times, (square.y - shift) / times, square.side / times)
        return [_enlarged(face, times, shift) for face in network.detect(rgb, reduced, min_score)]

    def _level(self, wanted: int) -> tuple[Rgb, int]:
        """The photo halved ``wanted`` times, or as often as its size allows; and by how much."""
        while len(self._levels) <= wanted and min(self._levels[-1].shape[:2]) >= 4:
            self._levels.append(_halved(self._levels[-1]))
        level = min(wanted, len(self._levels) - 1)
        return self._levels[level], 2**level


def _halved(rgb: Rgb) -> Rgb:
    height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
    even = rgb[: height * 2, : width * 2]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _enlarged(face: Face, times: int, shift: float) -> Face:
    box = face.box
    return Face(
        Box(box.x * times + shift, box.y * times + shift, box.width * times, box.height * times),
        face.landmarks * np.float32(times) + np.float32(shift),
        face.score,
    )


_Searches = tuple[tuple[Callable[[Pyramid], list[Face]], float], ...]
"""Functions that propose faces, each with the share of the long side at which no further search is needed."""


class TwoRangeDetector:
    """A `FaceDetector` with both BlazeFace networks. Not thread-safe."""

    def __init__(self, short: Path, full: Path, limits: DetectorLimits | None = None) -> None:
        """Load the short-range and the full-range network. Raises ModelError."""
        self._short = BlazeFace(short, SHORT_RANGE)
        self._full = BlazeFace(full, FULL_RANGE)
        self._limits = limits or DetectorLimits()
        whole = ((self._near, self._limits.far), (self._far, self._limits.tiny))
        self._upright_searches: _Searches = (*whole, (self._tiles, 0.0), (self._close_up, 0.0))
        self._turned_searches: _Searches = whole

    def detect(self, rgb: Rgb) -> Detection:
        """All faces, the largest first."""
        upright = Detection(rgb, self._search(Pyramid(rgb), self._upright_searches))
        if _best_upright_score(upright) >= self._limits.certain:
            return upright
        turned = max((self._turned(rgb, degrees) for degrees in (90, 270, 180)), key=_best_upright_score)
        needed = max(self._limits.turned, _best_upright_score(upright) + self._limits.turn_gain)
        return turned if _best_upright_score(turned) >= needed else upright

    def detect_again(self, rgb: Rgb, face: Face) -> Face | None:
        """The face at the place of ``face``, or None; the rest of the photo is not searched."""
        return self._confirm(Pyramid(rgb), replace(face, score=0.0))

    def _turned(self, rgb: Rgb, degrees: int) -> Detection:
        """The faces of the photo turned counter-clockwise, by two searches only."""
        turned = np.ascontiguousarray(np.rot90(rgb, degrees // 90))
        return Detection(turned, self._search(Pyramid(turned), self._turned_searches), degrees)

    def _search(self, photo: Pyramid, searches: _Searches) -> tuple[Face, ...]:
        """One search after the other, until the largest face is as large as the search's share."""
        found: list[Face] = []
        for propose, enough in searches:
            found = merge([*found, *self._confirmed(photo, propose(photo), found)])
            if found and max(face.box.side for face in found) >= enough * photo.long_side:
                break
        return tuple(sorted(found, key=lambda face: -face.box.side))

    def _near(self, photo: Pyramid) -> list[Face]:
        return photo.detect(self._short, photo.whole(), self._limits.proposal)

    def _far(self, photo: Pyramid) -> list[Face]:
        return photo.detect(self._full, photo.whole(), self._limits.full_proposal)

    def _tiles(self, photo: Pyramid) -> list[Face]:
        tiles = (photo.detect(self._full, tile, self._limits.full_proposal) for tile in tiles_of(photo.rgb))
        return merge(face for tile in tiles for face in tile)

    def _close_up(self, photo: Pyramid) -> list[Face]:
        """Faces that fill the frame: the photo is made smaller, with a border around it."""
        zoomed = (photo.detect(self._short, photo.whole(zoom), self._limits.proposal) for zoom in (0.6, 0.35))
        return merge(face for found in zoomed for face in found)

    def _confirmed(self, photo: Pyramid, proposals: Iterable[Face], found: Sequence[Face]) -> Iterator[Face]:
        """The confirmed faces among the largest proposals that are not found yet."""
        largest = sorted(proposals, key=lambda face: -face.box.side)[: self._limits.most]
        for face in largest:
            if _overlap(face, found) <= SAME_FACE and (near := self._confirm(photo, face)):
                yield near

    def _confirm(self, photo: Pyramid, face: Face) -> Face | None:
        """The face detected in a square around it; None where there is none and its score is low."""
        (x, y), side = face.box.centre, 2 * face.box.side
        found = photo.detect(self._short, Square(x - side / 2, y - side / 2, side), self._limits.confirmed)
        best = max(found, key=lambda other: _overlap(face, [other]), default=None)
        if best and _overlap(face, [best]) > SAME_FACE:
            return best
        return face if face.score >= self._limits.unconfirmed else None


def tiles_of(rgb: Rgb, share: float = 0.55) -> Iterator[Square]:
    """Overlapping squares of ``share`` of the long side that cover the photo."""
    height, width = rgb.shape[:2]
    side = share * max(height, width)
    for y in _starts(height, side):
        for x in _starts(width, side):
            yield Square(x, y, side)


def _starts(length: int, side: float) -> list[float]:
    """Where tiles of ``side`` begin on a line; a line shorter than a tile gets one in the middle."""
    if length <= side:
        return [(length - side) / 2]
    count = int(np.ceil(length / side))
    return [float(start) for start in np.linspace(0, length - side, count)]


def merge(faces: Iterable[Face]) -> list[Face]:
    """The faces without those that overlap one of a better score."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if _overlap(face, kept) <= SAME_FACE:
            kept.append(face)
    return kept


def _overlap(face: Face, others: Sequence[Face]) -> float:
    return float(overlaps(corners([face])[0], corners(others)).max(initial=0.0))


def _best_upright_score(detection: Detection) -> float:
    """The best score of a face that does not lie on its side; 0 without one.

    The largest face does not count, because it may be a bystander whom the frame cuts in half.
    """
    return max((face.score for face in detection.faces if abs(roll_of(face)) < LYING), default=0.0)
