"""Simulated members: drawn from labelled people, decided by the product's rules, the same every time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from pipeline.evaluation.protocol import fit_without
from pipeline.evaluation.simulated.members import (
    Member,
    MemberKind,
    MemberSampler,
    Mix,
    Photo,
    Sent,
)
from pipeline.evaluation.simulated.population import (
    Heads,
    Population,
    Retouched,
    groups_by_split,
    labelled_faces,
    populations_of,
)
from pipeline.evaluation.simulated.simulation import decide_member, simulate
from pipeline.fitting.fit import FEMALE
from pipeline.score import Thresholds
from pipeline.verdict import Gender, Reason, Status
from support.made_up_faces import SETTINGS, Town, poisoned

SAME_SEED = 7
LOOSE = Thresholds(approve=-10.0, different=-20.0, scale=1.0)


def populations(town: Town, touched: Retouched | None = None) -> list[Population]:
    return populations_of(
        groups_by_split(town.faces, town.people),
        labelled_faces(town.faces, town.embedded, town.people),
        Heads(lambda tested: fit_without(tested, town.table, SETTINGS), SETTINGS),
        touched,
    )


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(people=40)


@pytest.fixture(scope="module")
def population(town: Town) -> Population:
    """Without replays by score: made-up photos of one person are more alike than real ones."""
    return replace(populations(town)[0], replay_score=float("inf"))


def drawn(population: Population, kind: MemberKind, mix: Mix | None = None, count: int = 200) -> list[Member]:
    return list(MemberSampler(population, mix or Mix(), np.random.default_rng(SAME_SEED)).draw(kind, count))


def person(population: Population, row: int) -> int:
    return int(population.table.identity[row])


def rows_of(population: Population, place: int) -> list[int]:
    who = np.unique(population.table.identity[: population.plain])[place]
    return [int(row) for row in np.flatnonzero(population.table.identity == who)]


def verdict(
    population: Population, selfie: int | None, *photos: Photo, face: int | None = None
) -> tuple[Status, Reason]:
    face = selfie if selfie is not None else face
    assert face is not None
    member = Member(MemberKind.HONEST, face, selfie, photos)
    gender = Gender.FEMALE if population.table.gender[face] == FEMALE else Gender.MALE
    decision = decide_member(population, member, gender)
    return decision.status, decision.reason


def test_an_honest_member_shows_nobody_but_the_member_alone_on_a_photo(population: Population) -> None:
    for member in drawn(population, MemberKind.HONEST):
        for photo in member.photos:
            if photo.sent not in (Sent.GROUP, Sent.JUNK):
                assert person(population, photo.faces[0]) == person(population, member.face)
                assert photo.faces[0] != member.face


def test_no_photo_is_sent_twice_by_an_honest_member(population: Population) -> None:
    for member in drawn(population, MemberKind.HONEST):
        mine = [
            f
            for p in member.photos
            for f in p.faces
            if person(population, f) == person(population, member.face)
        ]
        assert len(set(mine)) == len(mine)


@pytest.mark.parametrize("kind", [MemberKind.IMPOSTOR, MemberKind.LOOK_ALIKE])
def test_an_impostor_shows_one_other_person_of_the_same_gender(
    population: Population, kind: MemberKind
) -> None:
    solo = Mix(sent={Sent.SOLO: 1.0})
    for member in drawn(population, kind, solo):
        shown = {person(population, photo.faces[0]) for photo in member.photos if photo.faces}
        assert len(shown) == 1
        assert shown != {person(population, member.face)}
        genders = population.table.gender[[p.faces[0] for p in member.photos]]
        assert (genders == population.table.gender[member.face]).all()


def test_an_impostor_whose_age_is_known_shows_a_person_of_near_age(population: Population) -> None:
    ages = np.where(population.table.identity % 4 < 2, 30, 60)
    aged = replace(population, ages=ages)
    for member in drawn(aged, MemberKind.IMPOSTOR, Mix(sent={Sent.SOLO: 1.0})):
        assert {int(ages[photo.faces[0]]) for photo in member.photos} == {int(ages[member.face])}


def test_a_look_alike_is_more_alike_than_another_person(population: Population) -> None:
    solo = Mix(sent={Sent.SOLO: 1.0}, junk_selfie=0.0)

    def mean(kind: MemberKind) -> float:
        members = drawn(population, kind, solo)
        return float(np.mean([population.score(m.face, [m.photos[0].faces[0]])[0] for m in members]))

    assert mean(MemberKind.LOOK_ALIKE) > mean(MemberKind.IMPOSTOR) + 0.05


def test_an_old_photo_is_the_least_alike_that_is_left(population: Population) -> None:
    for member in drawn(population, MemberKind.HONEST, Mix(sent={Sent.OLD: 1.0}, junk_selfie=0.0)):
        first = member.photos[0].faces[0]
        others = [
            row
            for row in np.flatnonzero(population.table.identity == person(population, member.face)).tolist()
            if row not in (member.face, first)
        ]
        assert population.score(member.face, [first])[0] <= population.score(member.face, others).min()


def test_men_and_women_take_turns_however_many_there_are_of_each(population: Population) -> None:
    women = np.unique(population.table.identity[population.table.gender == FEMALE])
    few_women = ~np.isin(population.table.identity, women[2:])
    assert 0 < np.sum(population.table.gender[few_women] == FEMALE) < np.sum(few_women) / 4
    fewer = replace(
        population,
        table=population.table.only(few_women),
        ages=population.ages[few_women],
        projected={name: rows[few_women] for name, rows in population.projected.items()},
        plain=int(few_women.sum()),
    )
    genders = [int(fewer.table.gender[member.face]) for member in drawn(fewer, MemberKind.HONEST)]
    assert sum(genders) == len(genders) / 2


def test_findings_lead_to_the_verdicts_that_the_rules_foresee(population: Population) -> None:
    mine, theirs, others = (rows_of(population, place) for place in (0, 1, 2))
    assert verdict(population, mine[0], Photo(Sent.SOLO, (mine[1],))) == (Status.APPROVED, Reason.SAME_PERSON)
    somebody = Photo(Sent.SOLO, (theirs[0],))
    assert verdict(population, mine[0], somebody) == (Status.REVIEW, Reason.DIFFERENT_PERSON)
    group = Photo(Sent.GROUP, (mine[1], theirs[0], others[0]))
    assert verdict(population, mine[0], group) == (Status.RETRY_PHOTO, Reason.NO_SOLO_PHOTO)
    assert verdict(population, mine[0], Photo(Sent.JUNK)) == (Status.RETRY_PHOTO, Reason.NO_USABLE_PHOTO)
    unseen = verdict(population, None, Photo(Sent.SOLO, (mine[1],)), face=mine[0])
    assert unseen == (Status.RETRY_PHOTO, Reason.SELFIE_NO_FACE)


def test_the_selfie_itself_among_the_photos_is_noticed_by_its_score(population: Population) -> None:
    mine = rows_of(population, 0)
    watchful = replace(population, replay_score=0.9999)
    assert verdict(watchful, mine[0], Photo(Sent.SOLO, (mine[0],)))[1] is Reason.SAME_PICTURE


def test_a_retouched_photo_is_drawn_only_as_one_and_stands_for_its_own_person(town: Town) -> None:
    files = [face.file for face in town.faces]
    embeddings = {"a": np.roll(town.embedded.embeddings["a"], 1, axis=1)}
    for population in populations(town, Retouched(files, embeddings)):
        assert len(population.retouched) == population.plain
        members = drawn(population, MemberKind.HONEST)
        for member in members:
            for photo in member.photos:
                copies = [face >= population.plain for face in photo.faces]
                assert all(copies) if photo.sent is Sent.RETOUCHED else not any(copies)
        retouched = [(m, p) for m in members for p in m.photos if p.sent is Sent.RETOUCHED]
        assert retouched
        assert all(person(population, p.faces[0]) == person(population, m.face) for m, p in retouched)


def test_the_heads_of_a_population_know_none_of_its_people(town: Town) -> None:
    named = groups_by_split(town.faces, town.people)
    assert set(named) == {"part0", "part1"}
    labelled = labelled_faces(town.faces, town.embedded, town.people)
    for name, people in named.items():
        bad = poisoned(town.table, people.tolist())
        population = populations_of(
            {name: people},
            replace(labelled, table=bad),
            Heads(partial(fit_without, table=bad, settings=SETTINGS), SETTINGS),
        )[0]
        assert np.isfinite(population.gender.weights["a"]).all()
        assert np.isfinite(population.replay_score)
        assert np.isfinite(population.pair_scorer.thresholds(-1, -1).approve)


def test_the_same_seed_gives_the_same_members_and_another_seed_others(town: Town) -> None:
    every = populations(town)
    first, again, other = (simulate(every, honest=60, impostors=60, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["honest"] != other["honest"]


def test_shares_add_up_and_are_told_by_gender_and_by_age(town: Town) -> None:
    result = simulate(populations(town), honest=100, impostors=50)
    for kind in ("honest", "impostor", "look_alike"):
        for row in result[kind].values():
            assert row["approved"] + row["undecided"] + row["sent_back"] == pytest.approx(1)
            assert sum(row["reasons"].values()) == row["members"]
    honest = result["honest"]
    assert honest["all"]["members"] == honest["female"]["members"] + honest["male"]["members"]
    assert honest["50 and over"]["members"] > 0
    assert "under 50" not in honest
    assert honest["all"]["wrongly_sent_back"] == 0
    assert honest["all"]["decided"] == pytest.approx(honest["all"]["approved"] + honest["all"]["sent_back"])


def test_people_who_cannot_be_told_apart_show_as_wrong_approvals() -> None:
    blurred = Town(people=40, spread=0.0)
    everybody = replace(populations(blurred)[0], replay_score=float("inf"))
    loose = replace(
        everybody, pair_scorer=replace(everybody.pair_scorer, thresholds=lambda _one, _other: LOOSE)
    )
    result = simulate([loose], honest=10, impostors=40, mix=Mix(sent={Sent.SOLO: 1.0}, junk_selfie=0.0))
    assert result["impostor"]["all"]["wrongly_approved"] > 0.9
