"""One delivery of a job, from message to stored verdict.

The story: read the message, write the request down, begin an attempt (committed, so that a photo
that kills the process is counted), fetch all photos at once, judge, store; then let heads in shadow
judge the same. The database decides what a second delivery, a late one or a fourth attempt may do;
this service only asks it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from pipeline.verdict import Gender, NotFetched, Photo, Reason, Status, Verdict
from worker.clock import utc_now
from worker.errors import BadMessage, MemberForgotten, RequestConflict, StoreRefused, WorkerError
from worker.jobs.verify_job import VerifyJob, parse_job
from worker.logs import about
from worker.store import Accepted, Attempt, DeadJob, Refusal, Refused
from worker.verification.dead_letters import unreadable
from worker.verification.sampling import drawn

logger = logging.getLogger(__name__)

POISON: Final = "poison"
"""Reason of a dead job that was begun as often as allowed and never ended."""
NOT_STORED: Final = "not_stored"
"""Reason of a dead job whose result the database, or the app's own table, does not take."""
RETRY_AFTER_CAP: Final = timedelta(minutes=15)
"""A photo host may ask for patience, but not for more than this."""
JITTER: Final = 0.2
"""Share of a wait that is added at random, so that a recovered host is not met by all jobs at once."""
HAND_BACK: Final = timedelta(seconds=5)
"""What is left of the lease after a failure of our own: the sweep takes the request soon."""


class Fetcher(Protocol):
    """Downloads."""

    def fetch_all(self, urls: Sequence[str]) -> Sequence[Photo]:
        """One entry for each URL, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict, and what heads in shadow have to say, computed when it is asked for."""

    verdict: Verdict
    shadows: tuple[Callable[[], Verdict], ...] = ()


class Judge(Protocol):
    """The pipeline with its models."""

    def __call__(self, selfie: Photo, photos: Sequence[Photo], declared_gender: Gender | None) -> Judged:
        """Never raises on account of what is in a photo."""
        ...


class Requests(Protocol):
    """The requests of the store, as a delivery needs them. All may raise StoreUnavailable."""

    def accept(self, job: VerifyJob, queue: str, now: datetime) -> Accepted:
        """Raises RequestConflict and MemberForgotten."""
        ...

    def acquire(
        self, request_id: str, worker: str, lease: timedelta, max_attempts: int, now: datetime
    ) -> Attempt | Refused:
        """Committed on return."""
        ...

    def extend(self, attempt: Attempt, lease: timedelta, now: datetime) -> bool:
        """Move the end of the lease."""
        ...

    def postpone(self, attempt: Attempt, until: datetime, problem: str, now: datetime) -> bool:
        """Give the request back until then."""
        ...

    def finish(self, attempt: Attempt, verdict: Verdict, now: datetime) -> bool:
        """False when the attempt has lost the request."""
        ...

    def give_up(
        self, request_id: str, reason: str, message: str, now: datetime, *, attempt: Attempt | None = None
    ) -> bool:
        """End the request dead."""
        ...


class DeadJobs(Protocol):
    """The dead jobs of the store."""

    def add(self, dead: DeadJob, now: datetime) -> int:
        """Write down what is no job."""
        ...


class Shadows(Protocol):
    """The verdicts of heads in shadow."""

    def note(self, request_id: str, decided: Verdict, shadow: Verdict, now: datetime) -> bool:
        """Write down what a head in shadow says."""
        ...


class Handled(StrEnum):
    """What became of a delivery; in each case its message has done its duty."""

    STORED = "stored"
    POSTPONED = "postponed"
    BURIED = "buried"
    REFUSED = "refused"
    """Nothing to do: done, running elsewhere, not due, superseded."""
    LOST = "lost"
    """Judged, but somebody else had taken the request over; their result stands."""
    FORGOTTEN = "forgotten"
    """The member was erased and is barred; of the message nothing but a dead job without it is kept."""


class OutOfMemory(WorkerError):
    """A job needed more memory than there is. (Celery's own MemoryError would end the worker.)"""


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """How patient the service is."""

    lease: timedelta = timedelta(seconds=60)
    max_attempts: int = 3
    waits: tuple[float, ...] = (30, 120, 300)
    """Seconds before a job whose photo host is in trouble is tried again; then it is judged without."""
    blind_audit_share: float = 0.0
    """Share of the approvals, 0..1, that go to a person, so that wrong ones become visible."""
    audit_key: bytes = b""
    """Without it nobody can foretell which approvals those are: the app chooses the request IDs."""


class Verification:
    """Handles deliveries one after the other; one per process."""

    def __init__(
        self,
        *,
        requests: Requests,
        dead_jobs: DeadJobs,
        shadows: Shadows,
        fetcher: Fetcher,
        judge: Judge,
        rules: DeliveryRules,
        worker: str,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._requests = requests
        self._dead_jobs = dead_jobs
        self._shadows = shadows
        self._fetcher = fetcher
        self._judge = judge
        self._rules = rules
        self._worker = worker
        self._clock = clock

    def handle(self, body: object, queue: str) -> Handled:
        """Do what a message's body asks for. Raises StoreUnavailable: deliver it again, then."""
        try:
            job = parse_job(body, self._clock())
        except BadMessage as bad:
            return self._bury(bad, body, queue)
        with about(job.request_id, job.member_id):
            return self._accept_and_run(job, queue)

    def _bury(self, bad: BadMessage, body: object, queue: str) -> Handled:
        logger.warning("a job on %s goes to dead_job: %s", queue, bad)
        request_id, member_id = (_text(body, name) for name in ("request_id", "member_id"))
        dead = replace(unreadable(bad, body, queue), request_id=request_id, member_id=member_id)
        self._dead_jobs.add(dead, self._clock())
        return Handled.BURIED

    def _accept_and_run(self, job: VerifyJob, queue: str) -> Handled:
        try:
            self._requests.accept(job, queue, self._clock())
        except RequestConflict:
            logger.warning("the request is known with other content; this one goes to dead_job")
            return Handled.BURIED  # by the store
        except MemberForgotten:
            logger.warning("the member was forgotten and is barred; that this one came goes to dead_job")
            return Handled.FORGOTTEN  # in dead_job by the store
        rules = self._rules
        begun = self._requests.acquire(
            job.request_id, self._worker, rules.lease, rules.max_attempts, self._clock()
        )
        if isinstance(begun, Refused):
            return self._refused(begun)
        with self._handing_back(begun):
            return self._run(job, begun)

    def _refused(self, refused: Refused) -> Handled:
        if refused.why is not Refusal.EXHAUSTED:
            logger.info("nothing to do: %s", refused.why)
            return Handled.REFUSED
        text = f"begun {self._rules.max_attempts} times and never ended"
        logger.error("given up: %s", text)
        self._requests.give_up(refused.request_id, POISON, text, self._clock())
        return Handled.BURIED

    @contextmanager
    def _handing_back(self, attempt: Attempt) -> Iterator[None]:
        """A failure of our own counts as an attempt; the request need not wait for the lease's end."""
        try:
            yield
        except MemoryError as error:
            self._requests.extend(attempt, HAND_BACK, self._clock())
            raise OutOfMemory(f"attempt {attempt.number} needed more memory than there is") from error
        except Exception:
            self._requests.extend(attempt, HAND_BACK, self._clock())
            raise

    def _run(self, job: VerifyJob, attempt: Attempt) -> Handled:
        selfie, *photos = self._fetcher.fetch_all([job.selfie_url, *job.photo_urls])
        if wait := self._wait([selfie, *photos], attempt.postponed):
            return self._postpone(attempt, wait)
        judged = self._judge(selfie, photos, job.declared_gender)
        verdict = self._audited(judged.verdict, job.request_id)
        try:
            stored = self._requests.finish(attempt, verdict, self._clock())
        except StoreRefused as refused:  # another attempt would come to the same
            return self._unstorable(attempt, refused)
        handled = Handled.STORED if stored else Handled.LOST
        logger.info("%s, %s: %s", verdict.status, verdict.reason, handled)
        if stored:
            self._note_shadows(job.request_id, judged)
        return handled

    def _unstorable(self, attempt: Attempt, refused: StoreRefused) -> Handled:
        logger.error("given up: the result cannot be stored: %s", refused)
        text = f"the result cannot be stored: {refused}"
        self._requests.give_up(attempt.request_id, NOT_STORED, text, self._clock(), attempt=attempt)
        return Handled.BURIED

    def _note_shadows(self, request_id: str, judged: Judged) -> None:
        """After the member has a result; whatever goes wrong here is the shadow's trouble alone."""
        for shadow in judged.shadows:
            try:
                self._shadows.note(request_id, judged.verdict, shadow(), self._clock())
            except Exception:
                logger.exception("a head in shadow failed; the verdict stands")

    def _wait(self, photos: Sequence[Photo], postponed: int) -> timedelta | None:
        """How long to wait for a photo host, if that may help and was not done often enough."""
        passing = [p for p in photos if isinstance(p, NotFetched) and p.problem.passing]
        if not passing or postponed >= len(self._rules.waits):
            return None
        wait = timedelta(seconds=self._rules.waits[postponed])
        asked = [min(p.retry_after, RETRY_AFTER_CAP) for p in passing if p.retry_after]
        return max([wait, *asked]) * (1 + JITTER * random.random())  # noqa: S311 - spreads load, no secret

    def _postpone(self, attempt: Attempt, wait: timedelta) -> Handled:
        """The sweep brings it back: a long countdown would be held, unacknowledged, by one worker."""
        now = self._clock()
        self._requests.postpone(attempt, now + wait, "a photo host is in trouble", now)
        logger.info("a photo host is in trouble: again in %.0f s", wait.total_seconds())
        return Handled.POSTPONED

    def _audited(self, verdict: Verdict, request_id: str) -> Verdict:
        """Some approvals go to a person, chosen by the request: a second delivery chooses the same."""
        rules = self._rules
        share = drawn(rules.audit_key, "audit", request_id)
        if verdict.status is not Status.APPROVED or share >= rules.blind_audit_share:
            return verdict
        return replace(verdict, status=Status.REVIEW, reason=Reason.BLIND_AUDIT)


def _text(body: object, name: str) -> str | None:
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str) else None
