"""What the sandbox finds in photos that nobody looks at, for each verdict of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline.decide import POLICY_VERSION, Policy, decide, unjudged
from pipeline.verdict import (
    Box,
    Comparison,
    Fault,
    FetchProblem,
    GateResult,
    Gender,
    GenderReading,
    Outcome,
    PhotoFinding,
    Reason,
    Status,
    Verdict,
)
from worker.results.texts import OF_SELFIES

MODEL_VERSION: Final = "sandbox"
_AT: Final = Box(40.0, 30.0, 220.0, 220.0)
_COMPARED: Final[Mapping[Outcome, Comparison]] = {
    outcome: Comparison(score, similarity, 0.5, 0.25, {}, {})
    for outcome, score, similarity in (
        (Outcome.SAME, 0.9, 0.93),
        (Outcome.GROUP_SAME, 0.8, 0.88),
        (Outcome.UNSURE, 0.4, 0.34),
        (Outcome.DIFFERENT, 0.1, 0.07),
        (Outcome.MEMBER_NOT_SEEN, 0.1, 0.07),
    )
}
_GATES: Final[Mapping[Outcome, GateResult]] = {
    Outcome.FACE_TOO_SMALL: GateResult("face_px", 31.0, 60.0),
    Outcome.TOO_BLURRED: GateResult("sharpness", 12.0, 30.0),
    Outcome.TOO_DARK: GateResult("highlights", 21.0, 40.0),
    Outcome.TOO_BRIGHT: GateResult("burnt", 0.4, 0.2),
    Outcome.EXTREME_POSE: GateResult("yaw", 0.9, 0.6),
    Outcome.OCCLUDED: GateResult("mouth_hidden", 0.97, 0.5),
}
_SEVERAL: Final = frozenset({Outcome.SEVERAL_FACES, Outcome.GROUP_SAME, Outcome.MEMBER_NOT_SEEN})
_FACELESS: Final = frozenset({Outcome.NO_FACE, Outcome.NOT_FETCHED, Outcome.INVALID_IMAGE})
_OF_THE_MEMBER: Final = frozenset({Outcome.NO_FACE, Outcome.INVALID_IMAGE, Outcome.SEVERAL_FACES, *_GATES})


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the photos show; ``others`` are the second and later gallery photos."""

    selfie: Outcome = Outcome.USABLE
    primary: Outcome = Outcome.SAME
    others: Outcome = Outcome.SAME
    host: bool = False
    """Whether a photo is missing by its host's fault; else it is the member's."""
    replay: bool = False
    """Whether the first gallery photo is a copy of the selfie."""
    other_gender: bool = False
    """Whether the faces contradict the declared gender."""
    rejects: bool = False
    """Whether the operator lets the machine reject."""
    suspicion: bool = False
    """Whether a person looks for a reason that is not in the photos."""
    manual: bool = False
    """Whether a person looks in place of the machine."""
    needs: str = "at least one gallery photo"
    """Of the request."""


_NOT_COMPARED: Final = (Outcome.NOT_COMPARED,) * 2
_TWO: Final = "at least two gallery photos"
_SUSPECTED: Final = Scenario(suspicion=True)

SCENARIOS: Final[Mapping[Status, Mapping[Reason, Scenario]]] = {
    Status.APPROVED: {Reason.SAME_PERSON: Scenario()},
    Status.REVIEW: {
        Reason.DIFFERENT_PERSON: Scenario(primary=Outcome.DIFFERENT),
        Reason.PRIMARY_UNSURE: Scenario(primary=Outcome.UNSURE),
        Reason.PRIMARY_NOT_MEMBER: Scenario(primary=Outcome.MEMBER_NOT_SEEN, needs=_TWO),
        Reason.SAME_PICTURE: Scenario(replay=True),
        Reason.GENDER_CONFLICT: Scenario(
            other_gender=True, needs="at least one gallery photo and a declared gender"
        ),
        Reason.PHOTO_REUSED: _SUSPECTED,
        Reason.TOO_MANY_TRIES: _SUSPECTED,
        Reason.MANY_RETRIES: _SUSPECTED,
        Reason.SELFIE_CHANGED: _SUSPECTED,
        Reason.BLIND_AUDIT: _SUSPECTED,
        Reason.MANUAL: Scenario(manual=True),
    },
    Status.RETRY_PHOTO: {
        Reason.NO_USABLE_PHOTO: Scenario(primary=Outcome.NO_FACE, others=Outcome.TOO_DARK),
        Reason.NO_SOLO_PHOTO: Scenario(primary=Outcome.GROUP_SAME, others=Outcome.GROUP_SAME),
        Reason.PRIMARY_NOT_JUDGED: Scenario(primary=Outcome.OCCLUDED, needs=_TWO),
        Reason.NO_PHOTOS: Scenario(needs="no gallery photo"),
        **{reason: Scenario(outcome, *_NOT_COMPARED) for reason, outcome in OF_SELFIES.items()},
    },
    Status.REJECTED: {
        Reason.DIFFERENT_PERSON: Scenario(primary=Outcome.DIFFERENT, others=Outcome.DIFFERENT, rejects=True)
    },
    Status.ERROR: {
        Reason.PHOTOS_NOT_FETCHED: Scenario(
            primary=Outcome.NOT_FETCHED, others=Outcome.NOT_FETCHED, host=True
        ),
        Reason.SELFIE_NOT_FETCHED: Scenario(Outcome.NOT_FETCHED, *_NOT_COMPARED, host=True),
    },
}
"""By status and reason; the first reason of a status is its usual one. A person's are had by `review`, and
`internal_error` comes with a dead job."""


def enact(
    scenario: Scenario, status: Status, reason: Reason, photos: int, declared: Gender | None
) -> Verdict:
    """The verdict that the rules come to with so many gallery photos.

    Where a person looks for a reason that is not in the photos, ``status`` and ``reason`` are what the
    photos' approval becomes.
    """
    selfie = _finding(0, scenario.selfie, scenario)
    outcomes = [scenario.primary, *[scenario.others] * (photos - 1)][:photos]
    gallery = tuple(_finding(at, outcome, scenario) for at, outcome in enumerate(outcomes, start=1))
    if scenario.manual:
        return replace(unjudged((selfie, *gallery)), model_version=MODEL_VERSION)
    gender = _gender(scenario, declared)
    decision = decide(selfie, gallery, gender, declared, Policy(scenario.rejects), calibrated=True)
    if scenario.suspicion and decision.status is Status.APPROVED:
        decision = replace(decision, status=status, reason=reason)
    return Verdict(
        status=decision.status,
        reason=decision.reason,
        photo=decision.photo,
        same_person=decision.same_person,
        similarity=_similarity(decision.photo, gallery),
        gender=gender.gender,
        gender_probability=gender.probability,
        selfie=selfie,
        photos=gallery,
        model_version=MODEL_VERSION,
        policy_version=POLICY_VERSION,
    )


def _finding(position: int, outcome: Outcome, scenario: Scenario) -> PhotoFinding:
    """Without a hash: nothing was there that could be found again."""
    faces = 0 if outcome in _FACELESS else 3 if outcome in _SEVERAL else 1
    return PhotoFinding(
        position=position,
        outcome=outcome,
        fault=_fault(outcome, scenario),
        faces=faces,
        box=_AT if faces else None,
        gate=_GATES.get(outcome),
        comparison=_COMPARED.get(outcome),
        fetch_problem=_fetch_problem(outcome, scenario),
        replay=scenario.replay and position == 1,
    )


def _fault(outcome: Outcome, scenario: Scenario) -> Fault | None:
    if outcome is Outcome.NOT_FETCHED:
        return Fault.HOST if scenario.host else Fault.MEMBER
    return Fault.MEMBER if outcome in _OF_THE_MEMBER else None


def _fetch_problem(outcome: Outcome, scenario: Scenario) -> FetchProblem | None:
    """None that passes: the photos would be fetched again after an hour."""
    if outcome is not Outcome.NOT_FETCHED:
        return None
    return FetchProblem.FORBIDDEN if scenario.host else FetchProblem.GONE


def _gender(scenario: Scenario, declared: Gender | None) -> GenderReading:
    if scenario.selfie is not Outcome.USABLE:
        return GenderReading(Gender.UNKNOWN, None)
    seen = declared or Gender.FEMALE
    if scenario.other_gender:
        seen = Gender.MALE if seen is Gender.FEMALE else Gender.FEMALE
    return GenderReading(seen, 0.99)


def _similarity(photo: int | None, gallery: tuple[PhotoFinding, ...]) -> float | None:
    """Of the photo that decided; else the highest."""
    compared = {found.position: found.comparison.similarity for found in gallery if found.comparison}
    return compared.get(photo or 0, max(compared.values(), default=None))
