"""A whole system for one test: a database, a broker, photos, and workers as real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from support.bundle import ROOT
from support.invalid_messages import job_message
from support.photo_server import PhotoServer
from support.workers import Worker, rows, wait_until
from worker.store import Store
from worker.store.tables.states import State

HASTY: Final = {
    "VERIFY_FETCH_TOTAL_SECONDS": "2",
    "VERIFY_TIME_LIMIT_SECONDS": "3",
    "VERIFY_LEASE_SECONDS": "4",
    "VERIFY_SWEEP_SECONDS": "1",
    "VERIFY_STALE_SECONDS": "3",
}
"""Settings of a system that finds out soon what was lost."""
SHORT: Final = {
    **HASTY,
    "VERIFY_FETCH_TOTAL_SECONDS": "5",
    "VERIFY_TIME_LIMIT_SECONDS": "10",
    "VERIFY_LEASE_SECONDS": "12",
}
"""The same where real networks judge, on a machine that may be busy."""

LONG: Final = pytest.mark.skipif(
    not os.environ.get("VERIFY_TEST_LONG"), reason="the long form: VERIFY_TEST_LONG=1"
)

Put = Callable[[str, bytes], None]
"""Puts an item on a queue of the broker, by the back door."""


def on_redis(broker: redis.Redis) -> Put:
    """As any program does that can speak to Redis."""

    def put(queue: str, item: bytes) -> None:
        broker.lpush(queue, item)

    return put


def in_files(folder: Path) -> Put:
    """As a file that was written a while ago, or the worker would wait for the rest of an empty one."""

    def put(queue: str, item: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{time.monotonic_ns():020}_{uuid.uuid4()}.{queue}.msg"
        hidden = file.with_suffix(".part")
        hidden.write_bytes(item)
        os.utime(hidden, (time.time() - 3600,) * 2)
        hidden.rename(file)

    return put


def depth_for_a_worker(settings: Mapping[str, str]) -> int:
    """How many live jobs a worker with these settings finds on its Redis."""
    code = (
        "from worker.app import app; c = app.connection_for_read(); print(c.default_channel._size('verify'))"
    )
    words, env = [sys.executable, "-c", code], {**os.environ, **settings}
    return int(subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@dataclass
class System:
    """Where a test sends jobs to, and finds results."""

    settings: dict[str, str]
    folder: Path
    store: Store
    put: Put
    photos: PhotoServer
    couple: tuple[Path, Path]
    """Two photos of one person."""
    stack: ExitStack
    """What ends with the test."""
    workers: list[Worker] = field(default_factory=list)

    def start(self, *arguments: str, ready: bool = True, **settings: str) -> Worker:
        """A worker with these arguments and settings, once it takes jobs."""
        folder = self.folder / f"worker-{len(self.workers)}"
        worker = self.stack.enter_context(Worker({**self.settings, **settings}, folder, arguments))
        self.workers.append(worker)
        return worker.wait_until_ready() if ready else worker

    def job(self, request_id: str, **changes: Any) -> dict[str, Any]:
        """A message about a member of the same name, whose photos are two of one person."""
        selfie, gallery = self.couple
        message: dict[str, Any] = {
            "schema": 1,
            "request_id": request_id,
            "requested_at": datetime.now(UTC).isoformat(),
            "member_id": f"member-{request_id}",
            "why": "signup",
            "selfie_url": self.photos.add_photo(f"{request_id}/selfie.jpg", selfie),
            "photo_urls": [self.photos.add_photo(f"{request_id}/1.jpg", gallery)],
            "declared_gender": None,
        }
        return {**message, **changes}

    def send(self, *jobs: dict[str, Any], queue: str = "verify") -> None:
        """Put jobs on a queue as an app of any language does."""
        for job in jobs:
            self.put(queue, job_message(job))

    def state(self, request_id: str) -> State | None:
        """Where a request stands; None if the database does not know it."""
        found = self.store.requests.find(request_id)
        return found.state if found else None

    def wait_for(self, request_ids: Sequence[str], state: State = State.DONE, seconds: float = 240) -> None:
        """Until all of these requests have come so far."""
        wait_until(lambda: all(self.state(r) is state for r in request_ids), seconds)

    def verifications(self) -> list[dict[str, Any]]:
        """All rows about requests."""
        return rows(self.store, self.store.database.t.verification)

    @property
    def dead(self) -> list[str]:
        """The reasons of all dead jobs."""
        return sorted(dead.reason for dead in self.store.dead_jobs.latest(1000))
