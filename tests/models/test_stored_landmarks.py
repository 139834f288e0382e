"""The landmarks that are kept of a photo are those of the compared face, in the photo as it was decoded."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.bundles.load import load_models
from pipeline.bundles.models import Models
from pipeline.images.decode import reduced_size
from pipeline.verdict import Landmark, Landmarks, Outcome, PhotoFinding
from pipeline.verify import verify
from support.portraits import BIDEN, GROUP, OBAMA, smaller


@pytest.fixture(scope="module")
def models(bundle_dir: Path) -> Models:
    return load_models(bundle_dir)


def placed(finding: PhotoFinding) -> Landmarks:
    """With landmarks, which lie in its box."""
    box, landmarks = finding.box, finding.landmarks
    assert box is not None
    assert landmarks is not None
    for x, y in landmarks.values():
        assert box.x <= x <= box.x + box.width
        assert box.y <= y <= box.y + box.height
    return landmarks


def eyes(landmarks: Landmarks) -> np.ndarray:
    return np.array([landmarks[Landmark.RIGHT_EYE], landmarks[Landmark.LEFT_EYE]])


def test_a_photo_that_lies_on_its_side_has_its_landmarks_where_the_eyes_lie(
    models: Models, portraits: Path, tmp_path: Path
) -> None:
    upright = smaller(portraits / OBAMA[0], tmp_path / "selfie.jpg")
    with Image.open(upright) as picture:
        width = picture.width
        buffer = io.BytesIO()
        picture.transpose(Image.Transpose.ROTATE_90).save(buffer, "JPEG", quality=95)
    verdict = verify(models, upright.read_bytes(), [buffer.getvalue()])
    straight, lying = eyes(placed(verdict.selfie)), eyes(placed(verdict.photos[0]))
    turned = np.column_stack([straight[:, 1], width - straight[:, 0]])
    assert np.abs(lying - turned).max() < 4


def test_a_photo_that_is_read_small_has_its_landmarks_where_they_lie_in_its_usual_size(
    models: Models, portraits: Path
) -> None:
    """The large portrait is read at a half. Of the distant one the face is too small then."""
    with Image.open(portraits / OBAMA[0]) as opened:
        portrait = opened.convert("RGB")
    large = portrait.resize((1800 * portrait.width // portrait.height, 1800))
    distant = Image.new("RGB", (3200, 2400), (90, 110, 100))
    distant.paste(portrait.resize((400 * portrait.width // portrait.height, 400)), (1400, 900))
    for picture in (large, distant):
        buffer, wanted = io.BytesIO(), reduced_size(picture.size, 1600)
        picture.save(buffer, "JPEG", quality=92)
        usual = picture.resize(wanted)
        as_png = io.BytesIO()
        usual.save(as_png, "PNG")  # a PNG is always read at its size
        verdict = verify(models, buffer.getvalue(), [as_png.getvalue()])
        small, whole = eyes(placed(verdict.selfie)), eyes(placed(verdict.photos[0]))
        assert np.abs(small - whole).max() < 4


def test_of_a_group_the_landmarks_are_those_of_the_member(models: Models, portraits: Path) -> None:
    verdicts = [
        verify(models, (portraits / selfie).read_bytes(), [(portraits / GROUP).read_bytes()])
        for selfie in (OBAMA[1], BIDEN)
    ]
    found = [verdict.photos[0] for verdict in verdicts]
    assert [finding.outcome for finding in found] == [Outcome.GROUP_SAME] * 2
    one, other = (eyes(placed(finding)).mean(axis=0) for finding in found)
    assert np.linalg.norm(one - other) > 50
