"""What a reviewer must not do, and what each gets: tried on a store of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from pipeline.verdict import Reason, Status
from support import reviews
from support.jobs import KIM, LEASE, MOST, NOW, a_job, a_verdict, later
from worker.errors import MemberForgotten, NotPossible
from worker.migrations import migrate
from worker.store import Attempt, Claim, NewObjection, Store, build_engine, ruling
from worker.store.tables.states import Choice, PairLabel, Purpose

APPROVE: Final = reviews.RULINGS[Status.APPROVED]


def refused_reviews() -> Iterator[tuple[str, str]]:
    """What was done, and how it was refused."""
    with tempfile.TemporaryDirectory() as folder:
        engine = build_engine(f"sqlite:///{Path(folder) / 'reviews.sqlite'}")
        migrate(engine)
        store = Store(engine, tombstone_key=b"key")
        for number, (name, act) in enumerate(_ACTS.items()):
            member_id = f"m{number}"
            _judged(store, f"r{number}", member_id)
            claim, _ = reviews.looked(store, member_id)
            try:
                act(store, claim)
            except (MemberForgotten, NotPossible) as error:
                yield name, f"`{type(error).__name__}`: {error}"
            store.members.forget(member_id, later(9999))
        engine.dispose()


def _judged(store: Store, request_id: str, member_id: str, at: float = 0) -> None:
    store.requests.accept(a_job(request_id, member_id, later(at)), "verify", later(at))
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(Status.REVIEW, Reason.DIFFERENT_PERSON), later(at))


def _answer(store: Store, claim: Claim, at: float = 1) -> None:
    store.reviews.answers.answer(claim, {1: PairLabel.GENUINE, 2: PairLabel.GENUINE}, later(at))


def _decide(store: Store, claim: Claim, at: float = 2) -> None:
    store.reviews.decisions.decide(claim, APPROVE, later(at))


def _too_late(store: Store, claim: Claim) -> None:
    _answer(store, claim)
    _decide(store, claim, 302)


def _anothers(store: Store, claim: Claim) -> None:
    _answer(store, claim)
    assert store.reviews.queue.claim_next("lee", later(302))
    _decide(store, claim, 303)


def _without_a_look(store: Store, claim: Claim) -> None:
    lee = store.reviews.queue.claim_next("lee", later(302))
    assert lee is not None
    _decide(store, lee, 303)


def _without_an_answer(store: Store, claim: Claim) -> None:
    store.reviews.answers.answer(claim, {1: PairLabel.GENUINE}, later(1))


def _of_an_erased_member(store: Store, claim: Claim) -> None:
    store.members.forget(claim.member_id, later(1))
    _decide(store, claim)


def _of_an_older_request(store: Store, claim: Claim) -> None:
    _answer(store, claim)
    store.requests.accept(a_job("newer", claim.member_id, later(1)), "verify", later(1))
    _decide(store, claim)


def _of_a_member_who_withdrew(store: Store, claim: Claim) -> None:
    _answer(store, claim)
    store.consents.record(claim.member_id, Purpose.VERIFICATION, later(2), given=False)
    _decide(store, claim)


def _of_changed_photos(store: Store, claim: Claim) -> None:
    vp = store.database.t.verification_photo
    with store.database.engine.begin() as c:
        its = (vp.c.request_id == claim.request_id, vp.c.position == 1)
        c.execute(sa.update(vp).where(*its).values(sha256="f" * 64))
    _answer(store, claim)


def _twice(store: Store, claim: Claim) -> None:
    _answer(store, claim)
    _decide(store, claim)
    _decide(store, claim)


def _about_oneself(store: Store, claim: Claim) -> None:
    store.reviews.decisions.reopen(claim.member_id, claim.member_id.upper(), NOW)


def _opened_twice(store: Store, claim: Claim) -> None:
    store.reviews.decisions.reopen(claim.member_id, "lee", NOW)


def _undone_late(store: Store, claim: Claim) -> None:
    _answer(store, claim)
    _decide(store, claim)
    store.reviews.undoing.undo("kim", later(63))


def _objected_twice(store: Store, claim: Claim) -> None:
    for _ in range(2):
        store.reviews.objections.record(NewObjection(claim.member_id, NOW, by="lee"), NOW)


def _objection_to_oneself(store: Store, claim: Claim) -> None:
    _answer(store, claim)
    _decide(store, claim)
    store.reviews.objections.record(NewObjection(claim.member_id, later(3), by="lee"), later(3))
    assert store.reviews.queue.claim_next("kim", later(4)) is None, "whoever decided last"
    case = store.database.t.review_case
    with store.database.engine.begin() as c:
        its = {"reviewer": "kim", "claimed_at": later(4), "lease_until": later(99), "attempts": 1}
        c.execute(sa.update(case).where(case.c.unfinished.is_not(None)).values(**its))
    mine = store.reviews.queue.claim_of("kim")
    assert mine is not None
    store.reviews.queue.look(mine, KIM, later(4))
    _answer(store, mine, 5)
    _decide(store, mine, 6)


def _objection_of(member_id: str) -> Callable[[Store, Claim], None]:
    def act(store: Store, claim: Claim) -> None:
        store.members.forget(claim.member_id, NOW)
        theirs = member_id.format(erased=claim.member_id)
        store.reviews.objections.record(NewObjection(theirs, NOW, by="lee"), NOW)

    return act


def _saying(code: str, note: str | None = None) -> Callable[[Store, Claim], None]:
    def say(store: Store, claim: Claim) -> None:
        store.reviews.decisions.decide(claim, ruling(Choice.REJECT, code, None, note), NOW)

    return say


_ACTS: Final[dict[str, Callable[[Store, Claim], None]]] = {
    "a decision whose claim ran out": _too_late,
    "a decision about a case that somebody else has by now": _anothers,
    "a decision without a look since the claim": _without_a_look,
    "an answer about one photo of two": _without_an_answer,
    "a decision about a member who was erased": _of_an_erased_member,
    "a decision about photos that newer ones follow": _of_an_older_request,
    "a decision about a member who has withdrawn consent since": _of_a_member_who_withdrew,
    "an answer about a photo that is another one by now": _of_changed_photos,
    "a second decision about one case": _twice,
    "a reviewer whose name is the member's ID": _about_oneself,
    "a second case about one member": _opened_twice,
    "undo after a minute": _undone_late,
    "an objection while one waits": _objected_twice,
    "an objection to one's own decision": _objection_to_oneself,
    "an objection of a member who was erased": _objection_of("{erased}"),
    "an objection of a member who is not there": _objection_of("nobody"),
    "a reason that does not exist": _saying("ugly"),
    "a reason of the machine's": _saying("too_dark"),
    "a note of 1 MB": _saying("other_person", "x" * 1_048_576),
    "a note with a terminal's escape sequence": _saying("other_person", "\x1b[2J"),
    "no note beside the reason `other`": _saying("other"),
}
