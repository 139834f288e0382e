"""From a real photo to what a reviewer sees: the networks find the eyes of every face at one place."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.bundles.load import load_models
from pipeline.bundles.models import Models
from pipeline.faces.people import refine
from pipeline.verdict import PhotoFinding
from pipeline.verify import verify
from support.labelled import need
from support.portraits import BIDEN, COLLINS, GROUP, OBAMA
from worker.console.photos.crops import APART, EYES
from worker.console.photos.pictures import Fitted, Shape, pixels, ready

NEAR = 0.1 * APART
"""The networks are no more exact; the crop itself is (`tests/unit/test_face_crops.py`)."""


@pytest.fixture(scope="module")
def models(bundle_dir: Path) -> Models:
    return load_models(bundle_dir)


def edited(photo: Path, degrees: float, width: int) -> bytes:
    """Turned in the picture's plane, and of that width in pixels."""
    with Image.open(photo) as picture:
        upright = picture.convert("RGB")
        turned = upright.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
        file = io.BytesIO()
        turned.resize((width, round(turned.height * width / turned.width))).save(file, "JPEG", quality=92)
    return file.getvalue()


def eyes_of_crop(models: Models, data: bytes, finding: PhotoFinding) -> np.ndarray:
    """Where the networks find the eyes in what is shown of the face that was compared."""
    photo = ready(data, finding.box, finding.landmarks)
    assert photo.fitted is Fitted.EYES
    found = models.detector.detect(pixels(photo.pictures[Shape.FACE]))
    assert found.turned == 0
    face = refine(models.mesh, found.rgb, found.faces)[0]
    return np.asarray((face.landmarks if face.mesh is None else face.mesh.five)[:2])


def test_photos_of_any_size_and_turn_show_their_faces_at_one_place(models: Models, portraits: Path) -> None:
    files = [
        edited(portraits / name, degrees, width)
        for name, degrees, width in ((OBAMA[0], 0, 500), (OBAMA[1], 18, 900), (COLLINS, 90, 600))
    ]
    verdict = verify(models, files[0], files[1:])
    for data, finding in zip(files, (verdict.selfie, *verdict.photos), strict=True):
        assert np.abs(eyes_of_crop(models, data, finding) - EYES).max() < NEAR


def test_of_a_group_the_member_is_shown(models: Models, portraits: Path) -> None:
    group, selfie = (portraits / GROUP).read_bytes(), (portraits / BIDEN).read_bytes()
    verdict = verify(models, selfie, [group])
    photo = ready(group, verdict.photos[0].box, verdict.photos[0].landmarks)
    shown = photo.pictures[Shape.FACE]
    again = verify(models, selfie, [shown]).photos[0].comparison
    assert again is not None
    assert again.similarity > 0.5


def test_so_do_photos_of_many_people(models: Models, faces: Path) -> None:
    need(faces, "lfw")
    people = sorted((faces / "lfw").iterdir())[::600]
    photos = [next(iter(sorted(person.iterdir()))).read_bytes() for person in people if person.is_dir()]
    far = []
    for data in photos:
        finding = verify(models, data, []).selfie
        if finding.landmarks and finding.faces == 1:
            far.append(np.abs(eyes_of_crop(models, data, finding) - EYES).max())
    assert len(far) >= 5
    assert np.median(far) < NEAR / 2
    assert max(far) < 2 * NEAR
