"""People and not faces are counted, and a photo that shows nobody who could be judged is no free pass."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from pipeline.bundles.load import load_models
from pipeline.bundles.models import Models
from pipeline.faces.types import Rgb
from pipeline.fitting.synthetic_occlusion import Occluder, draw_occluder
from pipeline.images.decode import decode
from pipeline.score import Thresholds
from pipeline.verdict import Outcome, PhotoVerdict, Reason, Status, Verdict
from pipeline.verify import verify
from support.portraits import BIDEN, COLLINS, OBAMA

SIDE = 300


@pytest.fixture(scope="module")
def models(bundle_dir: Path) -> Models:
    return load_models(bundle_dir)


class Heads:
    """Squares of 300 pixels around the faces of portraits, each face about 125."""

    def __init__(self, models: Models, portraits: Path) -> None:
        self.models, self.folder = models, portraits

    def of(self, name: str) -> Image.Image:
        rgb = decode((self.folder / name).read_bytes()).rgb
        box = self.models.detector.detect(rgb).faces[0].box
        (x, y), half = box.centre, 1.2 * box.side
        square = Image.fromarray(rgb).crop((int(x - half), int(y - half), int(x + half), int(y + half)))
        return square.resize((SIDE, SIDE))

    def masked(self, name: str) -> Image.Image:
        rgb = np.asarray(self.of(name))
        face = self.models.detector.detect(rgb).faces[0]
        return Image.fromarray(draw_occluder(rgb, face, Occluder.MASK, np.random.default_rng(3)))


@pytest.fixture(scope="module")
def heads(models: Models, portraits: Path) -> Heads:
    return Heads(models, portraits)


def jpeg(picture: Image.Image | Rgb) -> bytes:
    buffer = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(
        buffer, "JPEG", quality=92
    )
    return buffer.getvalue()


def beside(*pictures: Image.Image) -> bytes:
    """All in one row."""
    return jpeg(np.hstack([np.asarray(picture) for picture in pictures]))


def judge(models: Models, selfie: bytes, *photos: bytes) -> Verdict:
    return verify(models, selfie, photos)


def test_a_collage_of_the_member_is_a_photo_of_the_member(models: Models, heads: Heads) -> None:
    collage = beside(heads.of(OBAMA[1]), heads.of(OBAMA[2]), ImageOps.mirror(heads.of(OBAMA[1])))
    verdict = judge(models, jpeg(heads.of(OBAMA[0])), collage)
    assert (verdict.status, verdict.photos[0].outcome) == (Status.APPROVED, Outcome.SAME)
    assert (verdict.photos[0].faces, verdict.photos[0].verdict) == (1, PhotoVerdict.VERIFIED)


def test_a_selfie_before_a_mirror_shows_one_person(models: Models, heads: Heads) -> None:
    selfie = beside(heads.of(OBAMA[0]), ImageOps.mirror(heads.of(OBAMA[0])))
    assert judge(models, selfie, jpeg(heads.of(OBAMA[2]))).status is Status.APPROVED


def test_somebody_else_is_somebody_else_however_often_he_is_in_the_picture(
    models: Models, heads: Heads
) -> None:
    own, twice = jpeg(heads.of(OBAMA[2])), beside(heads.of(BIDEN), ImageOps.mirror(heads.of(BIDEN)))
    verdict = judge(models, jpeg(heads.of(OBAMA[0])), own, twice)
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.REVIEW, Reason.DIFFERENT_PERSON, 2)
    assert [photo.verdict for photo in verdict.photos] == [PhotoVerdict.VERIFIED, PhotoVerdict.CONTRADICTS]


def test_a_primary_photo_of_others_is_analysed_whatever_stands_behind_it(
    models: Models, heads: Heads
) -> None:
    others = beside(heads.of(BIDEN), heads.of(COLLINS))
    verdict = judge(models, jpeg(heads.of(OBAMA[0])), others, jpeg(heads.of(OBAMA[2])))
    assert (verdict.status, verdict.reason, verdict.photo) == (Status.REVIEW, Reason.PRIMARY_NOT_MEMBER, 1)
    assert verdict.photos[0].verdict is PhotoVerdict.CONTRADICTS


@pytest.mark.parametrize("degraded", ["masked", "blurred", "small"])
@pytest.mark.parametrize("somebody", [BIDEN, COLLINS])
def test_somebody_else_whom_a_gate_refuses_is_never_approved_as_primary_photo(
    models: Models, heads: Heads, degraded: str, somebody: str
) -> None:
    whole = heads.of(somebody)
    photo = {
        "masked": lambda: heads.masked(somebody),
        "blurred": lambda: whole.filter(ImageFilter.GaussianBlur(9)),
        "small": lambda: ImageOps.expand(whole.resize((80, 80)), 120, fill=(90, 110, 100)),
    }[degraded]()
    verdict = judge(models, jpeg(heads.of(OBAMA[0])), jpeg(photo), jpeg(heads.of(OBAMA[2])))
    assert verdict.status in (Status.REVIEW, Status.RETRY_PHOTO), verdict
    assert verdict.photos[0].verdict is not PhotoVerdict.VERIFIED


def test_a_doubtful_photo_is_the_members_where_another_one_surely_is_and_both_are_alike(
    models: Models, heads: Heads
) -> None:
    """The edges are put where the two least alike photos of one man are in doubt."""
    models = replace(models, params=replace(models.params, first_stage=None))
    pictures = [jpeg(heads.of(name)) for name in OBAMA]
    somebody = jpeg(heads.of(BIDEN))
    scores = {}
    for one, other in ((0, 1), (0, 2), (1, 2)):
        compared = judge(models, pictures[one], pictures[other]).photos[0].comparison
        assert compared is not None
        scores[one, other] = compared.score
    selfie, primary = min(scores, key=lambda pair: scores[pair])
    (third,) = {0, 1, 2} - {selfie, primary}
    lowest = scores[selfie, primary]
    strict = with_thresholds(models, Thresholds(lowest + 0.001, lowest - 0.001, scale=1000.0))
    alone = judge(strict, pictures[selfie], pictures[primary])
    assert (alone.status, alone.reason) == (Status.REVIEW, Reason.PRIMARY_UNSURE)
    together = judge(strict, pictures[selfie], pictures[primary], pictures[third])
    assert (together.status, together.photo) == (Status.APPROVED, 1)
    assert together.photos[0].verdict is PhotoVerdict.VERIFIED
    assert "photo 2" in together.photos[0].detail
    beside_somebody = judge(strict, pictures[selfie], pictures[primary], somebody)
    assert beside_somebody.photos[0].outcome is Outcome.UNSURE


def with_thresholds(models: Models, thresholds: Thresholds) -> Models:
    params = models.params
    return replace(models, params=replace(params, scorer=replace(params.scorer, thresholds=thresholds)))


def test_a_masked_photo_of_the_member_is_no_accusation(models: Models, heads: Heads) -> None:
    verdict = judge(models, jpeg(heads.of(OBAMA[0])), jpeg(heads.of(OBAMA[2])), jpeg(heads.masked(OBAMA[1])))
    assert verdict.status is Status.APPROVED
    assert verdict.photos[1].outcome is Outcome.OCCLUDED
    assert verdict.photos[1].verdict is PhotoVerdict.NOT_VERIFIED
    assert verdict.photos[1].comparison is not None


def test_bystanders_who_are_blurred_or_cut_off_make_no_group(models: Models, heads: Heads) -> None:
    member, other = heads.of(OBAMA[0]), heads.of(COLLINS)
    blurred = beside(member, other.filter(ImageFilter.GaussianBlur(9)))
    cut_off = beside(member, other.crop((0, 0, SIDE // 2 - 15, SIDE)))
    for selfie in (blurred, cut_off):
        verdict = judge(models, selfie, jpeg(heads.of(OBAMA[2])))
        assert verdict.selfie.outcome is Outcome.USABLE
        assert verdict.status is Status.APPROVED
