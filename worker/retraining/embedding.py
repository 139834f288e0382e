"""One delivery of `bulk_embed`: fetch some members' labelled photos, embed the faces, store the embeddings.

Runs in the verify workers when no sign-up waits, a few members at a time, and never for long: what is left
of a batch goes to the end of the queue. The database decides which members are left, so a second delivery
does nothing twice.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from pipeline.verdict import FetchProblem, NotFetched, Photo
from worker.clock import utc_now
from worker.errors import BadMessage
from worker.jobs.embed_job import EmbedJob, parse_embed_job
from worker.logs import about
from worker.store import StudiedPhoto, ToStudy, TruePhoto
from worker.verification.dead_letters import invalid_job
from worker.verification.delivery import DeadJobs, Fetcher

if TYPE_CHECKING:
    from pipeline.bundles.models import Models

logger = logging.getLogger(__name__)

BUDGET_SECONDS: Final = 0.5
"""After so long a delivery takes no further member: a sign-up may wait."""
CHANGED: Final = "changed"
"""The picture at the URL is not the one that was labelled."""
UNREACHABLE: Final = "unreachable"
"""The photo's host failed, also at the last attempt."""
NOT_FETCHED: Final = frozenset({UNREACHABLE, *FetchProblem})


@dataclass(frozen=True, slots=True)
class Embedded:
    """A face's embeddings, and which networks made them (`pipeline.bundles.bundle.networks`)."""

    networks: str
    vectors: bytes
    """float32, one embedder after the other in the order of their names."""


Embed = Callable[[bytes], Embedded | str]
"""A photo's content to the embeddings of its face, or the reason why it may not be learned from."""


class TrainingMembers(Protocol):
    """The members of a run, as a delivery needs them. All may raise StoreUnavailable."""

    def acquire(
        self, run_id: int, batch: int, lease: timedelta, most_attempts: int, now: datetime
    ) -> ToStudy | None:
        """Committed on return."""

    def note(self, study: ToStudy, photos: Sequence[StudiedPhoto]) -> bool:
        """False where it is not wanted any more."""

    def postpone(self, study: ToStudy, until: datetime) -> None: ...

    def any_waiting(self, run_id: int) -> bool:
        """Whether any member of the run is still to be looked at."""


class Remaining(StrEnum):
    """What remains to be done after a delivery."""

    NOTHING = "nothing"
    REST_OF_THE_BATCH = "rest_of_the_batch"
    TRAINING = "training"
    """All members of the run are done."""


@dataclass(frozen=True, slots=True)
class EmbeddingRules:
    """Lease, attempts and wait."""

    lease: timedelta
    max_attempts: int
    wait: timedelta
    """Before a member whose photo host fails is tried again."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """Handles deliveries one after the other; one per process."""

    members: TrainingMembers
    dead_jobs: DeadJobs
    fetcher: Fetcher
    embed: Embed
    rules: EmbeddingRules
    clock: Callable[[], datetime] = utc_now
    stopwatch: Callable[[], float] = time.monotonic

    def handle(self, body: object, queue: str) -> Remaining:
        """Do what a message's body asks for. Raises StoreUnavailable: deliver it again, then."""
        try:
            job = parse_embed_job(body)
        except BadMessage as bad:
            logger.warning("a job on %s goes to dead_job: %s", queue, bad)
            self.dead_jobs.add(invalid_job(bad, body, queue), self.clock())
            return Remaining.NOTHING
        return self._work(job, queue)

    def _work(self, job: EmbedJob, queue: str) -> Remaining:
        rules, started = self.rules, self.stopwatch()
        worked = False
        while member := self.members.acquire(
            job.run_id, job.batch, rules.lease, rules.max_attempts, self.clock()
        ):
            worked = True
            with about(f"retraining-{job.run_id}", member.member_id, queue):
                self._embed_member(member)
            if self.stopwatch() - started > BUDGET_SECONDS:
                return Remaining.REST_OF_THE_BATCH
        return (
            Remaining.TRAINING if worked and not self.members.any_waiting(job.run_id) else Remaining.NOTHING
        )

    def _embed_member(self, member: ToStudy) -> None:
        wanted = [photo for photo in member.photos if not photo.reason]
        fetched = dict(zip(wanted, self.fetcher.fetch_all([p.link for p in wanted]), strict=True))
        passing = [p for p in fetched.values() if isinstance(p, NotFetched) and p.passing]
        if passing and member.attempt < self.rules.max_attempts:
            self.members.postpone(member, self.clock() + self.rules.wait)
            return
        self.members.note(member, [self._embed_photo(photo, fetched.get(photo)) for photo in member.photos])

    def _embed_photo(self, photo: TruePhoto, data: Photo | None) -> StudiedPhoto:
        if data is None:
            return StudiedPhoto(photo, photo.reason)
        if isinstance(data, NotFetched):
            return StudiedPhoto(photo, UNREACHABLE if data.problem.passing else str(data.problem))
        digest = hashlib.sha256(data).hexdigest()
        if photo.link.sha256 not in (None, digest):
            return StudiedPhoto(photo, CHANGED, digest)
        found = self.embed(data)
        if isinstance(found, str):
            return StudiedPhoto(photo, found, digest)
        return StudiedPhoto(photo, "", digest, found.networks, found.vectors)


def embed_labelled(models: Models, data: bytes) -> Embedded | str:
    """Embed the face of a labelled photo, or say why it may not be learned from."""
    from pipeline.training.data.faces import PhotoCheck, embed_trainable_face
    from worker.store.training.vectors import pack

    found = embed_trainable_face(models, data)
    if isinstance(found, PhotoCheck):
        return found.reason
    return Embedded(models.networks, pack(found))
