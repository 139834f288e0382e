"""One delivery of `bulk_embed`: fetch some members' labelled photos, embed their faces, write it down.

Runs in the verify workers when no sign-up waits, a few members at a time, and never for long: what
is left of a batch goes back to the end of the queue. The database decides who is still to be looked
at, so a second delivery does nothing twice.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from pipeline.verdict import FetchProblem, NotFetched, Photo
from worker.clock import utc_now
from worker.errors import BadMessage
from worker.jobs.embed_job import EmbedJob, parse_embed_job
from worker.store import StudiedPhoto, ToStudy, TruePhoto
from worker.verification.dead_letters import unreadable
from worker.verification.delivery import DeadJobs, Fetcher

logger = logging.getLogger(__name__)

BUDGET_SECONDS: Final = 0.5
"""After so long a delivery takes no further member: a sign-up may be waiting."""
CHANGED: Final = "changed"
"""Another picture lies at the address than the person saw who labelled it."""
UNREACHABLE: Final = "unreachable"
"""The photo's host was in trouble, also at the last try."""
NOT_FETCHED: Final = frozenset({UNREACHABLE, *FetchProblem})


@dataclass(frozen=True, slots=True)
class Embedded:
    """A face's vectors, and which networks made them (`pipeline.bundles.bundle.networks`)."""

    networks: str
    vectors: bytes
    """float32, one embedder after the other in the order of their names."""


Look = Callable[[bytes], Embedded | str]
"""A photo's content to the vectors of its face, or the reason why it may not be learned from."""


class TrainingMembers(Protocol):
    """The members of a run, as a delivery needs them. All may raise StoreUnavailable."""

    def acquire(
        self, run_id: int, batch: int, lease: timedelta, most_attempts: int, now: datetime
    ) -> ToStudy | None:
        """Committed on return."""
        ...

    def note(self, study: ToStudy, photos: Sequence[StudiedPhoto]) -> bool:
        """False where it is not wanted any more."""
        ...

    def postpone(self, study: ToStudy, until: datetime) -> None:
        """Leave the member alone until then."""
        ...

    def any_waiting(self, run_id: int) -> bool:
        """Whether any member of the run is still to be looked at."""
        ...


class Left(StrEnum):
    """What a delivery leaves to be done."""

    NOTHING = "nothing"
    REST_OF_THE_BATCH = "rest_of_the_batch"
    TRAINING = "training"
    """All members of the run were looked at."""


@dataclass(frozen=True, slots=True)
class ExtractionRules:
    """How patient the service is."""

    lease: timedelta
    most_attempts: int
    wait: timedelta
    """Before a member whose photo host is in trouble is tried again."""


class Extraction:
    """Handles deliveries one after the other; one per process."""

    def __init__(
        self,
        *,
        members: TrainingMembers,
        dead_jobs: DeadJobs,
        fetcher: Fetcher,
        look: Look,
        rules: ExtractionRules,
        clock: Callable[[], datetime] = utc_now,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self._members = members
        self._dead_jobs = dead_jobs
        self._fetcher = fetcher
        self._look = look
        self._rules = rules
        self._clock = clock
        self._stopwatch = stopwatch

    def handle(self, body: object, queue: str) -> Left:
        """Do what a message's body asks for. Raises StoreUnavailable: deliver it again, then."""
        try:
            job = parse_embed_job(body)
        except BadMessage as bad:
            logger.warning("a job on %s goes to dead_job: %s", queue, bad)
            self._dead_jobs.add(unreadable(bad, body, queue), self._clock())
            return Left.NOTHING
        return self._work(job)

    def _work(self, job: EmbedJob) -> Left:
        rules, started = self._rules, self._stopwatch()
        worked = False
        while study := self._members.acquire(
            job.run_id, job.batch, rules.lease, rules.most_attempts, self._clock()
        ):
            worked = True
            self._study(study)
            if self._stopwatch() - started > BUDGET_SECONDS:
                return Left.REST_OF_THE_BATCH
        return Left.TRAINING if worked and not self._members.any_waiting(job.run_id) else Left.NOTHING

    def _study(self, study: ToStudy) -> None:
        wanted = [photo for photo in study.photos if not photo.reason]
        fetched = dict(zip(wanted, self._fetcher.fetch_all([p.url for p in wanted]), strict=True))
        passing = [p for p in fetched.values() if isinstance(p, NotFetched) and p.problem.passing]
        if passing and study.attempt < self._rules.most_attempts:
            self._members.postpone(study, self._clock() + self._rules.wait)
            return
        self._members.note(study, [self._found(photo, fetched.get(photo)) for photo in study.photos])

    def _found(self, photo: TruePhoto, data: Photo | None) -> StudiedPhoto:
        if data is None:
            return StudiedPhoto(photo, photo.reason)
        if isinstance(data, NotFetched):
            return StudiedPhoto(photo, UNREACHABLE if data.problem.passing else str(data.problem))
        digest = hashlib.sha256(data).hexdigest()
        if photo.sha256 is not None and photo.sha256 != digest:
            return StudiedPhoto(photo, CHANGED, digest)
        seen = self._look(data)
        if isinstance(seen, str):
            return StudiedPhoto(photo, seen, digest)
        return StudiedPhoto(photo, "", digest, seen.networks, seen.vectors)
