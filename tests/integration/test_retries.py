"""The machine asks a member for another photo twice in a row; the third time a person decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.verdict import Outcome, Reason, Status
from support import reviews
from support.cases import NEW_PHOTO, a_store, answered, events, looked, rows, standing
from support.jobs import KIM, LEASE, MOST, PHOTOS, SELFIE, a_job, a_verdict, later
from worker.jobs.verify_job import Why
from worker.store import Attempt, Store
from worker.store.tables.states import Cause

DARK = replace(SELFIE, outcome=Outcome.TOO_DARK)
RETRY = (Status.RETRY_PHOTO, Reason.SELFIE_TOO_DARK)
MANY = (Status.REVIEW, Reason.MANY_RETRIES)
APPROVED = (Status.APPROVED, Reason.SAME_PERSON)


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    """With an app that listens, which hears of a decision after a minute."""
    return a_store(engine)


def ended(
    store: Store,
    n: int,
    status: Status = Status.RETRY_PHOTO,
    reason: Reason = Reason.SELFIE_TOO_DARK,
    *,
    why: Why = Why.SIGNUP,
    member_id: str = "m1",
    **verdict: Any,
) -> tuple[Status | None, Reason | None]:
    """What is recorded of the n-th request, whose photos were all fetched, but for what is said."""
    request_id, at = f"{member_id}-{n:02}", later(100 * n)
    store.requests.accept(a_job(request_id, member_id, at, why=why), "verify", at)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, at)
    assert isinstance(attempt, Attempt)
    said = {"selfie": DARK, "photos": PHOTOS[:2], **verdict}
    assert store.requests.finish(attempt, a_verdict(status, reason, **said), at)
    found = store.requests.find(request_id)
    assert found is not None
    return found.status, found.reason


def test_the_third_time_a_person_decides_and_the_member_is_told_so(store: Store) -> None:
    assert [ended(store, n) for n in range(3)] == [RETRY, RETRY, MANY]
    assert standing(store) == MANY
    assert events(store)[-1] == ("completed", "review")
    found = store.requests.find("m1-02")
    assert found is not None
    assert (found.machine_status, found.machine_reason) == RETRY
    [case] = rows(store, store.database.t.review_case)
    assert (case["cause"], case["request_id"]) == ("retries", "m1-02")
    _, view = looked(store, at=201)
    assert view.evidence is None
    claim = answered(store, at=202)
    evidence = store.reviews.queue.look(claim, KIM, later(202)).evidence
    assert evidence is not None
    assert (evidence.cause, evidence.reason, evidence.objected_at) == (Cause.RETRIES, MANY[1], None)
    store.reviews.decisions.decide(claim, NEW_PHOTO, later(203))
    # What a person has asked for begins the count anew.
    assert [ended(store, n) for n in range(3, 6)] == [RETRY, RETRY, MANY]


@pytest.mark.parametrize(
    ("status", "reason", "stands"),
    [
        (*APPROVED, APPROVED),
        (Status.REVIEW, Reason.DIFFERENT_PERSON, (Status.REVIEW, Reason.DIFFERENT_PERSON)),
        (*RETRY, MANY),
        (Status.RETRY_PHOTO, Reason.NO_PHOTOS, MANY),
        (Status.REJECTED, Reason.DIFFERENT_PERSON, MANY),
        (Status.ERROR, Reason.PHOTOS_NOT_FETCHED, MANY),
    ],
)
def test_nothing_but_an_approval_of_better_photos_spares_the_person(
    store: Store, status: Status, reason: Reason, stands: tuple[Status, Reason]
) -> None:
    for n in range(3):
        ended(store, n)
    ended(store, 3, status, reason)
    assert standing(store) == stands
    [case] = rows(store, store.database.t.review_case)
    assert bool(case["unfinished"]) == (stands != APPROVED)
    assert case["request_id"] == ("m1-02" if stands == APPROVED else "m1-03")


def test_what_is_not_the_members_doing_neither_counts_nor_breaks_the_row(store: Store) -> None:
    assert ended(store, 1) == RETRY
    assert ended(store, 2, why=Why.OPERATOR) == RETRY
    assert ended(store, 3, photos=PHOTOS)[0] is Status.RETRY_PHOTO  # a photo's host failed
    assert ended(store, 4, Status.RETRY_PHOTO, Reason.NO_PHOTOS)[0] is Status.RETRY_PHOTO
    assert ended(store, 5, Status.ERROR, Reason.PHOTOS_NOT_FETCHED)[0] is Status.ERROR
    assert ended(store, 6) == RETRY
    assert ended(store, 7, why=Why.OPERATOR) == RETRY
    assert ended(store, 8, photos=PHOTOS)[0] is Status.RETRY_PHOTO
    assert ended(store, 9) == MANY


@pytest.mark.parametrize("between", [APPROVED, (Status.REVIEW, Reason.PRIMARY_UNSURE)])
def test_another_answer_between_them_breaks_the_row(store: Store, between: tuple[Status, Reason]) -> None:
    assert [ended(store, n) for n in range(2)] == [RETRY, RETRY]
    ended(store, 2, *between)
    assert [ended(store, n) for n in range(3, 6)] == [RETRY, RETRY, MANY]


def test_a_persons_decision_that_was_undone_does_not(store: Store) -> None:
    assert [ended(store, n) for n in range(2)] == [RETRY, RETRY]
    reviews.decide(store, "m1", Status.RETRY_PHOTO, at=later(150))
    store.reviews.undoing.undo("kim", later(160))
    assert ended(store, 2) == MANY


def test_of_others_and_of_the_sandbox_nothing_counts(engine: sa.Engine) -> None:
    store = Store(engine, tombstone_key=b"key", sandbox_prefix="sandbox-")
    assert [ended(store, n, member_id=f"m{n}") for n in range(4)] == [RETRY] * 4
    assert [ended(store, n, member_id="sandbox-1") for n in range(4)] == [RETRY] * 4
