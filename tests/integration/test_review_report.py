"""How people decide, and how often the machine was wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest
import sqlalchemy as sa

from pipeline.verdict import Outcome, PhotoFinding, Reason, Status
from support import reviews
from support.cases import APPROVE, DIFFERENT, REJECT, SAME, a_store, answered, judged, rows
from support.jobs import KIM, NOW, later
from worker.store import CaseView, Ruling, Store
from worker.store.counts.kept_report import SPAN, KeptReport
from worker.store.tables.states import PairLabel


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    """With an app that listens, which hears of a decision after a minute."""
    return a_store(engine)


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


def own_eyes_unless_told(wrong: Collection[str]) -> Callable[[CaseView], PairLabel]:
    """What somebody says who sees these, and believes the machine where it speaks."""

    def say(view: CaseView) -> PairLabel:
        if view.evidence is not None and view.evidence.request.same_person:
            return SAME
        return DIFFERENT if view.claim.member_id in wrong else SAME

    return say


def test_a_reviewer_who_follows_the_machine_where_it_speaks_finds_its_wrong_approvals_blind(
    store: Store,
) -> None:
    wrong = {"m3", "m7"}
    for n in range(10):
        approved_wrongly(store, n, wrong=f"m{n}" in wrong)

    works_through(store, own_eyes_unless_told(wrong))
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


# The report that is kept


def test_of_few_the_report_is_of_now_and_of_many_of_the_last_sweep(store: Store) -> None:
    for n in range(3):
        approved_wrongly(store, n, wrong=n == 1)
    works_through(store, own_eyes_unless_told({"m1"}))
    few, many = (KeptReport(store.database, store.reviews.reports, size) for size in (100, 0))
    assert many.report(later(0)) == (store.reviews.reports.report(later(0) - SPAN), None)
    assert many.renew(later(0))
    kept, counted_at = many.report(later(1))
    assert (kept, counted_at) == (store.reviews.reports.report(later(0) - SPAN), later(0))
    assert kept.audit.counts.wrong == 1
    approved_wrongly(store, 3, wrong=False)
    assert few.report(later(1))[0].audit.counts.sampled == 4
    assert many.report(later(1))[0].audit.counts.sampled == 3
    assert not many.renew(later(599))
    assert many.renew(later(600))
    assert many.report(later(600))[0].audit.counts.sampled == 4
