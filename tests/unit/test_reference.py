"""Where similarities of genuine and impostor pairs lie, by people whom the head was not fitted on."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundles.bundle import read_bundle
from pipeline.bundles.head import Head
from pipeline.bundles.reference import (
    BINS,
    HEADS,
    KEY,
    REACH,
    SUFFIX,
    Measured,
    Reference,
    bin_of,
    fingerprint,
    inner_bounds,
    log_odds_of,
    read_reference,
    reference_of,
    sha256_of,
    shipped_as,
    similarity_at,
    write_beside,
)
from pipeline.evaluation.reference import cross_fit_reference
from pipeline.fitting.calibration import ScoredPairs, calibrate, recalibrated
from pipeline.fitting.fit import fit_scorer
from pipeline.fitting.reference import moved, reference_on
from pipeline.score import Thresholds
from support.bundle import bundle_folder
from support.made_up_faces import SETTINGS, Town

FLAT = Reference(Measured.CROSS_FIT, (1 / BINS,) * BINS, 5000, 23, (1 / BINS,) * BINS, 9000, 1600)
MIDDLE = BINS // 2
BEFORE = Thresholds(approve=0.5, different=0.3, scale=20.0)


def test_bins_meet_at_the_approve_threshold_and_are_as_wide_in_log_odds() -> None:
    assert (bin_of(0.5), bin_of(0.4999)) == (MIDDLE, MIDDLE - 1)
    assert (bin_of(0.0), bin_of(1.0)) == (0, BINS - 1)
    assert np.allclose(np.diff(inner_bounds()), 2 * REACH / BINS)
    assert log_odds_of(similarity_at(3.0)) == pytest.approx(3.0)
    assert (log_odds_of(0.0), log_odds_of(1.0)) == (-REACH, REACH)


def test_what_is_no_reference_is_none() -> None:
    facts = FLAT.facts()
    assert read_reference(json.loads(json.dumps(facts))) == FLAT
    for wrong in (
        None,
        {},
        {**facts, "reach": 12.0},
        {**facts, "impostor": [1.0]},
        {**facts, "impostor": [-1.0, 2.0, *[0.0] * (BINS - 2)]},
        {**facts, "measured": "somehow"},
    ):
        assert read_reference(wrong) is None


@pytest.mark.parametrize("users_kind", [0, 30])
def test_a_fit_measures_it_on_people_whom_it_leaves_out(users_kind: int) -> None:
    found = cross_fit_reference(Town(120, users_kind=users_kind).table, SETTINGS)
    assert found is not None
    assert found.genuine is not None
    assert (found.measured, found.genuine_people) == (Measured.CROSS_FIT, 120)
    assert (found.genuine_pairs, found.impostor_people) == (360, users_kind or 120)
    assert sum(found.genuine) == pytest.approx(1, abs=1e-4)
    assert sum(found.impostor[MIDDLE:]) < 0.1
    assert sum(found.genuine[MIDDLE:]) > 0.5


def test_too_few_faces_give_none() -> None:
    assert cross_fit_reference(Town(2).table, SETTINGS) is None


def test_a_test_set_measures_a_head_as_it_is() -> None:
    town = Town(40)
    scorer = fit_scorer(town.table, SETTINGS)
    found = reference_on(scorer, town.table, Measured.TEST_SET)
    assert found is not None
    assert found.genuine is not None
    passed = sum(found.impostor[MIDDLE:])
    assert passed == pytest.approx(SETTINGS.approve_fmr, abs=0.003)


def pairs(people: int, *, genuine: bool) -> ScoredPairs:
    first, second = np.triu_indices(people, 0 if genuine else 1)
    same = first == second
    scores = np.random.default_rng(1).normal(np.where(same, 0.75, 0.1), 0.1)
    return ScoredPairs(scores, same, first, second)


def a_head(**facts: object) -> Head:
    metadata = {"edges": asdict(BEFORE), "weights": {"sface": 1.0}, "calibration": "uncalibrated", **facts}
    return Head({"sface.mean": np.zeros(2, np.float32)}, metadata)


def test_a_calibration_measures_its_own_pairs_and_keeps_the_genuine_ones_where_it_has_none() -> None:
    head = a_head(reference=FLAT.facts())
    both = calibrate(pairs(80, genuine=True), SETTINGS, BEFORE)
    found = read_reference(recalibrated(head, both, 0.01).metadata[KEY])
    assert found is not None
    assert (found.measured, found.genuine_people, found.impostor_people) == (Measured.CALIBRATION, 80, 80)
    assert sum(found.impostor[MIDDLE:]) <= 0.01
    assert KEY not in both.facts()

    impostors = calibrate(pairs(80, genuine=False), SETTINGS, BEFORE)
    found = read_reference(recalibrated(head, impostors, 0.01).metadata[KEY])
    assert found is not None
    assert (found.genuine_people, found.impostor_people) == (FLAT.genuine_people, 80)
    assert found.genuine != FLAT.genuine  # the thresholds have moved
    alone = read_reference(recalibrated(a_head(), impostors, 0.01).metadata[KEY])
    assert alone is not None
    assert alone.genuine is None


def test_moved_to_other_thresholds_a_pair_stays_where_its_score_is() -> None:
    bins = [0.0] * BINS
    bins[MIDDLE + 3] = 1.0
    width = 2 * REACH / BINS / BEFORE.scale
    higher = replace(BEFORE, approve=BEFORE.approve + 2 * width)
    assert np.argmax(moved(tuple(bins), BEFORE, higher)) == MIDDLE + 1
    assert moved(tuple(bins), BEFORE, BEFORE) == pytest.approx(bins)


def test_a_head_of_before_has_its_reference_in_a_file_that_names_it(tmp_path: Path) -> None:
    head = a_head()
    path = write_beside(tmp_path / "old.npz", head, FLAT, "old-1234")
    record = json.loads(path.read_text("utf-8"))
    assert record["head"] == fingerprint(sha256_of(head), head.metadata)
    assert read_reference(record) == FLAT
    other = a_head(edges=asdict(replace(BEFORE, approve=0.6)))
    assert record["head"] != fingerprint(sha256_of(other), other.metadata)
    assert reference_of(sha256_of(head), head.metadata) is None  # it is none of those that were shipped


@pytest.mark.parametrize("name", ["default", "spare"])
def test_a_shipped_head_has_a_reference_of_its_own(name: str) -> None:
    head = Head.load(HEADS / f"{name}.npz")
    found = reference_of(sha256_of(head), head.metadata)
    assert found is not None
    assert found.genuine is not None
    assert found.genuine_pairs > 10_000
    assert sum(found.impostor[MIDDLE:]) < 0.01
    assert sum(found.genuine[MIDDLE:]) > 0.9
    version = json.loads((HEADS / f"{name}{SUFFIX}").read_text("utf-8"))["version"]
    known = shipped_as(version)
    assert known is not None
    assert reference_of(*known) == found


def test_the_bundle_here_is_the_one_that_a_reference_names() -> None:
    if not (bundle_folder() / "manifest.json").is_file():
        pytest.skip("no bundle here")
    manifest = read_bundle(bundle_folder()).manifest
    if manifest.name == "default" and KEY not in manifest.head:
        assert shipped_as(manifest.version) is not None
