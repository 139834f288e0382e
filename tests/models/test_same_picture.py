"""The stolen gallery photo sent as selfie, edited in many ways; and what must not be taken for it."""

from __future__ import annotations

import io
import zlib
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.bundles.load import load_models
from pipeline.bundles.models import Models
from pipeline.datasets.embeddings import main_face
from pipeline.evaluation.simulated.edits import EDITS, anything
from pipeline.faces.same_picture import agreement, fine_structure
from pipeline.faces.types import Face, Rgb
from pipeline.images.decode import decode
from pipeline.verdict import Outcome, Reason, Status
from pipeline.verify import verify
from support.bundle import ROOT
from support.portraits import BIDEN, COLLINS, GROUP, OBAMA

CASES = ROOT.parent / "shared" / "cases" / "photos"
NEAR_COPIES = {("Leslie_Ann_Woodward_0001", "Leslie_Ann_Woodward_0002")}
"""One picture under two numbers in LFW."""


@pytest.fixture(scope="module")
def models(bundle_dir: Path) -> Models:
    return load_models(bundle_dir)


def detected(models: Models, photo: Path) -> tuple[Rgb, Face]:
    found = models.detector.detect(decode(photo.read_bytes()).rgb)
    return found.rgb, models.mesh.refine(found.rgb, main_face(found.rgb, found.faces))


def packed(rgb: Rgb) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", [OBAMA[0], COLLINS])
def test_a_gallery_photo_sent_as_selfie_goes_to_a_person_however_it_was_edited(
    models: Models, portraits: Path, name: str, edit: str
) -> None:
    rgb, face = detected(models, portraits / name)
    selfie = EDITS[edit](rgb, face.box, np.random.default_rng(zlib.crc32(edit.encode())))
    verdict = verify(models, packed(selfie), [(portraits / name).read_bytes()])
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.REVIEW, Reason.SAME_PICTURE, 1)
    assert verdict.photos[0].quality["same_picture"] >= models.params.replay.agreement


def test_fifteen_tries_at_random_get_nobody_through(models: Models, portraits: Path) -> None:
    rgb, face = detected(models, portraits / OBAMA[1])
    original = fine_structure(rgb, face)
    for seed in range(15):
        edited = models.detector.detect(anything(rgb, face.box, np.random.default_rng(seed)))
        again = models.mesh.refine(edited.rgb, edited.faces[0])
        assert agreement(fine_structure(edited.rgb, again), original) >= models.params.replay.agreement


def test_other_photos_of_one_person_are_far_from_the_limit(models: Models, portraits: Path) -> None:
    structures = [fine_structure(*detected(models, portraits / name)) for name in (*OBAMA, BIDEN)]
    for one, other in combinations(structures, 2):
        assert agreement(one, other) < models.params.replay.agreement - 0.1


def test_hardly_any_two_photos_of_a_person_are_taken_for_one(models: Models, faces: Path) -> None:
    people = sorted(folder for folder in (faces / "lfw").iterdir() if len(list(folder.iterdir())) > 1)[::12]
    pairs = [sorted(folder.iterdir())[:2] for folder in people]
    pairs = [pair for pair in pairs if (pair[0].stem, pair[1].stem) not in NEAR_COPIES]
    found = [agreement(*(fine_structure(*detected(models, photo)) for photo in pair)) for pair in pairs]
    assert len(found) > 50
    assert sum(value >= models.params.replay.agreement for value in found) <= 1


def test_a_selfie_cut_out_of_a_group_photo_goes_to_a_person(models: Models, portraits: Path) -> None:
    verdict = verify(models, (portraits / OBAMA[2]).read_bytes(), [(portraits / GROUP).read_bytes()])
    assert verdict.photos[0].outcome is Outcome.GROUP_SAME
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.REVIEW, Reason.SAME_PICTURE, 1)


def test_a_copy_whose_face_is_too_small_to_be_compared_is_noticed(models: Models, portraits: Path) -> None:
    rgb, face = detected(models, portraits / OBAMA[0])
    scale = 40 / face.box.side
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cropped = rgb[: round(face.box.y + 1.4 * face.box.height)]
    others = [(portraits / OBAMA[1]).read_bytes(), packed(np.asarray(small, np.uint8))]
    verdict = verify(models, packed(cropped[:, ::-1]), others)
    assert verdict.photos[1].outcome is Outcome.FACE_TOO_SMALL
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.REVIEW, Reason.SAME_PICTURE, 2)


def test_a_face_without_structure_agrees_with_nothing(models: Models, portraits: Path) -> None:
    rgb, face = detected(models, portraits / OBAMA[0])
    white = fine_structure(np.full_like(rgb, 255), face)
    assert agreement(white, white) == agreement(white, fine_structure(rgb, face)) == 0


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")
def test_the_case_of_the_bug_reports_goes_to_a_person(models: Models) -> None:
    selfie, photo = (CASES / name for name in ("20b_same_picture_as_selfie.jpg", "20a_stolen_gallery.jpg"))
    verdict = verify(models, selfie.read_bytes(), [photo.read_bytes()])
    assert (verdict.status, verdict.reason) == (Status.REVIEW, Reason.SAME_PICTURE)
