"""Cases: claimed by one person at a time, answered blind, decided with a reason, undone within a minute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.verdict import Gender, Outcome, PhotoFinding, Reason, Status
from support import reviews
from support.jobs import KIM, LEASE, MOST, NOW, PHOTOS, SELFIE, a_job, a_verdict, later
from support.together import together, while_open
from support.workers import rows as rows_of
from worker.errors import CaseChanged, CaseGone, ClaimLost, NotPossible
from worker.results.reviewer_reasons import ReviewReason
from worker.store import Attempt, CaseView, Claim, Effect, ReviewRules, Ruling, Store, ruling
from worker.store.tables.states import Choice, PairLabel, Phase

HOLD = timedelta(seconds=60)
SAME, DIFFERENT, CANNOT_TELL = PairLabel.GENUINE, PairLabel.IMPOSTOR, PairLabel.CANNOT_TELL
APPROVE, REJECT, NEW_PHOTO = (
    reviews.RULINGS[one] for one in (Status.APPROVED, Status.REJECTED, Status.RETRY_PHOTO)
)
ESCALATE = Ruling(Choice.ESCALATE, ReviewReason.CANNOT_TELL)


def a_store(engine: sa.Engine, **rules: Any) -> Store:
    rules_of = ReviewRules(**{"key": b"key", **rules})
    return Store(engine, tombstone_key=b"key", listening=True, decision_hold=HOLD, review_rules=rules_of)


def rows(store: Store, table: sa.Table) -> list[dict[str, Any]]:
    return [dict(row) for row in rows_of(store, table)]


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    """With an app that listens, which hears of a decision after a minute."""
    return a_store(engine)


def judged(
    store: Store, request_id: str = "r1", member_id: str = "m1", at: float = 0, **verdict: Any
) -> None:
    store.requests.accept(a_job(request_id, member_id, later(at)), "verify", later(at))
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt)
    said = {"status": Status.REVIEW, "reason": Reason.DIFFERENT_PERSON, **verdict}
    assert store.requests.finish(attempt, a_verdict(**said), later(at))


def claimed(store: Store, by: str = "kim", at: float = 0) -> Claim:
    claim = store.reviews.queue.claim_next(by, later(at))
    assert claim is not None, f"nothing for {by}"
    return claim


def looked(store: Store, by: str = "kim", at: float = 0) -> tuple[Claim, CaseView]:
    claim = claimed(store, by, at)
    return claim, store.reviews.queue.look(claim, KIM, later(at))


def answered(store: Store, by: str = "kim", at: float = 0, word: PairLabel = SAME) -> Claim:
    claim, view = looked(store, by, at)
    if view.to_answer:
        store.reviews.answers.answer(claim, dict.fromkeys(view.to_answer, word), later(at))
    return claim


def standing(store: Store, member_id: str = "m1") -> tuple[Status | None, Reason | None]:
    member = store.members.find(member_id)
    assert member is not None
    return member.status, member.reason


def events(store: Store) -> list[tuple[str, str | None]]:
    found: list[dict[str, Any]] = sorted(rows(store, store.database.t.event), key=lambda row: row["id"])
    return [(row["type"].partition(".")[2], row["payload"]["data"]["status"]) for row in found]


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


# Undo


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


# The report


def test_the_report_says_how_reviewers_agree_change_their_minds_and_are_corrected(engine: sa.Engine) -> None:
    store = a_store(engine, second_share=1)
    for n in range(3):
        judged(store, f"r{n}", f"m{n}", n)
    for n, (kim, lee) in enumerate(((SAME, SAME), (DIFFERENT, DIFFERENT), (SAME, DIFFERENT))):
        at = 100 * (n + 1)
        store.reviews.decisions.decide(answered(store, "kim", at, kim), _of(kim), later(at + 30))
        claim = answered(store, "lee", at + 40, lee)
        store.reviews.decisions.decide(claim, _of(lee), later(at + 50))
    store.reviews.decisions.decide(answered(store, "park", 500, DIFFERENT), REJECT, later(520))
    report = store.reviews.reports.report(NOW)
    first, second, third = report.reviewers
    assert (first.cases, first.answers, first.changed, first.overturned) == (3, 6, 0, 1)
    assert (first.reviewer, first.median_seconds, second.median_seconds) == ("kim", 30, 10)
    assert (second.overturned, third.cases) == (0, 1)
    assert first.compared == 8  # with lee's, and of the last case also with park's
    assert (first.agreement, second.agreement) == (4 / 8, 6 / 8)
    assert first.kappa is not None
    assert second.kappa is not None
    assert -1 <= first.kappa < second.kappa <= 1


def _of(word: PairLabel) -> Ruling:
    return APPROVE if word is SAME else REJECT


# The audit


def approved_wrongly(store: Store, n: int, *, wrong: bool) -> None:
    """An approval by machine that was sampled for the blind audit."""
    photo = PhotoFinding(1, Outcome.SAME, sha256=f"{n:064d}"[:63] + ("d" if wrong else "0"), faces=1)
    judged(store, f"r{n}", f"m{n}", reason=Reason.BLIND_AUDIT, photos=(photo,), same_person=True)


def works_through(store: Store, says: Callable[[CaseView], PairLabel]) -> None:
    """A reviewer who answers before and after the machine's word, and decides as the machine does."""
    while claim := store.reviews.queue.claim_next("kim", NOW):
        store.reviews.answers.answer(claim, {1: says(store.reviews.queue.look(claim, KIM, NOW))}, NOW)
        view = store.reviews.queue.look(claim, KIM, NOW)
        store.reviews.answers.answer(claim, {1: says(view)}, NOW)
        assert view.evidence is not None
        store.reviews.decisions.decide(claim, APPROVE if view.evidence.request.same_person else REJECT, NOW)


def test_a_reviewer_who_follows_the_machine_where_it_speaks_finds_its_wrong_approvals_blind(
    store: Store,
) -> None:
    wrong = {"m3", "m7"}
    for n in range(10):
        approved_wrongly(store, n, wrong=f"m{n}" in wrong)

    def own_eyes_unless_told(view: CaseView) -> PairLabel:
        if view.evidence is not None and view.evidence.request.same_person:
            return SAME
        return DIFFERENT if view.claim.member_id in wrong else SAME

    works_through(store, own_eyes_unless_told)
    audit = store.reviews.reports.report(NOW).audit
    assert (audit.counts.sampled, audit.counts.judged, audit.counts.wrong, audit.open) == (10, 10, 2, 0)
    assert audit.rate == 0.2
    low, high = audit.interval
    assert (round(low, 4), round(high, 4)) == (0.0252, 0.5561)
    # By what was decided and said beside the machine's word, as it once was, no approval would be wrong.
    assert store.reports.status(NOW).verdicts[Status.APPROVED] == 10
    late = [row["label"] for row in rows(store, store.database.t.label) if row["phase"] == "evidence"]
    assert late == ["genuine", "genuine"]
    assert store.reviews.reports.report(NOW).reviewers[0].changed == 2


def test_the_audit_counts_as_wrong_what_is_rejected_and_nothing_that_is_undone_or_open(store: Store) -> None:
    for n in range(5):
        approved_wrongly(store, n, wrong=False)
    reviews.decide(store, "m0", Status.REJECTED)
    reviews.decide(store, "m1", Status.REJECTED, "lee")
    store.reviews.undoing.undo("lee", later(1))
    reviews.decide(store, "m2", Status.APPROVED)
    reviews.decide(store, "m3", Status.RETRY_PHOTO)  # neither right nor wrong
    audit = store.reviews.reports.report(NOW).audit
    assert (audit.counts.sampled, audit.counts.judged, audit.counts.wrong, audit.open) == (5, 2, 1, 2)
    assert store.labels.audit() == audit.counts
