"""Retrainings: frozen values, no rows and no connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.verdict import Gender
from worker.jobs.links import PhotoLink
from worker.store.models.records import PublishedHead
from worker.store.tables.states import PairLabel, RunState


@dataclass(frozen=True, slots=True)
class Truth:
    """How much there is to learn from, of members who consented."""

    labels: int
    new_labels: int
    """Given since the last retraining that came to an end."""
    members: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Returned when a retraining was asked for."""

    run_id: int
    new: bool
    """False: this one was under way already."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One retraining."""

    run_id: int
    state: RunState
    asked_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    lapses: int
    """How often a step was broken off, by an error or because its worker was killed."""
    counts: Mapping[str, Any]
    version: str | None
    problem: str | None
    report: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RunLease:
    """The right to go on with a run until the lease ends; ``attempt`` fences."""

    run_id: int
    attempt: int
    state: RunState
    sends: int
    """Rounds of messages to the verify workers since the last one that brought anything."""
    send_at: datetime
    """When the next round is due."""
    reached: int
    """Members who had been looked at, or given up, at the last round."""


@dataclass(frozen=True, slots=True)
class TruePhoto:
    """A photo of a member of whom a person said what it shows."""

    link: PhotoLink
    """With the hash of what the person saw: a photo that is another one by now is not learned from."""
    label: PairLabel | None
    """None for the selfie."""
    gender: Gender | None
    audited: bool
    """From an approval that was sampled for the blind audit."""
    reason: str = ""
    """Why it is not even looked at."""


@dataclass(frozen=True, slots=True)
class ToStudy:
    """A member whose photos are to be looked at."""

    run_id: int
    member_id: str
    attempt: int
    photos: tuple[TruePhoto, ...]


@dataclass(frozen=True, slots=True)
class StudiedPhoto:
    """What was found in one photo: a reason not to learn from it, or a face's vectors."""

    photo: TruePhoto
    reason: str
    sha256: str | None = None
    networks: str | None = None
    vectors: bytes | None = None


@dataclass(frozen=True, slots=True)
class FaceRow:
    """Which row of `training_face` a face's vectors belong to, and which networks they are of."""

    run_id: int
    member_id: str
    number: int
    networks: str | None


@dataclass(frozen=True, slots=True)
class LearnedFace:
    """A face that a run may learn from."""

    member_id: str
    label: PairLabel | None
    gender: Gender | None
    audited: bool
    networks: str
    vectors: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run's members are."""

    waiting: int
    done: int
    failed: int

    @property
    def members(self) -> int:
        """All of them."""
        return self.waiting + self.done + self.failed

    @property
    def reached(self) -> int:
        """Those who wait no more."""
        return self.done + self.failed

    def counts(self) -> dict[str, int]:
        """For the run's row."""
        return {"members": self.members, "reached": self.reached}


@dataclass(frozen=True, slots=True)
class Audit:
    """What people found among the approvals that were sampled."""

    sampled: int
    """Approvals that were to come to a person."""
    judged: int
    """Of which a person approved or rejected, or said of a photo whom it shows."""
    wrong: int
    """Of these, rejected, or with a photo of another person: see `audit_on`."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A challenger at the end of its run."""

    head: PublishedHead
    over: str | None
    """The champion that it was compared with; None for the shipped bundle."""
    passed: bool
    """Whether it passed the promotion gate."""
    reasons: tuple[str, ...]
    """Why not."""
    promote: bool
    """Whether it becomes champion then."""


@dataclass(frozen=True, slots=True)
class Consenting:
    """A member whose photos may be calibrated on."""

    member_id: str
    declared_gender: Gender
    selfie: PhotoLink
    genuine: tuple[PhotoLink, ...]
    """Gallery photos of which a person said that they show whom the selfie shows."""
