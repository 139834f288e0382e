"""What is drawn onto faces covers what it should, and nothing else of the photo."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.faces.types import Face, Rgb
from pipeline.fitting.synthetic_occlusion import Occluder, draw_occluder
from pipeline.verdict import Box

LANDMARKS = np.array(
    [[285, 210], [355, 210], [320, 250], [320, 290], [245, 225], [395, 225]], dtype=np.float32
)
FACE = Face(Box(220, 150, 200, 200), LANDMARKS, 0.9)
RIGHT_EYE, LEFT_EYE, NOSE, MOUTH = LANDMARKS[:4]


@pytest.fixture
def photo() -> Rgb:
    """Skin everywhere, with a little grain so that any paint shows."""
    grain = np.random.default_rng(0).integers(-3, 4, (480, 640, 1))
    return np.asarray(np.array([205, 160, 130]) + grain, dtype=np.uint8)


def covered(before: Rgb, after: Rgb, point: np.ndarray, reach: int = 4) -> float:
    """Share of the pixels around a point that were painted over."""
    x, y = (round(float(value)) for value in point)
    window = np.s_[y - reach : y + reach + 1, x - reach : x + reach + 1]
    changed = np.abs(before[window].astype(int) - after[window]).max(axis=2) > 8
    return float(changed.mean())


def shares(photo: Rgb, what: Occluder, point: np.ndarray) -> float:
    """How often the point is mostly covered, of twenty drawings."""
    drawings = [draw_occluder(photo, FACE, what, np.random.default_rng(seed)) for seed in range(20)]
    return float(np.mean([covered(photo, drawing, point) > 0.6 for drawing in drawings]))


@pytest.mark.parametrize("what", [Occluder.MASK, Occluder.SCARF])
def test_masks_and_scarves_hide_the_mouth_and_leave_the_eyes(photo: Rgb, what: Occluder) -> None:
    assert shares(photo, what, MOUTH) >= 0.85
    assert shares(photo, what, RIGHT_EYE) == 0
    assert shares(photo, what, LEFT_EYE) == 0


def test_most_masks_hide_the_tip_of_the_nose_too(photo: Rgb) -> None:
    assert shares(photo, Occluder.MASK, NOSE) >= 0.7


def test_masks_below_the_chin_leave_nose_and_mouth(photo: Rgb) -> None:
    assert shares(photo, Occluder.CHIN_MASK, NOSE) == 0
    assert shares(photo, Occluder.CHIN_MASK, MOUTH) == 0


def test_sunglasses_hide_both_eyes_and_leave_the_mouth(photo: Rgb) -> None:
    assert shares(photo, Occluder.SUNGLASSES, RIGHT_EYE) >= 0.9
    assert shares(photo, Occluder.SUNGLASSES, LEFT_EYE) >= 0.9
    assert shares(photo, Occluder.SUNGLASSES, MOUTH) == 0


def test_reading_glasses_leave_the_eyes_to_be_seen(photo: Rgb) -> None:
    for seed in range(20):
        drawing = draw_occluder(photo, FACE, Occluder.READING_GLASSES, np.random.default_rng(seed))
        x, y = RIGHT_EYE.astype(int)
        lens = np.abs(drawing[y - 3 : y + 4, x - 3 : x + 4].astype(int) - photo[y - 3 : y + 4, x - 3 : x + 4])
        assert np.median(lens) < 120
        assert not np.array_equal(drawing, photo)


def test_hands_hide_what_they_are_laid_on(photo: Rgb) -> None:
    assert shares(photo, Occluder.HAND_ON_MOUTH, MOUTH) >= 0.7
    eyes = (shares(photo, Occluder.HAND_ON_EYES, RIGHT_EYE), shares(photo, Occluder.HAND_ON_EYES, LEFT_EYE))
    assert sum(eyes) >= 0.7


@pytest.mark.parametrize("what", list(Occluder))
def test_the_photo_itself_is_not_changed(photo: Rgb, what: Occluder) -> None:
    before = photo.copy()
    drawing = draw_occluder(photo, FACE, what, np.random.default_rng(1))
    assert np.array_equal(photo, before)
    assert drawing.shape == photo.shape
    assert drawing.dtype == np.uint8
    assert np.array_equal(drawing[:40], photo[:40])


@pytest.mark.parametrize("what", list(Occluder))
def test_the_same_seed_draws_the_same(photo: Rgb, what: Occluder) -> None:
    one, other = (draw_occluder(photo, FACE, what, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("what", list(Occluder))
@pytest.mark.parametrize("place", [(-300.0, -200.0), (600.0, 400.0)])
def test_a_face_that_is_partly_outside_can_be_drawn_on(
    photo: Rgb, what: Occluder, place: tuple[float, float]
) -> None:
    cut = Face(FACE.box, LANDMARKS + np.array(place, dtype=np.float32), 0.9)
    assert draw_occluder(photo, cut, what, np.random.default_rng(3)).shape == photo.shape


@pytest.mark.parametrize("what", list(Occluder))
def test_landmarks_that_coincide_can_be_drawn_on(photo: Rgb, what: Occluder) -> None:
    collapsed = Face(FACE.box, np.full((6, 2), 300, dtype=np.float32), 0.9)
    assert draw_occluder(photo, collapsed, what, np.random.default_rng(3)).shape == photo.shape


def test_each_kind_says_what_it_hides() -> None:
    mouth = {what for what in Occluder if what.hides_mouth}
    eyes = {what for what in Occluder if what.hides_eyes}
    assert mouth == {Occluder.MASK, Occluder.SCARF, Occluder.HAND_ON_MOUTH}
    assert eyes == {Occluder.SUNGLASSES, Occluder.HAND_ON_EYES}
