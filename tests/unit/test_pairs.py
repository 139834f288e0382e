"""Training pairs: who may be paired with whom, and that a seed decides it all."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datasets.tables import NO_AGE, Labels
from pipeline.fitting.fit import FEMALE, MALE
from pipeline.training.data.cleaning import merge_aliases, suspected_aliases
from pipeline.training.data.pairs import (
    DIFFERENT,
    SAME,
    PairSettings,
    draw_pairs,
    genuine_pairs,
    hard_impostors,
    split_by_identity,
)

PEOPLE = 30


def labels() -> Labels:
    """Thirty people with one to six photos each; every third age is unknown."""
    identity = np.repeat(np.arange(PEOPLE), 1 + np.arange(PEOPLE) % 6)
    age = np.where(identity % 3 == 0, NO_AGE, 50 + identity % 20)
    return Labels(identity, np.where(identity % 2 == 0, MALE, FEMALE), age)


def embeddings(count: int) -> np.ndarray:
    drawn = np.random.default_rng(3).normal(size=(count, 16)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def drawn(seed: int) -> tuple[Labels, np.ndarray, np.ndarray, np.ndarray]:
    known = labels()
    settings, rng = PairSettings(genuine_per_person=5), np.random.default_rng(seed)
    pairs = draw_pairs(known, embeddings(len(known.identity)), settings, rng)
    return known, pairs.first, pairs.second, pairs.same


def test_a_pair_is_called_same_exactly_when_both_faces_are_one_person_s() -> None:
    known, first, second, same = drawn(seed=1)
    assert (known.identity[first] == known.identity[second]).tolist() == (same == SAME).tolist()
    assert set(same.tolist()) == {SAME, DIFFERENT}
    assert not (first == second).any()


def test_impostors_are_of_one_gender_and_at_most_ten_years_apart_where_ages_are_known() -> None:
    known, first, second, same = drawn(seed=1)
    one, other = first[same == DIFFERENT], second[same == DIFFERENT]
    assert (known.gender[one] == known.gender[other]).all()
    both = (known.age[one] != NO_AGE) & (known.age[other] != NO_AGE)
    assert both.any()
    assert (np.abs(known.age[one] - known.age[other])[both] <= 10).all()


def test_the_same_seed_draws_the_same_pairs_and_another_seed_others() -> None:
    again = [np.stack(drawn(seed)[1:]) for seed in (1, 1, 2)]
    assert np.array_equal(again[0], again[1])
    assert not np.array_equal(again[0], again[2])


def test_there_are_twice_as_many_impostors_as_genuine_pairs() -> None:
    *_, same = drawn(seed=1)
    assert (same == DIFFERENT).sum() == 2 * (same == SAME).sum()


def test_a_person_with_hundreds_of_photos_gives_no_more_pairs_than_the_limit() -> None:
    identity = np.repeat([0, 1], [300, 3])
    pairs = genuine_pairs(identity, 20, np.random.default_rng(1))
    assert np.bincount(identity[pairs.first]).tolist() == [20, 3]


def test_held_out_people_are_held_out_with_all_their_photos() -> None:
    identity = labels().identity
    held = split_by_identity(identity, 0.2, seed=1)
    assert not set(identity[held]) & set(identity[~held])
    assert len(set(identity[held])) == PEOPLE // 5
    assert np.array_equal(held, split_by_identity(identity, 0.2, seed=1))
    assert not np.array_equal(held, split_by_identity(identity, 0.2, seed=2))


def test_hard_impostors_are_the_most_alike_impostors() -> None:
    known = labels()
    faces = embeddings(len(known.identity))
    pairs = hard_impostors(known, faces, 10, ceiling=1.0)
    one, other = np.triu_indices(len(faces), 1)
    fair = known.may_oppose(one, other)
    cosines = np.sort(np.sum(faces[one[fair]] * faces[other[fair]], axis=1))[::-1]
    mined = np.sum(faces[pairs.first] * faces[pairs.second], axis=1)
    assert mined == pytest.approx(cosines[:10], abs=1e-6)


def test_impostors_who_look_like_one_person_under_two_names_are_not_mined() -> None:
    known = labels()
    faces = embeddings(len(known.identity))
    faces[0] = faces[known.identity == 6][0]  # both men; the age of both is unknown
    mined = hard_impostors(known, faces, 10, ceiling=0.95)
    assert (np.sum(faces[mined.first] * faces[mined.second], axis=1) < 0.95).all()


def test_two_names_of_one_person_become_one_and_chains_too() -> None:
    codes = np.array([4, 2, 7, 4, 9])
    assert merge_aliases(codes, [(4, 7), (7, 9)]).tolist() == [4, 2, 4, 4, 4]


def test_one_picture_under_two_names_gives_the_two_names_away() -> None:
    identity = np.array([5, 5, 8, 3])
    faces = embeddings(4)
    faces[2] = faces[0]
    assert suspected_aliases(identity, faces, 0.95) == [(5, 8)]
    assert suspected_aliases(identity, embeddings(4), 0.95) == []


def test_one_person_alone_gives_no_impostors_and_nobody_gives_no_pairs() -> None:
    alone = Labels(np.zeros(3, np.int64), np.ones(3, np.int64), np.full(3, NO_AGE))
    pairs = draw_pairs(alone, embeddings(3), PairSettings(), np.random.default_rng(1))
    assert (pairs.same == SAME).all()
    assert len(pairs) == 3
    nobody = alone.only(np.zeros(3, bool))
    assert len(hard_impostors(nobody, embeddings(0).reshape(0, 16), 5, 0.9)) == 0
