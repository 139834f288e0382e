"""The deliveries in the database: who gets which event when, on MariaDB and on SQLite."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa

from support.events import (
    LEASE,
    acquire,
    an_event,
    arrive,
    delivery,
    due,
    events_left,
    fail,
    ready_events,
    write_events,
)
from support.jobs import NOW, later
from worker.errors import NotPossible
from worker.results.document import EventType
from worker.store import Cutoffs, Store
from worker.store.outbox.deliveries import PAUSE_AFTER
from worker.store.outbox.records import Tried


def test_every_endpoint_gets_the_events_that_come_after_it(store: Store) -> None:
    write_events(store, an_event(1), an_event(2, type=EventType.ERASED))
    assert store.deliveries.dispatch([], NOW) == 2
    assert events_left(store) == [1]  # nobody waits to hear that the member was erased
    write_events(store, *(an_event(number, f"m{number}") for number in range(3, 500)))
    assert store.deliveries.dispatch(["app"], NOW) == 497
    write_events(store, an_event(500))
    assert store.deliveries.dispatch(["stream", "app"], NOW) == 1
    assert store.deliveries.dispatch(["stream", "app"], NOW) == 0
    assert due(store, limit=999) == [*range(3, 501)]
    assert due(store, "stream") == [500]
    assert store.deliveries.acquire("other", "w", LEASE, NOW) is None


def test_of_each_member_only_the_first_event_is_due(store: Store) -> None:
    write_events(store, an_event(1, "a"), an_event(2, "b"), an_event(3, "a"), an_event(4, None))
    write_events(store, an_event(5, "a"), an_event(6, None), an_event(7, "b", not_before=later(60)))
    write_events(store, an_event(8, "b"))
    store.deliveries.dispatch(["app"], NOW)
    assert due(store) == [1, 2, 4, 6]
    arrive(store, 2, 4, 6)
    fail(store, 1)
    assert due(store, now=later(4)) == []
    assert due(store, now=later(7)) == [1]
    arrive(store, 1, now=later(7))
    assert due(store, now=later(7)) == [3]  # 7 is held, and 8 waits behind it
    arrive(store, 3, now=later(7))
    assert due(store, now=later(60)) == [5, 7]
    assert delivery(store, 7)["due_at"] == later(60)


def test_a_failure_comes_again_ever_later_and_is_parked_after_three_days(store: Store) -> None:
    ready_events(store, 1, 2)
    now, tries = NOW, [NOW]
    while (row := delivery(store, 1))["parked_at"] is None:
        fail(store, 1, now=now)
        arrive_other = store.deliveries.acquire("app", "w", LEASE, now)  # its success ends any pause
        if arrive_other:
            store.deliveries.record(arrive_other, [Tried(2)], LEASE, now)
            store.deliveries.release(arrive_other)
        row = delivery(store, 1)
        now = row["due_at"] or now
        tries.append(now)
        store.replays.replay(now, event_ids=["evt_2"])
    waits = [(b - a).total_seconds() for a, b in pairwise(tries)][:8]
    expected = (5, 30, 120, 600, 1800, 7200, 21_600, 43_200)
    assert all(least <= wait <= 1.2 * least for least, wait in zip(expected, waits, strict=True))
    assert row["parked_at"] == NOW + timedelta(days=3)
    assert (row["due_at"], row["problem"], row["attempts"]) == (None, "status 500", len(tries) - 1)
    (parked,) = store.replays.parked()
    assert (parked.event_id, parked.endpoint, parked.member_id) == ("evt_1", "app", "m1")


def test_a_receiver_that_says_when_is_asked_then(store: Store) -> None:
    ready_events(store, 1)
    fail(store, 1, retry_after=timedelta(hours=1))
    assert delivery(store, 1)["due_at"] == later(3600)
    fail(store, 1, now=later(3600), retry_after=timedelta(seconds=1))
    assert later(3630) <= delivery(store, 1)["due_at"] <= later(3636)


def test_an_endpoint_that_fails_is_left_alone_ever_longer_and_then_tried_with_one_event(store: Store) -> None:
    ready_events(store, *range(1, 20), endpoints=("app", "other"))
    assert not fail(store, *range(1, PAUSE_AFTER)).paused
    assert fail(store, PAUSE_AFTER).paused
    (app, other) = store.replays.endpoints(NOW)
    assert (app.paused_until, app.problem, other.paused_until) == (later(10), "status 500", None)
    assert store.deliveries.acquire("app", "w", LEASE, later(9)) is None
    now = later(10)
    for pause in (30, 60, 120, 300, 300):
        lease = acquire(store, now=now)
        assert lease.paused
        held = store.deliveries.record(lease, [Tried(6, "status 410")], LEASE, now)
        assert held
        assert store.deliveries.release(held)
        assert store.replays.endpoints(now)[0].paused_until == now + timedelta(seconds=pause)
        now += timedelta(seconds=pause)
    assert delivery(store, 19)["due_at"] == NOW
    status = store.reports.status(now - timedelta(seconds=1)).outbox
    assert (status.waiting, status.parked, status.paused) == (38, 0, {"app": "status 410"})
    assert status.oldest == now - timedelta(seconds=1) - NOW
    arrive(store, 19, now=now)
    assert store.replays.endpoints(now)[0].problem is None
    assert not acquire(store, now=now).paused


def test_a_receiver_that_is_overloaded_pauses_for_as_long_as_it_says(store: Store) -> None:
    ready_events(store, *range(1, 6))
    fail(store, *range(1, 6), retry_after=timedelta(minutes=2))
    assert store.replays.endpoints(NOW)[0].paused_until == later(120)


def test_one_process_at_a_time_has_an_endpoint_and_who_lost_it_writes_nothing(store: Store) -> None:
    ready_events(store, 1, 2)
    killed = acquire(store)
    assert store.deliveries.acquire("app", "other", LEASE, later(29)) is None
    held = store.deliveries.record(killed, [], LEASE, later(29))
    assert held == killed
    assert store.deliveries.acquire("app", "other", LEASE, later(58)) is None
    taken_over = acquire(store, now=later(59), worker="other")
    assert store.deliveries.record(killed, [Tried(1), Tried(2, "timeout")], LEASE, later(60)) is None
    assert not store.deliveries.release(killed)
    assert due(store) == [1, 2]
    assert store.deliveries.record(taken_over, [Tried(1)], LEASE, later(60))
    assert due(store, now=later(60)) == [2]
    arrived = delivery(store, 1)
    assert (arrived["delivered_at"], arrived["attempts"], arrived["due_at"]) == (later(60), 1, None)


def test_that_a_member_was_erased_is_forgotten_once_everybody_was_told_or_given_up(store: Store) -> None:
    write_events(store, an_event(1), an_event(2, type=EventType.ERASED))
    store.deliveries.dispatch(["app", "dead"], NOW)
    arrive(store, 1)
    arrive(store, 2)
    arrive(store, 1, endpoint="dead")
    fail(store, 2, endpoint="dead")
    assert events_left(store) == [1, 2]
    fail(store, 2, endpoint="dead", now=NOW + timedelta(days=3))
    assert events_left(store) == [1]
    assert store.replays.parked() == []


def test_events_are_kept_for_a_time_and_longer_while_somebody_waits(store: Store) -> None:
    write_events(store, an_event(1, "a"), an_event(2, "b"), an_event(3, "c", later(60)))
    store.deliveries.dispatch(["app", "gone"], NOW)
    arrive(store, 1)

    def purge(*endpoints: str) -> int:
        old = dict.fromkeys((field.name for field in fields(Cutoffs)), NOW)
        return store.retention.purge(Cutoffs(**old | {"events": later(1)}), endpoints).events

    assert (purge("app"), events_left(store)) == (1, [2, 3])
    assert (purge("gone"), events_left(store)) == (0, [2, 3])
    assert (purge(), events_left(store)) == (1, [3])


def test_what_failed_goes_out_again_when_an_operator_says_so(store: Store) -> None:
    write_events(store, *(an_event(n, "a", later(n)) for n in (1, 2)), an_event(3, "b"), an_event(4, "c"))
    write_events(store, an_event(5, "d", not_before=later(7 * 86_400)))
    store.deliveries.dispatch(["app", "other"], NOW)
    arrive(store, 1, 3, endpoint="other")
    fail(store, 1, 3)
    parked_at = NOW + timedelta(days=4)
    fail(store, 1, 3, now=parked_at)
    arrive(store, 2, now=parked_at)  # it came next, when 1 was parked
    fail(store, *[4] * 5, now=parked_at)
    assert store.replays.endpoints(parked_at)[0].paused_until
    with pytest.raises(NotPossible, match="there is no endpoint ap; there are: app, other"):
        store.replays.replay(parked_at, endpoint="ap")
    assert store.replays.replay(parked_at) == 3
    assert store.replays.replay(parked_at, endpoint="other") == 0
    assert not acquire(store, now=parked_at).paused
    assert due(store, now=parked_at) == [1, 3, 4]
    assert store.replays.replay(parked_at, endpoint="app", event_ids=["evt_2", "evt_9"]) == 1
    assert due(store, now=parked_at) == [1, 3, 4]  # in order: 2 waits behind 1 again
    assert store.replays.replay(parked_at, endpoint="other", since=later(1)) == 2
    assert delivery(store, 5)["due_at"] == later(7 * 86_400)


def test_a_member_who_is_forgotten_takes_the_deliveries_along(store: Store) -> None:
    ready_events(store, 1, 2)
    lease = acquire(store)
    e = store.database.t.event
    store.database.write(lambda c: c.execute(sa.delete(e).where(e.c.member_id == "m1")))
    assert store.deliveries.record(lease, [Tried(1), Tried(2)], LEASE, NOW)
    assert due(store) == []
    assert store.replays.endpoints(NOW)[0].waiting == 0
