"""What `make chaos` holds against an app that was told of results by events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chaos.events import SandboxCrowd, hold_against
from chaos.jobs import Member, Told
from pipeline.verdict import Verdict
from support.jobs import LEASE, MOST
from support.workers import open_empty_store, rows
from worker.clock import utc_now
from worker.store import Attempt, Store
from worker.verification.sandbox import Sandbox

Line = list[Any]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database with an app that takes events."""
    with closing(open_empty_store(f"sqlite:///{tmp_path / 'verify.db'}")) as made:
        yield Store(made.database.engine, sandbox_prefix="sandbox-", listening=True)


@pytest.fixture
def members(store: Store) -> list[Member]:
    """Three who were approved; one of them has an older request, which was superseded."""
    crowd = SandboxCrowd("https://photos.example.com", milliseconds=0).members("m", 20)
    approved = [member for member in crowd if member.member_id.startswith("sandbox-approved")]
    for job in [job for member in approved for job in member.requests]:
        store.requests.accept(job, "verify", utc_now())
        attempt = store.requests.acquire(job.request_id, "w", LEASE, MOST, utc_now())
        if isinstance(attempt, Attempt):
            verdict = Sandbox("sandbox-").answer(job, attempt)
            assert isinstance(verdict, Verdict)
            assert store.requests.finish(attempt, verdict, utc_now())
    return approved


def lines_of(store: Store) -> list[Line]:
    """The log of an app that has seen every event once, in order."""
    return [[row["event_id"], row["payload"]] for row in rows(store, store.database.t.event)]


def found(store: Store, log: Path, lines: Sequence[Line], members: Sequence[Member]) -> list[str]:
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return hold_against(store, log, members)[0].lines


def test_an_app_that_has_seen_all_in_order_perhaps_twice_has_seen_what_it_must(
    store: Store, members: list[Member], tmp_path: Path
) -> None:
    lines = lines_of(store)
    assert [line[1]["type"].removeprefix("verification.") for line in lines].count("superseded") == 1
    assert found(store, tmp_path / "log", [*lines, lines[0]], members) == []
    told = hold_against(store, tmp_path / "log", members)[1]
    assert told == Told(events=4, seen=4, again=1, disordered=0, phantoms=0)


def test_what_an_app_has_not_seen_or_seen_wrongly_is_named(
    store: Store, members: list[Member], tmp_path: Path
) -> None:
    first, second, *rest = lines = lines_of(store)
    request_id = first[1]["data"]["request_id"]
    log = tmp_path / "log"
    assert found(store, log, lines[1:], members) == [f"lost: event of {request_id} not seen"]
    other = {**first[1], "type": "verification.failed"}
    assert found(store, log, [[first[0], other], second, *rest], members) == [f"wrong: phantom {first[0]}"]
    made_up = ["evt_0", first[1]]
    assert found(store, log, [*lines, made_up], members) == ["wrong: phantom evt_0"]
    assert found(store, log, [*lines, ["forged"]], members) == ["wrong: phantom forged"]
    (late,) = found(store, log, lines[::-1], members)
    assert late.endswith("seen after a later one")


def test_a_request_that_ends_twice_or_without_an_event_is_named(
    store: Store, members: list[Member], tmp_path: Path
) -> None:
    e, log = store.database.t.event, tmp_path / "log"
    again = {**rows(store, e)[0], "event_id": "evt_0"}
    again.pop("id")
    with store.database.engine.begin() as c:
        c.execute(sa.insert(e).values(**again))
    request_id = again["request_id"]
    assert found(store, log, lines_of(store), members) == [f"doubled: 2 events of {request_id}"]
    with store.database.engine.begin() as c:
        c.execute(sa.delete(e).where(e.c.request_id == request_id))
    assert found(store, log, lines_of(store), members) == [f"lost: no event of {request_id}"]
