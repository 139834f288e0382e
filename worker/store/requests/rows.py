"""Verdicts to rows and rows to records. Nothing here talks to a database."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pipeline.verdict import (
    Box,
    Comparison,
    Fault,
    FetchProblem,
    GateResult,
    Gender,
    Landmark,
    Landmarks,
    Outcome,
    PhotoFinding,
    Reason,
    Status,
    Verdict,
)
from worker.jobs.verify_job import Why
from worker.results.reviewer_reasons import ReviewReason
from worker.store.database import AnyRow, fields_of
from worker.store.members.records import BY_PERSON, DecisionRecord
from worker.store.requests.copies import hash_values
from worker.store.requests.records import PhotoReuse, RequestRecord
from worker.store.tables.states import Decider, PairLabel, State


def verdict_values(verdict: Verdict) -> dict[str, Any]:
    """The verdict's columns of `verification`."""
    return {
        "status": verdict.status,
        "reason": verdict.reason,
        "photo": verdict.photo,
        "same_person": verdict.same_person,
        "similarity": finite(verdict.similarity),
        "predicted_gender": verdict.gender,
        "gender_probability": finite(verdict.gender_probability),
        "decided_by": Decider.MACHINE,
        "model_version": verdict.model_version or None,
        "policy_version": verdict.policy_version,
        "timings": _finite_map(verdict.timings),
    }


def machine_values(machine: Verdict, recorded: Verdict) -> dict[str, Any]:
    """What the machine said, where something else is recorded."""
    said = (machine.status, machine.reason) if machine is not recorded else (None, None)
    return dict(zip(("machine_status", "machine_reason"), said, strict=True))


def member_values(verdict: Verdict, request_id: str, now: datetime) -> dict[str, Any]:
    """The result columns of `member`: those that mapped mode knows, too."""
    return {
        "verification_status": verdict.status,
        "same_person": verdict.same_person,
        "similarity": finite(verdict.similarity),
        "predicted_gender": verdict.gender,
        "gender_probability": finite(verdict.gender_probability),
        "reason": verdict.reason,
        "model_version": verdict.model_version or None,
        "verified_at": now,
        "verified_request_id": request_id,
    }


def finding_values(finding: PhotoFinding) -> dict[str, Any]:
    """A row of `verification_photo`, without its request."""
    return {
        "position": finding.position,
        "outcome": finding.outcome,
        "fault": finding.fault,
        "sha256": finding.sha256,
        "faces": finding.faces,
        **_box_values(finding.box),
        "landmarks": _landmark_values(finding.landmarks),
        **_gate_values(finding.gate),
        "quality": _finite_map(finding.quality),
        **_comparison_values(finding.comparison),
        "fetch_problem": finding.fetch_problem,
        "detail": finding.detail,
        "replay": finding.replay,
        "verdict": finding.verdict,
        **hash_values(finding),
    }


def _box_values(box: Box | None) -> dict[str, Any]:
    numbers = (None,) * 4 if box is None else (box.x, box.y, box.width, box.height)
    return _finite_columns(("box_x", "box_y", "box_width", "box_height"), numbers)


def _landmark_values(landmarks: Landmarks | None) -> dict[str, list[float]] | None:
    if landmarks is None:
        return None
    return {str(name): [float(x), float(y)] for name, (x, y) in landmarks.items()}


def _landmarks_of(row: AnyRow) -> Landmarks | None:
    if row.landmarks is None:
        return None
    return {Landmark(name): (x, y) for name, (x, y) in row.landmarks.items()}


def _gate_values(gate: GateResult | None) -> dict[str, Any]:
    numbers = (None, None) if gate is None else (gate.value, gate.limit)
    return {"gate": gate and gate.name, **_finite_columns(("gate_value", "gate_limit"), numbers)}


def _comparison_values(comparison: Comparison | None) -> dict[str, Any]:
    columns = ("score", "similarity", "approve_edge", "different_edge")
    names = ("score", "similarity", "approve_threshold", "different_threshold")
    return {
        **_finite_columns(columns, [getattr(comparison, name, None) for name in names]),
        "cosines": _finite_map(comparison.cosines) if comparison else None,
        "distances": _finite_map(comparison.distances) if comparison else None,
    }


def _finite_columns(names: Sequence[str], numbers: Sequence[float | None]) -> dict[str, float | None]:
    return {name: finite(number) for name, number in zip(names, numbers, strict=True)}


def finite(value: float | None) -> float | None:
    """MySQL holds no NaN, and numpy's floats are no floats to a driver."""
    return None if value is None or not math.isfinite(value) else float(value)


def _finite_map(values: Mapping[str, float]) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items() if math.isfinite(value)}


def finding_of(row: AnyRow) -> PhotoFinding:
    """The finding out of a row of `verification_photo`."""
    return PhotoFinding(
        position=row.position,
        outcome=Outcome(row.outcome),
        fault=row.fault and Fault(row.fault),
        sha256=row.sha256,
        faces=row.faces,
        box=None if row.box_x is None else Box(row.box_x, row.box_y, row.box_width, row.box_height),
        landmarks=_landmarks_of(row),
        gate=row.gate and GateResult(row.gate, row.gate_value, row.gate_limit),
        quality=row.quality or {},
        comparison=_comparison_of(row),
        fetch_problem=row.fetch_problem and FetchProblem(row.fetch_problem),
        detail=row.detail,
        replay=row.replay,
    )


def _comparison_of(row: AnyRow) -> Comparison | None:
    if row.score is None:
        return None
    return Comparison(
        score=row.score,
        similarity=row.similarity,
        approve_threshold=row.approve_edge,
        different_threshold=row.different_edge,
        cosines=row.cosines or {},
        distances=row.distances or {},
    )


def decision_of(row: AnyRow) -> DecisionRecord:
    """The decision out of a row of `decision`."""
    return DecisionRecord(
        status=Status(row.status),
        previous_status=Status(row.previous_status),
        previous_reason=row.previous_reason and Reason(row.previous_reason),
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        code=row.code and ReviewReason(row.code),
        photo=row.photo,
        note=row.note,
        undone=row.undone,
    )


def request_of(
    row: AnyRow,
    findings: Sequence[PhotoFinding],
    decisions: Sequence[DecisionRecord],
    reuses: Sequence[PhotoReuse],
    answers: Mapping[int, PairLabel],
) -> RequestRecord:
    """The request out of a row of `verification`, its findings, the selfie's first, and what goes with it."""
    ended = State(row.state).ended  # what was put back still has the verdict of its last end
    status, reason = _said(row) if ended else (None, None)
    standing = next((one for one in reversed(decisions) if not one.undone), None)
    decided = standing.status if standing else None
    said = {
        "why": Why(row.why),
        "state": State(row.state),
        "status": decided or status,
        "reason": BY_PERSON[decided] if decided else reason,
        "gender": row.predicted_gender and Gender(row.predicted_gender),
        "photo": standing.photo if standing else row.photo,
        "code": standing.code if standing else None,
        "decided_by": Decider.PERSON if decided else row.decided_by and Decider(row.decided_by),
        "timings": row.timings or {},
        "sandbox": bool(row.sandbox),
        "swapped": tuple(row.swapped or ()),
        "machine_status": Status(row.machine_status) if ended and row.machine_status else status,
        "machine_reason": Reason(row.machine_reason) if ended and row.machine_reason else reason,
    }
    return RequestRecord(
        **fields_of(row, RequestRecord) | said,
        decisions=tuple(decisions),
        selfie=findings[0] if findings else None,
        photos=tuple(findings[1:]),
        reuses=tuple(reuses),
        answers=answers,
    )


def _said(row: AnyRow) -> tuple[Status | None, Reason | None]:
    return row.status and Status(row.status), row.reason and Reason(row.reason)


def is_manual(member: AnyRow, message: Mapping[str, Any]) -> bool:
    """Whether people look at a request in place of the machine: by its message, or the member's row now."""
    return bool(member.manual or message.get("manual"))


def is_newer(member: AnyRow | None, requested_at: datetime, request_id: str) -> bool:
    """Whether the member's newest request is newer than this one."""
    if member is None or member.request_id is None:
        return False
    return bool((member.requested_at, member.request_id) > (requested_at, request_id))
