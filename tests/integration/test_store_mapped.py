"""Mapped mode: the app's own member table takes the results, and nothing else of it is touched."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from pipeline.verdict import Reason, Status, Verified
from support.broker import Lists
from support.databases import fresh_database
from support.jobs import LEASE, MOST, NOW, a_job, a_message, a_verdict, later
from worker.errors import MappingError
from worker.jobs.links import PhotoLink
from worker.jobs.verify_job import VerifyJob
from worker.migrations import migrate
from worker.settings import load_settings
from worker.store import Attempt, MappedMember, Store, build_engine, open_store
from worker.verification.delivery import DeliveryRules, Handled, Verification
from worker.verification.maintenance import sweep
from worker.verification.sandbox import Sandbox

COLUMNS = {
    "verification_status": "face_status",
    "same_person": "is_same",
    "similarity": "face_score",
    "reason": "face_reason",
    "verified_at": "face_checked_at",
    "predicted_gender": "",
}
# As another team made it: a number for an ID in one, latin text that ignores case in the other.
USERS = """
CREATE TABLE tb_user (
  user_no INTEGER PRIMARY KEY,
  nickname VARCHAR(40) NOT NULL,
  reason VARCHAR(5) NOT NULL DEFAULT 'x',
  face_status VARCHAR(20),
  is_same SMALLINT,
  face_score DECIMAL(6, 4),
  face_reason VARCHAR(64),
  model_version VARCHAR(4),
  face_checked_at DATETIME,
  trust FLOAT NOT NULL DEFAULT 0,
  points DECIMAL(5, 0),
  born DATE,
  raw_id BLOB
)
"""
MEMBERS = """
CREATE TABLE member (
  id VARCHAR(20) NOT NULL,
  name VARCHAR(40),
  verification_status VARCHAR(12) NOT NULL DEFAULT 'none'
)
"""


@pytest.fixture
def app(database_url: str) -> Iterator[sa.Engine]:
    """The app's database, with its own tables only."""
    engine = build_engine(database_url)
    with engine.begin() as c:
        c.execute(sa.text(USERS))
        c.execute(sa.text(MEMBERS))
        c.execute(sa.text("INSERT INTO tb_user (user_no, nickname) VALUES (7, '영희'), (8, '철수')"))
        c.execute(sa.text("INSERT INTO member (id, name) VALUES ('ab1', '영희'), ('m2 ', '철수')"))
    yield engine
    engine.dispose()


def open_mapped(app: sa.Engine, **mapping: Any) -> Store:
    url = app.url.render_as_string(hide_password=False)
    values = {"database_url": url, "review_reused_photos": False, **mapping}
    settings = load_settings(values)
    migrate(app, settings.tables_prefix)
    return open_store(settings, app)


def users(app: sa.Engine, **mapping: Any) -> Store:
    named = {"mapped_table": "tb_user", "mapped_id_column": "user_no", "mapped_columns": COLUMNS}
    return open_mapped(app, **named, **mapping)


def a_service(store: Store) -> Verification:
    """Deliveries, with photos that are always there and a judge that always approves."""
    return Verification(
        requests=store.requests,
        dead_jobs=store.dead_jobs,
        shadows=store.shadows,
        fetcher=Photos(),
        verify=lambda *_: Verified(a_verdict()),
        rules=DeliveryRules(),
        worker="w",
        clock=lambda: NOW,
    )


class Photos:
    def fetch_all(self, links: Sequence[PhotoLink]) -> list[bytes]:
        return [link.url.encode() for link in links]


def rows(app: sa.Engine, table: str) -> list[dict[str, Any]]:
    with app.connect() as c:
        return [dict(row) for row in c.execute(sa.text(f"SELECT * FROM {table}")).mappings()]


def verify(store: Store, member_id: str, request_id: str = "r1", **changes: Any) -> None:
    store.requests.accept(a_job(request_id, member_id), "verify", NOW)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(**changes), NOW)


def test_members_and_photos_in_sql_work_beside_the_apps_table(app: sa.Engine) -> None:
    store = users(app)

    def job_after(at: float, *statements: str) -> VerifyJob:
        with app.begin() as c:
            for statement in statements:
                c.execute(sa.text(statement))
        return next(queued for seconds in (at, at + 15) for queued in swept(store, seconds))

    def swept(store: Store, at: float) -> list[VerifyJob]:
        broker = Lists()
        sweep(store.requests, store.pending, broker, later(at))
        return [job for job, _ in broker.sent]

    photo = "INSERT INTO verify_photo (member_id, position, url) VALUES ('7', {0}, 'https://h/{0}.jpg')"
    member = "INSERT INTO verify_member (member_id, selfie_url) VALUES ('7', 'https://h/s.jpg')"
    assert len(job_after(0, member, photo.format(1)).photo_urls) == 1
    assert len(job_after(60, photo.format(2)).photo_urls) == 2
    assert len(job_after(120, "DELETE FROM verify_photo WHERE position = 1").photo_urls) == 1


def test_the_verdict_lands_in_the_apps_columns_and_nowhere_else(app: sa.Engine) -> None:
    before = rows(app, "tb_user")
    store = users(app)
    verify(store, "7")
    after = rows(app, "tb_user")
    assert after[1] == before[1]
    checked = after[0].pop("face_checked_at")
    assert datetime.fromisoformat(str(checked)).replace(microsecond=0) == NOW.replace(
        tzinfo=None, microsecond=0
    )
    assert float(after[0].pop("face_score")) == 0.83
    for untouched in ("trust", "points", "born", "raw_id"):
        assert after[0].pop(untouched) == before[0][untouched]
    assert after[0] == {
        "user_no": 7,
        "nickname": "영희",
        "reason": "x",
        "face_status": "approved",
        "is_same": 1,
        "face_reason": "same_person",
        "model_version": "base",
    }
    assert store.members.find("7") is not None


def test_our_tables_stand_beside_the_apps_which_no_migration_touches(app: sa.Engine) -> None:
    before = rows(app, "member"), sa.inspect(app).get_columns("member")
    open_mapped(app, mapped_table="member", mapped_id_column="id")
    after = rows(app, "member"), sa.inspect(app).get_columns("member")
    assert repr(after) == repr(before)
    ours = set(sa.inspect(app).get_table_names()) - {"member", "tb_user"}
    assert all(name.startswith("verify_") for name in ours)


def test_a_member_of_another_case_or_with_a_space_is_not_ours(
    app: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_mapped(app, mapped_table="member", mapped_id_column="id")
    before = rows(app, "member")
    with caplog.at_level(logging.WARNING):
        verify(store, "AB1", "r1")
        verify(store, "m2", "r2")
    assert rows(app, "member") == before
    assert "member AB1 is not in the app's table" in caplog.text
    verify(store, "ab1", "r3")
    assert rows(app, "member")[0]["verification_status"] == "approved"


@pytest.mark.parametrize("member_id", ["7abc", "07", "7.0", "+7", "0x7"])
def test_an_id_that_only_starts_like_a_number_is_no_number(app: sa.Engine, member_id: str) -> None:
    store = users(app)
    before = rows(app, "tb_user")
    verify(store, member_id)
    assert rows(app, "tb_user") == before


def test_an_error_wipes_no_standing_approval_there_either(app: sa.Engine) -> None:
    store = users(app)
    verify(store, "7", "r1")
    standing = rows(app, "tb_user")
    store.requests.accept(a_job("r2", "7", at=later(1)), "verify", NOW)
    assert store.requests.give_up("r2", "poison", "boom", NOW)
    assert rows(app, "tb_user") == standing
    verify(store, "8", "r3", status=Status.ERROR, reason=Reason.SELFIE_NOT_FETCHED)
    assert rows(app, "tb_user")[1]["face_status"] == "error"


def test_a_superseded_verdict_does_not_reach_the_app(app: sa.Engine) -> None:
    store = users(app)
    store.requests.accept(a_job("r1", "7"), "verify", NOW)
    old = store.requests.acquire("r1", "w", LEASE, MOST, NOW)
    assert isinstance(old, Attempt)
    store.requests.accept(a_job("r2", "7", at=later(1)), "verify", NOW)
    store.requests.finish(old, a_verdict(), NOW)
    assert rows(app, "tb_user")[0]["face_status"] is None


def test_the_newest_request_is_told_in_columns_that_are_named_for_it(app: sa.Engine) -> None:
    with app.begin() as c:
        for column in ("request_id VARCHAR(9)", "face_request VARCHAR(64)"):
            c.execute(sa.text(f"ALTER TABLE tb_user ADD COLUMN {column}"))
        c.execute(sa.text("ALTER TABLE member ADD COLUMN requested_state VARCHAR(16)"))
        c.execute(sa.text("ALTER TABLE member ADD COLUMN request_id VARCHAR(64)"))
    named = {**COLUMNS, "request_id": "face_request"}
    store = open_mapped(app, mapped_table="tb_user", mapped_id_column="user_no", mapped_columns=named)
    verify(store, "7")
    with app.connect() as c:
        told = c.execute(sa.text("SELECT request_id, face_request FROM tb_user WHERE user_no = 7")).one()
    assert told == (None, "r1")  # the app's own column of that name is left alone
    store = open_mapped(app, mapped_table="member", mapped_id_column="id")
    store.requests.accept(a_job("r2", "ab1"), "verify", NOW)
    with app.connect() as c:
        told = c.execute(sa.text("SELECT requested_state, request_id FROM member WHERE id = 'ab1'")).one()
    assert told == ("queued", None)


def test_a_member_of_the_sandbox_has_its_result_in_the_apps_table_until_it_is_purged(app: sa.Engine) -> None:
    with app.begin() as c:
        c.execute(sa.text("INSERT INTO member (id) VALUES ('sandbox-review')"))
    mapping = {"mapped_table": "member", "mapped_id_column": "id", "sandbox_prefix": "sandbox-"}
    store = open_mapped(app, **mapping)
    service = replace(a_service(store), sandbox=Sandbox("sandbox-"))
    job = a_job("r1", "sandbox-review")
    assert service.handle(job.to_message(), "verify") is Handled.STORED
    query = sa.text("SELECT verification_status FROM member WHERE id = 'sandbox-review'")
    with app.connect() as c:
        assert c.scalar(query) == "review"
    assert store.members.purge_sandbox(later(1)) == 1
    with app.connect() as c:
        assert c.scalar(query) == "none"


def test_our_result_and_the_apps_are_one_transaction(app: sa.Engine) -> None:
    store = users(app)
    store.requests.accept(a_job("r1", "7"), "verify", NOW)
    attempt = store.requests.acquire("r1", "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    with app.begin() as c:
        c.execute(sa.text("ALTER TABLE tb_user RENAME TO tb_user_away"))
    with pytest.raises(Exception, match="tables are missing"):
        store.requests.finish(attempt, a_verdict(), NOW)
    member = store.members.find("7")
    assert member is not None
    assert member.status is None
    with app.begin() as c:
        c.execute(sa.text("ALTER TABLE tb_user_away RENAME TO tb_user"))
    assert store.requests.finish(attempt, a_verdict(), NOW)
    assert rows(app, "tb_user")[0]["face_status"] == "approved"


def test_forgetting_takes_the_results_back(app: sa.Engine) -> None:
    store = users(app)
    verify(store, "7")
    store.members.forget("7", NOW)
    row = rows(app, "tb_user")[0]
    assert [row["face_status"], row["is_same"], row["face_reason"], row["face_checked_at"]] == [None] * 4
    assert row["nickname"] == "영희"


def test_columns_that_the_app_does_not_have_are_left_out_and_said(
    app: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        mapped = MappedMember(app, "member", "id")
    assert mapped.columns == {"verification_status": "verification_status"}
    assert "not written to member" in caplog.text
    assert "same_person" in caplog.text


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no such table": ({"table": "members"}, "no table members"),
    "no such ID column": ({"id_column": "user_id"}, "no column user_id"),
    "a column misspelt": ({"columns": {**COLUMNS, "verified_at": "checked"}}, "no column checked"),
    "a result misspelt": ({"columns": {**COLUMNS, "verdict": "face_status"}}, "verdict: no result of ours"),
    "no column for the status": ({"columns": {}}, "no column for verification_status"),
    "a column too short": ({"columns": {**COLUMNS, "reason": "reason"}}, "holds 5 characters"),
    "a column never NULL": ({"columns": {**COLUMNS, "similarity": "trust"}}, "must allow NULL"),
    "a status that is a number": (
        {"columns": {**COLUMNS, "verification_status": "is_same"}},
        "such as `approved`",
    ),
    "a reason that is a time": ({"columns": {**COLUMNS, "reason": "face_checked_at"}}, "such as `approved`"),
    "a similarity that is whole": ({"columns": {**COLUMNS, "similarity": "is_same"}}, "such as 0.83"),
    "a similarity without digits": ({"columns": {**COLUMNS, "similarity": "points"}}, "such as 0.83"),
    "a similarity that is text": ({"columns": {**COLUMNS, "similarity": "face_reason"}}, "such as 0.83"),
    "an answer that is text": ({"columns": {**COLUMNS, "same_person": "face_reason"}}, "true or false"),
    "a time that is a day": ({"columns": {**COLUMNS, "verified_at": "born"}}, "date and time"),
    "a time that is text": ({"columns": {**COLUMNS, "verified_at": "face_reason"}}, "date and time"),
    "an ID in binary": ({"id_column": "raw_id"}, "whole numbers, texts or UUIDs"),
    "an ID that is a time": ({"id_column": "face_checked_at"}, "whole numbers, texts or UUIDs"),
}


@pytest.mark.parametrize(("mapping", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mapping_that_cannot_work_is_refused_at_the_start(
    app: sa.Engine, mapping: dict[str, Any], message: str
) -> None:
    chosen = {"table": "tb_user", "id_column": "user_no", "columns": COLUMNS, **mapping}
    with pytest.raises(MappingError, match=message):
        MappedMember(app, **chosen)


def test_an_enum_of_the_app_must_know_our_words(mariadb_database_url: str) -> None:
    engine = build_engine(mariadb_database_url)
    with engine.begin() as c:
        c.execute(sa.text("CREATE TABLE u (member_id INT PRIMARY KEY, verification_status ENUM('approved'))"))
    with pytest.raises(MappingError, match="enum without error, rejected, retry_photo, review"):
        MappedMember(engine, "u")
    engine.dispose()


def test_the_apps_table_may_stand_in_another_database_of_the_server(
    mariadb_url: str, mariadb_database_url: str
) -> None:
    """One transaction spans both: our tables need not stand in the app's database at all."""
    ours = build_engine(mariadb_database_url)
    migrate(ours)
    with fresh_database(mariadb_url) as theirs:
        table = f"{sa.make_url(theirs).database}.tb_user"
        with ours.begin() as c:
            c.execute(sa.text(USERS.replace("tb_user", table)))
            c.execute(sa.text(f"INSERT INTO {table} (user_no, nickname) VALUES (7, 'Kim')"))
        verify(Store(ours, mapped=MappedMember(ours, table, "user_no", COLUMNS)), "7")
        assert rows(ours, table)[0]["face_status"] == "approved"
    ours.dispose()


def break_status(app: sa.Engine) -> None:
    """The app changes its table while workers run: our words do not fit any more."""
    with app.begin() as c:
        c.execute(sa.text("ALTER TABLE tb_user MODIFY face_status TINYINT"))


@pytest.fixture
def app_on_mariadb(mariadb_database_url: str) -> Iterator[sa.Engine]:
    engine = build_engine(mariadb_database_url)
    with engine.begin() as c:
        c.execute(sa.text(USERS))
        c.execute(sa.text("INSERT INTO tb_user (user_no, nickname) VALUES (7, 'Kim')"))
    yield engine
    engine.dispose()


def test_a_result_that_the_apps_table_refuses_ends_in_a_dead_job_and_not_in_a_loop(
    app_on_mariadb: sa.Engine,
) -> None:
    store = users(app_on_mariadb)
    break_status(app_on_mariadb)
    service = a_service(store)
    assert service.handle(a_message(member_id="7"), "verify") is Handled.DEAD_LETTER
    (dead,) = store.dead_jobs.latest()
    assert (dead.reason, "app's table" in dead.error) == ("not_stored", True)
    member = store.members.find("7")
    assert member is not None
    assert member.status is Status.ERROR
    assert list(store.requests.unfinished(later(10_000))) == []


def test_such_a_request_is_judged_again_once_the_table_is_mended(app_on_mariadb: sa.Engine) -> None:
    store = users(app_on_mariadb)
    break_status(app_on_mariadb)
    service = a_service(store)
    service.handle(a_message(member_id="7"), "verify")
    with app_on_mariadb.begin() as c:
        c.execute(sa.text("ALTER TABLE tb_user MODIFY face_status VARCHAR(20)"))
    (dead,) = store.dead_jobs.latest()
    queued = store.dead_jobs.requeue(dead.id, NOW)
    assert service.handle(queued.job.to_message(), "verify") is Handled.STORED
    assert rows(app_on_mariadb, "tb_user")[0]["face_status"] == "approved"


def test_a_poison_job_is_given_up_whatever_the_apps_table_takes(app_on_mariadb: sa.Engine) -> None:
    store = users(app_on_mariadb)
    store.requests.accept(a_job("r1", "7"), "verify", NOW)
    break_status(app_on_mariadb)
    assert store.requests.give_up("r1", "poison", "begun 3 times", NOW)
    (dead,) = store.dead_jobs.latest()
    assert dead.reason == "poison"
    assert "begun 3 times; the app's table did not take the result" in dead.error


def test_uuids_of_the_app_are_found(mariadb_database_url: str) -> None:
    engine = build_engine(mariadb_database_url)
    mine = "0189f7a0-3b1c-7cc2-9c1e-7f8d3a0b5c11"
    with engine.begin() as c:
        c.execute(sa.text("CREATE TABLE u (id UUID PRIMARY KEY, verification_status VARCHAR(20))"))
        c.execute(sa.text(f"INSERT INTO u VALUES ('{mine}', NULL)"))
    store = open_mapped(engine, mapped_table="u", mapped_id_column="id")
    for number, other in enumerate((mine.upper(), mine.replace("-", ""), "m1")):
        verify(store, other, f"r{number}")
    assert rows(engine, "u")[0]["verification_status"] is None
    verify(store, mine, "r9")
    assert rows(engine, "u")[0]["verification_status"] == "approved"
    engine.dispose()


def test_a_number_that_no_column_holds_is_nobody(app: sa.Engine) -> None:
    store = users(app)
    before = rows(app, "tb_user")
    verify(store, "9" * 30)
    assert rows(app, "tb_user") == before


NEVER_NULL = """
CREATE TABLE u (
  id VARCHAR(20) NOT NULL,
  verification_status VARCHAR(20) NOT NULL,
  same_person BOOLEAN,
  predicted_gender VARCHAR(10) NOT NULL DEFAULT 'unknown',
  reason VARCHAR(40) NOT NULL CHECK (reason <> ''),
  model_version VARCHAR(40) NOT NULL DEFAULT '',
  verified_at DATETIME NOT NULL
)
"""
EMPTY = {"verification_status": "", "same_person": None, "predicted_gender": "unknown", "model_version": ""}


@pytest.fixture
def never_null(database_url: str) -> Iterator[sa.Engine]:
    """The database of an app whose columns hardly ever take NULL, with the members m1 and m2."""
    engine = build_engine(database_url)
    with engine.begin() as c:
        c.execute(sa.text(NEVER_NULL))
        for member_id in ("m1", "m2"):
            values = f"'{member_id}', 'none', NULL, 'unknown', 'none', '', '2026-01-01 00:00:00'"
            c.execute(sa.text(f"INSERT INTO u VALUES ({values})"))
    yield engine
    engine.dispose()


def test_columns_that_are_never_null_get_their_default_or_an_empty_text(never_null: sa.Engine) -> None:
    store = open_mapped(never_null, mapped_table="u", mapped_id_column="id")
    for member_id in ("m1", "m2"):
        verify(store, member_id, f"r-{member_id}")
    before = rows(never_null, "u")
    forgotten = store.members.forget("m1", NOW)
    assert forgotten.not_emptied == ("reason", "verified_at")
    assert forgotten.removed["verify_member"] == 1
    first, second = rows(never_null, "u")
    assert EMPTY.items() <= first.items()
    assert (first["reason"], second) == ("same_person", before[1])
    assert store.members.forget("nobody", NOW).not_emptied == ()


def test_forget_names_what_the_apps_table_does_not_let_it_empty(
    never_null: sa.Engine, cli: Callable[..., Result]
) -> None:
    store = open_mapped(never_null, mapped_table="u", mapped_id_column="id")
    for member_id in ("m1", "m2"):
        verify(store, member_id, f"r-{member_id}")
    settings = {
        "DATABASE_URL": never_null.url.render_as_string(hide_password=False),
        "MAPPED_TABLE": "u",
        "MAPPED_ID_COLUMN": "id",
    }
    told = json.loads(cli("forget", "m1", "--json", "--yes", **settings).stdout)
    assert told["not_emptied"] == ["reason", "verified_at"]
    shown = cli("forget", "m2", "--yes", **settings)
    assert (shown.exit_code, "Not emptied" in shown.stdout) == (0, True)
    assert "reason, verified_at" in shown.stdout


def test_an_enum_without_a_default_cannot_be_emptied_and_one_with_a_default_can(
    mariadb_database_url: str,
) -> None:
    engine = build_engine(mariadb_database_url)
    statuses = ", ".join(f"'{word}'" for word in ("none", *Status))
    with engine.begin() as c:
        c.execute(
            sa.text(
                "CREATE TABLE u (id INT PRIMARY KEY, "
                f"verification_status ENUM({statuses}) NOT NULL DEFAULT 'none', "
                "predicted_gender ENUM('male', 'female', 'unknown') NOT NULL)"
            )
        )
        c.execute(sa.text("INSERT INTO u VALUES (7, 'none', 'unknown')"))
    store = open_mapped(engine, mapped_table="u", mapped_id_column="id")
    verify(store, "7")
    assert store.members.forget("7", NOW).not_emptied == ("predicted_gender",)
    assert rows(engine, "u")[0]["verification_status"] == "none"
    engine.dispose()
