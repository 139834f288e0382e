"""What an operator sees of events on their way, and how they are sent again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

from click.testing import Result

from support.events import LEASE, an_event, delivery, due, write_events
from support.webhook_receiver import SECRET
from worker.clock import utc_now
from worker.store import Store
from worker.store.outbox.records import Tried

Cli = Callable[..., Result]
HOOKS = json.dumps({"app": {"url": "https://app.example.com/hooks", "secrets": [SECRET]}})


def two_endpoints(store: Store) -> None:
    """`app` has parked one event and is paused; `old`, which is in no setting any more, has had none."""
    long_ago = utc_now() - timedelta(days=4)
    write_events(store, *(an_event(n, f"m{n}", long_ago) for n in range(1, 6)))
    store.deliveries.dispatch(["app", "old"], long_ago)
    for now, numbers in ((long_ago, (1,)), (utc_now(), (2, 3, 4, 1))):
        lease = store.deliveries.acquire("app", "w", LEASE, now)
        assert lease
        held = store.deliveries.record(lease, [Tried(n, "status 500") for n in numbers], LEASE, now)
        assert held
        store.deliveries.release(held)


def test_events_and_status_say_what_has_not_arrived_and_why(here: Cli, store: Store) -> None:
    assert "VERIFY_WEBHOOKS and VERIFY_EVENT_STREAM are not set" in here("events").stdout
    assert "Events:" not in here("status").stdout
    assert json.loads(here("status", "--json").stdout)["outbox"]["waiting"] == 0
    two_endpoints(store)
    shown = here("events", WEBHOOKS=HOOKS).stdout
    assert "old (not in the settings here)" in " ".join(shown.replace("│", " ").split())
    assert "evt_1" in shown
    parsed = json.loads(here("events", "--json").stdout)
    app, old = parsed["endpoints"]
    assert (app["waiting"], app["parked"], app["problem"]) == (4, 1, "status 500")
    assert app["paused_until"]
    assert (old["waiting"], old["parked"], old["paused_until"]) == (5, 0, None)
    assert old["oldest"] > 4 * 86_000
    (parked,) = json.loads(here("events", "--parked", "--json").stdout)
    assert (parked["event_id"], parked["endpoint"], parked["attempts"]) == ("evt_1", "app", 2)
    status = here("status").stdout
    assert "9 waiting, the oldest for 4 days" in status
    assert "Endpoint app fails and is left alone for a while: status 500" in status
    assert json.loads(here("status", "--json").stdout)["outbox"]["paused"] == {"app": "status 500"}


def test_events_go_out_again_on_request(here: Cli, store: Store) -> None:
    two_endpoints(store)
    assert here("events", "evt_1").exit_code == 2
    assert (
        "there is no endpoint ap; there are: app, old"
        in here("events", "--replay", "--endpoint", "ap").stderr
    )
    assert here("events", "--replay", "--since", "yesterday").exit_code == 2
    assert here("events", "--replay").stdout == "4 deliveries go out again.\n"
    assert due(store, now=utc_now()) == [5, 1, 2, 3, 4]
    assert here("events", "--replay", "evt_2", "evt_5").stdout == "4 deliveries go out again.\n"
    assert here("events", "--replay", "--since", "2026-01-01", "--endpoint", "app").stdout.startswith("5 ")
    assert here("events", "--replay", "--since", f"{utc_now():%Y-%m-%dT%H:%M%z}").stdout.startswith("0 ")
    assert (delivery(store, 1)["attempts"], delivery(store, 1)["problem"]) == (0, None)
