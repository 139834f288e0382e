"""The first stage changes no outcome: real photos, with it and without it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.bundles.load import load_models
from pipeline.bundles.models import Models
from pipeline.verdict import Verdict
from pipeline.verify import verify
from support.portraits import BIDEN, CAT, COLLINS, OBAMA

EVERY = 12
"""Of the pairs of the East-Asian sets one in so many."""


@pytest.fixture(scope="module")
def models(bundle_dir: Path) -> Models:
    return load_models(bundle_dir)


def outcomes(models: Models, selfie: Path, photos: list[Path]) -> tuple[Verdict, Verdict]:
    """With the first stage and without it."""
    slow = replace(models, params=replace(models.params, first_stage=None))
    files = [photo.read_bytes() for photo in photos]
    fast, whole = (verify(each, selfie.read_bytes(), files) for each in (models, slow))
    return fast, whole


def assert_equal(fast: Verdict, whole: Verdict) -> None:
    def told(verdict: Verdict) -> list[object]:
        photos = [(photo.outcome, photo.replay, photo.fault) for photo in verdict.photos]
        return [verdict.status, verdict.reason, verdict.same_person, verdict.gender, *photos]

    assert told(fast) == told(whole)


def test_a_gallery_of_everything_is_judged_as_by_all_networks(models: Models, portraits: Path) -> None:
    photos = [portraits / name for name in (OBAMA[1], BIDEN, CAT, OBAMA[0], COLLINS, OBAMA[2])]
    assert_equal(*outcomes(models, portraits / OBAMA[0], photos))


def test_for_a_clear_pair_the_networks_of_the_second_stage_do_not_run(
    models: Models, portraits: Path
) -> None:
    second = {f"embed_{name}" for name in models.params.scorer.towers}
    fast, whole = outcomes(models, portraits / OBAMA[0], [portraits / OBAMA[2]])
    assert not second & fast.timings.keys()
    assert second <= whole.timings.keys()


def pairs(faces: Path) -> Iterator[tuple[Path, Path]]:
    with (faces / "asian_pairs.csv").open(encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            if number % EVERY == 0:
                yield faces / row["file_x"], faces / row["file_y"]


def test_pairs_of_east_asian_people_have_the_outcome_that_all_networks_give_them(
    models: Models, faces: Path
) -> None:
    for selfie, photo in pairs(faces):
        assert_equal(*outcomes(models, selfie, [photo]))
