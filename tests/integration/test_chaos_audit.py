"""What `make chaos` holds to be right where two requests of one member meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chaos.jobs import Crowd, Member, audit, count_ends
from chaos.stub_worker import verify
from pipeline.verdict import Status
from support.jobs import LEASE, MOST, NOW, later
from support.workers import open_empty_store
from worker.jobs.verify_job import VerifyJob
from worker.store import Attempt, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database of its own: the triggers that count ends stay in it."""
    with closing(open_empty_store(f"sqlite:///{tmp_path / 'verify.db'}")) as store:
        count_ends(store)
        yield store


@pytest.fixture
def member() -> Member:
    """Whose older request shows somebody else and whose newest is approved."""
    crowd = Crowd("https://photos.example.com", milliseconds=0).members("m", 18)
    (found,) = (m for m in crowd if len(m.requests) == 2 and m.status is Status.APPROVED)
    return found


def begin(store: Store, job: VerifyJob) -> Attempt:
    """A delivery."""
    attempt = store.requests.acquire(job.request_id, "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    return attempt


def finish(store: Store, attempt: Attempt, job: VerifyJob, at: float) -> None:
    """As the stub judges it."""
    what = job.selfie_url.split("/")[-3]
    selfie = f"stub {what} 0".encode()
    assert store.requests.finish(attempt, verify(selfie, [selfie], None).verdict, later(at))


def test_a_review_that_ended_before_the_newest_request_came_outlives_its_approval(
    store: Store, member: Member
) -> None:
    newest, older = member.requests
    for at, job in enumerate((older, newest)):
        store.requests.accept(job, "verify", later(at))
        finish(store, begin(store, job), job, at)
    assert audit(store, [member]).lines == []


def test_a_review_that_ends_after_the_newest_request_came_leaves_no_trace_in_the_result(
    store: Store, member: Member
) -> None:
    newest, older = member.requests
    store.requests.accept(older, "verify", NOW)
    late = begin(store, older)
    store.requests.accept(newest, "verify", later(1))
    finish(store, begin(store, newest), newest, 2)
    finish(store, late, older, 3)
    assert audit(store, [member]).lines == []
