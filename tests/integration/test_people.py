"""What people do with members: decide, look, note consent; and what is kept of it for how long."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from celery.schedules import crontab
from click.testing import Result

import celeryconfig
from pipeline.verdict import Reason, Status
from support import reviews
from support.jobs import KIM, LEASE, MOST, NOW, PHOTOS, SELFIE, a_job, a_message, a_verdict, later
from worker import runtime, tasks
from worker.jobs import queues
from worker.settings import load_settings
from worker.store import Attempt, DeadJob, MappedMember, Purged, Store
from worker.verification.maintenance import purge_old

Cli = Callable[..., Result]


@pytest.fixture
def here(here: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same with a key, as nobody in particular."""
    monkeypatch.setenv("VERIFY_TOMBSTONE_KEY", "test key")
    monkeypatch.delenv("VERIFY_OPERATOR", raising=False)
    return here


def judged(
    store: Store, request_id: str = "r1", member_id: str = "m1", seconds: float = 0, **verdict: Any
) -> None:
    at = later(seconds)
    store.requests.accept(a_job(request_id, member_id, at), "verify", at)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, at)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(**verdict), at)


def in_review(store: Store, request_id: str = "r1", member_id: str = "m1", **more: Any) -> None:
    judged(store, request_id, member_id, status=Status.REVIEW, **{"reason": Reason.BLIND_AUDIT, **more})


def rows_of(store: Store, table: sa.Table) -> list[dict[str, Any]]:
    with store.database.engine.connect() as c:
        return [dict(row) for row in c.execute(sa.select(table)).mappings()]


def standing(store: Store, member_id: str = "m1") -> tuple[Status | None, Reason | None, bool | None]:
    member = store.members.find(member_id)
    assert member is not None
    return member.status, member.reason, member.same_person


# Decisions


def test_after_several_decisions_the_latest_counts_and_the_machines_verdict_is_still_the_machines(
    store: Store,
) -> None:
    in_review(store)
    reviews.decide(store, "m1", Status.REJECTED, "kim", NOW)
    reviews.decide(store, "m1", Status.APPROVED, "lee", later(1))
    request = store.requests.find("r1")
    assert request is not None
    assert (request.status, request.machine_reason) == (Status.APPROVED, Reason.BLIND_AUDIT)
    first, second = request.decisions
    assert (first.decided_by, second.decided_by) == ("kim", "lee")
    assert second.previous_reason is Reason.REJECTED_BY_PERSON


def test_show_says_what_the_machine_found_and_what_the_person_decided(here: Cli, store: Store) -> None:
    judged(store, similarity=0.997, same_person=True)
    reviews.decide(store, "m1", Status.REJECTED, "kim [boss]", NOW)
    shown = here("show", "m1").stdout
    assert "rejected_by_person: A person rejected" in shown
    assert "kim [boss], 2026-11-24" in shown
    assert "approved, same_person: The first gallery photo" in shown
    assert "somebody else" not in shown
    told = json.loads(here("show", "m1", "--json").stdout)
    assert [told["member"][name] for name in ("status", "reason")] == ["rejected", "rejected_by_person"]
    request = told["requests"][0]
    assert (request["machine_status"], request["machine_reason"]) == ("approved", "same_person")
    assert [each["decided_by"] for each in request["decisions"]] == ["kim [boss]"]


def test_a_verdict_by_machine_has_no_decision_beside_it(here: Cli, store: Store) -> None:
    judged(store)
    assert "decided by" not in here("show", "m1").stdout
    request = store.requests.find("r1")
    assert request is not None
    assert (request.machine_status, request.machine_reason) == (request.status, request.reason)


def test_a_decision_is_written_into_the_apps_own_table_too(engine: sa.Engine) -> None:
    with engine.begin() as c:
        c.execute(sa.text("DROP TABLE IF EXISTS users"))
        columns = "verification_status VARCHAR(20), reason VARCHAR(32), same_person BOOLEAN"
        c.execute(sa.text(f"CREATE TABLE users (id VARCHAR(64) PRIMARY KEY, {columns})"))
        c.execute(sa.text("INSERT INTO users (id) VALUES ('m1')"))
    try:
        store = Store(engine, mapped=MappedMember(engine, "users", "id"), tombstone_key=b"k")
        judged(store, same_person=True)
        reviews.decide(store, "m1", Status.REJECTED, "kim", NOW)
        with engine.connect() as c:
            row = c.execute(sa.text("SELECT verification_status, reason, same_person FROM users")).one()
        assert tuple(row) == ("rejected", "rejected_by_person", True)
        store.reviews.undoing.undo("kim", NOW)
        with engine.connect() as c:
            row = c.execute(sa.text("SELECT verification_status, reason, same_person FROM users")).one()
        assert tuple(row) == ("approved", "same_person", True)
    finally:
        with engine.begin() as c:
            c.execute(sa.text("DROP TABLE users"))


# Looking


def test_who_looks_at_a_member_is_on_record(here: Cli, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(store)
    monkeypatch.setenv("LOGNAME", "the-login")
    here("show", "m1")
    monkeypatch.setenv("VERIFY_OPERATOR", "kim")
    here("show", "m1", "--json")
    here("show", "m1", "--en")
    here("show", "nobody")
    looks = store.accesses.of_member("m1")
    assert [(look.looked_by, look.way) for look in looks] == [
        ("kim", "text"),
        ("kim", "json"),
        ("the-login", "show"),
    ]
    shown = here("show", "m1", "--looks").stdout
    assert "the-login" in shown
    assert "similarity" not in shown
    assert store.accesses.of_member("nobody") == []


def test_nothing_is_shown_where_the_look_cannot_be_recorded(here: Cli, store: Store) -> None:
    judged(store)
    log = store.database.t.access_log
    log.drop(store.database.engine)
    try:
        result = here("show", "m1")
    finally:
        log.create(store.database.engine)
    assert result.exit_code == 1
    assert "approved" not in result.stdout


def test_what_the_machine_found_is_shown_only_after_the_decision(here: Cli, store: Store) -> None:
    in_review(store, same_person=True)
    for words in (("show", "m1"), ("show", "m1", "--json")):
        shown = here(*words).stdout
        assert "m1/1.jpg" in shown
        for word in ("0.980", "0.830", "same", "audit", "female", "too_dark"):
            assert word not in shown
    reviews.decide(store, "m1", Status.APPROVED, "kim", NOW)
    assert "0.980" in here("show", "m1").stdout


# Consent


def test_consent_is_switched_on_and_off_and_seen(here: Cli, store: Store) -> None:
    judged(store)
    assert here("consent", "m1", "on").exit_code == 0
    assert store.members.find("m1").training_consent  # type: ignore[union-attr]
    assert "as it was" in here("consent", "m1", "on").stdout
    assert "training consent" in here("show", "m1").stdout
    here("consent", "m1", "off")
    assert not store.members.find("m1").training_consent  # type: ignore[union-attr]
    assert here("consent", "nobody", "on").exit_code == 1
    assert here("consent", "m1", "maybe").exit_code == 2


# Keeping for a time


def test_old_numbers_bodies_and_looks_go_and_verdicts_stay(store: Store) -> None:
    judged(store, "old", "m1", seconds=-200 * 86400)
    judged(store, "new", "m2")
    for number, days in enumerate((40, 20)):
        body = json.dumps(a_message(request_id=f"d{number}")).encode()
        store.dead_jobs.add(DeadJob("unknown_schema", "x", body, "verify"), NOW - timedelta(days=days))
    for days in (800, 700):
        store.accesses.note(["m1"], KIM, NOW - timedelta(days=days))
    for request in ("old", "new"):
        judged_at = NOW - timedelta(days=200 if request == "old" else 0)
        assert store.shadows.note(request, a_verdict(), a_verdict(), judged_at)
    assert purge_old(store.retention, load_settings(), NOW) == Purged(
        photos=4, dead_jobs=1, looks=1, shadows=1, events=0, links=1, member_links=0, sandbox=0, staff=0
    )
    assert purge_old(store.retention, load_settings(), NOW) == Purged(0, 0, 0, 0, 0, 0, 0, 0, 0)
    old, new = store.requests.find("old"), store.requests.find("new")
    assert old is not None
    assert new is not None
    assert (old.status, old.photos[0].outcome) == (new.status, new.photos[0].outcome)
    assert new.photos[0].comparison is not None
    assert new.photos[0].landmarks == PHOTOS[0].landmarks
    for finding in (old.selfie or SELFIE, *old.photos):
        assert (finding.comparison, finding.box, finding.gate, finding.quality) == (None, None, None, {})
        assert finding.landmarks is None
    assert [bool(row["message_head"]) for row in rows_of(store, store.database.t.dead_job)] == [False, True]
    assert len(store.accesses.of_member("m1")) == 1


def test_the_daily_task_purges_and_has_its_time_and_a_consumer(
    here: Cli, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(store, seconds=-(365 * 86400))
    entry = celeryconfig.beat_schedule["purge"]
    assert (entry["task"], entry["options"]) == (tasks.purge.name, {"queue": queues.MAINTENANCE})
    assert isinstance(entry["schedule"], crontab)
    runtime.reset()
    assert "photos=4" in tasks.purge()
    runtime.store().close()


def test_what_is_still_under_way_keeps_its_numbers(store: Store) -> None:
    judged(store, seconds=-200 * 86400, status=Status.ERROR, reason=Reason.SELFIE_NOT_FETCHED)
    store.requests.requeue("r1", NOW)
    assert purge_old(store.retention, load_settings(), NOW).photos == 0


def test_more_than_one_transaction_holds_is_purged(store: Store) -> None:
    judged(store)
    rows = [{"member_id": "m1", "looked_by": "k", "way": "show", "looked_at": NOW}] * 1203
    with store.database.engine.begin() as c:
        c.execute(sa.insert(store.database.t.access_log), rows)
    assert purge_old(store.retention, load_settings(), NOW + timedelta(days=731)).looks == 1203


def test_purged_photos_can_still_be_shown_and_a_command_says_how_many(here: Cli, store: Store) -> None:
    judged(store, seconds=-(365 * 86400))
    assert "the numbers of 4 photos" in here("purge").stdout
    assert json.loads(here("purge", "--json").stdout) == {
        "photos": 0,
        "dead_jobs": 0,
        "looks": 0,
        "shadows": 0,
        "events": 0,
        "links": 0,
        "member_links": 0,
        "sandbox": 0,
        "staff": 0,
    }
    assert "too_dark" in here("show", "m1").stdout
