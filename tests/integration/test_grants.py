"""worker/grants.sql on a real server: each account can do its work, and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from pipeline.verdict import Gender, Reason, Status
from support import reviews, staff
from support.broker import Lists
from support.bundle import ROOT
from support.grants import ACCOUNTS, Granted, granted_database
from support.grants import GRANTS as SQL
from support.heads import a_bundle
from support.jobs import KIM, LEASE, MOST, NOW, a_job, a_message, a_verdict, later
from support.training import TrainingScene, labelled_member, learn_from_one
from worker.errors import ConsentWithdrawn, MemberForgotten
from worker.jobs.verify_job import VerifyJob
from worker.metrics.state import read_database
from worker.migrations import behind, current_revision
from worker.migrations.migrate import version_table
from worker.results.explained import Terms
from worker.serving.registry import publish
from worker.settings import load_settings
from worker.store import Attempt, Cutoffs, DeadJob, NewMember, NewObjection, Store, build_engine, month_of
from worker.store.outbox.records import Tried
from worker.store.staff.enrolment import Enrolled
from worker.store.staff.roles import checkers
from worker.store.tables.schema import tables
from worker.store.tables.states import PairLabel, Purpose, Role, RunState, State
from worker.verification.maintenance import sweep

DOCUMENTED = re.findall(r"```sql\n(.*?)```", (ROOT / "worker" / "MESSAGE.md").read_text(), re.DOTALL)
"""The statements of MESSAGE.md: a new member, a change, the result of a request, where a member stands."""
SINGLE_CHANGES = (
    "UPDATE member SET selfie_url = 'https://h/s2.jpg'",
    "UPDATE member SET declared_gender = NULL",
    "UPDATE photo SET url = 'https://h/2.jpg' WHERE position = 1",
    "UPDATE photo SET position = 3 WHERE position = 1",
    "INSERT INTO photo (member_id, position, url) VALUES ('m-1024', 3, 'https://h/3.jpg')",
    "DELETE FROM photo WHERE position = 2",
)
WRITTEN = ("label", "decision", "review_vote", "access_log")
"""What people write."""
WRITERS = ("verify_operator", "verify_console")
"""Who writes records of access."""
VIEWS = (
    *("member_decided", "result_decided", "consent_open"),
    *(f"{name}_of_forgotten" for name in (*WRITTEN, "review_case", "verification", "result")),
)
VIEWS_OF_SANDBOX = tuple(
    f"{name}_of_sandbox"
    for name in ("label", "decision", "review_vote", "review_case", "verification", "result")
)
TOMBSTONE = "INSERT INTO tombstone (member_hash, forgotten_at, erases) VALUES ('x', NOW(6), 'm1')"
DECISION = (
    "INSERT INTO decision (request_id, status, previous_status, previous_reason, decided_by, decided_at) "
    "VALUES ('{}', 'approved', 'review', 'different_person', 'kim', NOW(6))"
)
TOLD_APPROVED = "SET status = 'approved', reason = 'approved_by_person' WHERE request_id = 'r1'"
APPROVED = "SET verification_status = 'approved', reason = 'approved_by_person' WHERE member_id = 'm1'"
NEW = NewMember("m1", Gender.MALE, "https://h/s.jpg", ("https://h/1.jpg",), training_consent=True)


@pytest.fixture(scope="module")
def granted(mariadb_url: str) -> Iterator[Granted]:
    """A database with our tables and accounts."""
    with granted_database(mariadb_url) as found:
        yield found


@pytest.fixture
def engine_of(granted: Granted) -> Iterator[Callable[[str], sa.Engine]]:
    """Engines of the accounts, on tables that are empty before each test."""
    granted.empty()
    engines: list[sa.Engine] = []

    def open_for(account: str) -> sa.Engine:
        engines.append(build_engine(granted.url_of(account)))
        return engines[-1]

    yield open_for
    for engine in engines:
        engine.dispose()


def store_of(engine: sa.Engine) -> Store:
    return Store(engine, tombstone_key=b"key", listening=True)


def judged(store: Store, request_id: str) -> None:
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(), NOW)


def insert_member(engine: sa.Engine) -> None:
    with engine.begin() as c:
        c.exec_driver_sql("INSERT INTO member (member_id, selfie_url) VALUES ('app-1', 'https://h/s.jpg')")
        c.exec_driver_sql(
            "INSERT INTO photo (member_id, position, url) VALUES ('app-1', 1, 'https://h/1.jpg')"
        )


def as_the_app(engine: sa.Engine, statements: str, *, alone: bool = False) -> list[Any]:
    """Run the statements; the rows of the last one. ``alone``: each is committed by itself."""
    options = {"isolation_level": "AUTOCOMMIT"} if alone else {}
    rows: list[Any] = []
    with engine.connect().execution_options(**options) as c:
        for statement in filter(None, map(str.strip, statements.split(";"))):
            if not re.match("START TRANSACTION|COMMIT", statement):
                result = c.exec_driver_sql(statement)
                rows = list(result) if result.returns_rows else []
        c.commit()
    return rows


def swept(store: Store, at: float) -> list[VerifyJob]:
    broker = Lists()
    sweep(store.requests, store.pending, broker, later(at))
    return [job for job, _ in broker.sent]


def asked(store: Store, first: int, last: int) -> dict[str, VerifyJob]:
    """The requests that sweeps between these seconds sent."""
    return {job.request_id: job for at in range(first, last, 15) for job in swept(store, at)}


def test_every_table_is_thought_of() -> None:
    named = set(re.findall(r"\bON (\w+) TO", SQL))
    assert named == {*tables().metadata.tables, version_table("")}
    assert set(re.findall(r"\bON TABLE (\w+) TO", SQL)) == {
        *VIEWS,
        *VIEWS_OF_SANDBOX,
        "staff_account_expired",
    }


def test_the_worker_reads_whether_the_tables_are_as_new_as_it_is(
    engine_of: Callable[[str], sa.Engine], granted: Granted
) -> None:
    newest = current_revision(granted.admin)
    with granted.admin.begin() as c:
        c.execute(sa.text("UPDATE verify_schema_version SET version_num = '0012'"))
    try:
        said = behind(engine_of("verify_worker"))
        assert said
        assert f"at revision 0012, and this program needs {newest}" in said
        assert behind(engine_of("verify_operator")) is None  # it may not read it
    finally:
        with granted.admin.begin() as c:
            c.execute(sa.text("UPDATE verify_schema_version SET version_num = :v"), {"v": newest})


def test_the_worker_may_change_all_of_a_request_but_whether_it_is_of_the_sandbox() -> None:
    (granted,) = re.findall(r"GRANT UPDATE \(([\w, \n]+)\)\s+ON verification TO 'verify_worker'", SQL)
    columns = {column.name for column in tables().verification.c}
    assert set(re.findall(r"\w+", granted)) == columns - {"sandbox"}


def test_a_new_account_is_locked_until_it_has_a_password() -> None:
    assert SQL.count("ACCOUNT LOCK;") == len(ACCOUNTS)
    assert "IDENTIFIED" not in re.sub(r"(?m)^--.*$", "", SQL)


def test_the_worker_does_its_work(engine_of: Callable[[str], sa.Engine]) -> None:
    store = store_of(engine_of("verify_worker"))
    store.requests.accept(a_job("r1"), "verify", NOW)
    judged(store, "r1")
    store.requests.accept(a_job("r2", at=later(1), photo_urls=["https://h/9.jpg"]), "verify", NOW)
    store.requests.give_up("r2", "poison", "boom", NOW)
    store.dead_jobs.add(DeadJob("unknown_schema", "x", json.dumps(a_message()).encode(), "verify"), NOW)
    store.requests.accept(a_job("r3", at=later(2)), "verify", NOW)
    assert [queued.job.request_id for queued in store.requests.unfinished(later(999))] == ["r3"]
    insert_member(engine_of("verify_app"))
    assert len(store.pending.enqueue("bulk", NOW).jobs) == 1
    assert store.shadows.note("r1", a_verdict(), a_verdict(), NOW)
    old = dict.fromkeys((field.name for field in fields(Cutoffs)), later(9))
    purged = store.retention.purge(Cutoffs(**old), endpoints=())
    assert (purged.photos, purged.dead_jobs, purged.shadows) == (4, 2, 1)


@pytest.mark.parametrize("account", ["verify_worker", "verify_operator"])
def test_the_metrics_of_the_system_are_read_with_the_account_of_the_worker_or_the_operator(
    engine_of: Callable[[str], sa.Engine], account: str
) -> None:
    metrics = read_database(store_of(engine_of(account)), set(), lambda: NOW)
    assert "verify_review_votes_last_hour" in {metric.name for metric in metrics}


def test_the_worker_publishes_promotes_and_pulls_heads(
    engine_of: Callable[[str], sa.Engine], tmp_path: Path
) -> None:
    store = store_of(engine_of("verify_worker"))
    version = publish(store.models, a_bundle(tmp_path / "bundle"), NOW)
    store.models.set_shadow(version, on=True)
    store.models.note_problem(version, "here", "damaged", NOW)
    store.models.clear_problem(version, "here")
    store.models.promote(version, NOW)
    assert store.models.head(store.models.champion() or "") is not None
    assert store.models.rollback().champion is None


def test_the_worker_retrains_on_what_the_operator_asked_for(engine_of: Callable[[str], sa.Engine]) -> None:
    operator, worker = store_of(engine_of("verify_operator")), store_of(engine_of("verify_worker"))
    labelled_member(operator, "m1", judge=worker)
    assert operator.labels.truth().members == 1
    training = TrainingScene(worker)
    assert operator.training_runs.ask("kim", NOW)
    training.step()
    training.deliver()
    assert worker.training_runs.due(later(9999)) is True
    assert training.step() == "ended"
    assert operator.training_runs.latest()[0].state is RunState.PROMOTED
    assert operator.reports.status(NOW).training is not None


@pytest.mark.parametrize("alone", [False, True], ids=["in one transaction", "each by itself"])
def test_the_app_writes_members_as_the_document_says_and_reads_results(
    engine_of: Callable[[str], sa.Engine], alone: bool
) -> None:
    app, worker = engine_of("verify_app"), store_of(engine_of("verify_worker"))
    new, changed, result, standing = DOCUMENTED
    as_the_app(app, new, alone=alone)
    [job] = swept(worker, 0)
    assert (len(job.photo_urls), job.why) == (2, "signup")
    judged(worker, job.request_id)
    [told] = as_the_app(app, result.replace("018f-77aa", job.request_id))
    assert told[:3] == ("done", "approved", "same_person")
    assert as_the_app(app, standing) == [("approved", job.request_id, job.request_id, "done")]
    as_the_app(app, changed, alone=alone)
    [job] = swept(worker, 15)
    assert [url.rsplit("/", 1)[1] for url in (job.selfie_url, *job.photo_urls)] == [
        *("selfie-2.jpg", "1b.jpg", "3.jpg")
    ]
    assert asked(worker, 30, 600) == {job.request_id: job}  # sent again: nobody has judged it


@pytest.mark.parametrize("statement", SINGLE_CHANGES)
def test_the_app_need_not_say_that_it_has_changed_something(
    engine_of: Callable[[str], sa.Engine], statement: str
) -> None:
    app, worker = engine_of("verify_app"), store_of(engine_of("verify_worker"))
    as_the_app(app, DOCUMENTED[0])
    [job] = swept(worker, 0)
    judged(worker, job.request_id)
    as_the_app(app, statement)
    assert len(asked(worker, 15, 600)) == 1


def test_the_app_may_insert_photos_long_after_their_member(engine_of: Callable[[str], sa.Engine]) -> None:
    app, worker = engine_of("verify_app"), store_of(engine_of("verify_worker"))
    member, photos = re.findall(r"INSERT[^;]*;", DOCUMENTED[0])
    as_the_app(app, member)
    assert asked(worker, 0, 240) == {}
    as_the_app(app, photos)
    assert [len(job.photo_urls) for job in asked(worker, 240, 600).values()] == [2]


def test_the_worker_delivers_events_and_the_operator_sends_them_again(
    engine_of: Callable[[str], sa.Engine],
) -> None:
    operator, worker = store_of(engine_of("verify_operator")), store_of(engine_of("verify_worker"))
    worker.requests.accept(a_job("r1"), "verify", NOW)
    judged(worker, "r1")
    assert worker.deliveries.dispatch(["app"], NOW) == 1
    lease = worker.deliveries.acquire("app", "w", LEASE, NOW)
    assert lease
    (event,) = worker.deliveries.due("app", NOW, 10)
    held = worker.deliveries.record(lease, [Tried(event.id, "status 500")], LEASE, NOW)
    assert held
    assert worker.deliveries.release(held)
    assert operator.replays.endpoints(NOW)[0].waiting == 1
    assert operator.replays.replay(NOW) == 1
    assert len(worker.deliveries.due("app", NOW, 10)) == 1
    assert operator.replays.parked() == []


def test_the_operator_runs_every_command(engine_of: Callable[[str], sa.Engine]) -> None:
    operator, worker = store_of(engine_of("verify_operator")), store_of(engine_of("verify_worker"))
    operator.members.import_list([NEW], NOW)
    [queued] = operator.pending.enqueue("bulk", NOW).jobs
    judged(worker, queued.job.request_id)
    assert operator.accesses.note(["m1"], KIM, NOW)
    assert len(operator.accesses.of_member("m1")) == 1
    reviews.label(operator, "m1", 1, PairLabel.GENUINE, "kim", NOW)
    reviews.decide(operator, "m1", Status.REJECTED, "kim", NOW)
    assert operator.reviews.undoing.undo("kim", NOW).status is Status.APPROVED
    reviews.decide(operator, "m1", Status.RETRY_PHOTO, "kim", NOW)
    assert operator.reviews.queue.page(NOW).open == 0
    assert operator.reviews.reports.report(NOW).reviewers[0].cases == 1
    operator.reviews.objections.record(NewObjection("m1", NOW, by="lee"), NOW)
    operator.consents.record("m1", Purpose.TRAINING, NOW, given=False)
    [again] = operator.pending.enqueue_members(["m1"], "verify", later(1)).jobs
    assert worker.requests.give_up(again.job.request_id, "poison", "boom", later(2))
    [dead] = operator.dead_jobs.latest()
    assert operator.dead_jobs.requeue(dead.id, NOW).queue == "verify"
    assert operator.reports.status(NOW).members == 1
    worker.shadows.note(queued.job.request_id, a_verdict(), a_verdict(), NOW)
    operator.consents.record("m1", Purpose.TRAINING, NOW, given=True)
    learn_from_one(worker, b"vectors")
    worker.requests.accept(a_job("r8", "m8"), "verify", NOW)
    judged(worker, "r8")  # of the same photos
    assert all(operator.members.stored_about("m1").values())
    removed = operator.members.forget("m1", NOW).removed
    assert all(removed.values()), removed
    with pytest.raises(MemberForgotten):
        worker.requests.accept(a_job("r9", "m1"), "verify", NOW)
    assert operator.members.import_list([NEW], NOW)[0] == "forgotten"
    [number] = operator.members.lift("m1", "kim", NOW).refused
    operator.dead_jobs.dismiss(number, "kim", "the app sent it again", NOW)
    assert worker.requests.accept(a_job("r9", "m1"), "verify", NOW).new
    never_accepted = json.dumps(a_message(request_id="r7", member_id="m7")).encode()
    dead_id = worker.dead_jobs.add(DeadJob("unknown_schema", "x", never_accepted, "verify"), NOW)
    assert operator.dead_jobs.requeue(dead_id, NOW).job.member_id == "m7"


def test_the_worker_counts_days_and_whoever_changes_one_says_so(
    engine_of: Callable[[str], sa.Engine],
) -> None:
    worker, operator, console = (
        store_of(engine_of(f"verify_{who}")) for who in ("worker", "operator", "console")
    )
    for number in (1, 2):
        worker.requests.accept(a_job(f"r{number}", f"m{number}"), "verify", NOW)
    judged(worker, "r1")
    assert worker.requests.give_up("r2", "poison", "boom", NOW)
    assert (worker.days.renew(NOW), worker.kept_report.renew(NOW), worker.tally.renew(NOW)) == (1, True, True)
    assert sum(console.days.latest(NOW, 1)[0].counts.verdicts.values()) == 2
    assert console.kept_report.report(NOW)[0].reviewers == ()
    assert console.dead_jobs.requeue(console.dead_jobs.latest()[0].id, NOW)
    assert worker.days.renew(NOW) == 1
    operator.members.forget("m1", NOW)
    assert worker.days.renew(NOW) == 1
    assert not console.days.latest(NOW, 1)[0].counts.verdicts


def test_the_console_does_what_its_pages_do(engine_of: Callable[[str], sa.Engine], tmp_path: Path) -> None:
    console, worker = store_of(engine_of("verify_console")), store_of(engine_of("verify_worker"))
    for number in range(1, 5):
        worker.requests.accept(a_job(f"r{number}", f"m{number}"), "verify", NOW)
    for number in (1, 2):
        judged(worker, f"r{number}")
    assert console.accesses.note(["m1"], KIM, NOW)
    reviews.label(console, "m1", 1, PairLabel.GENUINE, "kim", NOW)
    reviews.decide(console, "m1", Status.REJECTED, "kim", NOW)
    assert console.reviews.undoing.undo("kim", NOW).status is Status.APPROVED
    reviews.decide(console, "m2", Status.RETRY_PHOTO, "kim", NOW)
    console.reviews.objections.record(NewObjection("m2", NOW, by="lee"), NOW)
    assert console.reviews.queue.page(NOW).objections.open == 1
    assert console.reviews.reports.report(NOW).reviewers[0].cases == 1
    for number in (3, 4):
        assert worker.requests.give_up(f"r{number}", "poison", "boom", NOW)
    never_accepted = json.dumps(a_message(request_id="r5", member_id="m5")).encode()
    worker.dead_jobs.add(DeadJob("unknown_schema", "x", never_accepted, "verify"), NOW)
    *back, dismissed = console.dead_jobs.latest()
    assert [console.dead_jobs.requeue(dead.id, NOW).job.member_id for dead in back] == ["m5", "m4"]
    console.dead_jobs.dismiss(dismissed.id, "kim", "the app sent it again", NOW)
    version = publish(worker.models, a_bundle(tmp_path / "bundle"), NOW)
    worker.models.note_problem(version, "here", "damaged", NOW)
    console.models.set_shadow(version, on=True)
    assert console.models.promote(version, NOW, over=None).champion == version
    assert [one.refused for one in console.models.latest()] == [()]
    assert console.models.rollback(to=None).champion is None
    assert console.shadows.report(version).verdicts == 0
    assert [one.version for one in console.hosts.in_use(NOW)] == ["base-1"]
    assert console.accesses.of_member("m1")
    assert len(console.reviews.objections.waiting(NOW)) == 1
    assert console.training_runs.ask("kim", NOW)
    assert console.training_runs.latest()[0].state is RunState.QUEUED
    assert console.reports.status(NOW).members == 5
    terms = Terms.of(load_settings({}))
    assert console.explanations.of_member("m1", terms, NOW) is not None
    assert console.members.find("m1") is not None
    assert behind(engine_of("verify_console")) is None


def test_the_console_shows_photos_of_a_case_and_records_it(engine_of: Callable[[str], sa.Engine]) -> None:
    console, worker = store_of(engine_of("verify_console")), store_of(engine_of("verify_worker"))
    worker.requests.accept(a_job("r1", "m1"), "verify", NOW)
    judged(worker, "r1")
    claim, _ = reviews.looked(console, "m1")
    assert console.case_photos.waiting("r1") is not None
    photos = console.case_photos.held(claim, NOW)
    assert [photo.position for photo in photos.photos] == [0, 1, 2]
    console.case_photos.record(claim, KIM, NOW)
    assert len(console.accesses.of_member("m1")) == 2


def test_the_console_keeps_accounts_and_roles_and_lets_people_in(
    engine_of: Callable[[str], sa.Engine], granted: Granted
) -> None:
    console = staff.with_cheap_hashes(store_of(engine_of("verify_console")))
    kim = staff.enrolled(console, "Kim", Role.ADMIN)
    lee = staff.enrolled(console, "Lee", Role.CHECKER)
    _, person = staff.signed_in(console, kim, staff.minutes(2))
    assert console.staff.profile.new_factor(person, staff.PASSWORD, staff.DESK, staff.minutes(3)) is None
    made = console.staff.profile.new_recovery(person, staff.PASSWORD, staff.DESK, staff.minutes(3))
    assert isinstance(made, Enrolled)
    console.staff.profile.set_language(person, "en")
    operator = store_of(engine_of("verify_operator"))
    assert operator.database.read(lambda c: checkers(c, tables().staff)) == {"lee"}
    console.staff.accounts.reset(lee.account_id, "Kim", NOW)
    console.staff.accounts.close(lee.account_id, "Kim", NOW)
    with granted.admin.begin() as c:
        c.exec_driver_sql("UPDATE staff_account SET closed_at = '2021-01-01' WHERE name = 'Lee'")
    old = dict.fromkeys((field.name for field in fields(Cutoffs)), NOW)
    assert store_of(engine_of("verify_worker")).retention.purge(Cutoffs(**old), endpoints=()).staff == 1
    assert {row.name for row in console.staff.accounts.history()} == {"Kim"}


def test_an_objection_that_came_while_a_request_ran_is_answered(
    engine_of: Callable[[str], sa.Engine],
) -> None:
    operator, worker = store_of(engine_of("verify_operator")), store_of(engine_of("verify_worker"))
    worker.requests.accept(a_job("r1"), "verify", NOW)
    worker.reviews.objections.record(NewObjection("m1", NOW, "o1"), NOW)
    judged(worker, "r1")
    assert operator.reviews.queue.page(NOW).objections.open == 1
    reviews.decide(operator, "m1", Status.REJECTED, "kim", NOW)
    operator.reviews.decisions.reopen("m1", "lee", NOW)
    operator.reviews.objections.record(NewObjection("m1", NOW, by="lee"), NOW)  # about the open case
    assert operator.reviews.queue.claim_next("kim", NOW) is None
    assert [one.answer for one in operator.reviews.objections.of_member("m1")] == [None, Status.REJECTED]


def test_consent_is_withdrawn_by_the_operator_and_by_the_app_and_no_account_takes_a_withdrawal_back(
    engine_of: Callable[[str], sa.Engine],
) -> None:
    operator, worker = store_of(engine_of("verify_operator")), store_of(engine_of("verify_worker"))
    worker.requests.accept(a_job("r1"), "verify", NOW)
    assert operator.consents.record("m1", Purpose.VERIFICATION, NOW, given=False)
    ended = worker.requests.find("r1")
    assert ended is not None
    assert ended.state is State.DEAD
    assert operator.consents.record("m1", Purpose.VERIFICATION, NOW, given=True)
    withdraw = "UPDATE member SET verification_consent = FALSE, training_consent = TRUE"
    assert done(engine_of("verify_app"), withdraw) == 1
    with pytest.raises(ConsentWithdrawn):
        worker.requests.accept(a_job("r2"), "verify", NOW)
    assert worker.consents.notice(NOW) == 2
    assert number_of(engine_of("verify_operator"), "consent", "withdrawn_at IS NULL") == 1
    for account in ("verify_operator", "verify_worker"):
        done(engine_of(account), "UPDATE consent_open SET withdrawn_at = NULL")
        assert number_of(engine_of(account), "consent", "withdrawn_at IS NULL") == 1


def test_the_operator_runs_the_commands_about_models(
    engine_of: Callable[[str], sa.Engine], tmp_path: Path
) -> None:
    operator, worker = store_of(engine_of("verify_operator")), store_of(engine_of("verify_worker"))
    version = publish(operator.models, a_bundle(tmp_path / "bundle"), NOW)
    worker.models.note_problem(version, "here", "damaged", NOW)
    operator.models.set_shadow(version, on=True)
    assert operator.shadows.report(version).verdicts == 0
    operator.models.promote(version, NOW)
    assert [record.refused for record in operator.models.latest()] == [()]
    assert operator.models.rollback(to=operator.models.previous_champion()).champion is None


@pytest.mark.parametrize(
    ("account", "statement"),
    [
        ("verify_worker", "INSERT INTO tombstone VALUES ('x', NOW())"),
        ("verify_worker", "UPDATE tombstone SET member_hash = 'x'"),
        ("verify_worker", "DELETE FROM tombstone"),
        ("verify_worker", "DELETE FROM verification"),
        ("verify_worker", "UPDATE verification SET sandbox = TRUE"),
        ("verify_worker", "DELETE FROM label"),
        ("verify_worker", "INSERT INTO decision (request_id) VALUES ('r')"),
        ("verify_worker", "UPDATE access_log SET looked_by = 'x'"),
        ("verify_worker", "UPDATE access_log SET link = 'x'"),
        ("verify_worker", "UPDATE access_chain SET number = 1"),
        ("verify_worker", "INSERT INTO access_review (month) VALUES ('2026-11')"),
        *((who, "UPDATE access_chain SET anchor_number = 1") for who in WRITERS),
        *((who, "INSERT INTO access_chain (name, number) VALUES ('x', 1)") for who in WRITERS),
        *((who, "UPDATE access_log SET link = NULL") for who in WRITERS),
        *((who, "UPDATE access_review SET note = 'x'") for who in ACCOUNTS),
        *((who, f"DELETE FROM {name}") for who in ACCOUNTS for name in ("access_chain", "access_review")),
        ("verify_app", "UPDATE member SET verification_status = 'approved'"),
        ("verify_app", "UPDATE member SET request_id = 'x'"),
        ("verify_app", "INSERT INTO member (member_id, verification_status) VALUES ('x', 'approved')"),
        ("verify_app", "DELETE FROM member"),
        ("verify_app", "UPDATE member SET requested_selfie_url = selfie_url"),
        ("verify_app", "UPDATE photo SET requested_url = url"),
        ("verify_app", "UPDATE photo SET member_id = 'x'"),
        ("verify_worker", "UPDATE photo SET member_id = 'x'"),
        ("verify_operator", "UPDATE photo SET url = 'https://h/x.jpg'"),
        ("verify_app", "SELECT * FROM verification"),
        ("verify_app", "SELECT * FROM verification_photo"),
        ("verify_app", "SELECT * FROM label"),
        ("verify_app", "SELECT * FROM access_log"),
        ("verify_app", "SELECT * FROM tombstone"),
        ("verify_app", "SELECT * FROM dead_job"),
        ("verify_app", "SELECT * FROM model_version"),
        ("verify_operator", "UPDATE access_log SET looked_by = 'x'"),
        ("verify_operator", "DELETE FROM access_log"),
        ("verify_operator", "DELETE FROM access_log_of_forgotten"),
        *((who, "UPDATE consent SET given_at = NULL") for who in ACCOUNTS),
        *((who, "DELETE FROM consent") for who in ACCOUNTS),
        ("verify_operator", "UPDATE consent_open SET member_id = 'm2'"),
        ("verify_operator", "INSERT INTO access_log_of_forgotten (member_id) VALUES ('m1')"),
        ("verify_operator", "SELECT vectors FROM training_face"),
        ("verify_operator", "DELETE FROM decision"),
        ("verify_operator", "UPDATE decision SET decided_by = 'x'"),
        ("verify_operator", "UPDATE label SET label = 'genuine'"),
        ("verify_operator", "UPDATE review_vote SET choice = 'approve'"),
        ("verify_operator", "UPDATE review_case SET request_id = 'x'"),
        ("verify_operator", "DELETE FROM review_vote"),
        ("verify_operator", "UPDATE objection SET due_at = NOW()"),
        *((who, "DELETE FROM objection") for who in ACCOUNTS),
        ("verify_app", "SELECT * FROM objection"),
        ("verify_operator", "DELETE FROM review_case"),
        ("verify_worker", "INSERT INTO review_vote (case_id) VALUES (1)"),
        ("verify_worker", "DELETE FROM review_case"),
        ("verify_app", "SELECT * FROM review_case"),
        ("verify_operator", "DELETE FROM label"),
        ("verify_operator", "DELETE FROM verification"),
        ("verify_operator", "DELETE FROM tombstone"),
        ("verify_operator", "UPDATE tombstone SET forgotten_at = NOW()"),
        ("verify_worker", "UPDATE tombstone SET lifted_at = NOW()"),
        ("verify_operator", "UPDATE dead_job SET reason = 'x'"),
        ("verify_worker", "DELETE FROM decision"),
        ("verify_worker", "DELETE FROM verification_photo"),
        ("verify_worker", "UPDATE label SET label = 'genuine'"),
        ("verify_worker", "INSERT INTO access_log (member_id) VALUES ('m1')"),
        *(("verify_worker", f"DELETE FROM {view}") for view in VIEWS),
        *(("verify_app", f"SELECT * FROM {view}") for view in (*VIEWS, *VIEWS_OF_SANDBOX)),
        *(("verify_operator", f"DELETE FROM {view}") for view in VIEWS_OF_SANDBOX),
        ("verify_operator", "UPDATE member SET verification_status = 'approved'"),
        ("verify_operator", "UPDATE member SET reason = 'same_person'"),
        ("verify_operator", "UPDATE member SET verified_request_id = 'r'"),
        ("verify_operator", "UPDATE member SET similarity = 1"),
        ("verify_operator", "UPDATE member SET member_id = 'x'"),
        ("verify_operator", "INSERT INTO member (member_id, verification_status) VALUES ('x', 'approved')"),
        ("verify_operator", "REPLACE INTO member (member_id, verification_status) VALUES ('x', 'approved')"),
        ("verify_operator", "UPDATE verification SET status = 'approved'"),
        ("verify_operator", "UPDATE verification SET member_id = 'x'"),
        ("verify_operator", "INSERT INTO verification (request_id, status) VALUES ('x', 'approved')"),
        ("verify_operator", "UPDATE tombstone SET erases = 'm1'"),
        ("verify_operator", "UPDATE tombstone SET member_hash = 'x'"),
        ("verify_operator", "INSERT INTO member_decided (member_id) VALUES ('x')"),
        ("verify_operator", "DELETE FROM member_decided"),
        ("verify_operator", "TRUNCATE TABLE access_log"),
        ("verify_operator", "UPDATE verification_photo SET score = 1"),
        *(("verify_console", f"DELETE FROM {view}") for view in (*VIEWS, *VIEWS_OF_SANDBOX)),
        *(("verify_console", f"SELECT * FROM {view}") for view in VIEWS if "decided" not in view),
        ("verify_console", "SELECT * FROM training_face"),
        ("verify_console", "DELETE FROM staff_grant"),
        ("verify_console", "UPDATE staff_grant SET role = 'admin'"),
        ("verify_console", "DELETE FROM staff_account"),
        ("verify_console", "UPDATE staff_account SET name = 'x'"),
        ("verify_console", "UPDATE staff_session SET account_id = 1"),
        ("verify_operator", "SELECT password FROM staff_account"),
        *((who, "DELETE FROM staff_account_expired") for who in ACCOUNTS if who != "verify_worker"),
        ("verify_worker", "DELETE FROM staff_account"),
        ("verify_worker", "DELETE FROM staff_grant"),
        ("verify_operator", "INSERT INTO staff_grant (account_id) VALUES (1)"),
        *((who, "SELECT * FROM staff_session") for who in ("verify_worker", "verify_app", "verify_operator")),
        *((who, "SELECT * FROM staff_account") for who in ("verify_worker", "verify_app", "verify_operator")),
        ("verify_console", "UPDATE member SET verification_status = 'approved'"),
        ("verify_console", "UPDATE member SET similarity = 1"),
        ("verify_console", "UPDATE member SET training_consent = TRUE"),
        ("verify_console", "UPDATE member SET verification_consent = TRUE"),
        ("verify_console", "INSERT INTO member (member_id, verification_status) VALUES ('x', 'approved')"),
        ("verify_console", "DELETE FROM member"),
        ("verify_console", "UPDATE verification SET status = 'approved'"),
        ("verify_console", "INSERT INTO verification (request_id, status) VALUES ('x', 'approved')"),
        ("verify_console", "UPDATE verification_photo SET score = 1"),
        ("verify_console", "UPDATE photo SET url = 'https://h/x.jpg'"),
        ("verify_console", "UPDATE label SET label = 'genuine'"),
        ("verify_console", "UPDATE decision SET decided_by = 'x'"),
        ("verify_console", "UPDATE review_vote SET choice = 'approve'"),
        ("verify_console", "UPDATE review_case SET request_id = 'x'"),
        ("verify_console", "UPDATE access_log SET looked_by = 'x'"),
        ("verify_console", "INSERT INTO consent (member_id) VALUES ('m1')"),
        ("verify_console", TOMBSTONE),
        ("verify_console", "UPDATE tombstone SET lifted_at = NOW()"),
        ("verify_console", "UPDATE objection SET due_at = NOW()"),
        ("verify_console", "UPDATE dead_job SET reason = 'x'"),
        ("verify_console", "UPDATE training_run SET state = 'promoted'"),
        ("verify_console", "UPDATE model_version SET head = 'x'"),
        ("verify_console", "UPDATE model_version SET signature = 'x'"),
        ("verify_console", "INSERT INTO model_version (version) VALUES ('x')"),
        ("verify_console", "UPDATE event_delivery SET delivered_at = NOW()"),
        *(("verify_console", f"DELETE FROM {name}") for name in (*WRITTEN, "review_case", "dead_job")),
        ("verify_console", "DELETE FROM tombstone"),
        ("verify_operator", "UPDATE model_version SET head = ''"),
        ("verify_operator", "DELETE FROM model_version"),
        ("verify_operator", "DELETE FROM shadow_verdict"),
        ("verify_app", "SELECT * FROM shadow_verdict"),
        *((account, "DROP TABLE tombstone") for account in ACCOUNTS),
        *((account, "CREATE TABLE mine (id INTEGER)") for account in ACCOUNTS),
        *((account, "ALTER TABLE member ADD COLUMN mine INTEGER") for account in ACCOUNTS),
        *((account, "SELECT * FROM verify_schema_version") for account in ("verify_app", "verify_operator")),
        ("verify_worker", "UPDATE verify_schema_version SET version_num = '9999'"),
        *((account, "SELECT * FROM mysql.user") for account in ACCOUNTS),
        *((account, "SELECT LOAD_FILE('/etc/passwd') FROM mysql.db") for account in ACCOUNTS),
    ],
)
def test_an_account_can_do_no_more(
    engine_of: Callable[[str], sa.Engine], account: str, statement: str
) -> None:
    with engine_of(account).begin() as c, pytest.raises(DBAPIError, match=r"denied"):
        c.exec_driver_sql(statement)


# What a right by table cannot say


@pytest.fixture
def watched(engine_of: Callable[[str], sa.Engine]) -> Callable[[str], sa.Engine]:
    """With m1 in a review, about whom people have written; m2 has been let in by a person."""
    operator, worker = store_of(engine_of("verify_operator")), store_of(engine_of("verify_worker"))
    for number in (1, 2):
        worker.requests.accept(a_job(f"r{number}", f"m{number}"), "verify", NOW)
        attempt = worker.requests.acquire(f"r{number}", "w", LEASE, MOST, NOW)
        assert isinstance(attempt, Attempt)
        worker.requests.finish(attempt, a_verdict(Status.REVIEW, Reason.DIFFERENT_PERSON), NOW)
    operator.accesses.note(["m1"], KIM, NOW)
    reviews.label(operator, "m1", 1, PairLabel.IMPOSTOR, "kim", NOW)
    reviews.decide(operator, "m2", Status.APPROVED, "kim", NOW)
    return engine_of


def done(engine: sa.Engine, statement: str) -> int:
    """How many rows it changed; 0 where a constraint does not let it."""
    try:
        with engine.begin() as c:
            return c.exec_driver_sql(statement).rowcount
    except DBAPIError as error:
        if "denied" in str(error):
            raise
        return 0


def number_of(engine: sa.Engine, table: str, where: str = "TRUE") -> int:
    with engine.connect() as c:
        return int(c.exec_driver_sql(f"SELECT COUNT(*) FROM {table} WHERE {where}").scalar() or 0)


def status_of(engine: sa.Engine, member_id: str = "m1") -> str:
    with engine.connect() as c:
        query = f"SELECT verification_status FROM member WHERE member_id = '{member_id}'"
        return str(c.exec_driver_sql(query).scalar())


@pytest.mark.parametrize("account", ["verify_worker", "verify_operator"])
def test_no_account_deletes_a_member_about_whom_people_have_written(
    watched: Callable[[str], sa.Engine], account: str
) -> None:
    engine = watched(account)
    before = [number_of(engine, name) for name in WRITTEN]
    assert done(engine, "DELETE FROM member") == 0
    assert done(engine, "DELETE FROM photo") == 4  # that cascades nowhere
    assert [number_of(engine, name) for name in WRITTEN] == before
    assert all(before)


def test_the_worker_deletes_no_requests_with_their_member(engine_of: Callable[[str], sa.Engine]) -> None:
    engine = engine_of("verify_worker")
    store_of(engine).requests.accept(a_job("r1"), "verify", NOW)
    assert done(engine, "DELETE FROM member") == 0
    assert number_of(engine, "verification") == 1


def test_records_of_access_are_chained_by_who_writes_them_and_checked_by_who_purges_them(
    watched: Callable[[str], sa.Engine],
) -> None:
    worker, month = store_of(watched("verify_worker")), month_of(date(2026, 10, 1), ZoneInfo("UTC"))
    for number, account in enumerate(WRITERS, 1):
        store = store_of(watched(account))
        store.accesses.note_list(KIM, NOW)
        assert store.access_chain.verify(NOW).holds
        assert store.access_reviews.sign(month, KIM, "nothing", NOW, breaks=0).records == 0
        assert len(store.access_reviews.months(NOW, ZoneInfo("UTC"))[0].signed) == number
    assert worker.access_watch.look(NOW)
    records = worker.access_watch.check_chain(NOW).records
    old = NOW + timedelta(days=1)
    assert worker.accesses.purge(old) == records
    assert worker.access_chain.verify(old).purged == records


def test_the_operator_deletes_what_people_wrote_only_of_whom_a_tombstone_names(
    watched: Callable[[str], sa.Engine],
) -> None:
    engine = watched("verify_operator")
    views = [
        f"{name}_of_forgotten" for name in ("label", "decision", "review_vote", "review_case", "verification")
    ]
    blank = "UPDATE access_log_of_forgotten SET member_id = NULL, member_hash = '{}'"
    assert [done(engine, f"DELETE FROM {view}") for view in views] == [0] * 5
    assert done(engine, blank.format("x")) == 0
    assert done(engine, TOMBSTONE) == 1
    assert done(engine, "UPDATE access_log_of_forgotten SET member_id = 'm2'") == 0
    assert done(engine, blank.format("y")) == 0
    assert number_of(engine, "access_log", "member_id = 'm1'") == 2
    assert done(engine, blank.format("x")) == 2
    assert [done(engine, f"DELETE FROM {view}") for view in views] == [2, 0, 0, 1, 1]
    assert number_of(engine, "access_log", "member_id IS NULL AND member_hash = 'x'") == 2
    assert done(engine, "DELETE FROM member WHERE member_id = 'm1'") == 1
    assert number_of(engine, "decision") == 1  # m2's
    assert number_of(engine, "tombstone", "member_hash = 'x' AND erases IS NULL") == 1
    assert done(engine, blank.format("z")) == 0  # the erasure is over


def test_a_tombstone_serves_one_erasure_only(watched: Callable[[str], sa.Engine]) -> None:
    engine = watched("verify_operator")
    store_of(engine).members.forget("m1", NOW)
    assert done(engine, "INSERT INTO member (member_id, pending) VALUES ('m1', FALSE)") == 1
    assert store_of(engine).accesses.note(["m1"], KIM, NOW)
    assert done(engine, "UPDATE access_log_of_forgotten SET member_id = NULL") == 0
    assert done(engine, "DELETE FROM member WHERE member_id = 'm1'") == 0
    assert number_of(engine, "access_log", "member_id = 'm1'") == 1


def test_the_operator_sets_no_verdict_without_a_decision_on_record(
    watched: Callable[[str], sa.Engine],
) -> None:
    engine = watched("verify_operator")
    assert done(engine, f"UPDATE member_decided {APPROVED}") == 0
    assert done(engine, f"UPDATE result_decided {TOLD_APPROVED}") == 0
    assert done(engine, DECISION.format("r2")) == 1  # about somebody else
    assert done(engine, "UPDATE member SET request_id = 'r2' WHERE member_id = 'm1'") == 1
    assert done(engine, f"UPDATE member_decided {APPROVED}") == 0
    assert done(engine, "UPDATE member SET request_id = 'r1' WHERE member_id = 'm1'") == 1
    assert status_of(engine) == "review"
    assert done(engine, DECISION.format("r1")) == 1
    rejected = APPROVED.replace("approved", "rejected")
    assert done(engine, f"UPDATE member_decided {rejected}") == 0
    machines = APPROVED.replace("approved_by_person", "same_person")
    assert done(engine, f"UPDATE member_decided {machines}") == 0
    assert done(engine, f"UPDATE member_decided {APPROVED}") == 1
    assert done(engine, f"UPDATE result_decided {TOLD_APPROVED.replace('approved', 'rejected')}") == 0
    assert done(engine, f"UPDATE result_decided {TOLD_APPROVED}") == 1
    assert (status_of(engine), number_of(engine, "decision", "request_id = 'r1'")) == ("approved", 1)


def test_a_put_back_member_is_erased_again_by_the_worker_and_the_import(
    engine_of: Callable[[str], sa.Engine],
) -> None:
    operator, worker = engine_of("verify_operator"), engine_of("verify_worker")
    for member_id in ("app-1", "m1"):
        store_of(operator).members.forget(member_id, NOW)
    insert_member(engine_of("verify_app"))
    assert swept(store_of(worker), 400) == []
    insert_member(engine_of("verify_app"))
    assert store_of(operator).members.import_list([replace(NEW, member_id="app-1")], NOW) == ["forgotten"]
    assert number_of(operator, "member") == number_of(operator, "photo") == 0
