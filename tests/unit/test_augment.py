"""What is done to training photos: each kind does something, by its seed, and the face is followed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.faces.types import Face, Rgb
from pipeline.training.data.augment import SHARES, Kind, apply, augment, part_boxes
from pipeline.verdict import Box

SIDE = 200
LANDMARKS = np.array([[75, 80], [125, 80], [100, 110], [100, 135], [50, 90], [150, 90]], np.float32)
EYE_DISTANCE = 50


def photo() -> tuple[Rgb, Face]:
    """A picture full of detail and a face in its middle."""
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    waves = [128 + 60 * np.sin(across / (2 + c)) + 50 * np.cos(down / (3 + c)) for c in range(3)]
    noise = np.random.default_rng(5).normal(0, 12, (SIDE, SIDE, 3))
    rgb = np.clip(np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)
    return rgb, Face(Box(45, 40, 110, 110), LANDMARKS.copy(), 0.9)


def worsened(kinds: Sequence[Kind], seed: int = 1) -> tuple[Rgb, Face]:
    return apply(*photo(), kinds, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_changes_the_photo_keeps_its_form_and_repeats_by_its_seed(kind: Kind) -> None:
    rgb, face = photo()
    changed, moved = worsened([kind])
    assert changed.shape == rgb.shape
    assert changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - rgb).mean() > 0.2
    assert np.array_equal(changed, worsened([kind])[0])
    assert (moved.box.width, moved.box.height) == (face.box.width, face.box.height)
    assert np.array_equal(rgb, photo()[0]), "the photo that was given is left as it was"


def test_another_seed_gives_another_picture() -> None:
    pictures = [augment(*photo(), (seed, 0))[0] for seed in (1, 1, 2, 3)]
    assert np.array_equal(pictures[0], pictures[1])
    assert any(not np.array_equal(pictures[0], other) for other in pictures[2:])


def test_one_part_of_the_face_is_blurred_and_nothing_outside_of_the_three_parts() -> None:
    rgb, face = photo()
    inside = {part: np.zeros((SIDE, SIDE), bool) for part in ("eyes", "nose", "mouth")}
    for part, (x1, y1, x2, y2) in part_boxes(face.landmarks).items():
        inside[part][int(y1) : int(y2) + 2, int(x1) : int(x2) + 2] = True
    seen = set()
    for seed in range(20):
        changed = (worsened([Kind.BLURRED_PART], seed)[0] != rgb).any(axis=-1)
        assert not (changed & ~np.any(list(inside.values()), axis=0)).any()
        seen.add(max(inside, key=lambda part: (changed & inside[part]).sum() / inside[part].sum()))
    assert seen == {"eyes", "nose", "mouth"}


def test_the_boxes_of_the_parts_grow_with_the_distance_of_the_eyes() -> None:
    small, large = part_boxes(LANDMARKS), part_boxes(LANDMARKS * 3)
    for part in small:
        assert np.array(large[part]) == pytest.approx(3 * np.array(small[part]))
    x1, _, x2, _ = small["eyes"]
    assert x2 - x1 == pytest.approx(2 * EYE_DISTANCE)


def test_a_mirror_swaps_left_and_right_and_the_landmarks_follow() -> None:
    rgb, face = photo()
    mirrored, moved = worsened([Kind.MIRROR])
    assert np.array_equal(mirrored, rgb[:, ::-1])
    assert moved.landmarks[0, 0] < moved.landmarks[1, 0], "the person's right eye still lies left"
    assert moved.landmarks[0] == pytest.approx([SIDE - face.landmarks[1, 0], face.landmarks[1, 1]], abs=1)


def test_a_rotation_turns_the_landmarks_with_the_picture() -> None:
    turned = [worsened([Kind.ROTATION], seed)[1].landmarks for seed in range(10)]
    slopes = [np.degrees(np.arctan2(*(points[1] - points[0])[::-1])) for points in turned]
    assert max(slopes) > 3
    assert min(slopes) < -3
    assert all(
        np.linalg.norm(points[1] - points[0]) == pytest.approx(EYE_DISTANCE, abs=0.5) for points in turned
    )


def test_each_kind_comes_as_often_as_its_share_says() -> None:
    rgb, face = photo()
    only_mirror = {**dict.fromkeys(SHARES, 0.0), Kind.MIRROR: 0.5}
    results = [augment(rgb, face, (7, i), only_mirror)[0] for i in range(200)]
    assert sum(not np.array_equal(result, rgb) for result in results) == pytest.approx(100, abs=30)
