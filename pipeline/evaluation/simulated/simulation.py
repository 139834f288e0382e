"""What would become of members: findings from embeddings, decided by the product's own rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pipeline.comparator import solo_outcome
from pipeline.decide import Decision, Policy, decide
from pipeline.evaluation.simulated.members import (
    AGE_UNKNOWN,
    Crowd,
    Member,
    MemberKind,
    Mix,
    Photo,
    Sent,
    World,
)
from pipeline.fitting import metrics
from pipeline.fitting.fit import MALE
from pipeline.score import Edges, Scorer
from pipeline.verdict import Comparison, Fault, Gender, GenderReading, Outcome, PhotoFinding, Reason, Status

SENIOR = 50
OWN_SOLO = frozenset({Sent.SOLO, Sent.OLD, Sent.RETOUCHED})
ACCUSED = frozenset({Reason.DIFFERENT_PERSON, Reason.GENDER_CONFLICT, Reason.SAME_PICTURE})


@dataclass(frozen=True, slots=True)
class Case:
    """A member, what was decided, and where the member belongs in the tables."""

    member: Member
    decision: Decision
    world: str
    gender: Gender
    age: int
    users_kind: bool


def simulate(
    worlds: Sequence[World],
    *,
    honest: int = 2000,
    impostors: int = 5000,
    mix: Mix | None = None,
    seed: int = 1,
) -> dict[str, Any]:
    """So many members of each kind over all worlds, by the size of the worlds."""
    mix, rng = mix or Mix(), np.random.default_rng(seed)
    wanted = {
        MemberKind.HONEST: honest,
        MemberKind.IMPOSTOR: impostors,
        MemberKind.LOOK_ALIKE: impostors,
    }
    everybody = sum(world.plain for world in worlds)
    cases = [
        case
        for world in worlds
        for kind, count in wanted.items()
        for case in cases_of(world, Crowd(world, mix, rng).draw(kind, round(count * world.plain / everybody)))
    ]
    return {"seed": seed, "mix": _described(mix), **figures(cases)}


def cases_of(world: World, members: Iterator[Member]) -> Iterator[Case]:
    """Every member with the verdict of the product's rules."""
    for member in members:
        face = member.face
        gender = Gender.MALE if world.table.gender[face] == MALE else Gender.FEMALE
        yield Case(
            member,
            judge_member(world, member, gender),
            world.name,
            gender,
            int(world.ages[face]),
            bool(world.table.users_kind[face]),
        )


def judge_member(world: World, member: Member, declared: Gender) -> Decision:
    """The findings that `pipeline.verify` would make of these faces, through `pipeline.decide`.

    Gates are not simulated: whatever shows a face is good enough to be judged.
    """
    if member.selfie is None:
        selfie = PhotoFinding(0, Outcome.NO_FACE, Fault.MEMBER)
        waiting = [PhotoFinding(i, Outcome.NOT_COMPARED) for i, _ in enumerate(member.photos, 1)]
        return decide(selfie, waiting, GenderReading(Gender.UNKNOWN, None), declared, Policy())
    findings = [_finding(world, member.selfie, i, photo) for i, photo in enumerate(member.photos, 1)]
    matched = [
        photo.faces[0]
        for photo, finding in zip(member.photos, findings, strict=True)
        if finding.outcome is Outcome.SAME
    ]
    reading = _gender(world, [member.selfie, *matched])
    return decide(PhotoFinding(0, Outcome.USABLE, faces=1), findings, reading, declared, Policy())


def _finding(world: World, selfie: int, position: int, photo: Photo) -> PhotoFinding:
    if not photo.faces:
        return PhotoFinding(position, Outcome.NO_FACE, Fault.MEMBER)
    best = photo.faces[int(np.argmax(world.score(selfie, photo.faces)))]
    identity = world.table.identity
    edges = world.judge.edges(int(identity[selfie]), int(identity[best]))
    comparison = _compare(world, edges, selfie, best)
    faces = len(photo.faces)
    if photo.sent is Sent.GROUP:
        seen = comparison.score >= edges.approve_among(faces)
        outcome = Outcome.GROUP_SAME if seen else Outcome.MEMBER_NOT_SEEN
        return PhotoFinding(position, outcome, faces=faces, comparison=comparison)
    replay = world.judge.scorer.fused(comparison.cosines) >= world.replay_score
    return PhotoFinding(position, solo_outcome(comparison), faces=faces, comparison=comparison, replay=replay)


def _compare(world: World, edges: Edges, one: int, other: int) -> Comparison:
    scorer: Scorer = replace(world.judge.scorer, edges=edges)
    first, second = (
        {name: rows[row : row + 1] for name, rows in world.projected.items()} for row in (one, other)
    )
    return scorer.compare(first, second)


def _gender(world: World, rows: Sequence[int]) -> GenderReading:
    vectors = {name: table[list(rows)] for name, table in world.table.vectors.items()}
    return world.gender.read(world.gender.logits(vectors).tolist())


def figures(cases: Sequence[Case]) -> dict[str, Any]:
    """By kind of member; each in all, by gender, by age where it is known, by world."""
    result: dict[str, Any] = {}
    for kind in MemberKind:
        chosen = [case for case in cases if case.member.kind is kind]
        slices = {name: _outcomes(kind, part) for name, part in _slices(chosen).items() if part}
        result[kind.value] = slices
    return result


def _slices(cases: Sequence[Case]) -> dict[str, list[Case]]:
    parts = {"all": list(cases)}
    for gender in (Gender.FEMALE, Gender.MALE):
        parts[gender.value] = [case for case in cases if case.gender is gender]
    parts["users_kind"] = [case for case in cases if case.users_kind]
    known = [case for case in cases if case.age != AGE_UNKNOWN]
    parts[f"under {SENIOR}"] = [case for case in known if case.age < SENIOR]
    parts[f"{SENIOR} and over"] = [case for case in known if case.age >= SENIOR]
    for world in sorted({case.world for case in cases}):
        parts[world] = [case for case in cases if case.world == world]
    return parts


def _outcomes(kind: MemberKind, cases: Sequence[Case]) -> dict[str, Any]:
    """Shares of these members. "Sent back" is asked for another photo by the machine."""
    count = len(cases)
    status = Counter(case.decision.status for case in cases)
    approved = status[Status.APPROVED]
    shares: dict[str, Any] = {
        "members": count,
        "people": len({(case.world, case.member.face) for case in cases}),
        "approved": approved / count,
        "approved_interval95": metrics.wilson(approved, count),
        "undecided": status[Status.REVIEW] / count,
        "sent_back": status[Status.RETRY_PHOTO] / count,
        "reasons": dict(sorted(Counter(case.decision.reason.value for case in cases).items())),
    }
    if kind is MemberKind.HONEST:
        shares["decided"] = (approved + status[Status.RETRY_PHOTO]) / count
        shares["wrongly_sent_back"] = sum(_could_be_judged(case) for case in cases) / count
        shares["suspected"] = sum(case.decision.reason in ACCUSED for case in cases) / count
        return shares
    shares["wrongly_approved"] = approved / count
    return shares


def _could_be_judged(case: Case) -> bool:
    """Sent back although selfie, primary photo and one photo of the member alone were good enough."""
    sent = [photo.sent for photo in case.member.photos]
    usable = case.member.selfie is not None and sent[0] is not Sent.JUNK and not OWN_SOLO.isdisjoint(sent)
    return usable and case.decision.status is Status.RETRY_PHOTO


def _described(mix: Mix) -> Mapping[str, Any]:
    return {**asdict(mix), "sent": {sent.value: share for sent, share in mix.sent.items()}}
