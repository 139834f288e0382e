"""Revision 0006 on a database that people have worked with: nothing is lost, and records become true."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from pipeline.verdict import Reason, Status
from worker.migrations import migrate
from worker.migrations.migrate import _config
from worker.store import Store, build_engine

AT = "2026-11-24 07:00:00.123456"
LATER = "2026-11-24 08:00:00.654321"


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """At the revision before."""
    engine = build_engine(database_url)
    with engine.connect() as c:
        command.upgrade(_config(c, ""), "0005")
        c.commit()
    yield engine
    engine.dispose()


def insert(engine: sa.Engine, table: str, **values: Any) -> None:
    names = ", ".join(values)
    holders = ", ".join(f":{name}" for name in values)
    with engine.begin() as c:
        c.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({holders})"), values)


def a_member(engine: sa.Engine, status: str, reason: str, *, same: bool, at: str = AT) -> None:
    """With what the code of that time wrote, and a row in each table that hangs on it."""
    name = "m1"
    verdict = {"reason": reason, "same_person": same, "similarity": 0.997}
    insert(
        engine,
        "member",
        member_id=name,
        verification_status=status,
        verified_at=at,
        **verdict,
        request_id=name,
    )
    insert(engine, "photo", member_id=name, position=1, url="https://h/1.jpg")
    insert(engine, "access_log", member_id=name, looked_by="kim", way="show", looked_at=AT)
    counts = dict.fromkeys(("attempts", "open_attempts", "postponed", "sweeps"), 0)
    times = dict.fromkeys(("requested_at", "accepted_at", "finished_at"), AT)
    fixed = {"why": "signup", "queue": "verify", "message": "{}", "content_hash": "a" * 64, "state": "done"}
    request = {"request_id": name, "member_id": name, "status": status, "decided_by": "person"}
    insert(engine, "verification", **request, **fixed, **counts, **times, **verdict)
    photo = {"request_id": name, "position": 1, "outcome": "same", "faces": 1, "detail": "", "replay": False}
    insert(engine, "verification_photo", **photo)


def a_decision(engine: sa.Engine, status: str, was: str, reason: str, *, at: str = AT) -> None:
    said = {"status": status, "previous_status": was, "previous_reason": reason}
    insert(engine, "decision", request_id="m1", **said, decided_by="kim", decided_at=at)


def rows(engine: sa.Engine) -> dict[str, int]:
    with engine.connect() as c:
        names = sa.inspect(c).get_table_names()
        return {n: c.scalar(sa.text(f"SELECT COUNT(*) FROM {n}")) or 0 for n in names}


def test_no_row_is_lost(engine: sa.Engine) -> None:
    """SQLite copies a table to change it, and dropping the old one would take all that hangs on it along."""
    a_member(engine, "rejected", "different_person", same=False)
    a_decision(engine, "rejected", "approved", "same_person")
    insert(engine, "tombstone", member_hash="a" * 64, forgotten_at=AT)
    before = rows(engine)
    migrate(engine)
    assert rows(engine).items() >= before.items()
    assert sum(before.values()) == 8
    store = Store(engine)
    store.members.forget("m1", datetime.fromisoformat(f"{AT}+00:00"))
    assert rows(engine)["verification_photo"] == 0  # the cascades are there as before


@pytest.mark.parametrize(
    ("decided", "machine", "wrote", "found_same"),
    [
        ("rejected", ("approved", "same_person"), "different_person", True),
        ("rejected", ("review", "blind_audit"), "different_person", True),
        ("approved", ("review", "different_person"), "same_person", False),
        ("approved", ("review", "gender_conflict"), "same_person", True),
        ("rejected", ("review", "same_picture"), "same_picture", None),
    ],
)
def test_what_a_person_decided_is_told_from_what_the_machine_found(
    engine: sa.Engine, decided: str, machine: tuple[str, str], wrote: str, found_same: bool | None
) -> None:
    a_member(engine, decided, wrote, same=decided == "approved")
    a_decision(engine, decided, *machine)
    migrate(engine)
    store = Store(engine)
    member, request = store.members.find("m1"), store.requests.find("m1")
    assert member is not None
    assert request is not None
    assert member.reason == request.reason == f"{decided}_by_person"
    assert member.same_person is request.same_person is found_same
    assert (request.machine_status, request.machine_reason) == machine
    assert (member.similarity, request.similarity) == (0.997, 0.997)


def test_a_second_decision_followed_a_person_and_not_the_machine(engine: sa.Engine) -> None:
    a_member(engine, "approved", "same_person", same=True, at=LATER)
    a_decision(engine, "rejected", "review", "primary_unsure")
    a_decision(engine, "approved", "rejected", "primary_unsure", at=LATER)
    migrate(engine)
    request = Store(engine).requests.find("m1")
    assert request is not None
    assert [each.previous_reason for each in request.decisions] == [
        Reason.PRIMARY_UNSURE,
        Reason.REJECTED_BY_PERSON,
    ]
    assert (request.reason, request.machine_reason) == (Reason.APPROVED_BY_PERSON, Reason.PRIMARY_UNSURE)
    member = Store(engine).members.find("m1")
    assert member is not None
    assert (member.reason, member.same_person) == (Reason.APPROVED_BY_PERSON, None)


def test_a_verdict_by_machine_that_came_after_the_decision_stays(engine: sa.Engine) -> None:
    a_member(engine, "approved", "same_person", same=True, at=LATER)
    a_decision(engine, "approved", "review", "different_person")
    migrate(engine)
    member = Store(engine).members.find("m1")
    assert member is not None
    assert (member.status, member.reason, member.same_person) == (
        Status.APPROVED,
        Reason.SAME_PERSON,
        True,
    )


def test_a_migration_that_broke_off_goes_on(engine: sa.Engine) -> None:
    """MySQL cannot roll DDL back: what was changed before is there when it runs again."""
    a_member(engine, "rejected", "different_person", same=False)
    a_decision(engine, "rejected", "approved", "same_person")
    with engine.connect() as c:
        before = c.scalar(sa.text("SELECT version_num FROM verify_schema_version"))
    migrate(engine)
    with engine.begin() as c:
        c.execute(sa.text("UPDATE verify_schema_version SET version_num = :v"), {"v": before})
    migrate(engine)
    request = Store(engine).requests.find("m1")
    assert request is not None
    assert (request.reason, request.machine_reason) == (Reason.REJECTED_BY_PERSON, Reason.SAME_PERSON)
