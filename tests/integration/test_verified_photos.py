"""Which photos carry the badge: what the person who approved has said of them goes before the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.verdict import Outcome, PhotoVerdict, Reason, Status
from support.cases import (
    APPROVE,
    CANNOT_TELL,
    DIFFERENT,
    REJECT,
    SAME,
    a_store,
    answered,
    judged,
    looked,
    rows,
)
from support.jobs import LEASE, MOST, PHOTOS, a_comparison, a_job, a_verdict, later
from worker.client import Results
from worker.store import Attempt, Claim, Ruling, Store
from worker.store.tables.states import PairLabel

UNSURE = replace(PHOTOS[0], position=2, outcome=Outcome.UNSURE, sha256="c" * 64)
OTHER = replace(PHOTOS[0], position=3, outcome=Outcome.SAME, sha256="d" * 64)
MISSING = replace(PHOTOS[2], position=4)
GALLERY = (PHOTOS[0], UNSURE, OTHER, MISSING)
"""By the machine: verified, not verified, verified, not fetched."""
LINKS = [f"https://photos.example.com/m1/{n}.jpg" for n in (1, 2, 3, 4)]


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    return a_store(engine)


def review(
    store: Store, request_id: str = "r1", member_id: str = "m1", at: float = 0, **verdict: Any
) -> None:
    job = a_job(request_id, member_id, later(at), photo_urls=LINKS)
    store.requests.accept(job, "verify", later(at))
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt)
    said = {"status": Status.REVIEW, "reason": Reason.PRIMARY_UNSURE, "photos": GALLERY, **verdict}
    assert store.requests.finish(attempt, a_verdict(**said), later(at))


def said(store: Store, words: Mapping[int, PairLabel], by: str = "kim", at: float = 1) -> Claim:
    claim, view = looked(store, by, at)
    assert view.to_answer == (1, 2, 3)
    store.reviews.answers.answer(claim, words, later(at))
    return claim


def decided(
    store: Store, what: Ruling, words: Mapping[int, PairLabel], by: str = "kim", at: float = 1
) -> None:
    store.reviews.decisions.decide(said(store, words, by, at), what, later(at + 1))


def badges(store: Store, request_id: str = "r1") -> tuple[int, ...]:
    """Of the table, the client and, where one was written, the latest event, which say the same."""
    result = Results(store.database.engine.raw_connection).result(request_id)
    assert result is not None
    events = sorted(rows(store, store.database.t.event), key=lambda row: row["id"])
    told = [row["payload"]["data"] for row in events if row["request_id"] == request_id]
    if told and told[-1]["status"] == result.status:
        assert result.verified_photos == tuple(
            one["position"] for one in told[-1]["photos"] if one["verified"]
        )
    return result.verified_photos


def machine_said(store: Store) -> list[str | None]:
    found = sorted(rows(store, store.database.t.verification_photo), key=lambda row: row["position"])
    return [row["verdict"] for row in found if row["request_id"] == "r1"]


def test_an_approval_marks_the_photos_that_its_reviewer_took_for_the_members_and_no_others(
    store: Store,
) -> None:
    review(store)
    before = machine_said(store)
    assert badges(store) == ()
    decided(store, APPROVE, {1: SAME, 2: SAME, 3: DIFFERENT})
    assert badges(store) == (1, 2)
    request = store.requests.find("r1")
    assert request is not None
    assert [request.verdict_of(found) for found in request.photos] == [
        *(PhotoVerdict.VERIFIED, PhotoVerdict.VERIFIED, PhotoVerdict.CONTRADICTS),
        PhotoVerdict.NOT_VERIFIED,
    ]
    assert machine_said(store) == before == [None, "verified", "not_verified", "verified", "not_verified"]


def test_where_nobody_can_tell_the_machines_word_stays(store: Store) -> None:
    review(store, reason=Reason.BLIND_AUDIT)
    decided(store, APPROVE, dict.fromkeys((1, 2, 3), CANNOT_TELL))
    assert badges(store) == (1, 3)


def test_the_last_answer_counts_and_only_that_of_whoever_decided(store: Store) -> None:
    review(store)
    claim = said(store, dict.fromkeys((1, 2, 3), DIFFERENT), "lee")
    store.reviews.queue.release(claim, later(2))
    claim = said(store, dict.fromkeys((1, 2, 3), DIFFERENT), "Kim", 3)
    store.reviews.answers.answer(claim, {2: SAME}, later(4))  # after the evidence
    store.reviews.decisions.decide(claim, APPROVE, later(5))
    assert badges(store) == (2,)


def test_a_rejection_marks_nothing_and_an_approval_by_machine_marks_what_the_machine_verified(
    store: Store,
) -> None:
    review(store)
    decided(store, REJECT, dict.fromkeys((1, 2, 3), SAME))
    assert badges(store) == ()
    request = store.requests.find("r1")
    assert request is not None
    assert request.answers == {}  # `show` goes on with what the machine found
    review(store, "r2", "m2", 9, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    assert badges(store, "r2") == (1, 3)


def test_undo_and_reopen_bring_back_what_was(store: Store) -> None:
    review(store, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    assert badges(store) == (1, 3)
    store.reviews.decisions.reopen("m1", "lee", later(1))
    assert badges(store) == (1, 3)
    decided(store, APPROVE, {1: SAME, 2: SAME, 3: DIFFERENT}, at=2)
    assert badges(store) == (1, 2)
    store.reviews.undoing.undo("kim", later(4))
    assert badges(store) == (1, 3)  # the machine's approval
    store.reviews.decisions.decide(looked(store, at=5)[0], APPROVE, later(6))  # answered already
    assert badges(store) == (1, 2)
    store.reviews.decisions.reopen("m1", "lee", later(200))
    decided(store, REJECT, dict.fromkeys((1, 2, 3), DIFFERENT), "lee", 201)
    assert badges(store) == ()
    store.reviews.undoing.undo("lee", later(210))
    assert badges(store) == (1, 2)  # the first person's approval, with that one's answers


def test_an_answer_about_another_file_marks_nothing(store: Store) -> None:
    review(store)
    decided(store, APPROVE, {1: SAME, 2: SAME, 3: SAME})
    label = store.database.t.label
    with store.database.engine.begin() as c:
        c.execute(sa.update(label).where(label.c.position == 2).values(sha256="e" * 64))
    request = store.requests.find("r1")
    assert request is not None
    assert sorted(request.answers) == [1, 3]


def test_a_photo_that_the_machine_could_not_judge_is_shown_as_the_person_said(store: Store) -> None:
    dark = replace(PHOTOS[1], comparison=a_comparison(0.1))
    judged(store, photos=(PHOTOS[0], dark))
    store.reviews.decisions.decide(answered(store, at=1), APPROVE, later(2))
    assert badges(store) == (1, 2)
    assert machine_said(store) == [None, "verified", "contradicts"]
