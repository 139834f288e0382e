"""The state of the system as metrics, out of a real database and real brokers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.verdict import Reason, Status
from support import reviews
from support.invalid_messages import job_message
from support.jobs import LEASE, MOST, NOW, a_job, a_message, a_verdict, later
from support.metrics import Scrape
from support.redis_queue import Broker
from support.system import in_files
from support.workers import wait_until
from worker.broker.depths import QueueDepth
from worker.broker.publisher import Publisher
from worker.client.broker import Access
from worker.jobs.queues import BULK, IN_ORDER, VERIFY
from worker.metrics.families import OF_BROKER, OF_DATABASE
from worker.metrics.state import read_broker, read_database
from worker.store import Attempt, DeadJob, NewMember, Store

EMPTY = QueueDepth(0, 0, 0)


@pytest.fixture
def store(engine: object) -> Store:
    """With an app that listens."""
    return Store(engine, tombstone_key=b"key", listening=True)  # type: ignore[arg-type]


def state(store: Store, at: float = 0) -> Scrape:
    return Scrape(tuple(read_database(store, {"app"}, lambda: later(at))))


def judged(store: Store, name: str, **verdict: object) -> None:
    store.requests.accept(a_job(name, f"m-{name}"), VERIFY, NOW)
    attempt = store.requests.acquire(name, "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(**verdict), NOW)  # type: ignore[arg-type]


def test_an_empty_database_has_every_metric_that_is_documented(store: Store) -> None:
    names = {metric.name for metric in state(store).metrics}
    assert names == {family.name for family in OF_DATABASE} - {"verify_training_state_seconds"}


def test_what_waits_is_counted_with_its_age(store: Store) -> None:
    store.members.import_list([NewMember("new", None, "https://h/s.jpg", ())], NOW)
    store.requests.accept(a_job("r1", "m1"), VERIFY, NOW)
    store.requests.accept(a_job("r2", "m2"), BULK, later(10))
    store.requests.acquire("r2", "w", LEASE, MOST, later(10))
    store.dead_jobs.add(DeadJob("bad_json", "not JSON", b"x", VERIFY), NOW)
    seen = state(store, at=100)
    assert seen.value("verify_unfinished_requests", queue=VERIFY) == 1
    assert seen.value("verify_unfinished_requests", queue=BULK) == 1
    assert seen.value("verify_oldest_unfinished_seconds") == 100
    assert seen.value("verify_lapsed_leases") == 1
    assert seen.value("verify_requests", state="running") == 1
    assert seen.value("verify_members_without_request") == 1
    assert seen.value("verify_dead_jobs") == 1
    assert seen.value("verify_outbox_events", state="waiting") == 1
    assert seen.value("verify_outbox_oldest_seconds") == 100
    assert seen.value("verify_outbox_endpoint_paused", endpoint="app") == 0


def test_reviews_are_counted_with_the_pace_of_all_reviewers_together(store: Store) -> None:
    for name in ("a", "b", "c"):
        judged(store, name, status=Status.REVIEW, reason=Reason.DIFFERENT_PERSON)
    reviews.decide(store, "m-a", at=later(60))
    seen = state(store, at=61)
    assert seen.value("verify_review_cases", state="open") == 2
    assert seen.value("verify_review_cases", state="overdue") == 0
    assert seen.value("verify_review_oldest_seconds") == 61
    assert seen.value("verify_review_votes_last_hour") == 1
    late = state(store, at=100_000)
    assert late.value("verify_review_cases", state="overdue") == 2
    assert late.value("verify_review_votes_last_hour") == 0
    assert late.value("verify_members", status="review") == 2
    assert late.value("verify_members", status="approved") == 1


def test_a_retraining_is_told_by_its_state_and_since_when(store: Store) -> None:
    store.training_runs.ask("kim", NOW)
    seen = state(store, at=30)
    assert seen.value("verify_training_state", state="queued") == 1
    assert seen.value("verify_training_state") == 1
    assert seen.value("verify_training_state_seconds") == 30
    assert seen.value("verify_model_info", version="shipped", role="champion") == 1


@pytest.fixture(params=["", "faces-"], ids=["plain names", "names with a prefix"])
def redis_broker(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Broker]:
    with ExitStack() as stack:
        yield Broker(redis_url, request.param, stack)


def test_on_redis_a_message_is_counted_wherever_it_is(redis_broker: Broker) -> None:
    with Publisher(redis_broker.url, access=Access(queue_prefix=redis_broker.prefix)) as publisher:
        assert publisher.depths(NOW) == dict.fromkeys(IN_ORDER, EMPTY)
        for number in range(3):
            publisher.send(a_job(f"r{number}", at=later(number)), VERIFY)
        publisher.send_retrain()
        depths = publisher.depths(later(60))
        assert depths[VERIFY] == QueueDepth(3, 0, 0, oldest=timedelta(seconds=60))
        assert depths["retrain"] == QueueDepth(1, 0, 0)
        redis_broker.receiver().send_fetch()
        wait_until(lambda: publisher.depths(NOW)[VERIFY].unacknowledged == 1)
        redis_broker.client.zadd("unacked_held_index", {"x" * 32 + VERIFY: 1.0})
        assert publisher.depths(later(60))[VERIFY] == QueueDepth(2, 1, 1, oldest=timedelta(seconds=59))
        seen = Scrape(tuple(read_broker(publisher, lambda: later(60))))
    assert seen.value("verify_queue_messages", queue=VERIFY) == 4
    assert seen.value("verify_queue_oldest_seconds", queue=VERIFY) == 59
    assert seen.value("verify_queue_oldest_seconds", queue=BULK) == 0
    assert seen.value("verify_queue_oldest_seconds", queue="retrain") is None
    assert {metric.name for metric in seen.metrics} == {family.name for family in OF_BROKER}


def test_the_age_of_what_is_no_job_is_not_told(redis_broker: Broker) -> None:
    redis_broker.send("no job")
    with Publisher(redis_broker.url, access=Access(queue_prefix=redis_broker.prefix)) as publisher:
        seen = Scrape(tuple(read_broker(publisher, lambda: NOW)))
    assert seen.value("verify_queue_messages", queue=VERIFY, state="waiting") == 1
    assert seen.value("verify_queue_oldest_seconds", queue=VERIFY) is None


def test_of_queue_files_the_same_is_told(tmp_path: Path) -> None:
    put = in_files(tmp_path / "queues")
    put(VERIFY, job_message(a_message()))
    put(VERIFY, job_message(a_message(request_id="r2", requested_at="2026-11-24T07:00:05Z")))
    taken = tmp_path / "queues" / "taken"
    taken.mkdir()
    (taken / "1~a_b.bulk.msg").write_bytes(b"")
    with Publisher("filesystem://", tmp_path) as publisher:
        depths = publisher.depths(NOW + timedelta(seconds=30))
    assert depths[VERIFY].waiting == 2
    oldest = depths[VERIFY].oldest
    assert oldest is not None
    assert round(oldest.total_seconds()) == 30
    assert (depths[BULK].waiting, depths[BULK].unacknowledged) == (0, 1)
