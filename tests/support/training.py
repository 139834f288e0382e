"""Members with labelled photos, and retrainings of which a test says what they find and learn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from pipeline.verdict import Outcome, Photo, PhotoFinding, Reason, Status
from support import reviews
from support.jobs import LEASE, MOST, NOW, SELFIE, a_job, a_verdict
from worker.jobs.embed_job import EmbedJob
from worker.jobs.links import PhotoLink
from worker.results.reviewer_reasons import ReviewReason
from worker.retraining.embedding import Embedded, Embedding, EmbeddingRules
from worker.retraining.process import Trained, TrainingInput
from worker.retraining.run import Champion, Retraining, RetrainRules
from worker.retraining.training_set import Sampling
from worker.store import Attempt, PublishedHead, Ruling, RunLease, RunRecord, Store, StudiedPhoto
from worker.store.tables.states import Choice, PairLabel, Purpose
from worker.verification.delivery import Fetcher

NETWORKS = "facenet:0 sface:0"
WAIT = timedelta(minutes=2)


def url_of(member_id: str, position: int) -> str:
    """Where a member's photo lies; 0 is the selfie."""
    return f"https://photos.example.com/{member_id}/{position}.jpg"


def content_of(url: str) -> bytes:
    """What lies there."""
    return f"the picture at {url}".encode()


def judged_member(
    store: Store,
    member_id: str,
    photos: int = 2,
    *,
    at: datetime = NOW,
    reason: Reason = Reason.SAME_PERSON,
    request_id: str = "",
) -> str:
    """A member with one judged request, whose ID is returned."""
    urls = [url_of(member_id, position) for position in range(photos + 1)]
    pictures = {url: content_of(url) for url in urls}
    return judged(store, member_id, pictures, at=at, reason=reason, request_id=request_id)


def judged(
    store: Store,
    member_id: str,
    pictures: Mapping[str, bytes],
    *,
    at: datetime = NOW,
    reason: Reason = Reason.SAME_PERSON,
    request_id: str = "",
    **fields: Any,
) -> str:
    """The same with these pictures by their address, the selfie first."""
    request_id = request_id or f"r-{member_id}"
    urls = [*pictures]
    job = a_job(request_id, member_id, at, selfie_url=urls[0], photo_urls=urls[1:], **fields)
    store.requests.accept(job, "verify", at)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, at)
    assert isinstance(attempt, Attempt)
    digests = [hashlib.sha256(picture).hexdigest() for picture in pictures.values()]
    findings = tuple(
        PhotoFinding(position, Outcome.SAME, sha256=digest, faces=1)
        for position, digest in enumerate(digests[1:], 1)
    )
    status = Status.REVIEW if reason is Reason.BLIND_AUDIT else Status.APPROVED
    verdict = a_verdict(status, reason, selfie=replace(SELFIE, sha256=digests[0]), photos=findings)
    assert store.requests.finish(attempt, verdict, at)
    return request_id


def labelled_member(
    store: Store,
    member_id: str,
    labels: Sequence[PairLabel] = (PairLabel.GENUINE, PairLabel.GENUINE),
    *,
    consent: bool = True,
    reason: Reason = Reason.SAME_PERSON,
    judge: Store | None = None,
) -> None:
    """A judged member about whose photos a person has spoken."""
    judged_member(judge or store, member_id, len(labels), reason=reason)
    claim = reviews.answered(store, member_id, dict(enumerate(labels, 1)))
    if reason is Reason.BLIND_AUDIT:
        store.reviews.queue.release(claim, NOW)
    else:
        harmless = Ruling(Choice.APPROVE, ReviewReason.OTHERS_ARE_HARMLESS)
        store.reviews.decisions.decide(claim, harmless, NOW)
    store.consents.record(member_id, Purpose.TRAINING, NOW, given=consent)


def learn_from_one(store: Store, vectors: bytes) -> None:
    """A retraining is under way, and these are the vectors of its first member's first face."""
    store.training_runs.ask("kim", NOW)
    run = store.training_runs.acquire("w", LEASE, MOST, NOW)
    assert isinstance(run, RunLease)
    store.training_members.enter(run, 4)
    study = store.training_members.acquire(run.run_id, 0, LEASE, MOST, NOW)
    assert study
    assert store.training_members.note(study, [StudiedPhoto(study.photos[0], "", "a" * 64, "n", vectors)])


def vectors_of(data: bytes) -> bytes:
    """Some numbers that depend on the content."""
    digest = hashlib.sha256(data).digest()
    return np.frombuffer(digest[:16], np.uint8).astype("<f4").tobytes()


@dataclass
class TrainingScene:
    """A store with the two services of a retraining, a clock, and queues that a test looks into."""

    store: Store
    now: datetime = NOW
    pictures: dict[str, Photo] = field(default_factory=dict)
    """What lies at an address, where it is not `content_of`."""
    fetcher: Fetcher | None = None
    """A photo host other than this scene."""
    faces: dict[bytes, str] = field(default_factory=dict)
    """Why a content is not learned from."""
    sent: list[EmbedJob] = field(default_factory=list)
    given: list[TrainingInput] = field(default_factory=list)
    train: Callable[[TrainingInput, Callable[[], bool]], Trained | None] | None = None
    promote: bool = True
    champion: Champion = field(
        default_factory=lambda: Champion(PublishedHead("shipped-1", "{}", b"head"), NETWORKS, None)
    )

    def retraining(self, worker: str = "w1") -> Retraining:
        """The service of one worker."""
        rules = RetrainRules(
            lease=LEASE,
            wait=WAIT,
            max_seconds=60,
            promote=self.promote,
            gate={},
            sampling=Sampling(b"key", 0.02),
        )
        return Retraining(
            runs=self.store.training_runs,
            members=self.store.training_members,
            labels=self.store.labels,
            send=self.sent.append,
            champion=lambda: self.champion,
            train=self._train,
            rules=rules,
            worker=worker,
            clock=lambda: self.now,
        )

    def embedding(self, stopwatch: Callable[[], float] = lambda: 0.0) -> Embedding:
        """The service of one verify worker; by default no time passes while it works."""
        return Embedding(
            members=self.store.training_members,
            dead_jobs=self.store.dead_jobs,
            fetcher=self.fetcher or self,
            embed=self._embed,
            rules=EmbeddingRules(lease=LEASE, max_attempts=MOST, wait=WAIT),
            clock=lambda: self.now,
            stopwatch=stopwatch,
        )

    def fetch_all(self, links: Sequence[PhotoLink]) -> list[Photo]:
        """The photo host."""
        return [self.pictures.get(link.url, content_of(link.url)) for link in links]

    def _embed(self, data: bytes) -> Embedded | str:
        return self.faces.get(data) or Embedded(NETWORKS, vectors_of(data))

    def _train(self, given: TrainingInput, goes_on: Callable[[], bool], *_: float) -> Trained | None:
        self.given.append(given)
        return self.train(given, goes_on) if self.train else a_trained_head()

    def step(self) -> str:
        """One step."""
        return str(self.retraining().step())

    def deliver(self) -> list[str]:
        """Hand every message that was sent to a verify worker."""
        jobs, self.sent[:] = list(self.sent), []
        return [str(self.embedding().handle(job.to_message(), "bulk")) for job in jobs]

    def collect(self) -> None:
        """From nothing to the point where training may begin."""
        assert self.store.training_runs.ask("kim", self.now)
        self.step()
        self.deliver()

    def later(self, **units: float) -> None:
        """Let time pass."""
        self.now += timedelta(**units)


def a_trained_head(
    *, passed: bool = True, version: str = "retrained-1", reasons: Sequence[str] = ()
) -> Trained:
    """What a training process answers."""
    figures: Mapping[str, Any] = {"all": {"champion": 0.1}}
    head = PublishedHead(version, '{"head": {"calibration": "uncalibrated"}}', b"a new head")
    return Trained(head, passed, tuple(reasons), figures, {"faces": 4})


def latest(store: Store) -> RunRecord:
    """The newest run."""
    return store.training_runs.latest(1)[0]
