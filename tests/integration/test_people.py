"""What people do with members: label, decide, look; and what is kept of it for how long."""

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
from pipeline.verdict import Gender, Reason, Status
from support.jobs import KIM, LEASE, MOST, NOW, SELFIE, a_job, a_message, a_verdict, later
from support.together import together, while_open
from worker import runtime, tasks
from worker.clock import utc_now
from worker.errors import NotPossible
from worker.jobs import queues
from worker.settings import load_settings
from worker.store import Attempt, DeadJob, MappedMember, Purged, Store
from worker.store.tables.states import Decider, PairLabel
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


# Labels


def test_a_label_says_who_said_what_of_which_photo_and_when(here: Cli, store: Store) -> None:
    judged(store)
    result = here("label", "m1", 1, "impostor", "--gender", "male", "--by", "Kim Ji-won")
    assert result.exit_code == 0
    assert "impostor, says Kim Ji-won" in result.stdout
    assert "Training consent: no" in result.stdout
    [row] = rows_of(store, store.database.t.label)
    assert (row["request_id"], row["position"], row["label"]) == ("r1", 1, PairLabel.IMPOSTOR)
    assert (row["gender"], row["labelled_by"]) == (Gender.MALE, "Kim Ji-won")
    assert abs(utc_now() - row["labelled_at"]) < timedelta(minutes=5)
    here("consent", "m1", "on")
    assert "Training consent: yes" in here("label", "m1", 1, "genuine", "--by", "Lee").stdout
    assert [row["label"] for row in rows_of(store, store.database.t.label)] == ["impostor", "genuine"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("nobody", 1, "genuine"), "no member nobody"),
        (("m1 ", 1, "genuine"), "no member m1 "),
        (("m1", 4, "genuine"), "no gallery photo 4"),
        (("m1", 3, "genuine"), "no face was seen in the photo (not_fetched)"),
        (("new", 1, "genuine"), "never judged"),
    ],
)
def test_what_was_never_judged_cannot_be_labelled(
    here: Cli, store: Store, words: tuple[object, ...], why: str
) -> None:
    judged(store)
    store.requests.accept(a_job("r9", "new"), "verify", NOW)
    result = here("label", *words, "--by", "kim")
    assert result.exit_code == 1
    assert why in result.stderr
    assert rows_of(store, store.database.t.label) == []


@pytest.mark.parametrize(
    "words", [("m1", 0, "genuine"), ("m1", 1, "maybe"), ("m1", "x", "genuine"), ("m1", 1)]
)
def test_a_label_in_disorder_is_wrong_usage(here: Cli, words: tuple[object, ...]) -> None:
    assert here("label", *words, "--by", "kim").exit_code == 2


def test_a_label_and_a_decision_want_a_name(here: Cli, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    in_review(store)
    for words in (
        ("label", "m1", 1, "genuine"),
        ("review", "m1", "approve"),
        ("review", "m1", "approve", "--by", " "),
    ):
        result = here(*words)
        assert result.exit_code == 2
        assert "--by NAME" in result.stderr
    monkeypatch.setenv("VERIFY_OPERATOR", "lee")
    assert here("review", "m1", "approve").exit_code == 0
    assert rows_of(store, store.database.t.decision)[0]["decided_by"] == "lee"


def test_labels_are_about_the_latest_judged_request(store: Store) -> None:
    judged(store, "r1")
    judged(store, "r2", seconds=1)
    store.requests.accept(a_job("r3", at=later(2)), "verify", later(2))
    assert store.reviews.label("m1", 1, PairLabel.GENUINE, "kim", NOW).request_id == "r2"


# Decisions


def test_a_person_approves_and_the_member_and_the_request_say_so(here: Cli, store: Store) -> None:
    in_review(store)
    result = here("review", "m1", "approve", "--by", "kim")
    assert result.exit_code == 0
    assert standing(store) == (Status.APPROVED, Reason.APPROVED_BY_PERSON, None)
    request = store.requests.find("r1")
    assert request is not None
    assert (request.status, request.decided_by) == (Status.APPROVED, Decider.PERSON)
    [row] = rows_of(store, store.database.t.decision)
    assert (row["previous_status"], row["previous_reason"]) == (Status.REVIEW, Reason.BLIND_AUDIT)
    assert (row["status"], row["decided_by"]) == (Status.APPROVED, "kim")


@pytest.mark.parametrize("decision", [Status.APPROVED, Status.REJECTED])
@pytest.mark.parametrize(
    ("status", "reason", "same"),
    [
        (Status.APPROVED, Reason.SAME_PERSON, True),
        (Status.REVIEW, Reason.BLIND_AUDIT, True),
        (Status.REVIEW, Reason.SAME_PICTURE, None),
        (Status.REVIEW, Reason.DIFFERENT_PERSON, False),
    ],
)
def test_a_decision_says_nothing_but_what_the_person_said_and_leaves_the_machines_findings(
    store: Store, decision: Status, status: Status, reason: Reason, same: bool | None
) -> None:
    judged(store, status=status, reason=reason, same_person=same, similarity=0.997)
    store.reviews.decide("m1", decision, "kim", NOW)
    assert standing(store) == (decision, f"{decision}_by_person", same)
    member, request = store.members.find("m1"), store.requests.find("r1")
    assert member is not None
    assert request is not None
    assert (request.status, request.reason) == (decision, f"{decision}_by_person")
    assert (request.machine_status, request.machine_reason) == (status, reason)
    assert (member.similarity, request.similarity) == (0.997, 0.997)
    assert request.same_person is same


def test_after_several_decisions_the_latest_counts_and_the_machines_verdict_is_still_the_machines(
    store: Store,
) -> None:
    in_review(store)
    store.reviews.decide("m1", Status.REJECTED, "kim", NOW)
    store.reviews.decide("m1", Status.APPROVED, "lee", later(1))
    request = store.requests.find("r1")
    assert request is not None
    assert (request.status, request.machine_reason) == (Status.APPROVED, Reason.BLIND_AUDIT)
    first, second = request.decisions
    assert (first.decided_by, second.decided_by) == ("kim", "lee")
    assert second.previous_reason is Reason.REJECTED_BY_PERSON


def test_show_says_what_the_machine_found_and_what_the_person_decided(here: Cli, store: Store) -> None:
    judged(store, similarity=0.997, same_person=True)
    store.reviews.decide("m1", Status.REJECTED, "kim [boss]", NOW)
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


def test_who_waits_for_a_person_is_listed_the_longest_waiting_first(here: Cli, store: Store) -> None:
    assert "Nobody waits" in here("review").stdout
    in_review(store, "r2", "late", seconds=9)
    in_review(store, "r1", "early")
    judged(store, "r3", "done")
    assert [one["member_id"] for one in json.loads(here("review", "--json").stdout)] == ["early", "late"]
    shown = here("review").stdout
    assert "early" in shown
    assert "done" not in shown


def test_only_the_newest_request_and_only_a_judged_one_is_decided(here: Cli, store: Store) -> None:
    in_review(store)
    assert here("review", "m1", "approve", "--by", "kim", "--request", "r0").exit_code == 1
    assert "no member nobody" in here("review", "nobody", "reject", "--by", "kim").stderr
    store.requests.accept(a_job("r2", at=later(1)), "verify", later(1))
    result = here("review", "m1", "approve", "--by", "kim")
    assert (result.exit_code, "is queued" in result.stderr) == (1, True)
    assert standing(store)[0] is Status.REVIEW
    assert rows_of(store, store.database.t.decision) == []


def test_an_error_is_nothing_to_decide(store: Store) -> None:
    judged(store, status=Status.ERROR, reason=Reason.INTERNAL_ERROR)
    with pytest.raises(NotPossible, match="error"):
        store.reviews.decide("m1", Status.APPROVED, "kim", NOW)


def test_of_two_reviewers_at_once_both_are_on_record_and_the_second_saw_the_first(store: Store) -> None:
    in_review(store)
    together(
        [
            lambda: store.reviews.decide("m1", Status.APPROVED, "kim", NOW),
            lambda: store.reviews.decide("m1", Status.REJECTED, "lee", NOW),
        ]
    )
    first, second = rows_of(store, store.database.t.decision)
    assert second["previous_status"] == first["status"]
    assert standing(store)[0] == second["status"]


def test_a_decision_waits_for_a_request_that_comes_in_and_then_refuses(store: Store) -> None:
    in_review(store)
    newer = a_job("r2", at=later(1))
    outcome = while_open(
        store.database.engine,
        lambda c: store.requests._acceptance.accept(c, newer, "verify", later(1)),
        lambda: store.reviews.decide("m1", Status.APPROVED, "kim", later(1)),
    )
    assert isinstance(outcome, NotPossible)
    assert standing(store)[0] is Status.REVIEW


def test_a_decision_is_written_into_the_apps_own_table_too(engine: sa.Engine) -> None:
    with engine.begin() as c:
        c.execute(sa.text("DROP TABLE IF EXISTS users"))
        columns = "verification_status VARCHAR(20), reason VARCHAR(32), same_person BOOLEAN"
        c.execute(sa.text(f"CREATE TABLE users (id VARCHAR(64) PRIMARY KEY, {columns})"))
        c.execute(sa.text("INSERT INTO users (id) VALUES ('m1')"))
    try:
        store = Store(engine, mapped=MappedMember(engine, "users", "id"), tombstone_key=b"k")
        judged(store, same_person=True)
        store.reviews.decide("m1", Status.REJECTED, "kim", NOW)
        with engine.connect() as c:
            row = c.execute(sa.text("SELECT verification_status, reason, same_person FROM users")).one()
        assert tuple(row) == ("rejected", "rejected_by_person", True)
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


def test_a_reviewer_sees_the_guess_at_the_gender_only_after_deciding(here: Cli, store: Store) -> None:
    in_review(store)
    assert "0.980" not in here("show", "m1").stdout
    hidden = json.loads(here("show", "m1", "--json").stdout)
    assert [hidden["member"]["gender"], hidden["requests"][0]["gender_probability"]] == [None, None]
    store.reviews.decide("m1", Status.APPROVED, "kim", NOW)
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
        photos=4, dead_jobs=1, looks=1, shadows=1, events=0, links=1, member_links=0, sandbox=0
    )
    assert purge_old(store.retention, load_settings(), NOW) == Purged(0, 0, 0, 0, 0, 0, 0, 0)
    old, new = store.requests.find("old"), store.requests.find("new")
    assert old is not None
    assert new is not None
    assert (old.status, old.photos[0].outcome) == (new.status, new.photos[0].outcome)
    assert new.photos[0].comparison is not None
    for finding in (old.selfie or SELFIE, *old.photos):
        assert (finding.comparison, finding.box, finding.gate, finding.quality) == (None, None, None, {})
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
    }
    assert "too_dark" in here("show", "m1").stdout
