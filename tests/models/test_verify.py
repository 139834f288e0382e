"""Whole verifications on real photos with the real bundle."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageFilter, ImageOps

from pipeline import match
from pipeline.bundle import read_bundle
from pipeline.cli.weights import command as weights
from pipeline.evaluation.bench import two_photos
from pipeline.load import load_models
from pipeline.models import Models
from pipeline.verdict import Fault, FetchProblem, Gender, NotFetched, Outcome, Reason, Status, Verdict
from pipeline.verify import verify
from support.bundle import ROOT

HU = ["lfw/Hu_Jintao/Hu_Jintao_0001.jpg", "lfw/Hu_Jintao/Hu_Jintao_0002.jpg"]
JIANG = "lfw/Jiang_Zemin/Jiang_Zemin_0013.jpg"
NO_FACE = "edge/no_face/Landscape_1.jpg"


@pytest.fixture(scope="module")
def models(bundle_dir: Path) -> Models:
    return load_models(bundle_dir)


def judge(models: Models, faces: Path, selfie: str, *photos: str, declared: Gender | None = None) -> Verdict:
    return verify(models, (faces / selfie).read_bytes(), [(faces / p).read_bytes() for p in photos], declared)


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def side_by_side(*files: Path) -> bytes:
    pictures = [np.asarray(Image.open(file).convert("RGB").resize((250, 250))) for file in files]
    return jpeg(Image.fromarray(np.hstack(pictures)))


def test_two_photos_of_one_person_approve_the_member(models: Models, faces: Path) -> None:
    verdict = judge(models, faces, *HU)
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.APPROVED, Reason.SAME_PERSON, 1)
    assert verdict.same_person is True
    assert verdict.similarity is not None
    assert verdict.similarity > 0.5
    assert verdict.gender is Gender.MALE


def test_a_photo_of_somebody_else_goes_to_a_person_however_many_match(models: Models, faces: Path) -> None:
    verdict = judge(models, faces, *HU, JIANG)
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.REVIEW, Reason.DIFFERENT_PERSON, 2)
    assert verdict.same_person is False
    assert verdict.similarity is not None
    assert verdict.similarity < 0.5


def test_the_numbers_of_every_photo_come_along(models: Models, faces: Path) -> None:
    verdict = judge(models, faces, *HU)
    comparison = verdict.photos[0].comparison
    assert comparison is not None
    assert set(comparison.cosines) == set(comparison.distances) == set(models.judges.scorer.towers)
    for name, cosine in comparison.cosines.items():
        assert comparison.distances[name] == pytest.approx(np.sqrt(2 - 2 * cosine), abs=1e-6)
    assert comparison.different_edge <= comparison.approve_edge <= comparison.score
    assert verdict.photos[0].box is not None
    assert verdict.photos[0].sha256 is not None
    assert {"decode", "detect", "embed_facenet", "embed_sface"} <= set(verdict.timings)
    assert verdict.model_version == models.version


def test_a_selfie_without_a_face_asks_for_another_and_judges_nothing(models: Models, faces: Path) -> None:
    verdict = judge(models, faces, NO_FACE, HU[0])
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.RETRY_PHOTO, Reason.SELFIE_NO_FACE, 0)
    assert verdict.photos[0].outcome is Outcome.NOT_COMPARED
    assert verdict.gender is Gender.UNKNOWN


def test_a_group_photo_with_the_member_is_neutral(models: Models, faces: Path) -> None:
    group = side_by_side(faces / HU[1], faces / JIANG)
    selfie = (faces / HU[0]).read_bytes()
    alone = verify(models, selfie, [group])
    assert alone.photos[0].outcome is Outcome.GROUP_SAME
    assert (alone.status, alone.reason) == (Status.RETRY_PHOTO, Reason.NO_SOLO_PHOTO)
    assert verify(models, selfie, [group, (faces / HU[1]).read_bytes()]).status is Status.APPROVED


def test_a_group_without_the_member_speaks_against_nobody(models: Models, faces: Path) -> None:
    group = side_by_side(faces / "lfw/Jacques_Chirac/Jacques_Chirac_0001.jpg", faces / JIANG)
    verdict = verify(models, (faces / HU[0]).read_bytes(), [(faces / HU[1]).read_bytes(), group])
    assert verdict.photos[1].outcome is Outcome.MEMBER_NOT_SEEN
    assert verdict.status is Status.APPROVED


def test_two_people_in_a_selfie_are_sent_back(models: Models, faces: Path) -> None:
    selfie = side_by_side(faces / HU[0], faces / JIANG)
    verdict = verify(models, selfie, [(faces / HU[1]).read_bytes()])
    assert (verdict.status, verdict.reason) == (Status.RETRY_PHOTO, Reason.SELFIE_SEVERAL_FACES)


@pytest.mark.parametrize("change", ["bytes", "smaller", "recompressed", "blurred a little", "mirrored"])
def test_the_same_picture_as_selfie_and_gallery_photo_goes_to_a_person(
    models: Models, faces: Path, change: str
) -> None:
    original = Image.open(faces / HU[0])
    copy = {
        "bytes": (faces / HU[0]).read_bytes(),
        "smaller": jpeg(original.resize((200, 200))),
        "recompressed": jpeg(original, 40),
        "mirrored": jpeg(ImageOps.mirror(original)),
        "blurred a little": jpeg(original.filter(ImageFilter.GaussianBlur(1))),
    }[change]
    verdict = verify(models, (faces / HU[0]).read_bytes(), [copy])
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.REVIEW, Reason.SAME_PICTURE, 1)
    assert verdict.photos[0].replay


def test_a_contradicted_gender_opens_a_review(models: Models, faces: Path) -> None:
    assert judge(models, faces, *HU, declared=Gender.FEMALE).reason is Reason.GENDER_CONFLICT
    assert judge(models, faces, *HU, declared=Gender.MALE).status is Status.APPROVED


def test_a_photo_that_could_not_be_had_is_told_apart_from_a_broken_one(models: Models, faces: Path) -> None:
    selfie = (faces / HU[0]).read_bytes()
    missing = NotFetched(FetchProblem.TIMEOUT, Fault.HOST)
    verdict = verify(models, selfie, [missing, b"<html>", b""])
    outcomes = [photo.outcome for photo in verdict.photos]
    assert outcomes == [Outcome.NOT_FETCHED, Outcome.INVALID_IMAGE, Outcome.INVALID_IMAGE]
    assert (verdict.status, verdict.reason) == (Status.ERROR, Reason.PHOTOS_NOT_FETCHED)
    assert verify(models, missing, [selfie]).status is Status.ERROR


def test_the_simplest_door_answers_same_person_and_gender(faces: Path, bundle_dir: Path) -> None:
    one, other, stranger, nobody = ((faces / f).read_bytes() for f in (*HU, JIANG, NO_FACE))
    assert match(one, other, bundle_dir) == (True, Gender.MALE)
    assert match(one, stranger, bundle_dir) == (False, Gender.MALE)
    assert match(nobody, one, bundle_dir) == (None, None)


def test_where_not_all_weights_can_be_had_a_head_for_the_other_networks_judges(
    bundle_dir: Path, faces: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_dir, folder)  # so that no network is made again
    nowhere = str(tmp_path / "nowhere.tflite")
    done = CliRunner().invoke(
        weights, ["--mobilefacenet", nowhere, "--faceres", nowhere, "--out", str(folder)]
    )
    assert "without MobileFaceNet and FaceRes" in done.output
    poorer = load_models(folder)
    assert set(poorer.judges.scorer.towers) == set(poorer.judges.gender.weights) == {"facenet", "sface"}
    verdict = judge(poorer, faces, *HU)
    assert verdict.status is Status.APPROVED
    assert verdict.gender is Gender.MALE
    assert judge(poorer, faces, HU[0], JIANG).status is Status.REVIEW
    assert verdict.model_version != read_bundle(bundle_dir).manifest.version


def test_a_command_prints_a_long_file_name_whole_into_a_pipe(bundle_dir: Path, tmp_path: Path) -> None:
    names = [f"{number}_{'IMG_20261128_' * 8}[final].jpg" for number in range(2)]
    for name, data in zip(names, two_photos(), strict=True):
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-m", "pipeline", "verify", "--bundle", str(bundle_dir.absolute())]
    done = subprocess.run(
        [*command, *(str(tmp_path / name) for name in names)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [row.split()[1] for row in done.stdout.splitlines() if "IMG" in row] == names
