"""The promotion gate on people whose embeddings are made up, so that who is worse is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest

from pipeline.bundles.models import HeadParams, ReplayLimits
from pipeline.faces.occlusion import OcclusionClassifier
from pipeline.faces.quality import QualityLimits
from pipeline.fitting.fit import MALE, FaceTable, fit_gender, fit_scorer, pair_scores
from pipeline.fitting.metrics import threshold_at_fmr
from pipeline.promotion.bootstrap import (
    FacePairs,
    difference,
    draw_people,
    lost,
    resampled_thresholds,
    shares,
)
from pipeline.promotion.gate import GateReport, GateRules, check_challenger
from pipeline.promotion.label_checks import LabelLimits, label_figures, label_problems
from pipeline.promotion.paired_scores import FrozenFaces
from pipeline.score import GenderHead, Scorer, Thresholds, Tower
from support.made_up_faces import SETTINGS, Town

RULES = GateRules(rounds=200)
FITTED = replace(SETTINGS, approve_fmr=0.001, dimensions={"a": 16})
TOWN = Town(120, photos=4).table
AGES = np.where(TOWN.identity < 40, 63, 41)


def params_of(table: FaceTable) -> HeadParams:
    nothing_hidden = OcclusionClassifier({}, {})
    scorer, gender = fit_scorer(table, FITTED), fit_gender(table, FITTED)
    return HeadParams(scorer, gender, nothing_hidden, QualityLimits(), ReplayLimits())


CHAMPION = params_of(TOWN)
FACES = FrozenFaces(TOWN, AGES)


def judged(challenger: HeadParams, faces: FrozenFaces = FACES, rules: GateRules = RULES) -> GateReport:
    report = check_challenger(CHAMPION, challenger, faces, rules)
    assert json.loads(json.dumps(report.figures)) == report.figures
    assert report.passed == (not report.reasons)
    return report


def projecting(projection: np.ndarray, params: HeadParams = CHAMPION) -> HeadParams:
    """The champion with another projection, its edges set anew."""
    tower = replace(params.scorer.towers["a"], projection=projection.astype(np.float32))
    scorer = Scorer({"a": tower}, params.scorer.thresholds)
    impostors = pair_scores(scorer, TOWN)[1]
    thresholds = replace(scorer.thresholds, approve=threshold_at_fmr(impostors, 0.001), different=-1.0)
    return replace(params, scorer=replace(scorer, thresholds=thresholds))


def with_thresholds(approve: float, params: HeadParams = CHAMPION) -> HeadParams:
    thresholds = replace(params.scorer.thresholds, approve=approve, different=min(approve, -0.5))
    return replace(params, scorer=replace(params.scorer, thresholds=thresholds))


def blurred(rows: np.ndarray, chosen: np.ndarray, noise: float) -> FrozenFaces:
    """The test faces as a challenger's networks see them that make these ones unclear."""
    seen = rows + noise * chosen[:, None] * np.random.default_rng(5).normal(size=rows.shape) / 4
    return replace(FACES, challenger_embeddings={"a": seen.astype(np.float32)})


EMBEDDINGS = TOWN.embeddings["a"]
PROJECTION = CHAMPION.scorer.towers["a"].projection


# Who may pass.


def test_a_challenger_that_judges_as_the_champion_does_passes_and_differs_by_nothing() -> None:
    report = judged(CHAMPION)
    assert report.passed
    figures = report.figures["fnmr_at_fmr"]["all"]
    assert (figures["low95"], figures["high95"]) == (0, 0)


def test_a_challenger_that_hardly_differs_passes() -> None:
    nudged = PROJECTION + 0.01 * np.random.default_rng(1).normal(size=PROJECTION.shape)
    report = judged(projecting(nudged))
    assert report.reasons == ()
    assert set(report.figures["fnmr_at_fmr"]) == {"all", "women", "men", "age 40-49", "age 60-69"}


def test_a_challenger_that_is_better_passes_and_the_figures_show_it() -> None:
    weak = projecting(PROJECTION[:, :9])
    report = check_challenger(weak, CHAMPION, FACES, RULES)
    assert report.passed
    assert report.figures["fnmr_at_fmr"]["all"]["high95"] < 0


def test_a_challenger_with_another_network_is_compared_on_its_own_embeddings() -> None:
    turned = np.linalg.qr(np.random.default_rng(3).normal(size=(16, 16)))[0]
    tower = Tower(np.zeros(16, np.float32), (turned.T @ PROJECTION).astype(np.float32), 1.0)
    mean = CHAMPION.scorer.towers["a"].mean @ turned
    gender = GenderHead(
        {"b": (CHAMPION.gender.weights["a"] @ turned).astype(np.float32)}, CHAMPION.gender.bias, 0.7
    )
    scorer = Scorer({"b": replace(tower, mean=mean.astype(np.float32))}, CHAMPION.scorer.thresholds)
    faces = replace(FACES, challenger_embeddings={"b": (EMBEDDINGS @ turned).astype(np.float32)})
    report = judged(replace(CHAMPION, scorer=scorer, gender=gender), faces)
    assert report.reasons == ()
    assert set(report.figures["collapse"]) == {"b"}


# Who may not, and why.


def test_a_challenger_that_tells_people_apart_less_well_is_rejected() -> None:
    report = judged(projecting(PROJECTION[:, :6]))
    assert not report.passed
    assert any(reason.startswith("FNMR at FMR 0.1% (all): ") for reason in report.reasons)


def test_a_challenger_that_is_worse_for_one_age_alone_is_rejected_for_that() -> None:
    lenient = replace(RULES, fnmr_margin=0.9, edge_fnmr_margin=0.9, different_margin=0.9)
    report = judged(CHAMPION, blurred(EMBEDDINGS, AGES == 63, 0.3), lenient)
    assert report.reasons
    assert all("age 60-69" in reason for reason in report.reasons)


def test_a_slice_with_few_people_is_not_judged_on_its_own_and_the_figures_say_so() -> None:
    faces = replace(blurred(EMBEDDINGS, TOWN.identity < 5, 3.0), age=np.where(TOWN.identity < 5, 63, 41))
    report = judged(CHAMPION, faces, replace(RULES, fnmr_margin=0.9, slice_margin=0.9, edge_fnmr_margin=0.9))
    assert "too few" in report.figures["fnmr_at_fmr"]["age 60-69"]
    assert not [reason for reason in report.reasons if "age 60-69" in reason]


def test_an_approve_threshold_that_lets_impostors_in_is_rejected_however_well_people_are_told_apart() -> None:
    impostors = pair_scores(CHAMPION.scorer, TOWN)[1]
    report = judged(with_thresholds(threshold_at_fmr(impostors, 0.01)))
    assert any("FMR at the approve threshold (all)" in reason for reason in report.reasons)
    assert not any("FMR 0.1%" in reason for reason in report.reasons)


def test_an_approve_threshold_that_nobody_reaches_is_rejected() -> None:
    report = judged(with_thresholds(0.97))
    assert [reason for reason in report.reasons if reason.startswith("FNMR at the approve threshold")]


def test_a_different_threshold_that_calls_honest_members_somebody_else_is_rejected() -> None:
    thresholds = replace(CHAMPION.scorer.thresholds, approve=0.9, different=0.9)
    report = judged(replace(CHAMPION, scorer=replace(CHAMPION.scorer, thresholds=thresholds)))
    assert any(reason.startswith("genuine pairs called different people") for reason in report.reasons)


def test_a_stricter_threshold_is_no_fault_where_the_champion_let_too_many_in() -> None:
    impostors = pair_scores(CHAMPION.scorer, TOWN)[1]
    lax, strict = (with_thresholds(threshold_at_fmr(impostors, rate)) for rate in (0.3, 0.001))
    assert check_challenger(lax, strict, FACES, RULES).passed


def test_a_gender_head_that_calls_everybody_a_man_is_rejected() -> None:
    report = judged(replace(CHAMPION, gender=replace(CHAMPION.gender, bias=50.0)))
    told = [reason for reason in report.reasons if reason.startswith("wrong gender")]
    assert [reason.split(":")[0] for reason in told] == [
        "wrong gender (all)", "wrong gender (women)", "wrong gender (age 40-49)", "wrong gender (age 60-69)",
    ]  # fmt: skip


def test_a_new_gender_head_cannot_be_judged_by_one_gender_alone() -> None:
    men = FACES.only(TOWN.gender == MALE)
    assert judged(CHAMPION, men).passed
    report = judged(replace(CHAMPION, gender=replace(CHAMPION.gender, bias=1.0)), men)
    assert report.reasons == ("the test set has 0 faces of women, 60 are needed to judge a new gender head",)


@pytest.mark.parametrize(
    ("ruin", "what"),
    [
        (lambda p: np.outer(p[:, 0], np.ones(16)), "directions"),
        (lambda p: p @ np.diag([1.0, 1.0, *[0.01] * 14]), "gap"),
    ],
)
def test_collapsed_embeddings_are_rejected(ruin: Callable[[np.ndarray], np.ndarray], what: str) -> None:
    report = judged(projecting(ruin(PROJECTION)))
    assert any("a embeddings have collapsed: " + what in reason for reason in report.reasons)


def test_embeddings_that_all_lie_at_one_point_are_rejected() -> None:
    tower = CHAMPION.scorer.towers["a"]
    far = replace(CHAMPION.scorer, towers={"a": replace(tower, mean=tower.mean + 100)})
    report = judged(replace(CHAMPION, scorer=far))
    assert any("collapsed: spread" in reason for reason in report.reasons)


def test_a_tower_that_collapsed_is_seen_though_it_weighs_little() -> None:
    both = Scorer(
        {"a": CHAMPION.scorer.towers["a"], "b": replace(CHAMPION.scorer.towers["a"], weight=0.01)},
        CHAMPION.scorer.thresholds,
    )
    gone = replace(both.towers["b"], projection=np.zeros((16, 16), np.float32))
    table = replace(TOWN, embeddings={"a": EMBEDDINGS, "b": EMBEDDINGS})
    report = check_challenger(
        replace(CHAMPION, scorer=both),
        replace(CHAMPION, scorer=replace(both, towers={**both.towers, "b": gone})),
        replace(FACES, table=table),
        RULES,
    )
    assert any(reason.startswith("the b embeddings have collapsed") for reason in report.reasons)


def test_numbers_that_are_none_are_rejected_and_nothing_is_compared_with_them() -> None:
    report = judged(projecting(np.where(np.arange(16) < 1, np.nan, PROJECTION)))
    assert report.reasons == ("the challenger's numbers are not finite",)
    assert "fnmr_at_fmr" not in report.figures


def test_thresholds_the_wrong_way_round_are_rejected() -> None:
    thresholds = Thresholds(approve=0.3, different=0.6, scale=9.0)
    report = judged(replace(CHAMPION, scorer=replace(CHAMPION.scorer, thresholds=thresholds)))
    assert report.reasons == ("the challenger's approve threshold lies below its different threshold",)


# The test set itself.


def test_with_too_few_people_nobody_is_promoted_automatically() -> None:
    report = judged(CHAMPION, FACES.only(TOWN.identity < 48), rules=replace(RULES, impostors=100))
    assert report.reasons == ("the test set has 48 people, 50 are needed: no automatic promotion",)
    assert judged(CHAMPION, FACES.only(TOWN.identity < 0)).reasons[0].startswith("the test set has 0 people")


def test_people_with_one_photo_each_make_no_test_set() -> None:
    first = np.arange(len(TOWN.identity)) % 4 == 0
    assert any(
        "0 genuine pairs, 200 are needed" in reason for reason in judged(CHAMPION, FACES.only(first)).reasons
    )


def test_a_test_set_with_wrong_labels_judges_nobody() -> None:
    wrong = TOWN.identity.copy()
    wrong[::16] = (wrong[::16] + 2) % 120
    report = judged(CHAMPION, replace(FACES, table=replace(TOWN, identity=wrong)))
    assert any("of the test set's own pairs contradict their labels" in reason for reason in report.reasons)


def test_of_a_person_with_hundreds_of_photos_a_few_are_tested() -> None:
    identity = np.where(np.arange(len(TOWN.identity)) < 40, 0, TOWN.identity)
    few = FrozenFaces(replace(TOWN, identity=identity), AGES).at_most(people=500, photos=3, seed=1)
    assert np.bincount(few.table.identity).max() == 3
    assert few.table.embeddings["a"][:3].tolist() == EMBEDDINGS[:3].tolist()
    assert len(few.age) == len(few.table.identity)


def test_of_very_many_people_some_are_drawn_the_same_ones_each_time() -> None:
    few, again = (FACES.at_most(people=30, photos=9, seed=1) for _ in range(2))
    assert len(np.unique(few.table.identity)) == 30
    assert len(few.table.identity) == 30 * 4
    assert np.array_equal(few.table.identity, again.table.identity)


# The labels that it was taught.


def labels(identity: np.ndarray, gender: np.ndarray = TOWN.gender) -> list[str]:
    figures = label_figures(replace(TOWN, identity=identity, gender=gender), CHAMPION)
    report = check_challenger(CHAMPION, CHAMPION, FACES, RULES, figures)
    assert report.figures["training_labels"] == asdict(figures)
    assert list(report.reasons) == label_problems(figures, LabelLimits())
    return list(report.reasons)


def swapped(share: float) -> np.ndarray:
    """Every second photo of this share of the people stands under another name."""
    people = round(share * 120)
    wrong = (TOWN.identity < people) & (np.arange(len(TOWN.identity)) % 2 == 1)
    return np.where(wrong, (TOWN.identity + 2) % people, TOWN.identity)


def test_honest_labels_are_believed() -> None:
    assert labels(TOWN.identity) == []


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_swapped_identities_are_seen_in_the_labels(share: float) -> None:
    (reason,) = labels(swapped(share))
    assert "of the labelled pairs contradict the faces" in reason


def test_one_person_with_most_of_the_faces_is_seen_in_the_labels() -> None:
    dominating = np.where(np.arange(len(TOWN.identity)) % 4 == 0, TOWN.identity, 200)
    assert any(
        reason.startswith("one person has 75.0% of the training faces") for reason in labels(dominating)
    )


def test_labels_that_call_everybody_a_man_are_seen() -> None:
    told = labels(TOWN.identity, np.full(len(TOWN.identity), MALE))
    assert ["gender labels contradict the faces" in reason for reason in told] == [True, False]
    assert "only 0.0% of the people are of the rarer gender" in told[1]


# The arithmetic.


def random_pairs(rng: np.random.Generator, people: int, count: int) -> FacePairs:
    rows = rng.integers(0, people, (count, 2))
    rows[:, 1] = (rows[:, 0] + 1 + rows[:, 1] % (people - 1)) % people
    return FacePairs(rows[:, 0], rows[:, 1], rows[:, 0], rows[:, 1])


def test_thresholds_of_drawn_people_are_those_of_their_pairs_written_out() -> None:
    rng = np.random.default_rng(1)
    pairs, scores = random_pairs(rng, 30, 4000), rng.normal(size=4000)
    drawn = draw_people(30, 20, seed=1)
    found = resampled_thresholds(scores, pairs, drawn, 0.01)
    for often, threshold in zip(drawn, found, strict=True):
        written = np.repeat(scores, (often[pairs.one] * often[pairs.other]).astype(int))
        assert np.nextafter(threshold, np.inf) == threshold_at_fmr(written, 0.01)


def test_shares_of_drawn_people_are_those_of_their_pairs_written_out() -> None:
    rng = np.random.default_rng(2)
    owner, scores = rng.integers(0, 12, 300), rng.normal(size=300)
    genuine, drawn = FacePairs(owner, owner, owner, owner), draw_people(12, 20, seed=1)
    beyond = np.full(len(drawn), 0.3)
    for number, often in enumerate(drawn):
        written = np.repeat(scores, often[owner].astype(int))
        assert lost(scores, genuine, drawn, beyond)[number] == pytest.approx(np.mean(written <= 0.3))
        assert shares(scores <= 0.3, genuine, drawn)[number] == pytest.approx(np.mean(written <= 0.3))


def test_what_is_hard_for_both_cancels_out_of_the_difference() -> None:
    rng = np.random.default_rng(3)
    owner = np.repeat(np.arange(60), 5)
    pairs, drawn = FacePairs(owner, owner, owner, owner), draw_people(60, 500, seed=1)
    hard = rng.random(60)[owner] < 0.3
    also = hard | (rng.random(300) < 0.01)
    apart = difference(shares(hard, pairs, drawn), shares(also, pairs, drawn))
    alone = np.nanquantile(shares(hard, pairs, drawn)[1:], [0.025, 0.975])
    assert 0 <= apart.low95 <= apart.challenger - apart.champion <= apart.high95
    assert apart.high95 - apart.low95 < (alone[1] - alone[0]) / 4


def test_everybody_is_drawn_as_often_as_there_are_people() -> None:
    drawn = draw_people(7, 5, seed=1)
    assert drawn[0].tolist() == [1] * 7
    assert drawn.sum(axis=1).tolist() == [7] * 6
    assert np.array_equal(drawn, draw_people(7, 5, seed=1))
