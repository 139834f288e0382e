"""Faces of a photo, however it was taken: near or far, filling the frame, lying on its side.

Each search proposes faces, and each proposal is looked at once more, from near: the short-range
network on a square of twice the face's side. There a face is about as large as that network
likes best: on LFW all score 0.74 or more there, dogs and dresses next to nothing, and a face that
was small in the photo gets landmarks several times finer.

The searches in order, until one has found faces large enough that the next could not find a
second person: the whole photo with the short-range network, with the full-range network, that
network on four overlapping tiles; then the whole photo made smaller, for faces that fill the
frame; then the photo turned by 90, 270 and 180 degrees, for cameras that wrote no orientation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.faces.align import roll_of
from pipeline.faces.blazeface import FULL_RANGE, SHORT_RANGE, BlazeFace, Square, corners, overlaps
from pipeline.faces.pyramid import Pyramid
from pipeline.faces.types import Detection, Face, Rgb

SAME_FACE = 0.3
"""Boxes that share more than this (intersection over union) show one face; MediaPipe's limit."""
LYING = np.radians(55)
"""A face turned further than this is judged in the turned photo, where the networks are better."""


@dataclass(frozen=True, slots=True)
class DetectorLimits:
    """Scores are 0..1, shares are of the photo's long side."""

    proposal: float = 0.5
    """MediaPipe's own limit; its full-range network needs 0.6."""
    full_proposal: float = 0.6
    confirmed: float = 0.55
    """At the second look; see this module's head."""
    unconfirmed: float = 0.75
    """What the first look alone must give where the second sees nothing: some profiles do."""
    certain: float = 0.8
    """Below this the face is also looked at turned."""
    turned: float = 0.65
    """What a face must reach in a photo that had to be turned for it."""
    turn_gain: float = 0.05
    """And by how much it must score better than upright, where it was found upright too."""
    far: float = 0.25
    """The full-range network looks too where the largest face is smaller than this."""
    tiny: float = 0.08
    """And the tiles are searched where it is smaller than this."""
    most: int = 12
    """So many proposals of one search are looked at again, the largest first."""


_Searches = tuple[tuple[Callable[[Pyramid], list[Face]], float], ...]
"""What proposes faces, and the share of the long side at which its largest face is large enough."""


class TwoRangeDetector:
    """Both BlazeFace networks behind the `FaceDetector` port. One thread at a time."""

    def __init__(self, short: Path, full: Path, limits: DetectorLimits | None = None) -> None:
        """Load the short-range and the full-range network. Raises ModelError."""
        self._short = BlazeFace(short, SHORT_RANGE)
        self._full = BlazeFace(full, FULL_RANGE)
        self._limits = limits or DetectorLimits()
        whole = ((self._near, self._limits.far), (self._far, self._limits.tiny))
        self._upright_searches: _Searches = (*whole, (self._tiles, 0.0), (self._close_up, 0.0))
        self._turned_searches: _Searches = whole

    def detect(self, rgb: Rgb) -> Detection:
        """All faces, the largest first; see `Detection`."""
        upright = Detection(rgb, self._search(Pyramid(rgb), self._upright_searches))
        if _trust(upright) >= self._limits.certain:
            return upright
        turned = max((self._turned(rgb, degrees) for degrees in (90, 270, 180)), key=_trust)
        needed = max(self._limits.turned, _trust(upright) + self._limits.turn_gain)
        return turned if _trust(turned) >= needed else upright

    def look_again(self, rgb: Rgb, face: Face) -> Face | None:
        """The face that is seen from near where ``face`` was, or None: without a search of the photo."""
        return self._second_look(Pyramid(rgb), replace(face, score=0.0))

    def _turned(self, rgb: Rgb, degrees: int) -> Detection:
        """The photo turned counter-clockwise, searched without the rare cases."""
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
        return photo.look(self._short, photo.whole(), self._limits.proposal)

    def _far(self, photo: Pyramid) -> list[Face]:
        return photo.look(self._full, photo.whole(), self._limits.full_proposal)

    def _tiles(self, photo: Pyramid) -> list[Face]:
        tiles = (photo.look(self._full, tile, self._limits.full_proposal) for tile in tiles_of(photo.rgb))
        return merge(face for tile in tiles for face in tile)

    def _close_up(self, photo: Pyramid) -> list[Face]:
        """For a face that fills the frame: the photo with a border around it."""
        looks = (photo.look(self._short, photo.whole(zoom), self._limits.proposal) for zoom in (0.6, 0.35))
        return merge(face for look in looks for face in look)

    def _confirmed(self, photo: Pyramid, proposals: Iterable[Face], found: Sequence[Face]) -> Iterator[Face]:
        """The second look at each proposal that is not found yet."""
        largest = sorted(proposals, key=lambda face: -face.box.side)[: self._limits.most]
        for face in largest:
            if _overlap(face, found) <= SAME_FACE and (near := self._second_look(photo, face)):
                yield near

    def _second_look(self, photo: Pyramid, face: Face) -> Face | None:
        """The same face seen from near; None where it is not seen there, and was doubtful from afar."""
        (x, y), side = face.box.centre, 2 * face.box.side
        seen = photo.look(self._short, Square(x - side / 2, y - side / 2, side), self._limits.confirmed)
        best = max(seen, key=lambda other: _overlap(face, [other]), default=None)
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
    """Where tiles of ``side`` begin on a line; one that is shorter than a tile gets one in the middle."""
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
    """The largest intersection over union with any of the others."""
    return float(overlaps(corners([face])[0], corners(others)).max(initial=0.0))


def _trust(detection: Detection) -> float:
    """The best score of a face that does not lie on its side; 0 without one.

    Not the largest face's: that may be a bystander whom the frame cuts in half.
    """
    return max((face.score for face in detection.faces if abs(roll_of(face)) < LYING), default=0.0)
