"""What an app writes in SQL, in whatever order and whether it says so or not, ends in one request."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.verdict import FetchProblem, Gender, Outcome, PhotoFinding, Reason, Status
from support.broker import Lists
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from support.together import together
from worker.jobs.verify_job import VerifyJob, Why
from worker.store import Attempt, NewMember, Store, build_engine
from worker.store.requests.changes import COUNTED
from worker.store.tables.schema import tables
from worker.store.tables.states import State
from worker.verification.maintenance import sweep

SELFIE = "https://h/s.jpg"
EVERY = 15
"""Seconds between two sweeps."""
Sql = Callable[..., None]


@pytest.fixture
def sql(engine: sa.Engine) -> Sql:
    """Statements of the app, each in a transaction of its own."""

    def run(*statements: str) -> None:
        for statement in statements:
            with engine.begin() as c:
                c.execute(
                    sa.text(statement.replace("PHOTO", "INSERT INTO photo (member_id, position, url) VALUES"))
                )

    return run


@pytest.fixture
def verified(store: Store, sql: Sql) -> None:
    """m1, who has a verdict about a selfie and the photos 1 and 2."""
    sql(
        f"INSERT INTO member (member_id, declared_gender, selfie_url) VALUES ('m1', 'male', '{SELFIE}')",
        "PHOTO ('m1', 1, 'https://h/1.jpg'), ('m1', 2, 'https://h/2.jpg')",
    )
    [job] = swept(store, 0)
    judge(store, job, 1)
    assert swept(store, 2) == []


def swept(store: Store, at: float) -> list[VerifyJob]:
    """The jobs of a sweep so many seconds after `NOW`."""
    broker = Lists()
    sweep(store.requests, store.pending, broker, later(at))
    return [job for job, _ in broker.sent]


def judge(store: Store, job: VerifyJob, at: float) -> None:
    attempt = store.requests.acquire(job.request_id, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(), later(at))


def requests(store: Store, first: int, last: int, member_id: str = "m1") -> list[tuple[int, VerifyJob]]:
    """When sweeps between these seconds asked for the member, and what. Each request is judged at once."""
    found = []
    for at in range(first, last + 1, EVERY):
        for job in swept(store, at):
            if job.member_id == member_id:
                found.append((at, job))
                judge(store, job, at)
    return found


def test_photos_that_come_after_the_member_are_waited_for(store: Store, sql: Sql) -> None:
    sql(f"INSERT INTO member (member_id, selfie_url) VALUES ('m1', '{SELFIE}')")
    assert swept(store, 0) == []
    sql("PHOTO ('m1', 1, 'https://h/1.jpg')", "PHOTO ('m1', 2, 'https://h/2.jpg')")
    [(at, job)] = requests(store, 15, 600)
    assert at == 30
    assert (job.why, job.photo_urls) == (Why.SIGNUP, ("https://h/1.jpg", "https://h/2.jpg"))


def test_a_member_without_photos_is_judged_after_a_while_and_again_with_photos(
    store: Store, sql: Sql
) -> None:
    sql(f"INSERT INTO member (member_id, selfie_url) VALUES ('m1', '{SELFIE}')")
    [(at, job)] = requests(store, 0, 900)
    assert (at, job.photo_urls) == (300, ())
    sql("PHOTO ('m1', 1, 'https://h/1.jpg')")
    [(at, job)] = requests(store, 900, 1500)
    assert (at, job.why, job.photo_urls) == (915, Why.PHOTOS_CHANGED, ("https://h/1.jpg",))


def test_who_waits_for_photos_does_not_alarm_the_operator(store: Store, sql: Sql) -> None:
    sql(f"INSERT INTO member (member_id, selfie_url) VALUES ('m1', '{SELFIE}')")
    assert store.reports.status(later(0)).pending == 1
    swept(store, 0)
    assert store.reports.status(later(299)).pending == 0
    assert store.reports.status(later(300)).pending == 1


def test_a_gallery_that_is_written_row_by_row_is_one_request(store: Store, sql: Sql, verified: None) -> None:
    for position in range(3, 8):
        sql(f"PHOTO ('m1', {position}, 'https://h/{position}.jpg')")
        assert swept(store, position) == []
    assert swept(store, 16) == []
    [job] = swept(store, 17)
    assert job.photo_urls == tuple(f"https://h/{n}.jpg" for n in range(1, 8))


CHANGES = {
    "a photo more": ("PHOTO ('m1', 3, 'https://h/3.jpg')",),
    "another link": ("UPDATE photo SET url = 'https://h/9.jpg' WHERE position = 2",),
    "another order": (
        "UPDATE photo SET position = 9 WHERE position = 1",
        "UPDATE photo SET position = 1 WHERE position = 2",
    ),
    "a photo less": ("DELETE FROM photo WHERE position = 1",),
    "a photo replaced": (
        "DELETE FROM photo WHERE position = 1",
        "PHOTO ('m1', 1, 'https://h/9.jpg')",
    ),
    "another selfie": ("UPDATE member SET selfie_url = 'https://h/s9.jpg'",),
    "another gender": ("UPDATE member SET declared_gender = 'female'",),
    "a gender taken back": ("UPDATE member SET declared_gender = NULL",),
    "said so": ("UPDATE member SET pending = TRUE",),
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_a_change_is_found_whether_the_app_says_so_or_not(
    store: Store, engine: sa.Engine, sql: Sql, verified: None, changes: tuple[str, ...]
) -> None:
    sql(*changes)
    [(_, job)] = requests(store, 15, 600)
    assert job.why is Why.PHOTOS_CHANGED
    with engine.connect() as c:
        gallery = c.scalars(sa.text("SELECT url FROM photo ORDER BY position")).all()
        selfie, gender = c.execute(sa.text("SELECT selfie_url, declared_gender FROM member")).one()
    assert (job.selfie_url, job.photo_urls, job.declared_gender) == (selfie, tuple(gallery), gender)


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_a_change_in_one_transaction_that_says_so_is_asked_for_by_the_next_sweep(
    store: Store, engine: sa.Engine, verified: None, changes: tuple[str, ...]
) -> None:
    with engine.begin() as c:
        for statement in ("UPDATE member SET pending = TRUE", *changes):
            c.execute(
                sa.text(statement.replace("PHOTO", "INSERT INTO photo (member_id, position, url) VALUES"))
            )
    assert len(requests(store, 15, 15)) == 1
    assert requests(store, 30, 600) == []


FRESH = (
    "UPDATE photo SET url = 'https://h/1.jpg?Expires=9&Signature=b' WHERE position = 1",
    "UPDATE photo SET url = 'https://H:443/2.jpg?X-Amz-Date=1&X-Amz-Signature=c' WHERE position = 2",
    "UPDATE member SET selfie_url = 'http://h/s.jpg?sig=d&se=2027'",
    "DELETE FROM photo WHERE position = 2",
    "PHOTO ('m1', 2, 'https://h/2.jpg?sig=e')",
)


def links_of(attempt: Attempt) -> list[str]:
    return [link.url for link in attempt.links]


def test_a_fresh_link_verifies_nobody_again_and_is_what_an_unfinished_request_is_fetched_by(
    store: Store, sql: Sql, verified: None
) -> None:
    sql(*FRESH)
    assert requests(store, 15, 120) == []
    assert store.pending.members() == []
    sql("UPDATE photo SET url = 'https://h/1.jpg?v=2&sig=f' WHERE position = 1")
    [job] = [job for at in (135, 150) for job in swept(store, at)]
    assert job.photo_urls == ("https://h/1.jpg?v=2&sig=f", "https://h/2.jpg?sig=e")
    sql(
        "UPDATE photo SET url = 'https://h/1.jpg?sig=g&v=2' WHERE position = 1",
        FRESH[0].replace("= 1", "= 7"),
    )
    attempt = store.requests.acquire(job.request_id, "w", LEASE, MOST, later(160))
    assert isinstance(attempt, Attempt)
    assert links_of(attempt) == [
        "http://h/s.jpg?sig=d&se=2027",
        "https://h/1.jpg?sig=g&v=2",
        "https://h/2.jpg?sig=e",
    ]
    sql("UPDATE member SET selfie_url = 'https://h/s.jpg?sig=i'")
    assert swept(store, 165) + swept(store, 180) == []
    assert store.requests.postpone(attempt, later(200), "busy", later(180))
    sql("UPDATE photo SET url = 'https://h/2.jpg?sig=h' WHERE position = 2")
    assert [one.request_id for at in (195, 210) for one in swept(store, at)] == [job.request_id]
    attempt = store.requests.acquire(job.request_id, "w", LEASE, MOST, later(215))
    assert isinstance(attempt, Attempt)
    assert links_of(attempt) == [
        "https://h/s.jpg?sig=i",
        "https://h/1.jpg?sig=g&v=2",
        "https://h/2.jpg?sig=h",
    ]
    assert store.requests.finish(attempt, a_verdict(), later(216))
    assert requests(store, 225, 300) == []


def test_a_fresh_link_of_a_photo_that_could_not_be_fetched_is_asked_for(store: Store, sql: Sql) -> None:
    sql(
        f"INSERT INTO member (member_id, selfie_url) VALUES ('m1', '{SELFIE}?sig=a')",
        "PHOTO ('m1', 1, 'https://h/1.jpg?sig=a')",
    )
    for at, change in (
        (0, "UPDATE photo SET url = 'https://h/1.jpg?sig=b'"),
        (100, f"UPDATE member SET selfie_url = '{SELFIE}?sig=b'"),
    ):
        [job] = [job for late in (0, 15) for job in swept(store, at + late)]
        attempt = store.requests.acquire(job.request_id, "w", LEASE, MOST, later(at + 15))
        assert isinstance(attempt, Attempt)
        expired = PhotoFinding(1, Outcome.NOT_FETCHED, fetch_problem=FetchProblem.EXPIRED)
        verdict = a_verdict(Status.ERROR, Reason.PHOTOS_NOT_FETCHED, photos=(expired,))
        assert store.requests.finish(attempt, verdict, later(at + 15))
        assert [job for late in (30, 45) for job in swept(store, at + late)] == []
        sql(change)
    [(_, job)] = requests(store, 200, 245)
    assert (job.selfie_url, *job.photo_urls) == (f"{SELFIE}?sig=b", "https://h/1.jpg?sig=b")


def test_all_photos_deleted_are_found_and_new_ones_waited_for(store: Store, sql: Sql, verified: None) -> None:
    sql("DELETE FROM photo")
    assert swept(store, 15) == []
    sql("PHOTO ('m1', 1, 'https://h/3.jpg')")
    [(_, job)] = requests(store, 30, 600)
    assert job.photo_urls == ("https://h/3.jpg",)


def test_the_same_photos_written_anew_verify_nobody_again(
    store: Store, engine: sa.Engine, verified: None
) -> None:
    with engine.begin() as c:
        c.execute(sa.text("DELETE FROM photo"))
        for n in (1, 2):
            c.execute(
                sa.text(
                    f"INSERT INTO photo (member_id, position, url) VALUES ('m1', {n}, 'https://h/{n}.jpg')"
                )
            )
        c.execute(sa.text(f"UPDATE member SET selfie_url = '{SELFIE}', declared_gender = 'male'"))
    assert requests(store, 15, 600) == []


def test_members_who_are_not_to_be_verified_are_left_alone_until_they_are(store: Store, sql: Sql) -> None:
    sql(
        f"INSERT INTO member (member_id, selfie_url, pending) VALUES ('m1', '{SELFIE}', FALSE)",
        "PHOTO ('m1', 1, 'https://h/1.jpg')",
    )
    assert requests(store, 0, 600) == []
    sql("UPDATE photo SET url = 'https://h/2.jpg'", "UPDATE member SET selfie_url = 'https://h/s2.jpg'")
    assert requests(store, 600, 1200) == []
    sql("UPDATE member SET pending = TRUE")
    assert [at for at, _ in requests(store, 1200, 1800)] == [1200]


def test_photos_wait_for_a_selfie(store: Store, sql: Sql) -> None:
    sql("INSERT INTO member (member_id) VALUES ('m1')", "PHOTO ('m1', 1, 'https://h/1.jpg')")
    assert requests(store, 0, 600) == []
    sql(f"UPDATE member SET selfie_url = '{SELFIE}'")
    assert [job.photo_urls for _, job in requests(store, 600, 1200)] == [("https://h/1.jpg",)]


def test_what_was_refused_is_asked_for_once_it_is_mended(store: Store, sql: Sql) -> None:
    sql(
        f"INSERT INTO member (member_id, selfie_url) VALUES ('m1', '{SELFIE}')",
        "PHOTO ('m1', 1, 'no link')",
    )
    assert requests(store, 0, 600) == []
    assert [dead.reason for dead in store.dead_jobs.latest()] == ["bad_url"]
    sql("UPDATE photo SET url = 'https://h/1.jpg'")
    assert [job.photo_urls for _, job in requests(store, 600, 1200)] == [("https://h/1.jpg",)]


def test_a_message_and_an_import_leave_nothing_to_find(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    judge(store, a_job(), 1)
    store.members.import_list([NewMember("m2", Gender.MALE, SELFIE, ("https://h/1.jpg",))], NOW)
    [(_, job)] = requests(store, 0, 600, "m2")
    assert job.why is Why.SIGNUP
    store.requests.accept(
        a_job("r2", at=later(700), photo_urls=["https://h/7.jpg"], selfie_url=SELFIE), "verify", later(700)
    )
    judge(store, a_job("r2"), 701)
    assert requests(store, 710, 1300) == []


@pytest.mark.parametrize("state", [State.QUEUED, State.RETRY_WAIT, State.RUNNING, State.DONE])
def test_who_is_set_pending_for_what_a_waiting_request_asks_gets_no_second_one(
    store: Store, sql: Sql, state: State
) -> None:
    """One that has begun may have fetched other pictures from the same links."""
    sql(
        f"INSERT INTO member (member_id, declared_gender, selfie_url) VALUES ('m1', 'unknown', '{SELFIE}')",
        "PHOTO ('m1', 1, 'https://h/1.jpg')",
    )
    [job] = swept(store, 0)
    if state is State.DONE:
        judge(store, job, 1)
    elif state is not State.QUEUED:
        attempt = store.requests.acquire(job.request_id, "w", LEASE, MOST, NOW)
        assert isinstance(attempt, Attempt)
        if state is State.RETRY_WAIT:
            store.requests.postpone(attempt, later(90), "timeout", NOW)
    sql("UPDATE member SET pending = TRUE")
    again = [other for other in swept(store, 15) if other.request_id != job.request_id]
    assert len(again) == (1 if state in (State.RUNNING, State.DONE) else 0)
    assert store.pending.members() == []
    assert swept(store, 30) == []


def test_a_change_after_a_request_from_a_clock_that_runs_ahead_is_the_newest(store: Store, sql: Sql) -> None:
    store.requests.accept(a_job(at=later(3600)), "verify", NOW)
    judge(store, a_job(), 1)
    sql("UPDATE member SET selfie_url = 'https://h/s9.jpg', pending = TRUE")
    [job] = swept(store, 15)
    record = store.requests.find(job.request_id)
    assert record is not None
    assert (record.state, job.selfie_url) == (State.QUEUED, "https://h/s9.jpg")
    assert swept(store, 30) == []


def test_a_photo_deleted_from_one_of_many_members_is_found_in_some_sweeps(store: Store, sql: Sql) -> None:
    store.members.import_list(
        [NewMember(f"m{i:04}", None, SELFIE, ("https://h/1.jpg", "https://h/2.jpg")) for i in range(1500)],
        NOW,
    )
    while store.pending.enqueue("bulk", NOW, 500).jobs:
        pass
    sql("DELETE FROM photo WHERE member_id IN ('m0003', 'm1400') AND position = 2")
    found = [job.member_id for at in (1, 2, 3) for job in swept(store, at)]
    assert sorted(found) == ["m0003", "m1400"]


@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)  # SQLite has one writer at a time
def test_whatever_is_written_while_a_sweep_reads_is_asked_for_in_the_end(
    store: Store, engine: sa.Engine, sql: Sql, verified: None
) -> None:
    def app() -> None:
        for n in range(10, 30):
            sql(
                "UPDATE member SET pending = TRUE",
                f"UPDATE photo SET url = 'https://h/{n}.jpg' WHERE position = 1",
                f"PHOTO ('m1', {n}, 'https://h/more-{n}.jpg')"
                if n % 2
                else f"DELETE FROM photo WHERE position = {n - 1}",
            )

    def sweeps(first: int) -> None:
        for at in range(first, first + 200, 10):
            swept(store, at)

    answers = together([app, partial(sweeps, 15), partial(sweeps, 20)])
    assert answers == [None] * 3
    for at in (300, 315, 330, 345):
        swept(store, at)
    [newest] = store.requests.of_member("m1", limit=1)
    with engine.connect() as c:
        gallery = c.scalars(sa.text("SELECT url FROM photo ORDER BY position")).all()
        v = tables().verification
        message: Any = c.scalar(sa.select(v.c.message).where(v.c.request_id == newest.request_id))
    assert message["photo_urls"] == gallery


def settle_many(engine: sa.Engine, first: int, last: int) -> None:
    """Members who need nothing: verified ones, some without a selfie, some whom nobody wants verified."""
    t = tables()
    kinds: list[dict[str, Any]] = [
        {"selfie_url": SELFIE, "pending": False, "requested_selfie_url": SELFIE, "requested_photos": 2},
        {"selfie_url": None, "pending": True, "requested_selfie_url": None, "requested_photos": None},
        {"selfie_url": SELFIE, "pending": False, "requested_selfie_url": None, "requested_photos": None},
    ]
    ids = [f"m{i:05}" for i in range(first, last)]
    photos = [
        {"member_id": i, "position": n, "requested_position": n, "url": SELFIE, "requested_url": SELFIE}
        for i in ids
        for n in (1, 2)
    ]
    with engine.begin() as c:
        c.execute(sa.insert(t.member), [{"member_id": i, **kinds[n % 3]} for n, i in enumerate(ids)])
        c.execute(sa.insert(t.photo), photos)
        for table in (t.member, t.photo):
            c.exec_driver_sql(f"ANALYZE TABLE {table.name}")


def rows_read(c: sa.Connection) -> int:
    counters = c.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
    return sum(int(value) for _, value in counters)


def rows_of_two_sweeps(engine: sa.Engine) -> int:
    """How many rows the server reads for two sweeps that find one changed link."""
    one = build_engine(engine.url.render_as_string(hide_password=False))  # has one connection, ever
    with one.begin() as c:
        c.exec_driver_sql("UPDATE photo SET url = concat(url, '?1') WHERE member_id = 'm00000'")
        before = rows_read(c)
    store = Store(one, tombstone_key=b"key")
    assert len(swept(store, 0) + swept(store, 20)) == 1
    with one.begin() as c:
        read = rows_read(c) - before
    one.dispose()
    return read


def test_a_sweep_reads_no_more_rows_of_many_members_than_of_few(migrated_mariadb: sa.Engine) -> None:
    """By the server's own count; to find deleted photos it reads those of a fixed number of members."""
    with migrated_mariadb.begin() as c:
        for table in reversed(tables().metadata.sorted_tables):
            c.execute(sa.delete(table))
    settle_many(migrated_mariadb, 0, 3 * COUNTED)
    few = rows_of_two_sweeps(migrated_mariadb)
    settle_many(migrated_mariadb, 3 * COUNTED, 9 * COUNTED)
    many = rows_of_two_sweeps(migrated_mariadb)
    assert many < few + 100
