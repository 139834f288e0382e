"""What an app is told at each moment: by the member's row, the table `result`, events, and the client."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa

from pipeline.verdict import Reason, Status
from support import reviews
from support.bad_requests import OTHER_SECRET, SECRET, NoDatabase, signed
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from support.schemas import problems, undescribed
from worker.client import (
    BadEvent,
    BadSettings,
    BadSignature,
    Event,
    Result,
    Results,
    Standing,
    TimedOut,
    UnknownDriver,
)
from worker.client.events import verify_event, verify_photo_request
from worker.client.results import LOOK_BACK
from worker.clock import utc_now
from worker.store import Attempt, DeadJob, Store

RESOLVE = (
    '{"type": "photo.resolve", '
    '"data": {"schema": 1, "member_id": "m1", "position": 0, "address": "https://h/s"}}'
)


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    return Store(engine, tombstone_key=b"key", listening=True)


def connection_of(engine: sa.Engine) -> Any:
    """A connection as an app has it, of the driver itself."""
    url = engine.url
    if url.drivername.startswith("sqlite"):
        return sqlite3.connect(str(url.database))
    return pymysql.connect(
        host=url.host, port=url.port or 3306, user=url.username, database=url.database, charset="utf8mb4"
    )


@pytest.fixture(params=["driver", "pool"])
def results(request: pytest.FixtureRequest, engine: sa.Engine) -> Results:
    return Results(engine.raw_connection if request.param == "pool" else lambda: connection_of(engine))


def attempt_of(store: Store, request_id: str, at: datetime) -> Attempt:
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, at)
    assert isinstance(attempt, Attempt)
    return attempt


class App:
    """Reads all that an app may read."""

    def __init__(self, engine: sa.Engine, results: Results, store: Store) -> None:
        self._engine, self._results, self._store = engine, results, store

    def events(self) -> list[Event]:
        """All that were written, received as webhooks."""
        with self._engine.connect() as c:
            event = self._store.database.t.event.c
            payloads = c.scalars(sa.select(event.payload).order_by(event.id)).all()
        for payload in payloads:
            assert problems("event", payload) == []
            assert undescribed("event", payload) == set()
        bodies = [json.dumps(payload, ensure_ascii=False) for payload in payloads]
        return [verify_event(body.encode(), signed(body), [OTHER_SECRET, SECRET]) for body in bodies]

    def sees(self, request_id: str) -> tuple[str, str | None, str | None, tuple[int, ...]]:
        """State, status, reason and verified photos of a request."""
        result = self._results.result(request_id)
        assert result is not None
        return result.state, result.status, result.reason, result.verified_photos

    def badge(self) -> tuple[int, ...]:
        """The photos of m1 that carry one, as EVENT.md says it."""
        standing = self._results.standing("m1")
        if standing is None or not standing.approved or standing.verified_request_id is None:
            return ()
        return self.sees(standing.verified_request_id)[3]

    def standing(self) -> Standing | None:
        """Of m1."""
        return self._results.standing("m1")


def test_an_approved_member_who_sends_new_photos_is_told_rightly_at_every_moment(
    engine: sa.Engine, results: Results, store: Store
) -> None:
    app = App(engine, results, store)
    assert (app.standing(), results.result("r-b1"), app.badge()) == (None, None, ())

    store.requests.accept(a_job("r-b1"), "verify", NOW)
    store.requests.finish(attempt_of(store, "r-b1", NOW), a_verdict(), later(1))
    by_b1 = Standing("approved", "r-b1", "r-b1", "done")
    assert (app.standing(), app.badge()) == (by_b1, (1,))
    assert app.sees("r-b1") == ("done", "approved", "same_person", (1,))
    (completed,) = app.events()
    assert (completed.type, completed.request_id, completed.status) == (
        "verification.completed",
        "r-b1",
        "approved",
    )
    assert (completed.member, completed.verified_photos) == (by_b1, (1,))

    store.requests.accept(a_job("r-b2", at=later(60)), "verify", later(60))
    assert (app.standing(), app.badge()) == (Standing("approved", "r-b1", "r-b2", "queued"), (1,))
    assert app.sees("r-b2") == ("queued", None, None, ())

    attempt = attempt_of(store, "r-b2", later(61))
    assert app.standing() == Standing("approved", "r-b1", "r-b2", "queued")
    store.requests.postpone(attempt, later(91), "timeout", later(62))
    assert (app.standing(), app.badge()) == (Standing("approved", "r-b1", "r-b2", "retry_wait"), (1,))
    waiting = results.result("r-b2")
    assert waiting is not None
    assert (waiting.state, waiting.ended, waiting.waiting_until) == ("retry_wait", False, later(91))
    assert app.sees("r-b1") == ("done", "approved", "same_person", (1,))
    assert len(app.events()) == 1

    verdict = a_verdict(Status.REVIEW, Reason.DIFFERENT_PERSON)
    store.requests.finish(attempt_of(store, "r-b2", later(91)), verdict, later(92))
    by_b2 = Standing("review", "r-b2", "r-b2", "done")
    assert (app.standing(), app.badge()) == (by_b2, ())
    assert app.sees("r-b2") == ("done", "review", "different_person", ())
    event = app.events()[-1]
    assert (event.type, event.status, event.reason, event.member) == (
        "verification.completed",
        "review",
        None,
        by_b2,
    )
    assert event.verified_photos == ()

    reviews.decide(store, "m1", Status.APPROVED, "kim", later(200))
    decided = Standing("approved", "r-b2", "r-b2", "done")
    assert (app.standing(), app.badge()) == (decided, (1,))
    assert app.sees("r-b2") == ("done", "approved", "approved_by_person", (1,))
    event = app.events()[-1]
    assert (event.type, event.reason, event.decided_by, event.member) == (
        "verification.decided",
        "approved_by_person",
        "person",
        decided,
    )
    assert event.text_en is not None
    assert event.text_en.startswith("Your photos have been verified.")
    assert [found.request_id for found in results.changes(NOW)] == ["r-b1", "r-b2"]


def test_what_cannot_become_a_request_is_told_with_its_problem(
    engine: sa.Engine, results: Results, store: Store
) -> None:
    app = App(engine, results, store)
    body = json.dumps({"request_id": "r1", "member_id": "m1"}).encode()
    store.dead_jobs.add(DeadJob("bad_url", "selfie_url: none", body, "verify", "r1", "m1"), NOW)
    result = results.wait("r1", seconds=0)
    assert (result.state, result.problem, result.status, result.photos) == ("dead", "bad_url", None, ())
    (event,) = app.events()
    assert (event.type, event.problem, event.member) == ("verification.refused", "bad_url", None)


def test_waiting_ends_with_the_request_and_not_before(results: Results, store: Store) -> None:
    with pytest.raises(TimedOut, match="r1 has not arrived") as before:
        results.wait("r1", seconds=0.3)
    assert before.value.result is None
    store.requests.accept(a_job("r1"), "verify", NOW)
    with pytest.raises(TimedOut, match="r1 is queued") as queued:
        results.wait("r1", seconds=0)
    assert isinstance(queued.value.result, Result)
    store.requests.accept(a_job("r2", at=later(1)), "verify", later(1))
    assert results.wait("r1", seconds=0).state == "superseded"
    store.requests.finish(attempt_of(store, "r2", later(2)), a_verdict(), later(3))
    done = results.wait("r2", seconds=0)
    assert (done.requested_at, done.finished_at, done.decided_by) == (later(1), later(3), "machine")
    assert [(photo.position, photo.outcome, photo.verified, photo.fault) for photo in done.photos] == [
        (0, "usable", False, None),
        (1, "same", True, None),
        (2, "too_dark", False, "member"),
        (3, "not_fetched", False, "host"),
    ]
    assert all(photo.text_ko and photo.text_en for photo in done.photos)


def test_changes_come_in_order_page_by_page_and_none_is_missed(results: Results, store: Store) -> None:
    start = utc_now() - timedelta(hours=1)
    moments = [start, start, start, start + timedelta(seconds=10), start + timedelta(seconds=50)]
    for number, at in enumerate(moments):
        store.requests.accept(a_job(f"r{number}", f"m{number}", at), "verify", at)
    for page in (1, 2, 500):
        found = list(results.changes(start, page))
        assert [result.request_id for result in found] == ["r0", "r1", "r2", "r3", "r4"]
        assert [result.changed_at for result in found] == moments
    behind = timedelta(microseconds=1)
    seoul = timezone(timedelta(hours=9))
    assert len([*results.changes((start + LOOK_BACK).astimezone(seoul))]) == 5
    assert [result.request_id for result in results.changes(start + LOOK_BACK + behind)] == ["r3", "r4"]
    assert list(results.changes(utc_now() + timedelta(minutes=4))) == []


def test_a_paramstyle_that_is_named_counts() -> None:
    with pytest.raises(UnknownDriver, match="numeric"):
        Results(NoDatabase, paramstyle="numeric").result("r1")


@pytest.fixture
def webhook() -> Callable[..., Event]:
    body = json.dumps(
        {
            "type": "verification.praised",
            "timestamp": "2026-11-29T07:00:00Z",
            "data": {"schema": 1, "member_id": "m1", "sandbox": False, "stars": 5},
        }
    )

    def receive(sent: str = body, secrets: Any = SECRET, **changes: str) -> Event:
        return verify_event(sent, {**signed(body), **changes}, secrets)

    return receive


def test_an_event_of_an_unknown_type_with_unknown_fields_is_read(webhook: Callable[..., Event]) -> None:
    event = webhook()
    assert (event.id, event.type, event.member_id, event.data["stars"]) == (
        "evt_1",
        "verification.praised",
        "m1",
        5,
    )
    assert (event.photos, event.member, event.status) == ((), None, None)


def test_a_webhook_that_is_not_genuine_is_refused(webhook: Callable[..., Event]) -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"sent": "{}"},
        {"secrets": OTHER_SECRET},
        {"Webhook-Id": "evt_2"},
        {"Webhook-Signature": "v1"},
        {"Webhook-Signature": "v1,%%%"},
        {"Webhook-Timestamp": "0"},
        {"Webhook-Timestamp": "soon"},
        {"Webhook-Signature": ""},
    )
    for wrong in changes:
        with pytest.raises(BadSignature):
            webhook(**wrong)
    for secrets in ([], [""], ["whsec_x"]):
        with pytest.raises(BadSettings):
            webhook(secrets=secrets)
    with pytest.raises(BadSignature):
        verify_event(b"\xff", signed("{}"), SECRET)


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", '{"type": "x", "timestamp": "then", "data": {"schema": 1}}', '{"type": "x", "data": 1}'],
)
def test_a_genuine_webhook_that_is_no_event_is_said(body: str) -> None:
    with pytest.raises(BadEvent) as raised:
        verify_event(body, signed(body), SECRET)
    assert not isinstance(raised.value, BadSignature)
    with pytest.raises(BadEvent):
        verify_photo_request(body, signed(body), SECRET)


def test_a_question_for_a_fresh_link_is_checked_like_an_event() -> None:
    asked = verify_photo_request(RESOLVE, signed(RESOLVE), [OTHER_SECRET, SECRET])
    assert (asked.member_id, asked.position, asked.address) == ("m1", 0, "https://h/s")
    with pytest.raises(BadSignature):
        verify_photo_request(RESOLVE, signed(RESOLVE, OTHER_SECRET), SECRET)
    assert replace(asked, position=1) != asked
