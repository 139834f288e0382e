"""Tables of commands on a terminal of 80 columns: no word in them is broken but an ID."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console
from rich.table import Table

from pipeline.verdict import Reason, Status
from support.jobs import NOW
from worker.cli.members.pages import history_table
from worker.cli.queue.dead_jobs import dead_jobs_table
from worker.jobs.verify_job import Why
from worker.store import RequestRecord
from worker.store.requests.records import DeadJobRecord
from worker.store.tables.states import State

REQUEST = RequestRecord(
    request_id="7f1f3e9a-6c56-4c0e-9c1f-2f1f0a3c6f6e",
    member_id="m1",
    why=Why.PHOTOS_CHANGED,
    queue="verify",
    state=State.DONE,
    attempts=12,
    postponed=0,
    problem=None,
    next_attempt_at=None,
    sandbox=False,
    requested_at=NOW,
    accepted_at=NOW,
    started_at=NOW,
    finished_at=NOW,
    status=Status.RETRY_PHOTO,
    reason=Reason.RETRY_PHOTO_BY_PERSON,
    similarity=0.83,
    timings={"decode": 1234.5},
)
DEAD = DeadJobRecord(
    id=1234567,
    reason="objection_conflict",
    error="no task header: not a message of Celery's protocol 2",
    queue="verify",
    request_id=REQUEST.request_id,
    member_id="member-20261124-000001",
    attempts=3,
    message_sha256="a" * 64,
    message_length=1_234_567,
    created_at=NOW,
    requeued_at=None,
    dismissed_at=None,
    dismissed_by=None,
    dismissed_note=None,
    member_hash=None,
    message_kept=False,
)


def printed(table: Table, capsys: pytest.CaptureFixture[str]) -> str:
    Console(width=80).print(table)
    return capsys.readouterr().out


def test_the_requests_of_a_member_fit_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = replace(REQUEST, state=State.RETRY_WAIT, status=None, reason=None, problem="timeout")
    text = printed(history_table([REQUEST, waiting]), capsys)
    words = ("2026-11-24 07:00:00", "photos_changed, 12", "retry_photo_by_person", "0.830", "retry_wait")
    for whole in words:
        assert whole in text
    assert max(map(len, text.splitlines())) <= 80


def test_dead_jobs_fit_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(dead_jobs_table([DEAD, replace(DEAD, member_id=None, member_hash="b" * 64)]), capsys)
    for whole in ("1234567", "2026-11-24 07:00", "objection_conflict", "member-20261124-000001", "gone"):
        assert whole in text
    assert max(map(len, text.splitlines())) <= 80
