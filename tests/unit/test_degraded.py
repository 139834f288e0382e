"""The threshold below which a face that a gate refuses is somebody else's: fitted on spoilt copies."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datasets.degraded import two_photos_each
from pipeline.fitting.fit import MALE, DegradedCopies, FaceTable, FitSettings, copied_scores, fit_refused
from pipeline.score import Scorer, Thresholds, Tower

PEOPLE = 200
SETTINGS = FitSettings(refused_fnmr=0.01)


def scorer(different: float = 0.9) -> Scorer:
    return Scorer(
        {"a": Tower(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 1.0)},
        Thresholds(0.95, different, 9.0),
    )


def at(angles: np.ndarray) -> dict[str, np.ndarray]:
    return {"a": np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)}


def table() -> FaceTable:
    """Two photos of each person, alike to the last digit."""
    who = np.repeat(np.arange(PEOPLE), 2)
    everyone = np.full(len(who), MALE), np.zeros(len(who), bool), np.ones(len(who))
    return FaceTable(at(who * 0.01), who, *everyone)


def copies() -> DegradedCopies:
    """Of the first photo of everybody, each further from its original than the one before."""
    rows = 2 * np.arange(PEOPLE)
    return DegradedCopies(rows, rows + 1, at(np.arange(PEOPLE) * (0.01 + np.pi / 2 / PEOPLE)))


def test_the_settings_share_of_the_genuine_pairs_with_a_copy_lies_below() -> None:
    fitted = fit_refused(scorer(), table(), {"occluded": copies()}, SETTINGS)
    scores = copied_scores(scorer(), table(), copies())
    assert np.mean(scores < fitted["occluded"]) == pytest.approx(0.01)


def test_no_threshold_lies_above_that_of_faces_that_pass_the_gates() -> None:
    assert fit_refused(scorer(-0.5), table(), {"occluded": copies()}, SETTINGS) == {"occluded": -0.5}


def test_where_no_copy_shows_a_face_nothing_is_fitted() -> None:
    none = DegradedCopies(np.empty(0, np.int64), np.empty(0, np.int64), at(np.empty(0)))
    assert fit_refused(scorer(), table(), {"occluded": none}, SETTINGS) == {}


def test_two_photos_of_everybody_who_has_several_are_degraded() -> None:
    assert two_photos_each(np.array([7, 3, 7, 5, 7, 3])).tolist() == [[1, 5], [0, 2]]
    assert two_photos_each(np.array([1, 2])).shape == (0, 2)
