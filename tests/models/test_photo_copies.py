"""Copies of real photos as they are passed on, and photos of other people: what the hashes say of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.images.decode import decode
from pipeline.verdict import PictureHashes
from support.portraits import BIDEN, COLLINS, OBAMA
from worker.store.requests.copies import COARSE_BITS, FINE_BITS


def resized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)))


def edge_cut_off(image: Image.Image) -> Image.Image:
    return image.crop((0, 0, image.width - image.width // 100, image.height - image.height // 100))


EDITS: dict[str, tuple[Callable[[Image.Image], Image.Image], str, int]] = {
    "saved again": (lambda image: image, "JPEG", 60),
    "saved again as WebP": (lambda image: image, "WEBP", 60),
    "sent by a messenger": (lambda image: resized(image, 0.6), "JPEG", 40),
    "twice as large": (lambda image: resized(image, 2), "JPEG", 80),
    "brighter": (lambda image: image.point(lambda value: min(255, value * 1.1)), "JPEG", 85),
    "mirrored": (ImageOps.mirror, "JPEG", 60),
    "a hundredth cut off": (edge_cut_off, "JPEG", 90),
}


def hashes(data: bytes) -> PictureHashes:
    return decode(data).hashes


def edited(photo: Path, edit: str) -> PictureHashes:
    change, kind, quality = EDITS[edit]
    with Image.open(photo) as image:
        buffer = io.BytesIO()
        change(image.convert("RGB")).save(buffer, kind, quality=quality)
    return hashes(buffer.getvalue())


def is_copy(one: PictureHashes, other: PictureHashes) -> bool:
    differences = [way.differs(one.picture) for way in (other.picture, other.mirror)]
    return any(coarse <= COARSE_BITS and fine <= FINE_BITS for coarse, fine in differences)


def has_common_band(one: PictureHashes, other: PictureHashes) -> bool:
    differing = [one.picture.coarse ^ way.coarse for way in (other.picture, other.mirror)]
    return any(bits >> shift & 0xFFFF == 0 for bits in differing for shift in (0, 16, 32, 48))


def found(photos: Sequence[Path], edit: str) -> float:
    """The share of the photos whose edited copy is found."""
    pairs = [(hashes(photo.read_bytes()), edited(photo, edit)) for photo in photos]
    return float(np.mean([is_copy(*pair) and has_common_band(*pair) for pair in pairs]))


@pytest.mark.parametrize("edit", EDITS)
def test_a_photo_that_is_passed_on_is_found(portraits: Path, edit: str) -> None:
    assert found([portraits / name for name in (*OBAMA, BIDEN, COLLINS)], edit) == 1


def test_other_photos_of_one_person_and_of_others_are_no_copies(portraits: Path) -> None:
    all_hashes = [hashes((portraits / name).read_bytes()) for name in (*OBAMA, BIDEN, COLLINS)]
    assert not any(is_copy(one, other) for one, other in combinations(all_hashes, 2))
    assert not any(one.featureless for one in all_hashes)


def test_among_many_people_copies_are_found_and_nobody_elses_photos(faces: Path) -> None:
    photos = [sorted(folder.iterdir())[0] for folder in sorted((faces / "lfw").iterdir())[::25]]
    assert len(photos) > 100
    for edit, least in {"sent by a messenger": 0.99, "mirrored": 0.99, "a hundredth cut off": 0.9}.items():
        assert found(photos, edit) >= least, edit
    all_hashes = [hashes(photo.read_bytes()) for photo in photos]
    assert not any(is_copy(one, other) for one, other in combinations(all_hashes, 2))
