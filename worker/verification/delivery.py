"""One delivery of a job, from message to stored verdict.

The steps: parse the message, store the request and acquire an attempt (committed, so that a photo that kills
the process is counted), fetch all photos at once, verify, store the verdict, then those of heads in shadow.
The database decides what a second delivery, a late one or a fourth attempt may do.
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

from pipeline.decide import blind_audit, leave_to_people
from pipeline.verdict import Gender, NotFetched, Photo, Reason, Verdict, Verified
from worker.clock import utc_now
from worker.errors import (
    BadMessage,
    ConsentWithdrawn,
    MemberForgotten,
    RequestConflict,
    StoreRefused,
    WorkerError,
)
from worker.jobs.links import PhotoLink
from worker.jobs.verify_job import VerifyJob, parse_job
from worker.logs import about
from worker.store import Attempt, DeadJob, Refusal, Refused
from worker.verification.dead_letters import invalid_job
from worker.verification.measured import FAILED, Measured, Watch
from worker.verification.sandbox import NO_SANDBOX, Answer, NoVerdict, Sandbox

logger = logging.getLogger(__name__)

POISON: Final = "poison"
"""Reason of a dead job whose attempts are used up: none of them ended."""
NOT_STORED: Final = "not_stored"
"""Reason of a dead job whose result the database, or the app's own table, does not take."""
RETRY_AFTER_CAP: Final = timedelta(minutes=15)
"""Cap of the wait that a photo host may ask for."""
JITTER: Final = 0.2
"""Share of a wait that is added at random, so that not all requests come back to a host at once."""
LEASE_AFTER_ERROR: Final = timedelta(seconds=5)
"""What is left of the lease after an error of our own: the sweep takes the request soon."""


class Fetcher(Protocol):
    """Downloads."""

    def fetch_all(self, links: Sequence[PhotoLink]) -> Sequence[Photo]:
        """One entry for each link, in their order."""


class Verify(Protocol):
    """`pipeline.verify.verify_with_shadows` with models and policy."""

    def __call__(self, selfie: Photo, photos: Sequence[Photo], declared_gender: Gender | None) -> Verified:
        """Never raises because of what is in a photo."""


class Requests(Protocol):
    """The requests of the store, as a delivery needs them. All may raise StoreUnavailable."""

    def begin(
        self, job: VerifyJob, queue: str, worker: str, lease: timedelta, max_attempts: int, *, now: datetime
    ) -> Attempt | Refused:
        """Committed on return. Raises RequestConflict, MemberForgotten and ConsentWithdrawn."""

    def extend(self, attempt: Attempt, lease: timedelta, now: datetime) -> bool: ...

    def postpone(self, attempt: Attempt, until: datetime, problem: str, now: datetime) -> bool: ...

    def finish(self, attempt: Attempt, verdict: Verdict, now: datetime) -> Verdict | None:
        """The verdict as it is recorded; None when the attempt has lost the request."""

    def give_up(
        self, request_id: str, reason: str, message: str, now: datetime, *, attempt: Attempt | None = None
    ) -> bool: ...


class DeadJobs(Protocol):
    """The dead jobs of the store."""

    def add(self, dead: DeadJob, now: datetime) -> int: ...


class Shadows(Protocol):
    """The verdicts of heads in shadow."""

    def note(self, request_id: str, decided: Verdict, shadow: Verdict, now: datetime) -> bool: ...


class Handled(StrEnum):
    """What became of a delivery; in each case its message is acknowledged."""

    STORED = "stored"
    POSTPONED = "postponed"
    DEAD_LETTER = "dead_letter"
    REFUSED = "refused"
    """Nothing to do: done, running elsewhere, not due, superseded."""
    LOST = "lost"
    """Verified, but another worker had taken the request over; its result stands."""
    FORGOTTEN = "forgotten"
    """The member was erased and is barred; only a dead job without the message is kept."""


class OutOfMemory(WorkerError):
    """A job needed more memory than there is. (Celery's own MemoryError would end the worker.)"""


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """Lease, attempts and waits, and the blind audit (`pipeline.decide.blind_audit`)."""

    lease: timedelta = timedelta(seconds=60)
    max_attempts: int = 3
    waits: tuple[float, ...] = (30, 120, 300)
    """Seconds before a request whose photo host fails is tried again; then it is verified without."""
    blind_audit_share: float = 0.0
    audit_key: bytes = b""


@dataclass(frozen=True, kw_only=True, eq=False)
class Verification:
    """Handles deliveries one after the other; one per process."""

    requests: Requests
    dead_jobs: DeadJobs
    shadows: Shadows
    fetcher: Fetcher
    verify: Verify
    rules: DeliveryRules
    worker: str
    sandbox: Sandbox = NO_SANDBOX
    clock: Callable[[], datetime] = utc_now
    database_seconds: Callable[[], float] = lambda: 0.0
    """What this process has spent in the database so far."""
    count: Callable[[Measured], None] = lambda _: None
    """Called at the end of each delivery; must not raise."""

    def handle(self, body: object, queue: str) -> Handled:
        """Do what a message's body asks for. Raises StoreUnavailable: deliver it again, then."""
        watch, outcome = Watch(queue, self.database_seconds), FAILED
        try:
            outcome = handled = self._parse_and_run(body, queue, watch)
        finally:
            self.count(watch.ended(outcome))
        return handled

    def _parse_and_run(self, body: object, queue: str, watch: Watch) -> Handled:
        try:
            job = parse_job(body, self.clock())
        except BadMessage as bad:
            return self._dead_letter(bad, body, queue)
        watch.note(request_id=job.request_id)
        with about(job.request_id, job.member_id, queue):
            return self._accept_and_run(job, queue, watch)

    def _dead_letter(self, bad: BadMessage, body: object, queue: str) -> Handled:
        logger.warning("a job on %s goes to dead_job: %s", queue, bad)
        request_id, member_id = (_text(body, name) for name in ("request_id", "member_id"))
        dead = replace(invalid_job(bad, body, queue), request_id=request_id, member_id=member_id)
        self.dead_jobs.add(dead, self.clock())
        return Handled.DEAD_LETTER

    def _accept_and_run(self, job: VerifyJob, queue: str, watch: Watch) -> Handled:
        rules = self.rules
        try:
            attempt = self.requests.begin(
                job, queue, self.worker, rules.lease, rules.max_attempts, now=self.clock()
            )
        except RequestConflict:
            logger.warning("the request is known with other content; this one goes to dead_job")
            return Handled.DEAD_LETTER  # by the store
        except ConsentWithdrawn:
            logger.info("the member has withdrawn consent to verification; this request goes to dead_job")
            return Handled.DEAD_LETTER  # by the store
        except MemberForgotten:
            logger.warning("the member was forgotten and is barred; this request goes to dead_job")
            return Handled.FORGOTTEN  # in dead_job by the store
        if isinstance(attempt, Refused):
            return self._refused(attempt)
        watch.note(sandbox=attempt.sandbox)
        if attempt.number == 1:
            watch.spent(queue=self._age(job))
        with self._shortened_on_error(attempt):
            return self._run(job, attempt, watch)

    def _age(self, job: VerifyJob) -> float:
        """Seconds since the request was made."""
        return (self.clock() - job.requested_at).total_seconds()

    def _refused(self, refused: Refused) -> Handled:
        if refused.why is not Refusal.EXHAUSTED:
            logger.info("nothing to do: %s", refused.why)
            return Handled.REFUSED
        text = f"begun {self.rules.max_attempts} times and never ended"
        logger.error("given up: %s", text)
        self.requests.give_up(refused.request_id, POISON, text, self.clock())
        return Handled.DEAD_LETTER

    @contextmanager
    def _shortened_on_error(self, attempt: Attempt) -> Iterator[None]:
        """An error of our own counts as an attempt; the request need not wait for the lease's end."""
        try:
            yield
        except MemoryError as error:
            self.requests.extend(attempt, LEASE_AFTER_ERROR, self.clock())
            raise OutOfMemory(f"attempt {attempt.number} needed more memory than there is") from error
        except Exception:
            self.requests.extend(attempt, LEASE_AFTER_ERROR, self.clock())
            raise

    def _run(self, job: VerifyJob, attempt: Attempt, watch: Watch) -> Handled:
        if made_up := self.sandbox.answer(job, attempt):
            return self._make_up(attempt, made_up, watch)
        selfie, *photos = watch.download(attempt.links, self.fetcher.fetch_all)
        if wait := self._wait([selfie, *photos], attempt.postponed):
            return self._postpone(attempt, wait)
        if attempt.manual:
            verified = Verified(leave_to_people(selfie, photos))
        else:
            verified = watch.judge(lambda: self.verify(selfie, photos, job.declared_gender))
        share, key = self.rules.blind_audit_share, self.rules.audit_key
        verdict = blind_audit(verified.verdict, job.request_id, share, key)
        recorded = self._store(attempt, verdict, watch)
        if isinstance(recorded, Handled):
            return recorded
        watch.note(verdict=recorded, total=max(0.0, self._age(job)))
        if recorded.reason is not Reason.MANUAL:  # as the app may have asked by SQL since
            self._note_shadows(job.request_id, verified)
        return Handled.STORED

    def _make_up(self, attempt: Attempt, answer: Answer, watch: Watch) -> Handled:
        """What the sandbox says: no download, no models, no blind audit and no shadows."""
        match answer:
            case timedelta():
                return self._postpone(attempt, answer)
            case NoVerdict():
                return self._give_up(attempt, answer.reason, answer.text)
            case Verdict():
                recorded = self._store(attempt, answer, watch)
                return recorded if isinstance(recorded, Handled) else Handled.STORED

    def _store(self, attempt: Attempt, verdict: Verdict, watch: Watch) -> Verdict | Handled:
        """The verdict as it is recorded, or what became of the delivery without it."""
        try:
            recorded = self.requests.finish(attempt, verdict, self.clock())
        except StoreRefused as refused:  # another attempt would come to the same
            return self._give_up(attempt, NOT_STORED, f"the result cannot be stored: {refused}")
        shown = recorded or verdict
        handled = Handled.STORED if recorded else Handled.LOST
        extra = {"model": shown.model_version, "stages": watch.so_far().rounded()}
        logger.info("%s, %s: %s", shown.status, shown.reason, handled, extra=extra)
        return recorded or Handled.LOST

    def _give_up(self, attempt: Attempt, reason: str, text: str) -> Handled:
        logger.error("given up: %s", text)
        self.requests.give_up(attempt.request_id, reason, text, self.clock(), attempt=attempt)
        return Handled.DEAD_LETTER

    def _note_shadows(self, request_id: str, verified: Verified) -> None:
        """After the member has a result; an error here is the shadow's alone."""
        for shadow in verified.shadows:
            try:
                self.shadows.note(request_id, verified.verdict, shadow(), self.clock())
            except Exception:  # whatever it is: the verdict and the other shadows do not depend on it
                logger.exception("a head in shadow failed; the verdict stands")

    def _wait(self, photos: Sequence[Photo], postponed: int) -> timedelta | None:
        """How long to wait for a photo host, if that may help and was not done often enough."""
        passing = [p for p in photos if isinstance(p, NotFetched) and p.passing]
        if not passing or postponed >= len(self.rules.waits):
            return None
        wait = timedelta(seconds=self.rules.waits[postponed])
        asked = [min(p.retry_after, RETRY_AFTER_CAP) for p in passing if p.retry_after]
        return max([wait, *asked]) * (1 + JITTER * random.random())  # noqa: S311 - spreads load, no secret

    def _postpone(self, attempt: Attempt, wait: timedelta) -> Handled:
        """The sweep brings it back: a long countdown would be held, unacknowledged, by one worker."""
        now = self.clock()
        self.requests.postpone(attempt, now + wait, "a photo host is in trouble", now)
        logger.info("a photo host is in trouble: again in %.0f s", wait.total_seconds())
        return Handled.POSTPONED


def _text(body: object, name: str) -> str | None:
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str) else None
