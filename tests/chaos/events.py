"""A system that tells an app of its results, and what the app has been told, held against the database.

Its members are of the sandbox: the product's own workers judge them, without photos and without networks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from chaos.deployment import PATIENCE, RedisDeployment
from chaos.event_receiver import FORGED, SECRET
from chaos.jobs import Crowd, Findings, Member, Told, unended
from pipeline.verdict import Status
from support.bundle import ROOT
from support.servers import MariaDb, Redis, free_port
from support.workers import TESTS_ON_PATH
from worker.jobs.verify_job import VerifyJob, new_job
from worker.results.document import EventType
from worker.store import Store

NAMES: Final = (
    ("approved", Status.APPROVED),
    ("review-same_picture", Status.REVIEW),
    ("retry_photo-selfie_no_face", Status.RETRY_PHOTO),
    ("waiting", Status.APPROVED),
    ("dead", Status.ERROR),
)
FINAL: Final = frozenset({EventType.COMPLETED, EventType.FAILED, EventType.SUPERSEDED})
"""Each request has one of these, and one only."""
_LONGEST_NAME: Final = 20
"""Of a fault, in a member's ID."""
_POLL_SECONDS: Final = 0.5


class SandboxCrowd(Crowd):
    """Members of the sandbox; every third has an older request, with the same verdict."""

    def _member(self, name: str, *, pending: bool, what: str) -> Member:  # noqa: ARG002 - the base class's
        self._numbers[name] += 1
        number = self._numbers[name]
        says, status = NAMES[number % len(NAMES)]
        name = name.removeprefix("events--")[:_LONGEST_NAME]
        member_id = f"sandbox-{says}.{name}-{number}"
        now = datetime.now(UTC)
        jobs = [newest := self._named_job(f"{name}-{number}-b", member_id, status, now)]
        if number % 3 == 0:
            older = now - timedelta(hours=1)
            jobs.insert(number % 2, self._named_job(f"{name}-{number}-a", member_id, status, older))
        return Member(member_id, status, newest.selfie_url, tuple(jobs), dead=says == "dead")

    def _named_job(self, request_id: str, member_id: str, status: Status, at: datetime) -> VerifyJob:
        return new_job(
            request_id=request_id,
            member_id=member_id,
            selfie_url=self._url(status, request_id),
            photo_urls=[self._url(status, f"{request_id}-1")],
            requested_at=at,
        )


class EventsDeployment(RedisDeployment):
    """On MariaDB and Redis, with an app that takes events."""

    program = "worker run"

    def __init__(self, folder: Path, mariadb: MariaDb, broker: Redis, stack: ExitStack) -> None:
        super().__init__(folder, mariadb, broker, stack)
        self.port, self.log = free_port(), folder / "events.log"
        self.crowd = SandboxCrowd(self.photos.url, milliseconds=0)
        endpoint = {"url": f"http://127.0.0.1:{self.port}/events", "secrets": [SECRET]}
        self.settings |= {
            "VERIFY_SANDBOX_PREFIX": "sandbox-",
            "VERIFY_WEBHOOKS": json.dumps({"app": endpoint}),
            "VERIFY_APP_PRIVATE_HOSTS": "127.0.0.1",
        }
        self.receive()
        stack.callback(self.kill_receiver)

    def worker(self, *arguments: str, ready: bool = True, **settings: str) -> Any:
        """One that needs no bundle."""
        return super().worker("--sandbox", "--no-beat", *arguments, ready=ready, **settings)

    def receive(self) -> None:
        """Start the app's receiver."""
        self.receiver = subprocess.Popen(
            [sys.executable, "-m", "chaos.event_receiver", str(self.port), str(self.log)],
            env={**os.environ, **TESTS_ON_PATH},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )

    def kill_receiver(self) -> None:
        """`kill -9`."""
        self.receiver.send_signal(signal.SIGKILL)
        self.receiver.wait()

    def _wait(self, true: Callable[[], bool], seconds: float) -> None:
        """Not so often as to slow a database of many thousand rows."""
        deadline = time.monotonic() + seconds
        while not true() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def wait_for_all(self, members: Sequence[Member]) -> float:
        """Until every request has its end, and the app knows of it."""
        started = time.monotonic()
        self._wait(lambda: self._all_told(members), PATIENCE + len(members) / 10)
        return time.monotonic() - started

    def _all_told(self, members: Sequence[Member]) -> bool:
        return not unended(self.store, members) and not undelivered(self.store)

    def audit(self, members: Sequence[Member]) -> Findings:
        """Besides the requests what the app was told of them."""
        found = super().audit(members)
        told, self.told = hold_against(self.store, self.log, members)
        found += told
        return found


def undelivered(store: Store) -> int:
    """How many events the app has not been told of."""
    e, d = store.database.t.event, store.database.t.event_delivery
    new = sa.select(sa.func.count()).select_from(e).where(sa.not_(e.c.dispatched))
    due = sa.select(sa.func.count()).select_from(d).where(d.c.due_at.is_not(None))
    with store.database.engine.connect() as c:
        return int(c.scalar(new) or 0) + int(c.scalar(due) or 0)


def hold_against(store: Store, log: Path, members: Sequence[Member]) -> tuple[Findings, Told]:
    """What the app has seen of these members, held against the events in the database."""
    ids = {member.member_id: member for member in members}
    e = store.database.t.event
    with store.database.engine.connect() as c:
        rows = [row for row in c.execute(sa.select(e).order_by(e.c.id)) if row.member_id in ids]
    written = {row.event_id: row for row in rows}
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    seen = [line for line in lines if line[0] == FORGED or line[1]["data"]["member_id"] in ids]
    first = dict.fromkeys(line[0] for line in seen)
    final = [row for row in rows if row.type in FINAL]
    found = Findings()
    found.lost += [f"event of {row.request_id} not seen" for row in rows if row.event_id not in first]
    found += _finals(ids, final)
    phantoms = [line[0] for line in seen if line[0] not in written or line[1] != written[line[0]].payload]
    found.wrong += [f"phantom {event_id}" for event_id in phantoms]
    late = _disordered(first, written)
    found.wrong += [f"event of {request_id} seen after a later one" for request_id in late]
    finals_seen = sum(row.event_id in first for row in final)
    return found, Told(len(final), finals_seen, len(seen) - len(first), len(late), len(phantoms))


def _finals(members: dict[str, Member], final: Sequence[Any]) -> Findings:
    """One for each request, and of what the request came to."""
    found, counts = Findings(), Counter(row.request_id for row in final)
    asked = {job.request_id for member in members.values() for job in member.requests}
    found.lost += [f"no event of {request_id}" for request_id in asked - counts.keys()]
    found.doubled += [f"{count} events of {request_id}" for request_id, count in counts.items() if count > 1]
    for row in final:
        member, said = members[row.member_id], row.payload["data"]
        type_ = EventType.FAILED if member.dead else EventType.COMPLETED
        right = (type_, member.status, "dead" if member.dead else "done")
        if row.type != EventType.SUPERSEDED and (row.type, said["status"], said["state"]) != right:
            found.wrong.append(f"event of {row.request_id} says {row.type}, {said['status']}")
    return found


def _disordered(first: Iterable[str], written: dict[str, Any]) -> list[str]:
    """Requests of which the app heard after it had heard of a later change of the same member."""
    latest: defaultdict[str, int] = defaultdict(int)
    late = []
    for row in (written[event_id] for event_id in first if event_id in written):
        if row.id < latest[row.member_id]:
            late.append(row.request_id)
        latest[row.member_id] = max(latest[row.member_id], row.id)
    return late
