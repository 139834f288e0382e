"""Decisions about cases: with a reason, by two people where it takes two, undone within a minute."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.verdict import Reason, Status
from support import reviews
from support.cases import (
    APPROVE,
    CANNOT_TELL,
    DIFFERENT,
    ESCALATE,
    NEW_PHOTO,
    REJECT,
    SAME,
    a_store,
    answered,
    claimed,
    events,
    judged,
    looked,
    rows,
    standing,
)
from support.jobs import KIM, NOW, later
from worker.errors import NotPossible
from worker.results.reviewer_reasons import ReviewReason
from worker.store import Effect, Ruling, Store, ruling
from worker.store.tables.states import Choice, PairLabel, Role


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    """With an app that listens, which hears of a decision after a minute."""
    return a_store(engine)


# Decisions


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ((Choice.APPROVE, "other_person"), "no reason to approve: there are same_person"),
        ((Choice.REJECT, "x" * 900), "no reason to reject"),
        ((Choice.APPROVE, "other"), "needs a note"),
        ((Choice.NEW_PHOTO, "too_dark"), "needs the number of a photo"),
        ((Choice.APPROVE, "same_person", 1), "needs the number of a photo"),
        ((Choice.UNDO, "same_person"), "no decision"),
        ((Choice.REJECT, "other_person", None, "x" * 1_000_000), "has 1,000,000 characters"),
        ((Choice.REJECT, "other_person", None, "a\x1b[2Jb"), "control characters"),
        ((Choice.REJECT, "other_person", None, "a\u202eb"), "control characters"),
        ((Choice.REJECT, "other_person", None, "a\ud800b"), "control characters"),
    ],
)
def test_a_decision_that_is_not_in_order_is_refused_before_anything_is_written(
    said: tuple[Any, ...], why: str
) -> None:
    with pytest.raises(NotPossible, match=why):
        ruling(*said)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        (DIFFERENT, Ruling(Choice.APPROVE, ReviewReason.SAME_PERSON)),
        (SAME, Ruling(Choice.REJECT, ReviewReason.OTHER_PERSON)),
    ],
)
def test_nobody_decides_the_opposite_of_their_answers_before_they_correct_one(
    store: Store, word: PairLabel, says: Ruling
) -> None:
    judged(store)
    claim = answered(store, word=word)
    with pytest.raises(NotPossible, match="the opposite of"):
        store.reviews.decisions.decide(claim, says, NOW)
    store.reviews.answers.answer(claim, {1: SAME if word is DIFFERENT else DIFFERENT}, NOW)
    assert store.reviews.decisions.decide(claim, says, NOW).effect is Effect.DECIDED


@pytest.mark.parametrize("what", [APPROVE, REJECT, NEW_PHOTO])
def test_a_decision_is_written_with_its_reason_and_leaves_what_the_machine_found(
    store: Store, what: Ruling
) -> None:
    judged(store, same_person=False, similarity=0.997)
    done = store.reviews.decisions.decide(answered(store), replace(what, note="안경 🙂"), later(3))
    assert standing(store) == (done.status, f"{done.status}_by_person")
    request = store.requests.find("r1")
    assert request is not None
    assert (request.status, request.machine_status) == (done.status, Status.REVIEW)
    assert (request.machine_reason, request.similarity) == (Reason.DIFFERENT_PERSON, 0.997)
    [decision] = request.decisions
    assert (decision.code, decision.note, decision.decided_by) == (what.code, "안경 🙂", "kim")
    [told] = rows(store, store.database.t.result)
    assert (told["status"], told["decided_by"], told["photo"]) == (done.status, "person", what.photo)
    if what is NEW_PHOTO:
        assert told["text_ko"].startswith("1번 사진이 너무 어둡게 나왔습니다. 얼굴이 잘 보이고")
        assert "photo 1" in told["text_en"].lower()
    assert not store.reviews.queue.is_open("m1")
    judged(store, "r2", at=60, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    assert standing(store)[0] is Status.APPROVED


def test_a_rejection_by_two_needs_another_person_and_a_new_request_voids_the_first(engine: sa.Engine) -> None:
    store = a_store(engine, rejection_votes=2)
    judged(store)
    assert store.reviews.decisions.decide(answered(store), REJECT, later(1)).effect is Effect.WAITS
    assert (standing(store)[0], events(store)) == (Status.REVIEW, [("completed", "review")])
    assert store.reviews.queue.claim_next("Kim", later(2)) is None  # the same person, whatever the spelling
    judged(store, "r2", at=5)
    assert store.reviews.decisions.decide(answered(store, at=6), REJECT, later(7)).effect is Effect.WAITS
    lee, view = looked(store, "lee", 8)
    assert (view.evidence, view.to_answer) == (None, (1, 2))
    store.reviews.answers.answer(lee, {1: DIFFERENT, 2: CANNOT_TELL}, later(9))
    evidence = store.reviews.queue.look(lee, KIM, later(9)).evidence
    assert evidence is not None
    assert evidence.votes == ()
    assert store.reviews.decisions.decide(lee, REJECT, later(10)).effect is Effect.DECIDED
    assert standing(store)[0] is Status.REJECTED
    judged(store, "o1", "other")
    assert store.reviews.decisions.decide(answered(store), REJECT, later(1)).effect is Effect.WAITS
    assert (
        store.reviews.decisions.decide(answered(store, "lee"), APPROVE, later(2)).effect is Effect.ESCALATED
    )
    last, view = looked(store, "park", 3)
    assert view.evidence is None
    store.reviews.answers.answer(last, {1: SAME, 2: SAME}, later(3))
    evidence = store.reviews.queue.look(last, KIM, later(4)).evidence
    assert evidence is not None
    assert [(vote.voted_by, vote.choice) for vote in evidence.votes] == [
        ("kim", "reject"),
        ("lee", "approve"),
    ]
    assert store.reviews.decisions.decide(last, APPROVE, later(5)).effect is Effect.DECIDED


def test_a_share_of_the_cases_is_decided_by_two_who_do_not_know_of_each_other(engine: sa.Engine) -> None:
    store = a_store(engine, second_share=0.5)
    for n in range(12):
        judged(store, f"r{n}", f"m{n}", n)
    pairs = sum(row["second"] for row in rows(store, store.database.t.review_case))
    assert 0 < pairs < 12
    decide = store.reviews.decisions.decide
    first = [decide(answered(store, "kim", 60), APPROVE, later(61)).effect for _ in range(12)]
    assert first.count(Effect.WAITS) == pairs
    assert store.reviews.queue.claim_next("kim", later(62)) is None
    second = [decide(answered(store, "lee", 63), APPROVE, later(64)).effect for _ in range(pairs)]
    assert second == [Effect.DECIDED] * pairs
    assert store.reviews.queue.claim_next("lee", later(65)) is None
    assert store.reports.status(NOW).verdicts[Status.APPROVED] == 12


def test_what_is_escalated_goes_to_those_named_or_to_anybody_else(engine: sa.Engine) -> None:
    store = a_store(engine, seniors=frozenset({"Choi"}))
    judged(store)
    done = store.reviews.decisions.decide(answered(store), ESCALATE, later(1))
    assert (done.effect, done.status, standing(store)[0]) == (Effect.ESCALATED, Status.REVIEW, Status.REVIEW)
    assert store.reviews.queue.claim_next("kim", later(2)) is None
    assert store.reviews.queue.claim_next("lee", later(2)) is None
    assert store.reviews.queue.page(later(2)).escalated == 1
    choi = answered(store, "choi", 3)
    with pytest.raises(NotPossible, match="to you"):
        store.reviews.decisions.decide(choi, ESCALATE, later(4))
    store.reviews.decisions.decide(choi, REJECT, later(4))
    others = a_store(engine)
    judged(others, "r2", "m2")
    others.reviews.decisions.decide(answered(others), ESCALATE, later(1))
    assert others.reviews.queue.claim_next("kim", later(2)) is None
    assert claimed(others, "lee", 2).member_id == "m2"


def test_a_senior_who_has_disagreed_does_not_decide_alone_while_there_is_another(engine: sa.Engine) -> None:
    store = a_store(engine, seniors=frozenset({"choi", "han"}), rejection_votes=2)
    judged(store)
    store.reviews.decisions.decide(answered(store), REJECT, later(1))
    done = store.reviews.decisions.decide(answered(store, "choi", 2), NEW_PHOTO, later(3))
    assert done.effect is Effect.ESCALATED
    assert store.reviews.queue.claim_next("choi", later(4)) is None
    han = answered(store, "han", 5)
    store.reviews.queue.release(han, later(5))
    alone = a_store(engine, seniors=frozenset({"choi"}), rejection_votes=2)
    assert claimed(alone, "choi", 6).member_id == "m1"  # nobody else could


def test_what_is_escalated_goes_to_the_checkers_of_the_console_as_well(engine: sa.Engine) -> None:
    store = a_store(engine)
    judged(store)
    accounts = store.staff.accounts
    accounts.add("Choi", [Role.CHECKER], "root", NOW)
    store.reviews.decisions.decide(answered(store), ESCALATE, later(1))
    assert store.reviews.queue.claim_next("lee", later(2)) is None
    choi = answered(store, "choi", 3)
    with pytest.raises(NotPossible, match="to you"):
        store.reviews.decisions.decide(choi, ESCALATE, later(4))
    store.reviews.queue.release(choi, later(4))
    accounts.set_roles(accounts.find("choi") or 0, [Role.REVIEWER], "root", later(5))
    assert claimed(store, "lee", 6).member_id == "m1"  # there is no checker any more


# Undo


def test_what_was_taken_back_does_not_count_among_a_persons_decisions(store: Store) -> None:
    judged(store)
    store.reviews.decisions.decide(answered(store), REJECT, later(5))
    count = store.reviews.reports.decided_since
    assert [count("kim", later(at)) for at in (5, 6)] == [1, 0]
    assert count("lee", NOW) == 0
    store.reviews.undoing.undo("kim", later(40))
    assert count("kim", NOW) == 0
    store.reviews.decisions.decide(answered(store, at=42), APPROVE, later(43))
    assert count("kim", NOW) == 1


def test_within_a_minute_a_decision_is_undone_and_the_app_never_hears_of_it(store: Store) -> None:
    judged(store)
    before = {name: rows(store, store.database.t.member)[0][name] for name in STANDS}
    store.reviews.decisions.decide(answered(store), REJECT, later(5))
    assert events(store) == [("completed", "review"), ("decided", "rejected")]
    undone = store.reviews.undoing.undo("kim", later(40))
    assert (undone.status, undone.reason) == (Status.REVIEW, Reason.DIFFERENT_PERSON)
    assert {name: rows(store, store.database.t.member)[0][name] for name in STANDS} == before
    [told] = rows(store, store.database.t.result)
    assert (told["status"], told["reason"], told["decided_by"]) == ("review", "different_person", "machine")
    assert events(store) == [("completed", "review")]
    with pytest.raises(NotPossible, match="nothing that could be undone"):
        store.reviews.undoing.undo("kim", later(41))
    claim = answered(store, at=42)  # by the same person, whose answers hold
    store.reviews.decisions.decide(claim, APPROVE, later(43))
    assert events(store) == [("completed", "review"), ("decided", "approved")]
    decisions = rows(store, store.database.t.decision)
    assert [(row["status"], row["undoes"]) for row in decisions] == [
        *(("rejected", None), ("review", decisions[0]["id"]), ("approved", None)),
    ]
    with pytest.raises(NotPossible, match="after 60 seconds nothing is undone: `review reopen m1`"):
        store.reviews.undoing.undo("kim", later(104))


STANDS = ("verification_status", "reason", "verified_at", "verified_request_id")


def test_what_the_app_has_heard_of_is_told_to_be_undone(engine: sa.Engine) -> None:
    store = Store(engine, tombstone_key=b"key", listening=True)
    judged(store)
    store.reviews.decisions.decide(answered(store), REJECT, later(5))
    store.reviews.undoing.undo("kim", later(6))
    assert events(store) == [("completed", "review"), ("decided", "rejected"), ("decided", "review")]


def test_undo_gives_up_where_something_has_happened_since(engine: sa.Engine) -> None:
    store = a_store(engine, rejection_votes=2)
    judged(store)
    store.reviews.decisions.decide(answered(store), REJECT, later(1))
    store.reviews.undoing.undo("kim", later(2))
    store.reviews.decisions.decide(answered(store, at=3), REJECT, later(3))
    store.reviews.decisions.decide(answered(store, "lee", 4), REJECT, later(4))
    with pytest.raises(NotPossible, match="gone on since"):
        store.reviews.undoing.undo("kim", later(5))
    judged(store, "r2", at=6, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    with pytest.raises(NotPossible, match="sent something since"):
        store.reviews.undoing.undo("lee", later(7))
    judged(store, "e1", "other")
    store.reviews.decisions.decide(answered(store, "choi", 8), ESCALATE, later(8))
    store.reviews.undoing.undo("choi", later(9))
    assert store.reviews.queue.page(later(9)).escalated == 0
    assert claimed(store, "choi", 10).member_id == "other"


def test_an_old_decision_is_looked_at_again_and_stays_on_record(store: Store) -> None:
    judged(store)
    reviews.decide(store, "m1", Status.REJECTED, at=NOW)
    store.reviews.decisions.reopen("m1", "lee", later(500))
    with pytest.raises(NotPossible, match="an open case of m1 already"):
        store.reviews.decisions.reopen("m1", "lee", later(500))
    assert standing(store)[0] is Status.REJECTED
    store.reviews.decisions.decide(answered(store, "lee", 501), APPROVE, later(502))
    request = store.requests.find("r1")
    assert request is not None
    assert [(one.status, one.previous_status) for one in request.decisions] == [
        *((Status.REJECTED, Status.REVIEW), (Status.APPROVED, Status.REJECTED)),
    ]
    judged(store, "e1", "failed", status=Status.ERROR, reason=Reason.INTERNAL_ERROR)
    with pytest.raises(NotPossible, match="is done \\(error\\)"):
        store.reviews.decisions.reopen("failed", "lee", later(1))
    for member_id, why in (("nobody", "no member"), ("m1 ", "no member")):
        with pytest.raises(NotPossible, match=why):
            store.reviews.decisions.reopen(member_id, "lee", later(1))
