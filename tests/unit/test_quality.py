"""Quality numbers and gates, on faces made for the purpose."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from pipeline.faces.people import large_enough
from pipeline.faces.quality import Quality, QualityLimits, gate, measure
from pipeline.faces.types import Face, Rgb
from pipeline.verdict import Box, Outcome

LANDMARKS = np.array(
    [[285, 210], [355, 210], [320, 250], [320, 290], [245, 225], [395, 225]], dtype=np.float32
)
FACE = Face(Box(220, 150, 200, 200), LANDMARKS, 0.9)
GOOD = Quality(200, 0.4, 200, 40, 120, 45, 0, 0, 0, 0.9, 1.0, 0.0, 480, 0.3)


def scene(blur: float = 0.0, low: int = 30, high: int = 220) -> Rgb:
    """A photo of random blotches of several sizes, as a face has them."""
    rng = np.random.default_rng(5)
    layers = [
        cv2.resize(
            rng.uniform(0, 1, (480 // size, 640 // size)).astype(np.float32),
            (640, 480),
            interpolation=cv2.INTER_CUBIC,
        )
        for size in (3, 8, 20, 60)
    ]
    gray = sum(layers[1:], layers[0])
    if blur:
        gray = cv2.GaussianBlur(gray, (0, 0), blur)
    gray = (gray - gray.min()) / np.ptp(gray)
    return np.repeat((low + gray * (high - low)).astype(np.uint8)[:, :, None], 3, axis=2)


def with_nose(dx: float, dy: float = 0.0) -> Face:
    landmarks = LANDMARKS.copy()
    landmarks[2] += [dx, dy]
    return Face(FACE.box, landmarks, 0.9)


def test_a_clear_frontal_face_passes() -> None:
    quality = measure(scene(), FACE)
    assert gate(quality, QualityLimits()) is None
    assert quality.face_px == 200
    assert abs(quality.yaw) < 1
    assert abs(quality.roll) < 1
    assert quality.detector_score == pytest.approx(0.9)


def test_the_face_is_counted_in_pixels_of_the_original() -> None:
    assert measure(scene(), FACE, scale=2.5).face_px == 500


def test_sharpness_falls_with_blur() -> None:
    values = [measure(scene(blur), FACE).sharpness for blur in (0, 2, 5, 10, 20)]
    assert values == sorted(values, reverse=True)
    refused = gate(measure(scene(20), FACE), QualityLimits())
    assert refused is not None
    assert refused[0] is Outcome.TOO_BLURRED


def test_sharpness_hardly_depends_on_light_and_contrast() -> None:
    bright, dim = (measure(scene(3, low, high), FACE).sharpness for low, high in ((20, 250), (60, 140)))
    assert dim == pytest.approx(bright, rel=0.15)


def test_sharpness_hardly_depends_on_the_size_of_the_photo() -> None:
    small = np.asarray(cv2.resize(scene(4), (320, 240), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    half = Face(Box(110, 75, 100, 100), LANDMARKS / 2, 0.9)
    assert measure(small, half).sharpness == pytest.approx(measure(scene(4), FACE).sharpness, rel=0.25)


@pytest.mark.parametrize(
    ("low", "high", "outcome"), [(2, 30, Outcome.TOO_DARK), (215, 255, Outcome.TOO_BRIGHT)]
)
def test_black_and_burnt_out_faces_are_named(low: int, high: int, outcome: Outcome) -> None:
    refused = gate(measure(scene(0, low, high), FACE), QualityLimits())
    assert refused is not None
    assert refused[0] is outcome


def test_noise_is_told_in_grey_values_whatever_lies_below_it() -> None:
    smooth = measure(scene(8), FACE).noise
    grain = np.random.default_rng(7).normal(0, 30, scene().shape[:2])[:, :, None]
    grainy = np.clip(scene(8, 90, 160) + grain, 0, 255).astype(np.uint8)
    assert smooth < 1
    refused = gate(measure(grainy, FACE), QualityLimits())
    assert refused is not None
    assert refused[1].name == "noise"


def test_a_face_that_is_white_in_large_parts_is_burnt() -> None:
    burnt = np.clip(scene(8).astype(int) * 3, 0, 255).astype(np.uint8)
    assert measure(scene(8), FACE).burnt < 0.05
    assert measure(burnt, FACE).burnt > 0.5


def test_yaw_follows_the_nose_and_its_sign() -> None:
    angles = [measure(scene(), with_nose(dx)).yaw for dx in (-70, -20, 0, 20, 70)]
    assert angles == sorted(angles)
    assert angles[0] == pytest.approx(-angles[-1], abs=0.5)
    assert gate(measure(scene(), with_nose(180)), QualityLimits()) is not None


def test_yaw_does_not_depend_on_the_roll() -> None:
    straight = with_nose(20)
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], dtype=np.float32)
    tilted = Face(FACE.box, (straight.landmarks - 300) @ turn + 300, 0.9)
    expected, quality = measure(scene(), straight), measure(scene(), tilted)
    assert quality.yaw == pytest.approx(expected.yaw, abs=0.1)
    assert quality.roll - expected.roll == pytest.approx(30, abs=0.1)


def test_pitch_follows_the_height_of_the_nose() -> None:
    assert measure(scene(), with_nose(0, -15)).pitch > measure(scene(), with_nose(0, 15)).pitch


def test_points_that_all_coincide_give_numbers() -> None:
    collapsed = Face(FACE.box, np.full((6, 2), 300, dtype=np.float32), 0.9)
    assert all(np.isfinite(list(measure(scene(), collapsed).as_dict().values())))


@pytest.mark.parametrize(
    ("change", "outcome", "name"),
    [
        ({"face_px": 47.9}, Outcome.FACE_TOO_SMALL, "face_px"),
        ({"highlights": 44.0}, Outcome.TOO_DARK, "highlights"),
        ({"shadows": 186.0}, Outcome.TOO_BRIGHT, "shadows"),
        ({"sharpness": 0.02}, Outcome.TOO_BLURRED, "sharpness"),
        ({"noise": 8.1}, Outcome.TOO_BLURRED, "noise"),
        ({"burnt": 0.36}, Outcome.TOO_BRIGHT, "burnt"),
        ({"yaw": 56.0}, Outcome.EXTREME_POSE, "yaw"),
        ({"yaw": -56.0}, Outcome.EXTREME_POSE, "yaw"),
        ({"face_px": 10.0, "sharpness": 0.001}, Outcome.FACE_TOO_SMALL, "face_px"),
        ({"highlights": 20.0, "sharpness": 0.001}, Outcome.TOO_DARK, "highlights"),
    ],
)
def test_each_gate_names_its_number(change: dict[str, float], outcome: Outcome, name: str) -> None:
    quality = dataclasses.replace(GOOD, **change)
    refused = gate(quality, QualityLimits())
    assert refused is not None
    assert refused[0] is outcome
    assert (refused[1].name, refused[1].value) == (name, getattr(quality, name))


def test_a_face_on_the_limit_passes() -> None:
    limits = QualityLimits()
    border = dataclasses.replace(GOOD, face_px=limits.face_px, sharpness=limits.sharpness, yaw=limits.yaw)
    assert gate(border, limits) is None


def test_a_thumbnail_filled_by_a_face_is_a_close_crop_and_neither_is_so_alone() -> None:
    assert dataclasses.replace(GOOD, photo_px=140, fills=0.85).close_crop
    assert not dataclasses.replace(GOOD, photo_px=140).close_crop
    assert not dataclasses.replace(GOOD, fills=0.85).close_crop


def test_the_sides_of_a_photo_are_counted_in_pixels_of_the_original() -> None:
    measured = measure(scene(8), FACE, scale=3.0)
    height, width = scene(8).shape[:2]
    assert measured.photo_px == 3 * min(height, width)
    assert measured.fills == pytest.approx(FACE.box.side / max(height, width))


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        ([], False),
        ([(128, 0.9)], True),
        ([(127, 0.9)], False),
        ([(300, 0.79)], False),
        ([(200, 0.9), (110, 0.9)], False),
        ([(300, 0.9), (110, 0.9)], True),
    ],
    ids=["none", "large", "small", "uncertain", "a second person small", "a bystander small"],
)
def test_a_photo_that_was_read_small_is_enough_where_all_who_may_count_are_certain_and_large(
    faces: list[tuple[float, float]], expected: bool
) -> None:
    found = [Face(Box(0, 0, side, side), LANDMARKS, score) for side, score in faces]
    assert large_enough(found) is expected
