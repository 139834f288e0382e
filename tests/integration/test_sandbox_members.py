"""Members of the sandbox in the store: marked, never counted, never learned from, gone after a day."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from click.testing import Result

from pipeline.verdict import Reason, Status
from support import reviews
from support.grants import granted_database
from support.jobs import KIM, LEASE, MOST, NOW, a_job, a_verdict, later
from support.workers import rows
from worker.errors import NotPossible
from worker.settings import load_settings
from worker.store import Attempt, NewMember, Store
from worker.store.tables.states import PairLabel, Purpose, State
from worker.verification.delivery import DeliveryRules, Handled, Verification
from worker.verification.maintenance import purge_old
from worker.verification.sandbox import Sandbox

PREFIX = "sandbox-"
Cli = Callable[..., Result]


class NoPhotos:
    """A photo host that must not be asked."""

    def fetch_all(self, urls: object) -> object:
        raise AssertionError(urls)


@pytest.fixture
def sandbox(engine: sa.Engine) -> Store:
    """The store of a worker with the sandbox."""
    return Store(engine, tombstone_key=b"key", sandbox_prefix=PREFIX, listening=True)


def verification(store: Store, prefix: str = PREFIX) -> Verification:
    """A worker's, which would take every approval for the blind audit."""
    return Verification(
        requests=store.requests,
        dead_jobs=store.dead_jobs,
        shadows=store.shadows,
        fetcher=NoPhotos(),  # type: ignore[arg-type]
        verify=lambda *_: pytest.fail("judged"),
        rules=DeliveryRules(blind_audit_share=1.0, audit_key=b"key"),
        worker="w",
        sandbox=Sandbox(prefix),
        clock=lambda: NOW,
    )


def handle(store: Store, member_id: str, request_id: str = "", prefix: str = PREFIX) -> Handled:
    job = a_job(request_id or f"r-{member_id}", member_id)
    return verification(store, prefix).handle(job.to_message(), "verify")


def judged(store: Store, member_id: str) -> None:
    """A real member's request, approved by the networks."""
    store.requests.accept(a_job(f"r-{member_id}", member_id), "verify", NOW)
    attempt = store.requests.acquire(f"r-{member_id}", "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(), NOW)


def said(store: Store, member_id: str) -> tuple[State, Status | None, Reason | None, bool]:
    """Of the member's newest request."""
    (newest, *_) = store.requests.of_member(member_id)
    return newest.state, newest.status, newest.reason, newest.sandbox


def test_a_verdict_by_name_is_stored_like_any_other_and_marked_everywhere(sandbox: Store) -> None:
    assert handle(sandbox, "sandbox-approved.1") is Handled.STORED
    assert said(sandbox, "sandbox-approved.1") == (State.DONE, Status.APPROVED, Reason.SAME_PERSON, True)
    assert handle(sandbox, "sandbox-review") is Handled.STORED
    assert handle(sandbox, "sandbox-aproved") is Handled.DEAD_LETTER
    assert handle(sandbox, "sandbox-waiting") is Handled.POSTPONED
    t = sandbox.database.t
    for table in (t.member, t.verification, t.result):
        assert [row["sandbox"] for row in rows(sandbox, table)] == [True] * 4
    bad = a_job("r-bad", "sandbox-review").to_message()
    assert verification(sandbox).handle({**bad, "why": 7}, "verify") is Handled.DEAD_LETTER
    events = rows(sandbox, t.event)
    assert [event["payload"]["data"]["sandbox"] for event in events] == [True] * 4  # type: ignore[index]
    _, dead = sandbox.dead_jobs.latest()
    assert (dead.reason, dead.member_id) == ("bad_sandbox_id", "sandbox-aproved")
    assert "there is approved, review" in dead.error
    queue = sandbox.reviews.queue
    assert [queue.page(NOW).open, queue.page(NOW, sandbox=True).open] == [0, 1]
    assert queue.claim_next("kim", NOW) is None
    member = sandbox.members.find("sandbox-review")
    assert member is not None
    assert member.sandbox
    reviews.decide(sandbox, "sandbox-review", Status.REJECTED, "kim", NOW)
    assert said(sandbox, "sandbox-review")[1:3] == (Status.REJECTED, Reason.REJECTED_BY_PERSON)


def test_a_member_written_in_sql_or_by_an_import_is_of_the_sandbox_from_the_first_request(
    sandbox: Store,
) -> None:
    new = NewMember("sandbox-approved", None, "https://h/s.jpg", ("https://h/1.jpg",))
    sandbox.members.import_list([new], NOW)
    (queued,) = sandbox.pending.enqueue("bulk", later(1)).jobs
    assert verification(sandbox).handle(queued.job.to_message(), "bulk") is Handled.STORED
    assert said(sandbox, "sandbox-approved") == (State.DONE, Status.APPROVED, Reason.SAME_PERSON, True)
    assert len(sandbox.pending.enqueue_members(["sandbox-approved"], "bulk", later(2)).jobs) == 1
    assert said(sandbox, "sandbox-approved")[3]


def test_a_member_who_was_there_before_the_prefix_gets_no_made_up_verdict(
    store: Store, sandbox: Store
) -> None:
    judged(store, "sandbox-approved")
    assert sandbox.members.count_real(PREFIX) == 1
    assert handle(sandbox, "sandbox-approved", "r2") is Handled.DEAD_LETTER
    assert said(sandbox, "sandbox-approved") == (State.DEAD, Status.ERROR, Reason.INTERNAL_ERROR, False)
    member = sandbox.members.find("sandbox-approved")
    assert member is not None
    assert (member.status, member.verified_request_id) == (Status.APPROVED, "r-sandbox-approved")
    (dead,) = sandbox.dead_jobs.latest()
    assert dead.reason == "not_sandbox"
    assert sandbox.dead_jobs.requeue(dead.id, NOW).job.request_id == "r2"
    assert sandbox.reports.status(NOW).dead_jobs == 0


def test_a_member_of_the_sandbox_is_never_verified_by_a_worker_without_it(sandbox: Store) -> None:
    handle(sandbox, "sandbox-approved")
    assert handle(sandbox, "sandbox-approved", "r2", prefix="") is Handled.DEAD_LETTER
    assert said(sandbox, "sandbox-approved") == (State.DEAD, Status.ERROR, Reason.INTERNAL_ERROR, True)


def test_the_sandbox_is_counted_by_itself_and_never_learned_from(sandbox: Store) -> None:
    judged(sandbox, "m1")
    before = sandbox.reports.status(later(60))
    for member_id in ("sandbox-approved", "sandbox-review-blind_audit", "sandbox-dead", "sandbox-waiting"):
        handle(sandbox, member_id)
        sandbox.consents.record(member_id, Purpose.TRAINING, NOW, given=True)
    after = sandbox.reports.status(later(60))
    assert (before.sandbox, after.sandbox) == (0, 4)
    ours = {"sandbox": 0, "outbox": before.outbox}  # events are on their way whosever they are
    assert {**vars_of(after), **ours} == vars_of(before)
    assert sandbox.labels.audit().sampled == 0
    assert sandbox.labels.consenting() == []
    with pytest.raises(NotPossible, match="no photo 1 to answer: there are none"):
        reviews.label(sandbox, "sandbox-approved", 1, PairLabel.GENUINE, "kim", NOW)
    t = sandbox.database.t
    label = {"request_id": "r-sandbox-approved", "position": 1, "label": "genuine", "labelled_by": "kim"}
    with sandbox.database.engine.begin() as c:
        c.execute(sa.insert(t.label).values(**label, labelled_at=NOW))
    assert sandbox.labels.truth().labels == 0


def test_the_commands_mark_the_sandbox_and_warn_of_real_members_in_it(store: Store, here: Cli) -> None:
    sandbox = Store(store.database.engine, sandbox_prefix=PREFIX)
    judged(store, "sandbox-approved")
    for member_id in ("sandbox-approved.2", "sandbox-review"):
        handle(sandbox, member_id)
    assert "real members" not in here("init-db").stderr
    assert "begin with sandbox- (VERIFY_SANDBOX_PREFIX): 1;" in here("init-db", SANDBOX_PREFIX=PREFIX).stderr
    assert "sandbox-approved.2 (sandbox)" in here("show", "sandbox-approved.2").stdout
    assert "(sandbox)" not in here("show", "sandbox-approved").stdout
    assert "Nobody waits" in here("review", "list").stdout
    assert "sandbox-review" in here("review", "list", "--sandbox").stdout
    assert "Sandbox: 2 members" in here("status").stdout
    assert json.loads(here("status", "--json").stdout)["members"] == 1


def vars_of(report: object) -> dict[str, object]:
    return {name: getattr(report, name) for name in report.__dataclass_fields__}  # type: ignore[attr-defined]


def test_a_day_after_its_last_change_a_member_of_the_sandbox_is_gone_and_may_come_again(
    sandbox: Store,
) -> None:
    judged(sandbox, "m1")
    for member_id in ("sandbox-review", "sandbox-dead"):
        handle(sandbox, member_id)
        sandbox.accesses.note([member_id], KIM, NOW)
    reviews.decide(sandbox, "sandbox-review", Status.APPROVED, "kim", NOW)
    assert purge_old(sandbox.retention, load_settings(), NOW + timedelta(hours=23)).sandbox == 0
    assert purge_old(sandbox.retention, load_settings(), NOW + timedelta(hours=25)).sandbox == 2
    t = sandbox.database.t
    assert [row["member_id"] for row in rows(sandbox, t.member)] == ["m1"]
    assert [row["request_id"] for row in rows(sandbox, t.verification)] == ["r-m1"]
    assert {row["member_id"] for table in (t.result, t.event) for row in rows(sandbox, table)} == {"m1"}
    for table in (t.dead_job, t.decision, t.tombstone):
        assert rows(sandbox, table) == []
    assert [row["member_id"] for row in rows(sandbox, t.access_log)] == [None] * 3
    assert handle(sandbox, "sandbox-review") is Handled.STORED


def test_the_account_of_the_worker_purges_the_sandbox_and_nobody_else(mariadb_url: str) -> None:
    with granted_database(mariadb_url) as granted:
        admin, engine = Store(granted.admin), sa.create_engine(granted.url_of("verify_worker"))
        store = Store(engine, sandbox_prefix=PREFIX, listening=True)
        judged(store, "m1")
        handle(store, "sandbox-review")
        for member_id in ("m1", "sandbox-review"):
            reviews.decide(admin, member_id, Status.REJECTED, "kim", NOW)
        with engine.begin() as c:
            for view in ("label_of_sandbox", "decision_of_sandbox"):
                c.exec_driver_sql(f"DELETE FROM {view} WHERE request_id = 'r-m1'")
        assert purge_old(store.retention, load_settings(), later(100_000)).sandbox == 1
        t = store.database.t
        assert [row["request_id"] for row in rows(admin, t.decision)] == ["r-m1"]
        assert [row["member_id"] for row in rows(admin, t.member)] == ["m1"]
        engine.dispose()
