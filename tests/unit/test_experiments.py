"""The experiments' bookkeeping: fair pairs and people, trials that survive a stop, words that fit numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.datasets.data import LabelledFace
from pipeline.datasets.tables import NO_AGE, Labels
from pipeline.experiments.page import page, shows
from pipeline.experiments.photos import ViewPhotos, choose
from pipeline.experiments.run import difference, do_trials, fingerprint, summarise
from pipeline.experiments.tables import BASE, FULL, QUICK, TABLES, Condition, conditions
from pipeline.experiments.trial import Weights, balanced_pairs
from pipeline.fitting.fit import FEMALE, MALE
from pipeline.verdict import Gender

SEEDS = (1, 2, 3)
BARE = Weights()


def people(men: int, women: int, photos: int = 3) -> list[LabelledFace]:
    return [
        LabelledFace(f"{gender}{i}/{k}.jpg", f"{gender}{i}", gender)
        for gender, count in ((Gender.MALE, men), (Gender.FEMALE, women))
        for i in range(count)
        for k in range(photos)
    ]


def made_up(condition: Condition, seed: int) -> dict[str, Any]:
    """A trial's figures: FaceNet at 0.9 and a little noise, everything else far below."""
    accuracy = (0.9 if condition.network == "facenet" else 0.6) + 0.01 * seed
    gender = {"accuracy": 0.8, "constant": 0.5} if condition.gender else None
    figures = {"accuracy": accuracy, "auc": 0.95, "fmr": 0.1, "fnmr": 0.1, "gender": gender, "pairs": 100}
    return {**figures, "before": {**figures, "accuracy": 0.55}, "kept_epoch": 1, "seconds": 6.0}


def results(trial: Any = made_up) -> dict[str, Any]:
    trials = {condition: [trial(condition, seed) for seed in SEEDS] for condition in conditions()}
    networks = {
        name: {"weights": "none", "side": 80, "epochs": 2} for name in ("own_cnn", "vgg19", "facenet")
    }
    facts = {
        "made": "2026-01-01",
        "photos": 9,
        "people": 3,
        "size": {"seeds": SEEDS},
        "minutes": 1.0,
        "quick": False,
    }
    return {**facts, "networks": networks, "tables": summarise(TABLES, trials)}


def test_the_five_tables_of_the_source_are_there_and_what_several_share_is_run_once() -> None:
    assert [table.name for table in TABLES] == ["network", "colours", "gender", "loss", "augmentation"]
    assert sum(len(table.rows) for table in TABLES) == 12
    assert len(conditions()) == len({condition.name for condition in conditions()}) == 8
    for table in TABLES[1:]:
        assert BASE in [row.condition for row in table.rows]


def test_as_many_men_as_women_are_chosen_and_nobody_with_one_photo() -> None:
    chosen = choose([*people(9, 4), *people(30, 30, photos=1)], FULL)
    assert {g: len({f.identity for f in chosen if f.gender is g}) for g in (Gender.MALE, Gender.FEMALE)} == {
        Gender.MALE: 4,
        Gender.FEMALE: 4,
    }
    assert all(face.file.endswith(("0.jpg", "1.jpg", "2.jpg")) for face in chosen)
    again = choose([*people(9, 4)][::-1], FULL)
    assert {face.identity for face in again} == {face.identity for face in chosen}


def test_half_of_the_test_pairs_are_genuine_and_impostors_are_of_one_gender() -> None:
    identity = np.repeat(np.arange(12), 4)
    gender = np.where(identity % 2 == 0, MALE, FEMALE)
    pairs = balanced_pairs(Labels(identity, gender, np.full(48, NO_AGE)), seed=1)
    assert pairs.same.mean() == 0.5
    assert len(pairs) == 2 * 12 * 6
    genuine = identity[pairs.first] == identity[pairs.second]
    assert (genuine == (pairs.same == 1)).all()
    assert (gender[pairs.first] == gender[pairs.second]).all()


def test_a_stopped_run_goes_on_where_it_was_and_other_settings_begin_anew(tmp_path: Path) -> None:
    done: list[tuple[Condition, int]] = []

    def stops(condition: Condition, seed: int) -> dict[str, Any]:
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append((condition, seed))
        return made_up(condition, seed)

    def counts(condition: Condition, seed: int) -> dict[str, Any]:
        done.append((condition, seed))
        return made_up(condition, seed)

    with pytest.raises(KeyboardInterrupt):
        do_trials(tmp_path, lambda _: "mark", SEEDS, stops)
    trials = do_trials(tmp_path, lambda _: "mark", SEEDS, counts)
    assert len(done) == len(set(done)) == 8 * 3
    assert all([trial["seed"] for trial in own] == [*SEEDS] for own in trials.values())
    do_trials(tmp_path, lambda _: "mark", (*SEEDS, 4), counts)
    assert len(done) == 8 * 4
    do_trials(tmp_path, lambda c: "other" if c == BASE else "mark", SEEDS, counts)
    assert done[8 * 4 :] == [(BASE, seed) for seed in SEEDS]
    assert not [*tmp_path.rglob("*.tmp")]


def test_a_trial_counts_again_after_a_change_of_photos_sizes_or_its_own_weights_alone() -> None:
    vgg = Condition(network=next(c.network for c in conditions() if c.network == "vgg19"))
    imagenet = Weights(vgg19=Path("imagenet"))
    mark = fingerprint(["a"], FULL, BARE, BASE)
    assert mark == fingerprint(["a"], FULL, imagenet, BASE)
    assert mark != fingerprint(["a", "b"], FULL, BARE, BASE)
    assert mark != fingerprint(["a"], QUICK, BARE, BASE)
    assert fingerprint(["a"], FULL, BARE, vgg) != fingerprint(["a"], FULL, imagenet, vgg)


def test_a_photo_is_shown_in_its_augmented_versions_only_where_it_is_to_vary() -> None:
    views = np.broadcast_to(np.arange(3, dtype=np.float16)[:, None, None], (3, 5, 2))
    rows, seeds = np.arange(5), [(1, place) for place in range(5)]
    varied = ViewPhotos(views, vary=True).augmented(rows, seeds)
    assert set(np.unique(varied)) == {1.0, 2.0}
    assert np.array_equal(varied, ViewPhotos(views, vary=True).augmented(rows, seeds))
    assert not ViewPhotos(views, vary=False).augmented(rows, seeds).any()
    assert not ViewPhotos(views, vary=True).plain(rows).any()


def test_a_difference_is_told_only_where_chance_does_not_explain_it() -> None:
    assert difference([0.05, 0.06, 0.05])["told"]
    assert not difference([0.05, -0.06, 0.02])["told"]
    assert not difference([0.0, 0.0, 0.0])["told"]
    assert not difference([0.4])["told"]


def test_the_words_follow_the_numbers() -> None:
    tables = {table["name"]: table for table in results()["tables"]}
    assert "“own CNN” is worse than “FaceNet” by 30.0 points" in shows(tables["network"])[0]
    assert "cannot be told apart" in shows(tables["loss"])[0]


def test_the_page_is_whole_names_the_constant_answer_everywhere_and_shows_nobody() -> None:
    text = page(results()).replace("&nbsp;", " ")
    assert text.count("any constant answer") >= 5
    assert "complements" in text
    assert not re.search(r'(?:src|href)="(?!#)|url\((?!#)|<img|<script', text)
    for table in TABLES:
        assert table.title in text
        for row in table.rows:
            assert row.source.split(",")[0] in text
    assert json.loads(json.dumps(results()))["tables"]
