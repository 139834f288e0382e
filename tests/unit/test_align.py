"""Crops: where the face's points come to lie, on pictures whose points are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.faces.align import (
    ARCFACE_FIVE,
    ARCFACE_TEMPLATE,
    Border,
    Preprocess,
    StretchedGeometry,
    crop_similarity,
    crop_stretched,
    preprocess,
    roll_of,
    similarity,
)
from pipeline.faces.types import Face, Mesh, Rgb
from pipeline.verdict import Box

# An upright face of 200 pixels in a photo of 640 x 480; eyes, nose, mouth, ears.
LANDMARKS = np.array(
    [[285, 210], [355, 210], [320, 250], [320, 290], [245, 225], [395, 225]], dtype=np.float32
)
BOX = Box(220, 150, 200, 200)


def turned(points: np.ndarray, degrees: float, centre: tuple[float, float] = (320, 250)) -> np.ndarray:
    """The points turned clockwise in the picture."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray((points - centre) @ turn + centre, dtype=np.float32)


def face(degrees: float = 0) -> Face:
    return Face(BOX, turned(LANDMARKS, degrees), 0.9)


def dotted(points: np.ndarray) -> Rgb:
    """A dark photo with a white spot at each point."""
    rgb = np.zeros((480, 640, 3), dtype=np.uint8)
    for x, y in points:
        cv2.circle(rgb, (round(float(x)), round(float(y))), 5, (255, 255, 255), -1)
    return rgb


def spots(crop: Rgb) -> np.ndarray:
    """The middles of the white spots, from top to bottom, then from left to right."""
    _, _, _, middles = cv2.connectedComponentsWithStats((crop[:, :, 0] > 100).astype(np.uint8))
    found = middles[1:]
    return np.asarray(found[np.lexsort((found[:, 0], np.round(found[:, 1] / 4)))])


@pytest.mark.parametrize("degrees", [0, 25, -40, 90, 180])
def test_the_similarity_crop_lays_eyes_nose_and_mouth_onto_the_template(degrees: float) -> None:
    someone = face(degrees)
    middles = spots(crop_similarity(dotted(someone.landmarks[:4]), someone))
    assert np.abs(middles - ARCFACE_TEMPLATE).max() < 4  # this face is not the template's
    assert np.abs(middles.mean(axis=0) - ARCFACE_TEMPLATE.mean(axis=0)).max() < 1


def test_the_mesh_is_believed_before_the_detectors_points() -> None:
    five = (ARCFACE_FIVE * 2 + 100).astype(np.float32)
    meshed = Face(BOX, LANDMARKS, 0.9, Mesh(five, (200, 200), 100, 100, 0, np.zeros((468, 3), np.float32)))
    middles = spots(crop_similarity(dotted(five[:3]), meshed))
    assert np.abs(middles - ARCFACE_FIVE[:3]).max() < 1


@given(
    degrees=st.floats(-179, 179),
    scale=st.floats(0.05, 20),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_a_similarity_is_recovered_exactly(degrees: float, scale: float, shift: tuple[float, float]) -> None:
    source = ARCFACE_TEMPLATE
    target = turned(source, degrees, (0, 0)).astype(np.float64) * scale + shift
    affine = similarity(source.astype(np.float32), target)
    assert np.abs(source @ affine[:, :2].T + affine[:, 2] - target).max() < 1e-2 * max(scale, 1)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    mirrored = LANDMARKS[:4] * [-1, 1]
    assert np.linalg.det(similarity(mirrored, ARCFACE_TEMPLATE)[:, :2]) > 0


def test_the_stretched_crop_takes_the_sides_it_is_told() -> None:
    # 1.2 sides of 200 pixels wide, 1.5 high, the middle 0.08 sides above the box's.
    left, right, top, bottom = 320 - 120, 320 + 120, 234 - 150, 234 + 150
    corners = np.array(
        [[left + 24, top + 30], [right - 24, top + 30], [left + 24, bottom - 30], [right - 24, bottom - 30]]
    )
    middles = spots(crop_stretched(dotted(corners), face(), StretchedGeometry()))
    assert np.abs(middles - [[16, 16], [144, 16], [16, 144], [144, 144]]).max() < 1


@pytest.mark.parametrize("degrees", [-50, 20, 70])
def test_an_upright_crop_does_not_depend_on_the_roll(degrees: float) -> None:
    geometry = StretchedGeometry(upright=True)
    straight = Face(BOX, LANDMARKS, 0.9)
    middle = BOX.centre
    tilted = Face(BOX, turned(LANDMARKS, degrees, middle), 0.9)
    expected = spots(crop_stretched(dotted(straight.landmarks), straight, geometry))
    assert np.abs(spots(crop_stretched(dotted(tilted.landmarks), tilted, geometry)) - expected).max() < 1.5


@pytest.mark.parametrize("degrees", [0, 10, -35, 120])
def test_the_roll_is_the_angle_of_the_face(degrees: float) -> None:
    assert np.degrees(roll_of(face(degrees))) == pytest.approx(degrees, abs=0.5)


@pytest.mark.parametrize(("border", "colour"), [(Border.REPLICATE, 200), (Border.BLACK, 0)])
def test_beyond_the_photo_stands_what_the_border_says(border: Border, colour: int) -> None:
    photo = np.full((480, 640, 3), 200, dtype=np.uint8)
    cut = Face(Box(-100, -100, 200, 200), LANDMARKS, 0.9)
    assert crop_stretched(photo, cut, StretchedGeometry(border=border))[2, 2].tolist() == [colour] * 3


@pytest.mark.parametrize("shrink", [1, 4])
def test_a_large_face_is_averaged_and_not_sampled(shrink: int) -> None:
    checks = np.indices((480 * shrink, 640 * shrink)).sum(axis=0) % 2 * 255
    photo = np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8)
    large = Face(Box(220 * shrink, 150 * shrink, 200 * shrink, 200 * shrink), LANDMARKS * shrink, 0.9)
    crop = crop_stretched(photo, large, StretchedGeometry(size=80))
    assert crop.std() < 20  # 127 everywhere; sampling alone would give black, white and moire


def test_a_face_wholly_outside_the_photo_still_gives_a_crop() -> None:
    outside = Face(Box(5000, 5000, 900, 900), LANDMARKS + 5000, 0.9)
    assert crop_stretched(np.zeros((480, 640, 3), np.uint8), outside, StretchedGeometry()).shape == (
        160,
        160,
        3,
    )
    assert crop_similarity(np.zeros((1, 1, 3), np.uint8), outside).shape == (112, 112, 3)


def test_points_that_all_coincide_do_not_divide_by_zero() -> None:
    collapsed = Face(BOX, np.full((6, 2), 100, dtype=np.float32), 0.9)
    assert crop_similarity(np.zeros((480, 640, 3), np.uint8), collapsed).shape == (112, 112, 3)


def test_preprocessing_keeps_three_channels() -> None:
    crop = np.random.default_rng(0).integers(100, 120, (160, 160, 3), dtype=np.uint8)
    assert preprocess(crop, Preprocess.COLOR) is crop
    gray, equalized = (preprocess(crop, mode) for mode in (Preprocess.GRAY, Preprocess.GRAY_EQUALIZED))
    assert gray.shape == equalized.shape == crop.shape
    assert np.ptp(gray, axis=2).max() == 0
    assert np.ptp(equalized) == 255
    assert np.ptp(gray) < 21
