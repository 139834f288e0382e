"""What a further network counts is learned, and one that adds nothing is left out."""

from __future__ import annotations

import numpy as np

from pipeline.faces.types import Embeddings
from pipeline.fitting.fusion import LabelledEmbeddings, with_learned_weights
from pipeline.score import Scorer, Thresholds, Tower

PEOPLE, PHOTOS, SIZE = 150, 4, 16
IDENTITY = np.repeat(np.arange(PEOPLE), PHOTOS)
EVERYBODY = np.ones(len(IDENTITY), np.bool_)


def network(seed: int, spread: float) -> Embeddings:
    """Photos of one person lie ``spread`` apart, where people lie 1 apart."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(PEOPLE, SIZE))[IDENTITY] + spread * rng.normal(size=(len(IDENTITY), SIZE))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def learned(
    impostors: np.ndarray[tuple[int], np.dtype[np.bool_]] = EVERYBODY, **own: Embeddings
) -> dict[str, float]:
    """Weights beside a network at weight 1, by name."""
    embeddings = {"known": network(0, 0.8), **own}
    same = np.zeros(SIZE, np.float32), np.eye(SIZE, dtype=np.float32)
    towers = {name: Tower(*same, weight=float(name == "known")) for name in embeddings}
    faces = LabelledEmbeddings(embeddings, IDENTITY, IDENTITY % 2, impostors)
    scorer = with_learned_weights(Scorer(towers, Thresholds(0.0, 0.0, 1.0)), faces, sorted(own), fmr=0.01)
    return {name: tower.weight for name, tower in scorer.towers.items()}


def test_the_better_a_network_tells_people_apart_the_more_it_counts() -> None:
    weak, strong = (learned(own=network(1, spread))["own"] for spread in (1.5, 0.4))
    assert 0 < weak < 1 < strong


def test_a_network_that_tells_nobody_apart_is_left_out() -> None:
    assert learned(own=network(1, 1e6)) == {"known": 1}


def test_a_network_that_knows_only_what_another_does_is_left_out() -> None:
    assert learned(own=network(0, 0.8)) == {"known": 1}


def test_without_impostors_nothing_is_learned() -> None:
    assert learned(~EVERYBODY, own=network(1, 0.4)) == {"known": 1}


def test_without_a_further_network_nothing_changes() -> None:
    assert learned() == {"known": 1}
