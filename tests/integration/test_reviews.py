"""Cases: claimed by one person at a time, answered blind."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from pipeline.verdict import Gender, Reason, Status
from support.cases import (
    APPROVE,
    CANNOT_TELL,
    DIFFERENT,
    ESCALATE,
    REJECT,
    SAME,
    a_store,
    answered,
    claimed,
    judged,
    looked,
    rows,
    standing,
)
from support.jobs import KIM, LEASE, MOST, NOW, PHOTOS, SELFIE, a_job, a_verdict, later
from support.together import together, while_open
from worker.errors import CaseChanged, CaseGone, ClaimLost, NotPossible
from worker.store import Attempt, Effect, Store
from worker.store.tables.states import Phase


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    """With an app that listens, which hears of a decision after a minute."""
    return a_store(engine)


# The queue


def test_a_case_opens_with_a_review_moves_with_new_photos_and_ends_with_better_ones(store: Store) -> None:
    judged(store)
    [case] = rows(store, store.database.t.review_case)
    assert (case["request_id"], case["cause"], case["opened_at"]) == ("r1", "verdict", NOW)
    assert case["due_at"] == NOW + timedelta(hours=24)
    claim, _ = looked(store)
    store.requests.accept(a_job("r2", at=later(5)), "verify", later(5))
    assert store.reviews.queue.claim_next("lee", later(400)) is None  # its newest photos are not judged yet
    with pytest.raises(CaseChanged, match="r2, which is queued"):
        store.reviews.decisions.decide(claim, APPROVE, later(6))
    attempt = store.requests.acquire("r2", "w", LEASE, MOST, later(7))
    assert isinstance(attempt, Attempt)
    store.requests.finish(attempt, a_verdict(Status.APPROVED), later(8))
    with pytest.raises(ClaimLost, match="nobody has"):
        store.reviews.decisions.decide(claim, APPROVE, later(9))
    assert claimed(store, "lee", 10).request_id == "r2"
    judged(store, "d1", "doubtful", reason=Reason.PRIMARY_UNSURE)
    judged(store, "d2", "doubtful", 5, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    assert not store.reviews.queue.is_open("doubtful")
    assert [row["closed_at"] for row in rows(store, store.database.t.review_case)] == [None, later(5)]


def test_a_request_that_died_can_be_rejected_and_not_approved(store: Store) -> None:
    judged(store)
    store.requests.accept(a_job("r2", at=later(5)), "verify", later(5))
    store.requests.give_up("r2", "poison", "boom", later(6))
    claim, view = looked(store, at=7)
    assert (claim.request_id, view.to_answer) == ("r2", ())
    with pytest.raises(NotPossible, match="is dead"):
        store.reviews.decisions.decide(claim, APPROVE, later(8))
    assert store.reviews.decisions.decide(claim, REJECT, later(8)).status is Status.REJECTED


def test_cases_come_by_priority_then_by_when_they_are_due_and_nobody_gets_anothers(store: Store) -> None:
    for n in (3, 1, 2):
        judged(store, f"r{n}", f"m{n}", n)
    case = store.database.t.review_case
    with store.database.engine.begin() as c:
        c.execute(sa.update(case).where(case.c.member_id == "m3").values(priority=0))
    assert [claimed(store, by, 9).member_id for by in ("a", "b", "c")] == ["m3", "m1", "m2"]
    assert store.reviews.queue.claim_next("d", later(9)) is None
    assert claimed(store, "a", 100).member_id == "m3"  # one's own comes again
    assert claimed(store, "d", 9 + 301).member_id == "m1"  # and another's when its claim has run out
    page = store.reviews.queue.page(later(86400 + 2), limit=2)
    assert (page.open, page.overdue, [one.member_id for one in page.cases]) == (3, 2, ["m3", "m1"])
    rest = store.reviews.queue.page(later(310), limit=2, after=page.after)
    assert ([one.member_id for one in rest.cases], rest.after, rest.claimed) == (["m2"], None, 2)
    with pytest.raises(NotPossible, match="no case 99"):
        store.reviews.queue.page(NOW, after=99)


def test_two_reviewers_at_the_same_moment_get_two_cases(store: Store) -> None:
    for n in range(2):
        judged(store, f"r{n}", f"m{n}")
    claims = together([partial(store.reviews.queue.claim_next, name, NOW) for name in ("a", "b")])
    assert {claim.member_id for claim in claims} == {"m0", "m1"}


def test_a_case_that_an_earlier_version_did_not_open_is_found(store: Store) -> None:
    judged(store)
    judged(store, "r2", "m2")
    t = store.database.t
    with store.database.engine.begin() as c:
        c.execute(sa.delete(t.review_case).where(t.review_case.c.member_id == "m1"))
        c.execute(sa.update(t.review_case).values(request_id="older"))
    assert store.reviews.missed.follow(later(9)) == 2
    assert store.reviews.missed.follow(later(9)) == 0
    assert {claimed(store, by, 10).request_id for by in ("a", "b")} == {"r1", "r2"}


# Claims


def test_a_claim_that_ran_out_or_is_anothers_is_refused_with_who_has_it(store: Store) -> None:
    judged(store)
    claim = answered(store)
    with pytest.raises(ClaimLost, match=r"ran out at 07:05:00 UTC.*renews"):
        store.reviews.decisions.decide(claim, APPROVE, later(301))
    lee = claimed(store, "lee", 301)
    with pytest.raises(ClaimLost, match=r"lee has the case of m1, until 07:10:01") as refusal:
        store.reviews.decisions.decide(claim, APPROVE, later(302))
    assert refusal.value.reviewer == "lee"
    with pytest.raises(NotPossible, match="nobody has looked"):
        store.reviews.decisions.decide(lee, APPROVE, later(303))
    with pytest.raises(NotPossible, match="nobody has looked"):
        store.reviews.answers.answer(lee, {1: SAME, 2: SAME}, later(303))
    store.reviews.queue.look(lee, KIM, later(303))
    with pytest.raises(NotPossible, match="photos of m1 come first"):
        store.reviews.decisions.decide(lee, APPROVE, later(304))
    renewed = claimed(store, "lee", 700)
    assert renewed.attempt == lee.attempt + 1
    with pytest.raises(ClaimLost):
        store.reviews.decisions.decide(lee, APPROVE, later(701))
    store.reviews.queue.release(renewed, later(702))
    again = claimed(store, "kim", 703)  # whose answers hold: the photos are the same
    assert store.reviews.queue.look(again, KIM, later(703)).evidence is not None
    assert store.reviews.decisions.decide(again, APPROVE, later(704)).effect is Effect.DECIDED
    with pytest.raises(CaseGone, match="closed"):
        store.reviews.decisions.decide(again, REJECT, later(705))
    assert len(rows(store, store.database.t.decision)) == 1


def test_of_a_member_who_was_erased_meanwhile_nothing_is_decided_and_nothing_is_left(store: Store) -> None:
    judged(store)
    claim = answered(store)
    store.reviews.decisions.decide(claim, ESCALATE, later(1))
    claim = answered(store, "lee", 2)
    removed = store.members.forget("m1", later(3)).removed
    assert (removed["review_case"], removed["review_vote"], removed["label"]) == (1, 1, 4)
    with pytest.raises(CaseGone, match="no member m1 any more"):
        store.reviews.decisions.decide(claim, APPROVE, later(4))
    assert store.reviews.queue.claim_next("lee", later(5)) is None
    t = store.database.t
    assert not any(rows(store, table) for table in (t.review_case, t.review_vote, t.label))


def test_nobody_decides_about_their_own_account(store: Store) -> None:
    judged(store)
    assert store.reviews.queue.claim_next("M1", NOW) is None
    case = store.database.t.review_case
    with store.database.engine.begin() as c:
        c.execute(sa.update(case).values(reviewer="m1", attempts=1, lease_until=later(99)))
    claim = store.reviews.queue.claim_of("m1")
    assert claim is not None
    with pytest.raises(NotPossible, match="own account"):
        store.reviews.queue.look(claim, KIM, later(1))
    with pytest.raises(NotPossible, match="own account"):
        store.reviews.decisions.reopen("m1", "m1", later(1))
    for name in ("", "k" * 256, "ki\nm"):
        with pytest.raises(NotPossible, match="name has 1 to 255"):
            store.reviews.queue.claim_next(name, later(1))


def test_a_decision_waits_for_a_request_that_comes_in_and_then_refuses(store: Store) -> None:
    judged(store)
    claim = answered(store)
    newer = a_job("r2", at=later(1))
    outcome = while_open(
        store.database.engine,
        lambda c: store.requests._acceptance.accept(c, newer, "verify", later(1)),
        lambda: store.reviews.decisions.decide(claim, APPROVE, later(1)),
    )
    assert isinstance(outcome, CaseChanged)
    assert standing(store)[0] is Status.REVIEW


# Answers


def test_every_photo_is_answered_before_anything_else_is_seen_and_the_answers_are_labels(
    store: Store,
) -> None:
    judged(store, reason=Reason.GENDER_CONFLICT)
    claim, view = looked(store)
    assert view.evidence is None
    assert [(p.position, p.fetched, p.answer) for p in view.photos] == [
        *((0, True, None), (1, True, None), (2, True, None)),
    ]
    assert view.photos[1].url == "https://photos.example.com/m1/1.jpg"
    for words, why in (({1: SAME}, "every photo needs an answer"), ({1: SAME, 7: SAME}, "no photo 7")):
        with pytest.raises(NotPossible, match=why):
            store.reviews.answers.answer(claim, words, later(1))
    store.reviews.answers.answer(claim, {1: SAME, 2: DIFFERENT}, later(1), genders={2: Gender.MALE})
    seen = store.reviews.queue.look(claim, KIM, later(2)).evidence
    assert seen is not None
    assert (seen.reason, seen.declared_gender, seen.request.similarity) == (
        *(Reason.GENDER_CONFLICT, "female", 0.83),
    )
    assert seen.request.gender is None
    done = store.reviews.answers.answer(claim, {1: SAME, 2: CANNOT_TELL}, later(3))
    assert [(one.position, one.phase) for one in done.new] == [(2, Phase.EVIDENCE)]
    written = [
        (row["position"], row["label"], row["phase"], row["gender"], row["sha256"])
        for row in rows(store, store.database.t.label)
    ]
    files = {photo.position: photo.sha256 for photo in PHOTOS}
    assert written == [
        (1, "genuine", "blind", None, files[1]),
        (2, "impostor", "blind", "male", files[2]),
        (2, "cannot_tell", "evidence", None, files[2]),
    ]
    assert {row["selfie_sha256"] for row in rows(store, store.database.t.label)} == {SELFIE.sha256}
    assert [one.looked_by for one in store.accesses.of_member("m1")] == ["kim", "kim"]


def test_photos_that_changed_since_the_look_are_neither_answered_nor_decided(store: Store) -> None:
    judged(store)
    claim = answered(store)
    vp = store.database.t.verification_photo
    with store.database.engine.begin() as c:
        c.execute(sa.update(vp).where(vp.c.position == 1).values(sha256="f" * 64))
    for act in (
        lambda: store.reviews.decisions.decide(claim, APPROVE, later(1)),
        lambda: store.reviews.answers.answer(claim, {1: DIFFERENT}, later(1)),
    ):
        with pytest.raises(CaseChanged, match="others than you saw"):
            act()
    view = store.reviews.queue.look(claim, KIM, later(2))
    assert (view.to_answer, view.evidence) == ((1,), None)
    store.reviews.answers.answer(claim, {1: DIFFERENT, 2: SAME}, later(3))
    assert store.reviews.decisions.decide(claim, REJECT, later(4)).status is Status.REJECTED
