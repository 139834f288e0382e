"""Consent, apart for verification and training: what is on record, and that a withdrawal takes effect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from pipeline.verdict import Gender, Status
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from support.sheets import HEADERS, a_row, a_workbook
from support.training import TrainingScene
from support.workers import rows
from worker.errors import ConsentWithdrawn, NotPossible, NotRequeueable
from worker.store import Attempt, NewMember, Refused, Store
from worker.store.tables.states import ConsentSource, Purpose, State

Cli = Callable[..., Result]
TRAINING, VERIFICATION = Purpose.TRAINING, Purpose.VERIFICATION
APP, IMPORT, OPERATOR = ConsentSource.APP, ConsentSource.IMPORT, ConsentSource.OPERATOR


@pytest.fixture
def told(engine: sa.Engine) -> Store:
    """A store that writes events."""
    return Store(engine, tombstone_key=b"test key", listening=True)


def in_sql(store: Store, statement: str) -> None:
    with store.database.engine.begin() as c:
        c.exec_driver_sql(statement)


def events(store: Store) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rows(store, store.database.t.event)
    return [row["payload"] | row["payload"]["data"] for row in sorted(found, key=lambda row: row["id"])]


def on_record(store: Store, member_id: str = "m1") -> list[tuple[Any, ...]]:
    return [
        (one.purpose, one.version, one.source, one.withdrawn_source)
        for one in store.consents.of_member(member_id)
    ]


def times(store: Store) -> list[tuple[datetime | None, datetime | None]]:
    return [(one.given_at, one.withdrawn_at) for one in store.consents.of_member("m1")]


def begun(store: Store, request_id: str, member_id: str = "m1", seconds: float = 0) -> Attempt:
    at = later(seconds)
    store.requests.accept(a_job(request_id, member_id, at), "verify", at)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, at)
    assert isinstance(attempt, Attempt)
    return attempt


def state_of(store: Store, request_id: str) -> State:
    request = store.requests.find(request_id)
    assert request is not None
    return request.state


# What is on record


def test_each_consent_has_its_text_time_and_source_and_is_closed_once(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    consents = store.consents
    assert consents.record("m1", TRAINING, later(1), given=True, version="2026-11")
    assert not consents.record("m1", TRAINING, later(2), given=True)
    assert not consents.record("m1", TRAINING, later(3), given=True, version="2026-12")
    assert consents.record("m1", TRAINING, later(4), given=False)
    assert not consents.record("m1", TRAINING, later(5), given=False)
    assert consents.record("m1", TRAINING, later(6), given=True)
    assert on_record(store) == [
        (TRAINING, "2026-11", OPERATOR, OPERATOR),
        (TRAINING, "2026-12", OPERATOR, OPERATOR),
        (TRAINING, "", OPERATOR, None),
    ]
    assert times(store) == [(later(1), later(4)), (later(3), later(4)), (later(6), None)]
    with pytest.raises(NotPossible):
        consents.record("nobody", TRAINING, NOW, given=True)
    assert store.members.forget("m1", NOW).removed["consent"] == 3


def test_the_commands_name_purpose_and_text(here: Cli, store: Store, tmp_path: Path) -> None:
    file = a_workbook(
        tmp_path / "m.xlsx",
        [[*a_row("m1"), "예"], [*a_row("m2"), "아니오"], [*a_row("m3"), ""]],
        [*HEADERS, "학습 동의"],
    )
    for _ in range(2):
        assert here("import", file, "--no-enqueue", "--version", "2026-11").exit_code == 0
    assert [on_record(store, i) for i in ("m1", "m2", "m3")] == [
        [(TRAINING, "2026-11", IMPORT, None)],
        [],
        [],
    ]
    said = here("consent", "m1", "off", "--purpose", "verification", "--version", "2026-12")
    assert said.stdout.strip() == "Verification consent of m1: off."
    assert on_record(store)[1:] == [(VERIFICATION, "2026-12", None, OPERATOR)]
    assert "off, as it was" in here("consent", "m2", "off").stdout
    assert "withdrawn" in here("show", "m1").stdout
    assert here("consent", "m1", "on", "--version", "x" * 65).exit_code == 2
    assert here("consent", "m1", "on", "--purpose", "marketing").exit_code == 2
    assert here("consent", "nobody", "on").exit_code == 1


def test_what_the_app_sets_by_sql_holds_at_once_and_the_sweep_writes_it_down(store: Store) -> None:
    for number in (1, 2, 3):
        begun(store, f"r{number}", f"m{number}")
    in_sql(store, "UPDATE member SET training_consent = TRUE WHERE member_id IN ('m1', 'm2')")
    assert (store.consents.notice(later(1)), store.consents.notice(later(2))) == (2, 0)
    in_sql(store, "UPDATE member SET training_consent = FALSE, verification_consent = FALSE")
    assert store.consents.notice(later(3)) == 2 + 3
    in_sql(store, "UPDATE member SET verification_consent = TRUE WHERE member_id = 'm1'")
    assert (store.consents.notice(later(4)), store.consents.notice(later(5))) == (1, 0)
    assert on_record(store) == [
        (TRAINING, "", APP, APP),
        (VERIFICATION, "", None, APP),
        (VERIFICATION, "", APP, None),
    ]
    assert times(store) == [(later(1), later(3)), (None, later(3)), (later(4), None)]
    assert {state_of(store, f"r{number}") for number in (1, 2, 3)} == {State.DEAD}


# Training


def test_vectors_of_who_withdraws_go_at_once_and_the_run_ends_without_them(
    training: TrainingScene, store: Store
) -> None:
    training.collect()
    store.consents.record("m03", TRAINING, NOW, given=False)
    left = {row["member_id"] for row in rows(store, store.database.t.training_face)}
    assert left == {"m00", "m01", "m02", "m04", "m05"}
    training.step()
    assert [len(given.training_set.identity) for given in training.given] == [15]


# Verification


def test_a_withdrawal_ends_what_is_open_and_refuses_what_comes_until_it_is_given_again(told: Store) -> None:
    first = begun(told, "r1")
    assert told.requests.finish(first, a_verdict(), NOW)
    running = begun(told, "r2", seconds=1)
    told.requests.accept(a_job("r3", "m1", later(2)), "verify", later(2))
    assert told.consents.record("m1", VERIFICATION, later(3), given=False)
    assert not told.requests.finish(running, a_verdict(), later(4))
    assert isinstance(told.requests.acquire("r3", "w", LEASE, MOST, later(4)), Refused)
    for _ in range(2):  # delivered twice
        with pytest.raises(ConsentWithdrawn):
            told.requests.accept(a_job("r4", "m1", later(5)), "verify", later(5))
    assert [state_of(told, name) for name in ("r1", "r2", "r3")] == [State.DONE, State.DEAD, State.DEAD]
    heard = [(one["type"], one["request_id"], one["problem"]) for one in events(told)]
    assert heard[-3:] == [
        ("verification.failed", "r2", "no_consent"),
        ("verification.failed", "r3", "no_consent"),
        ("verification.refused", "r4", "no_consent"),
    ]
    dead = told.dead_jobs.latest()
    assert {(one.reason, one.member_id, one.message_kept) for one in dead} == {("no_consent", "m1", False)}
    assert [one.request_id for one in dead] == ["r4", "r3", "r2"]
    for one in dead:
        with pytest.raises(NotRequeueable):
            told.dead_jobs.requeue(one.id, later(6))
    member = told.members.find("m1")
    assert member is not None
    assert (member.status, member.verification_consent) == (Status.APPROVED, False)
    assert told.reports.status(NOW).failed_since_verdict == 0
    assert told.consents.record("m1", VERIFICATION, later(7), given=True)
    assert told.requests.accept(a_job("r4", "m1", later(8)), "verify", later(8)).new
    assert told.requests.finish(begun(told, "r5", seconds=9), a_verdict(), later(10))


def test_members_who_wait_in_sql_or_are_named_get_no_request_either(told: Store) -> None:
    new = NewMember("m1", Gender.MALE, "https://h/s.jpg", ("https://h/1.jpg",))
    told.members.import_list([new], NOW)
    told.consents.record("m1", VERIFICATION, NOW, given=False)
    found = told.pending.enqueue("bulk", later(1))
    assert (found.jobs, list(found.refused)) == ((), ["m1"])
    assert told.pending.enqueue("bulk", later(2)).refused == {}
    assert told.pending.enqueue_members(["m1"], "verify", later(3)).refused.keys() == {"m1"}
    assert {one.reason for one in told.dead_jobs.latest()} == {"no_consent"}


def test_what_is_withdrawn_by_sql_while_it_waits_or_runs_is_not_judged(told: Store) -> None:
    running = begun(told, "r1", "m1")
    told.requests.accept(a_job("r2", "m2"), "verify", NOW)
    in_sql(told, "UPDATE member SET verification_consent = FALSE")
    assert not told.requests.finish(running, a_verdict(), NOW)
    assert isinstance(told.requests.acquire("r2", "w", LEASE, MOST, NOW), Refused)
    assert {state_of(told, name) for name in ("r1", "r2")} == {State.DEAD}
    members = [told.members.find(name) for name in ("m1", "m2")]
    assert [member.status for member in members if member] == [None, None]
