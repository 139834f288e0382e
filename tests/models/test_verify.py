"""Whole verifications on real photos with the real bundle."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageFilter, ImageOps

from pipeline import match
from pipeline.analysis import analyse
from pipeline.bundles.bundle import read_bundle
from pipeline.bundles.load import load_models
from pipeline.bundles.models import Models
from pipeline.cli import main
from pipeline.datasets.embeddings import main_face
from pipeline.evaluation.bench import two_photos
from pipeline.faces.types import Rgb
from pipeline.images.decode import decode
from pipeline.images.limits import DecodeBudget
from pipeline.verdict import (
    Fault,
    FetchProblem,
    Gender,
    NotFetched,
    Outcome,
    PhotoVerdict,
    Reason,
    Status,
    Verdict,
)
from pipeline.verify import judge as judge_analysis
from pipeline.verify import verify
from support.bundle import ROOT
from support.odd_files import saved
from support.portraits import BIDEN, CAT, COLLINS, OBAMA

LFW = (
    *("Hu_Jintao/Hu_Jintao_0001.jpg", "Hu_Jintao/Hu_Jintao_0002.jpg"),
    *("Jiang_Zemin/Jiang_Zemin_0013.jpg", "Jacques_Chirac/Jacques_Chirac_0001.jpg"),
)


@dataclass(frozen=True)
class Photos:
    """Files: two photos of one man, another man, somebody else, and no person at all."""

    selfie: Path
    photo: Path
    somebody: Path
    third: Path
    nobody: Path


@pytest.fixture(scope="module", params=["portraits", "LFW"])
def of(request: pytest.FixtureRequest, portraits: Path) -> Photos:
    if request.param == "portraits":
        people = [portraits / name for name in (OBAMA[0], OBAMA[2], BIDEN, COLLINS)]
    else:
        people = [request.getfixturevalue("faces") / "lfw" / name for name in LFW]
    selfie, photo, somebody, third = people
    return Photos(selfie, photo, somebody, third, portraits / CAT)


@pytest.fixture(scope="module")
def models(bundle_dir: Path) -> Models:
    return load_models(bundle_dir)


def judge(models: Models, selfie: Path, *photos: Path, declared: Gender | None = None) -> Verdict:
    return verify(models, selfie.read_bytes(), [photo.read_bytes() for photo in photos], declared)


def without_first_stage(models: Models) -> Models:
    """The models with a head as it was fitted before there was a first stage."""
    return replace(models, params=replace(models.params, first_stage=None))


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def side_by_side(models: Models, *files: Path) -> bytes:
    """The people of these photos, their faces of one size."""
    return jpeg(Image.fromarray(np.hstack([around_the_face(models, file) for file in files])))


def around_the_face(models: Models, file: Path) -> Rgb:
    """(250, 250, 3), the face in the middle."""
    rgb = decode(file.read_bytes()).rgb
    box = main_face(rgb, models.detector.detect(rgb).faces).box
    corners = [round(centre + sign * 1.2 * box.side) for sign in (-1, 1) for centre in box.centre]
    square = Image.fromarray(rgb).crop((corners[0], corners[1], corners[2], corners[3]))
    return np.asarray(square.resize((250, 250)))


def test_two_photos_of_one_person_approve_the_member(models: Models, of: Photos) -> None:
    verdict = judge(models, of.selfie, of.photo)
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.APPROVED, Reason.SAME_PERSON, 1)
    assert verdict.same_person is True
    assert verdict.similarity is not None
    assert verdict.similarity > 0.5
    assert verdict.gender is Gender.MALE


def test_a_photo_of_somebody_else_goes_to_a_person_however_many_match(models: Models, of: Photos) -> None:
    verdict = judge(models, of.selfie, of.photo, of.somebody)
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.REVIEW, Reason.DIFFERENT_PERSON, 2)
    assert verdict.same_person is False
    assert verdict.similarity is not None
    assert verdict.similarity < 0.5


def test_the_numbers_of_every_photo_come_along(models: Models, of: Photos) -> None:
    verdict = judge(without_first_stage(models), of.selfie, of.photo)
    comparison = verdict.photos[0].comparison
    assert comparison is not None
    assert set(comparison.cosines) == set(comparison.distances) == set(models.params.scorer.towers)
    for name, cosine in comparison.cosines.items():
        assert comparison.distances[name] == pytest.approx(np.sqrt(2 - 2 * cosine), abs=1e-6)
    assert comparison.different_threshold <= comparison.approve_threshold <= comparison.score
    assert verdict.photos[0].box is not None
    assert verdict.photos[0].sha256 is not None
    assert {"decode", "detect", "embed_facenet", "embed_sface"} <= set(verdict.timings)
    assert verdict.model_version == models.version


def test_a_clear_comparison_names_the_one_network_that_was_asked(models: Models, of: Photos) -> None:
    verdict = judge(models, of.selfie, of.photo)
    comparison = verdict.photos[0].comparison
    assert comparison is not None
    assert set(comparison.cosines) == set(comparison.distances) == {"sface8"}
    assert not {"embed_sface", "embed_facenet", "embed_mobilefacenet"} & set(verdict.timings)
    assert comparison.score >= comparison.approve_threshold
    assert verdict.similarity == pytest.approx(1.0, abs=0.01)


def test_a_selfie_without_a_face_asks_for_another_and_judges_nothing(models: Models, of: Photos) -> None:
    verdict = judge(models, of.nobody, of.selfie)
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.RETRY_PHOTO, Reason.SELFIE_NO_FACE, 0)
    assert verdict.photos[0].outcome is Outcome.NOT_COMPARED
    assert verdict.gender is Gender.UNKNOWN


def test_a_group_photo_with_the_member_is_neutral(models: Models, of: Photos) -> None:
    group = side_by_side(models, of.photo, of.somebody)
    selfie = of.selfie.read_bytes()
    alone = verify(models, selfie, [group])
    assert alone.photos[0].outcome is Outcome.GROUP_SAME
    assert (alone.status, alone.reason) == (Status.RETRY_PHOTO, Reason.NO_SOLO_PHOTO)
    assert verify(models, selfie, [group, of.photo.read_bytes()]).status is Status.APPROVED


def test_a_group_without_the_member_speaks_against_nobody(models: Models, of: Photos) -> None:
    group = side_by_side(models, of.third, of.somebody)
    verdict = verify(models, of.selfie.read_bytes(), [of.photo.read_bytes(), group])
    assert verdict.photos[1].outcome is Outcome.MEMBER_NOT_SEEN
    assert verdict.status is Status.APPROVED


def test_two_people_in_a_selfie_are_sent_back(models: Models, of: Photos) -> None:
    selfie = side_by_side(models, of.selfie, of.somebody)
    verdict = verify(models, selfie, [of.photo.read_bytes()])
    assert (verdict.status, verdict.reason) == (Status.RETRY_PHOTO, Reason.SELFIE_SEVERAL_FACES)


@pytest.mark.parametrize("change", ["bytes", "smaller", "recompressed", "blurred a little", "mirrored"])
def test_the_same_picture_as_selfie_and_gallery_photo_goes_to_a_person(
    models: Models, of: Photos, change: str
) -> None:
    original = Image.open(of.selfie)
    copy = {
        "bytes": of.selfie.read_bytes(),
        "smaller": jpeg(original.resize((original.width * 4 // 5, original.height * 4 // 5))),
        "recompressed": jpeg(original, 40),
        "mirrored": jpeg(ImageOps.mirror(original)),
        "blurred a little": jpeg(original.filter(ImageFilter.GaussianBlur(1))),
    }[change]
    verdict = verify(models, of.selfie.read_bytes(), [copy])
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.REVIEW, Reason.SAME_PICTURE, 1)
    assert verdict.photos[0].replay


def test_a_contradicted_gender_opens_a_review(models: Models, of: Photos) -> None:
    assert judge(models, of.selfie, of.photo, declared=Gender.FEMALE).reason is Reason.GENDER_CONFLICT
    assert judge(models, of.selfie, of.photo, declared=Gender.MALE).status is Status.APPROVED


def test_a_photo_that_could_not_be_had_is_told_apart_from_a_broken_one(models: Models, of: Photos) -> None:
    selfie = of.selfie.read_bytes()
    missing = NotFetched(FetchProblem.TIMEOUT, Fault.HOST)
    verdict = verify(models, selfie, [missing, b"<html>", b""])
    outcomes = [photo.outcome for photo in verdict.photos]
    assert outcomes == [Outcome.NOT_FETCHED, Outcome.INVALID_IMAGE, Outcome.INVALID_IMAGE]
    assert (verdict.status, verdict.reason) == (Status.ERROR, Reason.PHOTOS_NOT_FETCHED)
    assert verify(models, missing, [selfie]).status is Status.ERROR


def test_photos_that_a_job_has_no_time_for_are_not_decoded_and_say_so(models: Models, of: Photos) -> None:
    selfie, photo, somebody = (f.read_bytes() for f in (of.selfie, of.photo, of.somebody))
    large = saved(Image.open(of.photo).convert("RGB").resize((3000, 3000)), "PNG")
    assert DecodeBudget().seconds > 0.3
    budget = DecodeBudget(seconds=0.2)  # such a PNG takes about 0.3
    verdict = judge_analysis(models, analyse([models], selfie, [photo, large, somebody], budget=budget))
    left_out = verdict.photos[1]
    assert [found.outcome for found in verdict.photos] == ["same", "not_compared", "different"]
    assert (left_out.fault, left_out.verdict) == (Fault.OURS, PhotoVerdict.NOT_VERIFIED)
    assert left_out.detail.startswith("DecodeBudgetSpent: not decoded")
    assert verdict.reason is Reason.DIFFERENT_PERSON


def test_the_api_answers_same_person_and_gender(of: Photos, bundle_dir: Path) -> None:
    one, other, somebody, nobody = (f.read_bytes() for f in (of.selfie, of.photo, of.somebody, of.nobody))
    assert match(one, other, bundle_dir) == (True, Gender.MALE)
    assert match(one, somebody, bundle_dir) == (False, Gender.MALE)
    assert match(nobody, one, bundle_dir) == (None, None)


def test_where_not_all_weights_can_be_had_a_head_for_the_other_networks_judges(
    bundle_dir: Path, of: Photos, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_dir, folder)  # so that no network is made again
    nowhere = str(tmp_path / "nowhere.tflite")
    done = CliRunner().invoke(
        main, ["weights", "--mobilefacenet", nowhere, "--faceres", nowhere, "--out", str(folder)]
    )
    assert "without MobileFaceNet and FaceRes" in done.output
    poorer = load_models(folder)
    assert set(poorer.params.scorer.towers) == set(poorer.params.gender.weights) == {"facenet", "sface"}
    verdict = judge(poorer, of.selfie, of.photo)
    assert verdict.status is Status.APPROVED
    assert verdict.gender is Gender.MALE
    assert judge(poorer, of.selfie, of.somebody).status is Status.REVIEW
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
