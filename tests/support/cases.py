"""The next case in a reviewer's hands, step by step; the app hears of decisions after a minute."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from pipeline.verdict import Reason, Status
from support import reviews
from support.jobs import KIM, LEASE, MOST, a_job, a_verdict, later
from support.workers import rows as rows_of
from worker.results.reviewer_reasons import ReviewReason
from worker.store import Attempt, CaseView, Claim, ReviewRules, Ruling, Store
from worker.store.tables.states import Choice, PairLabel

HOLD = timedelta(seconds=60)
SAME, DIFFERENT, CANNOT_TELL = PairLabel.GENUINE, PairLabel.IMPOSTOR, PairLabel.CANNOT_TELL
APPROVE, REJECT, NEW_PHOTO = (
    reviews.RULINGS[one] for one in (Status.APPROVED, Status.REJECTED, Status.RETRY_PHOTO)
)
ESCALATE = Ruling(Choice.ESCALATE, ReviewReason.CANNOT_TELL)


def a_store(engine: sa.Engine, **rules: Any) -> Store:
    """With an app that listens; ``rules`` are of `ReviewRules`."""
    rules_of = ReviewRules(**{"key": b"key", **rules})
    return Store(engine, tombstone_key=b"key", listening=True, decision_hold=HOLD, review_rules=rules_of)


def rows(store: Store, table: sa.Table) -> list[dict[str, Any]]:
    """All rows of a table."""
    return [dict(row) for row in rows_of(store, table)]


def judged(
    store: Store, request_id: str = "r1", member_id: str = "m1", at: float = 0, **verdict: Any
) -> None:
    """A request that ended with a review, but for what is said of the verdict."""
    store.requests.accept(a_job(request_id, member_id, later(at)), "verify", later(at))
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt)
    said = {"status": Status.REVIEW, "reason": Reason.DIFFERENT_PERSON, **verdict}
    assert store.requests.finish(attempt, a_verdict(**said), later(at))


def claimed(store: Store, by: str = "kim", at: float = 0) -> Claim:
    """The next case, which there must be."""
    claim = store.reviews.queue.claim_next(by, later(at))
    assert claim is not None, f"nothing for {by}"
    return claim


def looked(store: Store, by: str = "kim", at: float = 0) -> tuple[Claim, CaseView]:
    """The next case, and what its reviewer sees."""
    claim = claimed(store, by, at)
    return claim, store.reviews.queue.look(claim, KIM, later(at))


def answered(store: Store, by: str = "kim", at: float = 0, word: PairLabel = SAME) -> Claim:
    """The next case, with this word for each of its photos."""
    claim, view = looked(store, by, at)
    if view.to_answer:
        store.reviews.answers.answer(claim, dict.fromkeys(view.to_answer, word), later(at))
    return claim


def standing(store: Store, member_id: str = "m1") -> tuple[Status | None, Reason | None]:
    """The member's verdict."""
    member = store.members.find(member_id)
    assert member is not None
    return member.status, member.reason


def events(store: Store) -> list[tuple[str, str | None]]:
    """What the app is told, in order: the type's last word, and the status."""
    found: list[dict[str, Any]] = sorted(rows(store, store.database.t.event), key=lambda row: row["id"])
    return [(row["type"].partition(".")[2], row["payload"]["data"]["status"]) for row in found]
