"""Faces of two photos lie at one place and have one size, whatever their photos are like."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ImageError, ImageTooLarge
from pipeline.faces.types import Rgb
from pipeline.verdict import Box, Landmark
from support.console_photos import (
    Point,
    box_of,
    face_picture,
    landmarks_of,
    phone_exif,
    saved,
    turned_pair,
)
from worker.console.photos.crops import EYES, SIDE
from worker.console.photos.pictures import Fitted, ReadyPhoto, Shape, pixels, ready

LONG = 1_600


def scaled_eyes(eyes: Sequence[Point], size: tuple[int, int]) -> tuple[Point, Point]:
    """In pixels of what the worker decodes."""
    by = min(1.0, LONG / max(size))
    (x, y), (x2, y2) = eyes
    return (x * by, y * by), (x2 * by, y2 * by)


def spots(rgb: Rgb) -> np.ndarray:
    """The middles of the two largest white spots, from left to right."""
    bright = (rgb[:, :, 0] > 128).astype(np.uint8)
    _, _, stats, middles = cv2.connectedComponentsWithStats(bright)
    largest = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:2]
    found = middles[largest] + 0.5  # from pixels' corners
    return np.asarray(found[np.argsort(found[:, 0])])


def face(photo: ReadyPhoto) -> Rgb:
    return pixels(photo.pictures[Shape.FACE])


@pytest.mark.parametrize(
    ("size", "centre", "apart", "degrees"),
    [
        ((640, 480), (320, 200), 60.0, 0.0),
        ((1200, 1600), (600, 700), 300.0, 20.0),
        ((4000, 3000), (900, 2100), 90.0, -35.0),
        ((3000, 4000), (1500, 1600), 900.0, 90.0),
        ((900, 900), (450, 450), 25.0, 180.0),
    ],
    ids=["as it is", "large and turned", "small in a large photo", "on its side", "tiny, upside down"],
)
def test_the_eyes_come_to_lie_at_the_same_places(
    size: tuple[int, int], centre: Point, apart: float, degrees: float
) -> None:
    eyes = turned_pair(centre, apart, degrees)
    told = scaled_eyes(eyes, size)
    photo = ready(saved(face_picture(size, eyes)), box_of(told), landmarks_of(told))
    assert photo.fitted is Fitted.EYES
    assert face(photo).shape == (SIDE, SIDE, 3)
    assert np.abs(spots(face(photo)) - EYES).max() < 2
    marked = np.array(photo.marks[Shape.FACE].points)
    assert np.abs(marked - EYES).max() < 0.2


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_that_a_phone_wrote_turned_is_shown_upright(form: str, orientation: int) -> None:
    eyes = turned_pair((300, 350), 120, 0)
    upright = face_picture((600, 800), eyes)
    turns = {3: 2, 6: 1, 8: 3}
    stored = np.ascontiguousarray(np.rot90(upright, turns[orientation]))
    photo = ready(saved(stored, form, phone_exif(orientation)), box_of(eyes), landmarks_of(eyes))
    assert np.abs(spots(face(photo)) - EYES).max() < 2
    assert pixels(photo.pictures[Shape.WHOLE]).shape == (800, 600, 3)


def test_of_two_people_the_one_is_shown_who_was_compared() -> None:
    member, other = turned_pair((300, 300), 80, 10), turned_pair((900, 320), 110, 0)
    photo = ready(saved(face_picture((1200, 800), member, other)), box_of(member), landmarks_of(member))
    assert np.abs(spots(face(photo)) - EYES).max() < 2
    (left, top), _, (right, bottom), _ = photo.marks[Shape.WHOLE].box
    assert left < 300 < right < 900
    assert top < 300 < bottom


def test_without_landmarks_the_box_brings_the_face_to_its_place_and_without_both_the_photo_is_whole() -> None:
    eyes = turned_pair((500, 400), 100, 0)
    data = saved(face_picture((1000, 800), eyes))
    photo = ready(data, box_of(eyes), None)
    assert photo.fitted is Fitted.BOX
    assert np.abs(spots(face(photo)) - EYES).max() < 6  # of a face whose box is as usual
    nothing = ready(data, None, None)
    assert nothing.fitted is Fitted.NOTHING
    assert nothing.pictures[Shape.FACE] == nothing.pictures[Shape.WHOLE]
    assert nothing.marks[Shape.FACE].box == ()


def test_a_face_seen_from_the_side_is_not_blown_up() -> None:
    eyes: tuple[Point, Point] = ((395, 300), (405, 300))
    photo = ready(saved(face_picture((800, 800), eyes)), Box(300, 220, 200, 200), landmarks_of(eyes))
    (left, _), (right, _), *_ = photo.marks[Shape.FACE].box
    assert 0.5 * SIDE < right - left < 0.9 * SIDE
    middle = np.array(photo.marks[Shape.FACE].points).mean(axis=0)
    assert np.abs(middle - EYES.mean(axis=0)).max() < 1


@pytest.mark.parametrize(
    "eyes", [((5.0, 5.0), (5.0, 5.0)), ((-50.0, -10.0), (20.0, -10.0)), ((1e6, 1e6), (2e6, 1e6))]
)
def test_odd_landmarks_make_odd_pictures_and_no_error(eyes: tuple[Point, Point]) -> None:
    photo = ready(saved(face_picture((200, 100))), Box(0, 0, 10, 10), landmarks_of(eyes))
    assert face(photo).shape == (SIDE, SIDE, 3)


def test_landmarks_without_eyes_are_no_reason_to_fail() -> None:
    photo = ready(saved(face_picture((200, 100))), Box(50, 20, 40, 40), {Landmark.NOSE: (70.0, 40.0)})
    assert photo.fitted is Fitted.BOX


def test_the_whole_photo_is_scaled_down_and_never_up() -> None:
    sizes = [(4000, 2000), (300, 200)]
    shown = [ready(saved(face_picture(size)), None, None).pictures[Shape.WHOLE] for size in sizes]
    assert [pixels(one).shape[:2] for one in shown] == [(800, 1600), (200, 300)]


@pytest.mark.parametrize("data", [b"", b"<html>", saved(face_picture((64, 64)))[:200]], ids=len)
def test_what_is_no_photo_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        ready(data, None, None)


def test_a_small_file_that_unfolds_to_100_million_pixels_is_refused() -> None:
    file = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(file, "PNG")
    assert len(file.getvalue()) < 100_000
    with pytest.raises(ImageTooLarge):
        ready(file.getvalue(), None, None)


def test_the_same_face_in_two_photos_makes_nearly_one_picture() -> None:
    rgb = cv2.GaussianBlur(face_picture((800, 800), turned_pair((400, 350), 120, 0)), (0, 0), 3)
    eyes = np.array(turned_pair((400, 350), 120, 0))
    turn: Any = cv2.getRotationMatrix2D((400, 400), 17, 0.6)
    other = cv2.warpAffine(rgb, turn, (800, 800))
    moved = eyes @ turn[:, :2].T + turn[:, 2]
    points = [tuple(map(tuple, pair.tolist())) for pair in (eyes, moved)]
    crops = [
        face(ready(saved(np.asarray(picture, dtype=np.uint8)), None, landmarks_of(pair)))
        for picture, pair in zip((rgb, other), points, strict=True)
    ]
    middle = slice(SIDE // 5, 3 * SIDE // 5)
    one, two = (crop[middle, middle].astype(float) for crop in crops)
    assert np.abs(one - two).mean() < 6
