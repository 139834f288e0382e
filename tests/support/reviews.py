"""People at work in tests: they take cases, look, answer and decide by the store's own methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from pipeline.verdict import Gender, Status
from support.jobs import KIM, NOW
from worker.results.reviewer_reasons import ReviewReason
from worker.store import CaseView, Claim, Ruled, Ruling, Store
from worker.store.tables.states import Choice, PairLabel

RULINGS: Final = {
    Status.APPROVED: Ruling(Choice.APPROVE, ReviewReason.SAME_PERSON),
    Status.REJECTED: Ruling(Choice.REJECT, ReviewReason.COPIED_PHOTO),
    Status.RETRY_PHOTO: Ruling(Choice.NEW_PHOTO, ReviewReason.TOO_DARK, 1),
}


def looked(store: Store, member_id: str, by: str = "kim", at: datetime = NOW) -> tuple[Claim, CaseView]:
    """A claim of this member's case and what its reviewer sees; the case is opened if there is none."""
    if not store.reviews.queue.is_open(member_id):
        store.reviews.decisions.reopen(member_id, by, at)
    with _others_taken(store, member_id, by, at) as claim:
        return claim, store.reviews.queue.look(claim, KIM, at)


@contextmanager
def _others_taken(store: Store, member_id: str, by: str, at: datetime) -> Iterator[Claim]:
    """Cases before the member's are in other people's hands meanwhile."""
    member = store.members.find(member_id)
    sandbox = member is not None and member.sandbox
    taken: list[Claim] = []
    while (claim := store.reviews.queue.claim_next(by, at, sandbox=sandbox)) is not None:
        if claim.member_id == member_id:
            break
        store.reviews.queue.release(claim, at)
        other = store.reviews.queue.claim_next(f"another-{len(taken)}", at, sandbox=sandbox)
        assert other is not None
        taken.append(other)
    assert claim is not None, f"no case of {member_id} for {by}"
    yield claim
    for other in taken:
        store.reviews.queue.release(other, at)


def answered(
    store: Store,
    member_id: str,
    words: Mapping[int, PairLabel] | None = None,
    by: str = "kim",
    at: datetime = NOW,
    *,
    genders: Mapping[int, Gender] | None = None,
) -> Claim:
    """A claim whose photos are answered: those named by these words, of all others nobody can tell."""
    claim, view = looked(store, member_id, by, at)
    said = {**dict.fromkeys(view.to_answer, PairLabel.CANNOT_TELL), **(words or {})}
    if said:
        store.reviews.answers.answer(claim, said, at, genders=genders or {})
    return claim


def decide(
    store: Store,
    member_id: str,
    status: Status = Status.APPROVED,
    by: str = "kim",
    at: datetime = NOW,
    *,
    words: Mapping[int, PairLabel] | None = None,
) -> Ruled:
    """A person decides about a member, as `python -m worker review` has it."""
    return store.reviews.decisions.decide(answered(store, member_id, words, by, at), RULINGS[status], at)


def label(  # noqa: PLR0917
    store: Store,
    member_id: str,
    position: int,
    word: PairLabel,
    by: str = "kim",
    at: datetime = NOW,
    *,
    gender: Gender | None = None,
) -> None:
    """A person says something of one photo, and decides nothing; the case waits on."""
    genders = {} if gender is None else {position: gender}
    claim = answered(store, member_id, {position: word}, by, at, genders=genders)
    store.reviews.queue.release(claim, at)
