"""A member withdraws consent to verification while a case is open: nobody decides, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from click.testing import Result

from pipeline.verdict import Reason, Status
from support.cases import APPROVE, REJECT, a_store, answered, claimed, judged, looked, rows, standing
from support.grants import granted_database
from support.jobs import KIM, LEASE, MOST, a_job, a_verdict, later
from worker.errors import CaseGone, CaseSuspended, ClaimLost, ConsentWithdrawn
from worker.store import Attempt, Claim, Store, build_engine
from worker.store.tables.states import PairLabel, Purpose, State

Cli = Callable[..., Result]
Step = Callable[[Store, Claim], object]
WORD = "m1 has withdrawn consent to verification: nobody decides until it is given again"


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    return a_store(engine)


def in_sql(store: Store, given: bool, member_id: str = "m1") -> None:
    """As the app does it; the sweep has not seen it yet."""
    m = store.database.t.member
    with store.database.engine.begin() as c:
        c.execute(sa.update(m).where(m.c.member_id == member_id).values(verification_consent=given))


def noted(store: Store, given: bool, at: float) -> None:
    store.consents.record("m1", Purpose.VERIFICATION, later(at), given=given)


def written(store: Store) -> dict[str, int]:
    t = store.database.t
    return {table.name: len(rows(store, table)) for table in (t.decision, t.review_vote, t.label, t.event)}


@pytest.mark.parametrize(
    "step",
    [
        lambda store, claim: store.reviews.queue.look(claim, KIM, later(9)),
        lambda store, claim: store.reviews.answers.answer(claim, {1: PairLabel.GENUINE}, later(9)),
        lambda store, claim: store.reviews.decisions.decide(claim, APPROVE, later(9)),
        lambda store, claim: store.reviews.decisions.decide(claim, REJECT, later(9)),
    ],
    ids=["look", "answer", "approve", "reject"],
)
def test_whoever_holds_the_case_is_told_and_nothing_is_written(store: Store, step: Step) -> None:
    judged(store)
    claim = answered(store)
    before = written(store)
    in_sql(store, given=False)
    with pytest.raises(CaseSuspended, match=WORD):
        step(store, claim)
    assert (written(store), standing(store)) == (before, (Status.REVIEW, Reason.DIFFERENT_PERSON))


def test_a_suspended_case_is_nobodys_and_not_overdue_until_the_member_agrees_again(store: Store) -> None:
    judged(store)
    judged(store, "r2", "m2", 5)
    assert claimed(store, at=6).member_id == "m1"
    noted(store, given=False, at=7)
    assert claimed(store, at=8).member_id == "m2"  # whoever had it gets another one
    assert claimed(store, at=9).member_id == "m2"
    assert store.reviews.queue.claim_next("lee", later(10)) is None
    page = store.reviews.queue.page(later(86400 * 2))
    assert (page.open, page.overdue, page.suspended) == (2, 1, 1)
    assert [(one.member_id, one.suspended, one.overdue) for one in page.cases] == [
        ("m1", True, False),
        ("m2", False, True),
    ]
    assert store.reviews.queue.is_open("m1")  # so that `show` does not tell what the machine found
    noted(store, given=True, at=400)
    claim = claimed(store, "lee", 401)
    assert (claim.member_id, claim.request_id) == ("m1", "r1")  # in its old place
    assert store.reviews.queue.page(later(402)).suspended == 0


def test_what_a_reviewer_says_is_of_the_case_that_was_shown_last(store: Store) -> None:
    """Whoever has got another case in place of a suspended one does not keep both."""
    judged(store)
    judged(store, "r2", "m2", 5)
    claim = answered(store, at=6)
    in_sql(store, given=False)
    assert claimed(store, at=7).member_id == "m2"
    in_sql(store, given=True)
    shown = claimed(store, at=8)
    acted_on = store.reviews.queue.claim_of("KIM")
    assert acted_on is not None
    assert acted_on.member_id == shown.member_id == "m2"
    with pytest.raises(ClaimLost, match="it is not yours any more"):
        store.reviews.decisions.decide(claim, APPROVE, later(9))
    assert claimed(store, "lee", 10).member_id == "m1"


def test_answers_and_votes_of_before_count_when_the_member_agrees_again(engine: sa.Engine) -> None:
    store = a_store(engine, rejection_votes=2)
    judged(store)
    store.reviews.decisions.decide(answered(store), REJECT, later(1))
    claim = answered(store, "lee", 2)
    in_sql(store, given=False)
    with pytest.raises(CaseSuspended):
        store.reviews.decisions.decide(claim, REJECT, later(3))
    in_sql(store, given=True)
    assert store.reviews.decisions.decide(claim, REJECT, later(4)).status is Status.REJECTED


def test_a_request_that_the_withdrawal_has_ended_is_not_decided_in_its_place(store: Store) -> None:
    judged(store)
    claim, _ = looked(store, at=4)
    store.requests.accept(a_job("r2", at=later(5)), "verify", later(5))
    noted(store, given=False, at=6)
    assert store.requests.find("r2").state is State.DEAD  # type: ignore[union-attr]
    with pytest.raises(CaseSuspended, match=WORD):  # a claim of before: no rejection without a look
        store.reviews.decisions.decide(claim, REJECT, later(7))
    assert store.reviews.queue.claim_next("lee", later(400)) is None
    with pytest.raises(ConsentWithdrawn):
        store.requests.accept(a_job("r3", at=later(401)), "verify", later(401))
    noted(store, given=True, at=500)
    judged(store, "r4", at=501, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    claim = answered(store, "lee", 502)
    assert (claim.request_id, standing(store)[0]) == ("r4", Status.REVIEW)
    assert store.reviews.decisions.decide(claim, APPROVE, later(503)).status is Status.APPROVED


def test_no_case_is_opened_for_such_a_member_but_a_decision_can_be_taken_back(store: Store) -> None:
    judged(store)
    store.reviews.decisions.decide(answered(store), REJECT, later(1))
    in_sql(store, given=False)
    with pytest.raises(CaseSuspended):
        store.reviews.decisions.reopen("m1", "lee", later(2))
    assert store.reviews.undoing.undo("kim", later(3)).status is Status.REVIEW
    assert store.reviews.queue.claim_next("kim", later(4)) is None
    assert store.reviews.missed.follow(later(5)) == 0  # it is open: no second one
    in_sql(store, given=True)
    assert claimed(store, at=6).member_id == "m1"


def test_a_case_that_a_withdrawal_meets_while_its_request_runs_waits_as_well(store: Store) -> None:
    judged(store)
    store.requests.accept(a_job("r2", at=later(5)), "verify", later(5))
    attempt = store.requests.acquire("r2", "w", LEASE, MOST, later(5))
    assert isinstance(attempt, Attempt)
    in_sql(store, given=False)
    assert not store.requests.finish(attempt, a_verdict(), later(6))
    assert store.reviews.queue.claim_next("kim", later(7)) is None
    assert standing(store) == (Status.REVIEW, Reason.DIFFERENT_PERSON)
    store.members.forget("m1", later(8))
    with pytest.raises(CaseGone):
        store.reviews.queue.release(Claim(1, "m1", "r2", "kim", 1, later(300)), later(9))


def test_the_commands_say_it(here: Cli, store: Store) -> None:
    judged(store)
    assert here("review", "next", "--by", "kim").exit_code == 0
    assert here("consent", "m1", "off", "--purpose", "verification").exit_code == 0
    refused = here("review", "decide", "reject", "--reason", "other_person", "--by", "kim")
    assert (refused.exit_code, WORD in refused.stderr) == (1, True)
    assert "1 open cases are others' to decide, under way or" in here("review", "next", "--by", "kim").stdout
    listed = here("review", "list").stdout
    assert "1 suspended" in listed
    assert "overdue" not in listed.replace("0 overdue", "")
    assert here("consent", "m1", "on", "--purpose", "verification").exit_code == 0
    assert "The case of m1 is yours" in here("review", "next", "--by", "kim").stdout


def test_the_operators_account_ends_a_request_while_a_case_is_open(mariadb_url: str) -> None:
    with granted_database(mariadb_url) as granted:
        worker, operator = (build_engine(granted.url_of(f"verify_{who}")) for who in ("worker", "operator"))
        at_work, store = a_store(worker), a_store(operator)
        judged(at_work)
        at_work.requests.accept(a_job("r2", at=later(5)), "verify", later(5))
        noted(store, given=False, at=6)
        assert store.requests.find("r2").state is State.DEAD  # type: ignore[union-attr]
        assert store.reviews.queue.claim_next("kim", later(7)) is None
        noted(store, given=True, at=8)
        assert (
            at_work.reviews.missed.follow(later(9)) == 1
        )  # nothing came since: the daily comparison finds it
        assert claimed(store, "kim", 10).request_id == "r2"
        for engine in (worker, operator):
            engine.dispose()
