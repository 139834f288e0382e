"""Where a face lies in its photo, however the detector turned the photo to find it."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.faces.places import box_in_photo, landmarks_in_photo
from pipeline.faces.types import Detection, Face, Mesh
from pipeline.verdict import Box, Landmark

WIDTH, HEIGHT = 640, 480
POINTS = np.array([[100, 50], [140, 60], [120, 80], [121, 99], [60, 70], [180, 75]], dtype=np.float32)
BOX = Box(80, 30, 90, 100)
FIVE = np.array([[101, 51], [139, 61], [120, 81], [110, 98], [132, 100]], dtype=np.float32)
MESH = Mesh(FIVE, (120, 80), 90, 110, 0.0, np.zeros((468, 3), dtype=np.float32))


def quarter_turned(points: np.ndarray, width: int) -> np.ndarray:
    """Points of a picture of this width, after a quarter turn counter-clockwise."""
    return np.column_stack([points[:, 1], width - points[:, 0]])


def detected(degrees: int, points: np.ndarray, mesh: Mesh | None = None) -> Detection:
    """What the detector finds in the photo that it turned, where ``points`` are those of the upright one."""
    corners, width, height = np.array([[80.0, 30.0], [170.0, 130.0]]), WIDTH, HEIGHT
    for _ in range(degrees // 90):
        points, corners = quarter_turned(points, width), quarter_turned(corners, width)
        width, height = height, width
    low, high = corners.min(axis=0), corners.max(axis=0)
    box = Box(*map(float, low), *map(float, high - low))
    face = Face(box, points.astype(np.float32), 0.9, mesh)
    return Detection(np.zeros((height, width, 3), dtype=np.uint8), (face,), degrees)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_box_and_landmarks_are_those_of_the_photo_as_it_was_decoded(degrees: int) -> None:
    found = detected(degrees, POINTS)
    assert box_in_photo(found, found.faces[0]) == BOX
    assert landmarks_in_photo(found, found.faces[0]) == {
        Landmark.RIGHT_EYE: (100, 50),
        Landmark.LEFT_EYE: (140, 60),
        Landmark.NOSE: (120, 80),
        Landmark.MOUTH: (121, 99),
    }


def test_where_there_is_a_mesh_its_points_are_kept_for_faces_are_aligned_by_them() -> None:
    found = detected(0, POINTS, MESH)
    places = landmarks_in_photo(found, found.faces[0])
    assert list(places) == ["right_eye", "left_eye", "nose", "mouth_right", "mouth_left"]
    assert places[Landmark.MOUTH_LEFT] == (132, 100)


def test_of_a_photo_that_was_read_small_places_are_those_in_its_usual_size() -> None:
    found = detected(0, POINTS, MESH)
    face = found.faces[0]
    assert box_in_photo(found, face, 2.5) == Box(200, 75, 225, 250)
    assert landmarks_in_photo(found, face, 2.5)[Landmark.MOUTH_LEFT] == (330, 250)


def test_the_landmarks_have_no_more_digits_than_the_networks_are_exact() -> None:
    found = detected(0, POINTS + np.float32(0.123))
    assert landmarks_in_photo(found, found.faces[0])[Landmark.RIGHT_EYE] == (100.1, 50.1)
