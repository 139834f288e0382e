"""Jobs and verdicts for the tests of the store: whole ones, of which a test changes what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.verdict import (
    Box,
    Comparison,
    Fault,
    FetchProblem,
    GateResult,
    Gender,
    Landmark,
    Outcome,
    PhotoFinding,
    Reason,
    Status,
    Verdict,
)
from worker.jobs.verify_job import VerifyJob, parse_job
from worker.store import Access

NOW = datetime(2026, 11, 24, 7, 0, 0, 123456, tzinfo=UTC)
LEASE = timedelta(seconds=60)
MOST = 3
"""Attempts."""
KIM = Access("kim", "show", "show", host="desk-1", client=None, login="kim")
"""Somebody who looks at a member."""


def later(seconds: float) -> datetime:
    """So many seconds after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def a_message(**changes: Any) -> dict[str, Any]:
    """A message that is in order, but for the changes; a field changed to `...` is left out."""
    message = {
        "schema": 1,
        "request_id": "r1",
        "requested_at": "2026-11-24T07:00:00Z",
        "member_id": "m1",
        "why": "signup",
        "selfie_url": "https://photos.example.com/m1/selfie.jpg?sig=abc",
        "photo_urls": ["https://photos.example.com/m1/1.jpg", "https://photos.example.com/m1/2.jpg"],
        "declared_gender": "female",
        **changes,
    }
    return {name: value for name, value in message.items() if value is not ...}


def a_job(request_id: str = "r1", member_id: str = "m1", at: datetime = NOW, **changes: Any) -> VerifyJob:
    """A job, requested at that time."""
    when = at.isoformat()
    return parse_job(a_message(request_id=request_id, member_id=member_id, requested_at=when, **changes), at)


def a_comparison(score: float = 0.71) -> Comparison:
    """A gallery face against the selfie, with numbers of two embedders."""
    return Comparison(
        score=score,
        similarity=0.83,
        approve_threshold=0.5,
        different_threshold=0.25,
        cosines={"sface": 0.62, "facenet": 0.7},
        distances={"sface": 0.87, "facenet": 0.77},
    )


SELFIE = PhotoFinding(
    position=0,
    outcome=Outcome.USABLE,
    sha256="a" * 64,
    faces=1,
    box=Box(10.5, 20.25, 200.0, 210.0),
    landmarks={Landmark.RIGHT_EYE: (60.5, 90.0), Landmark.LEFT_EYE: (150.2, 91.5)},
)
PHOTOS = (
    PhotoFinding(
        position=1,
        outcome=Outcome.SAME,
        sha256="b" * 64,
        faces=1,
        box=Box(1.0, 2.0, 3.0, 4.0),
        landmarks={Landmark.RIGHT_EYE: (1.5, 3.0), Landmark.LEFT_EYE: (3.0, 3.1), Landmark.NOSE: (2.2, 4.0)},
        quality={"sharpness": 120.5, "yaw": -0.25},
        comparison=a_comparison(),
    ),
    PhotoFinding(
        position=2,
        outcome=Outcome.TOO_DARK,
        fault=Fault.MEMBER,
        sha256="c" * 64,
        faces=1,
        gate=GateResult("brightness", 12.5, 40.0),
    ),
    PhotoFinding(
        position=3,
        outcome=Outcome.NOT_FETCHED,
        fault=Fault.HOST,
        fetch_problem=FetchProblem.TIMEOUT,
        detail="시간 초과 😀",
    ),
)


def a_verdict(
    status: Status = Status.APPROVED,
    reason: Reason = Reason.SAME_PERSON,
    *,
    selfie: PhotoFinding = SELFIE,
    photos: tuple[PhotoFinding, ...] = PHOTOS,
    similarity: float | None = 0.83,
    timings: Mapping[str, float] | None = None,
    **changes: Any,
) -> Verdict:
    """A verdict with something in every field, but for the changes."""
    verdict = Verdict(
        status=status,
        reason=reason,
        photo=1,
        same_person=True if status is Status.APPROVED else None,
        similarity=similarity,
        gender=Gender.FEMALE,
        gender_probability=0.98,
        selfie=selfie,
        photos=photos,
        model_version="base-1",
        policy_version="1",
        timings=timings or {"decode": 11.5, "embed": 60.25},
    )
    return replace(verdict, **changes)
