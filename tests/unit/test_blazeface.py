"""BlazeFace's arithmetic without its networks: anchors, suppression, squares, tiles, halvings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import WeightsCorrupt, WeightsMissing
from pipeline.faces.blazeface import FULL_RANGE, SHORT_RANGE, BlazeFace, Square, letterbox, overlaps, suppress
from pipeline.faces.detector import Pyramid, TwoRangeDetector, merge, tiles_of
from pipeline.faces.types import Face
from pipeline.verdict import Box


def points_of(left: float, top: float, side: float) -> np.ndarray:
    """Box corners and six landmarks of a face, (8, 2)."""
    corners = [[left, top], [left + side, top + side]]
    marks = [
        [left + side * x, top + side * y]
        for x, y in ((0.3, 0.3), (0.7, 0.3), (0.5, 0.5), (0.5, 0.7), (0, 0.4), (1, 0.4))
    ]
    return np.array(corners + marks, dtype=np.float32)


def face(left: float, top: float, side: float, score: float) -> Face:
    return Face(Box(left, top, side, side), points_of(left, top, side)[2:], score)


def test_the_short_range_network_has_896_anchors_at_the_middles_of_its_cells() -> None:
    centres = SHORT_RANGE.centres()
    assert centres.shape == (896, 2)
    assert centres[:2].tolist() == [[1 / 32, 1 / 32]] * 2
    assert centres[512:518].tolist() == [[1 / 16, 1 / 16]] * 6


def test_the_full_range_network_has_2304_anchors() -> None:
    centres = FULL_RANGE.centres()
    assert centres.shape == (2304, 2)
    assert centres[1].tolist() == pytest.approx([1.5 / 48, 0.5 / 48])


def test_overlapping_candidates_become_their_mean_weighted_by_score() -> None:
    points = np.stack([points_of(10, 10, 100), points_of(20, 10, 100), points_of(300, 300, 50)])
    faces = suppress(points, np.array([0.9, 0.6, 0.7], dtype=np.float32))
    assert [round(found.score, 3) for found in faces] == [0.9, 0.7]
    assert faces[0].box.x == pytest.approx((10 * 0.9 + 20 * 0.6) / 1.5, abs=1e-4)
    assert faces[0].landmarks[2].tolist() == pytest.approx([64, 60], abs=1e-3)


def test_a_candidate_without_an_area_does_not_keep_the_suppression_busy_for_ever() -> None:
    flat = np.full((1, 8, 2), 5.0, dtype=np.float32)
    assert len(suppress(flat, np.array([0.9], dtype=np.float32))) == 1


def test_nothing_found_is_nothing() -> None:
    assert suppress(np.empty((0, 8, 2), np.float32), np.empty(0, np.float32)) == []


@given(st.floats(0, 50), st.floats(0, 50), st.floats(1, 80))
def test_overlap_is_between_nothing_and_all(x: float, y: float, side: float) -> None:
    one, other = points_of(0, 0, 50)[:2], points_of(x, y, side)[:2]
    there, back = float(overlaps(one, other[None])[0]), float(overlaps(other, one[None])[0])
    assert 0 <= there <= 1
    assert there == pytest.approx(back, abs=1e-4)
    assert float(overlaps(one, one[None])[0]) == pytest.approx(1)


def test_the_letterbox_is_black_beside_the_photo_and_scales_its_pixels() -> None:
    photo = np.full((100, 200, 3), 255, dtype=np.uint8)
    patch = letterbox(photo, Square(0, -50, 200), 128)
    assert patch.shape == (128, 128, 3)
    assert patch[64, 64].tolist() == [1, 1, 1]
    assert patch[2, 64].tolist() == [-1, -1, -1]


def test_of_overlapping_faces_the_better_one_stays() -> None:
    kept = merge([face(0, 0, 100, 0.6), face(5, 5, 100, 0.9), face(300, 0, 100, 0.5)])
    assert [found.score for found in kept] == [0.9, 0.5]


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_tiles_cover_the_photo(height: int, width: int) -> None:
    rgb = np.empty((height, width, 3), dtype=np.uint8)
    tiles = list(tiles_of(rgb))
    assert len(tiles) <= 4
    for x, y in ((0, 0), (width, 0), (0, height), (width, height), (width / 2, height / 2)):
        assert any(
            tile.x - 1e-6 <= x <= tile.x + tile.side + 1e-6
            and tile.y - 1e-6 <= y <= tile.y + tile.side + 1e-6
            for tile in tiles
        )


class OneSpot:
    """A fake network that detects the brightest pixel of its square as a face."""

    size = 128

    def detect(self, rgb: np.ndarray, square: Square, _min_score: float) -> list[Face]:
        patch = letterbox(rgb, square, self.size)[:, :, 0]
        y, x = np.unravel_index(int(np.argmax(patch)), patch.shape)
        side = square.side / self.size
        return [face(float(square.x + x * side), float(square.y + y * side), 10 * side, 0.9)]


@pytest.mark.parametrize("size", [(120, 90), (800, 600), (1600, 1200), (1500, 400)])
def test_what_is_seen_in_a_halved_photo_lies_where_it_lies_in_the_photo(size: tuple[int, int]) -> None:
    width, height = size
    rgb = np.zeros((height, width, 3), dtype=np.uint8)
    x, y, spot = width * 0.6, height * 0.4, max(1, width // 100)
    rgb[int(y) - spot : int(y) + spot + 1, int(x) - spot : int(x) + spot + 1] = 255
    photo = Pyramid(rgb)
    (seen,) = photo.detect(OneSpot(), photo.whole(), 0.5)  # type: ignore[arg-type]
    pixel = max(width, height) / 128
    assert seen.box.x == pytest.approx(x, abs=1.6 * pixel + spot)
    assert seen.box.y == pytest.approx(y, abs=1.6 * pixel + spot)
    assert seen.box.width == pytest.approx(10 * pixel, rel=1e-3)


def test_a_missing_and_a_damaged_network_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="short"):
        TwoRangeDetector(tmp_path / "short.tflite", tmp_path / "full.tflite")
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"not a network at all")
    with pytest.raises(WeightsCorrupt, match="broken"):
        BlazeFace(broken, SHORT_RANGE)
