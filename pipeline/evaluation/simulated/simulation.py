"""Simulate members: findings from embeddings, decided by the product's rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pipeline.comparator import solo_outcome
from pipeline.datasets.tables import NO_AGE, SENIOR_AGE
from pipeline.decide import Decision, Policy, decide
from pipeline.evaluation.simulated.members import Member, MemberKind, MemberSampler, Mix, Photo, Sent
from pipeline.evaluation.simulated.population import Population
from pipeline.fitting import metrics
from pipeline.fitting.fit import MALE
from pipeline.score import Thresholds
from pipeline.verdict import Comparison, Fault, Gender, GenderReading, Outcome, PhotoFinding, Reason, Status

OWN_SOLO = frozenset({Sent.SOLO, Sent.OLD, Sent.RETOUCHED})
ACCUSED = frozenset({Reason.DIFFERENT_PERSON, Reason.GENDER_CONFLICT, Reason.SAME_PICTURE})


@dataclass(frozen=True, slots=True)
class SimulatedMember:
    """A member, the decision, and the attributes by which figures are split."""

    member: Member
    decision: Decision
    population: str
    gender: Gender
    age: int
    users_kind: bool


def simulate(
    populations: Sequence[Population],
    *,
    honest: int = 2000,
    impostors: int = 5000,
    mix: Mix | None = None,
    seed: int = 1,
) -> dict[str, Any]:
    """So many members of each kind, divided over the populations by their size. Figures as JSON."""
    mix, rng = mix or Mix(), np.random.default_rng(seed)
    wanted = dict(zip(MemberKind, (honest, impostors, impostors), strict=True))
    everybody = sum(population.plain for population in populations)
    members: list[SimulatedMember] = []
    for population in populations:
        for kind, count in wanted.items():
            sampler, share = MemberSampler(population, mix, rng), round(count * population.plain / everybody)
            members += [_simulated(population, member) for member in sampler.draw(kind, share)]
    sent = {sent.value: share for sent, share in mix.sent.items()}
    return {"seed": seed, "mix": {**asdict(mix), "sent": sent}, **figures(members)}


def _simulated(population: Population, member: Member) -> SimulatedMember:
    gender = Gender.MALE if population.table.gender[member.face] == MALE else Gender.FEMALE
    return SimulatedMember(
        member,
        decide_member(population, member, gender),
        population.name,
        gender,
        int(population.ages[member.face]),
        bool(population.table.users_kind[member.face]),
    )


def decide_member(population: Population, member: Member, declared: Gender) -> Decision:
    """The decision on the findings that `pipeline.verify` would make of these faces.

    Gates are not simulated: every face counts as good enough to be compared.
    """
    if member.selfie is None:
        selfie = PhotoFinding(0, Outcome.NO_FACE, Fault.MEMBER)
        waiting = [PhotoFinding(i, Outcome.NOT_COMPARED) for i, _ in enumerate(member.photos, 1)]
        return decide(selfie, waiting, GenderReading(Gender.UNKNOWN, None), declared, Policy())
    findings = [_finding(population, member.selfie, i, photo) for i, photo in enumerate(member.photos, 1)]
    matched = [
        photo.faces[0]
        for photo, finding in zip(member.photos, findings, strict=True)
        if finding.outcome is Outcome.SAME
    ]
    reading = _gender(population, [member.selfie, *matched])
    return decide(PhotoFinding(0, Outcome.USABLE, faces=1), findings, reading, declared, Policy())


def _finding(population: Population, selfie: int, position: int, photo: Photo) -> PhotoFinding:
    if not photo.faces:
        return PhotoFinding(position, Outcome.NO_FACE, Fault.MEMBER)
    best = photo.faces[int(np.argmax(population.score(selfie, photo.faces)))]
    identity = population.table.identity
    thresholds = population.pair_scorer.thresholds(int(identity[selfie]), int(identity[best]))
    comparison = _compare(population, thresholds, selfie, best)
    faces = len(photo.faces)
    if photo.sent is Sent.GROUP:
        matches = comparison.score >= thresholds.approve_among(faces)
        outcome = Outcome.GROUP_SAME if matches else Outcome.MEMBER_NOT_SEEN
        return PhotoFinding(position, outcome, faces=faces, comparison=comparison)
    replay = population.pair_scorer.scorer.fused(comparison.cosines) >= population.replay_score
    return PhotoFinding(position, solo_outcome(comparison), faces=faces, comparison=comparison, replay=replay)


def _compare(population: Population, thresholds: Thresholds, one: int, other: int) -> Comparison:
    scorer = replace(population.pair_scorer.scorer, thresholds=thresholds)
    first, second = (
        {name: rows[row : row + 1] for name, rows in population.projected.items()} for row in (one, other)
    )
    return scorer.compare(first, second)


def _gender(population: Population, rows: Sequence[int]) -> GenderReading:
    embeddings = {name: table[list(rows)] for name, table in population.table.embeddings.items()}
    return population.gender.read(population.gender.logits(embeddings).tolist())


def figures(members: Sequence[SimulatedMember]) -> dict[str, Any]:
    """The figures of each kind of members: of all, by gender, by age where it is known, by population."""
    result: dict[str, Any] = {}
    for kind in MemberKind:
        chosen = [simulated for simulated in members if simulated.member.kind is kind]
        slices = {name: _outcomes(kind, part) for name, part in _slices(chosen).items() if part}
        result[kind.value] = slices
    return result


def _slices(members: Sequence[SimulatedMember]) -> dict[str, list[SimulatedMember]]:
    parts = {"all": list(members)}
    for gender in (Gender.FEMALE, Gender.MALE):
        parts[gender.value] = [simulated for simulated in members if simulated.gender is gender]
    parts["users_kind"] = [simulated for simulated in members if simulated.users_kind]
    known = [simulated for simulated in members if simulated.age != NO_AGE]
    parts[f"under {SENIOR_AGE}"] = [simulated for simulated in known if simulated.age < SENIOR_AGE]
    parts[f"{SENIOR_AGE} and over"] = [simulated for simulated in known if simulated.age >= SENIOR_AGE]
    for population in sorted({simulated.population for simulated in members}):
        parts[population] = [simulated for simulated in members if simulated.population == population]
    return parts


def _outcomes(kind: MemberKind, members: Sequence[SimulatedMember]) -> dict[str, Any]:
    """Shares of these members; "sent back" means asked for another photo by the machine."""
    count = len(members)
    status = Counter(simulated.decision.status for simulated in members)
    approved = status[Status.APPROVED]
    shares: dict[str, Any] = {
        "members": count,
        "people": len({(simulated.population, simulated.member.face) for simulated in members}),
        "approved": approved / count,
        "approved_interval95": metrics.wilson(approved, count),
        "undecided": status[Status.REVIEW] / count,
        "sent_back": status[Status.RETRY_PHOTO] / count,
        "reasons": dict(sorted(Counter(simulated.decision.reason.value for simulated in members).items())),
    }
    if kind is MemberKind.HONEST:
        shares["decided"] = (approved + status[Status.RETRY_PHOTO]) / count
        shares["wrongly_sent_back"] = sum(_could_be_judged(simulated) for simulated in members) / count
        shares["suspected"] = sum(simulated.decision.reason in ACCUSED for simulated in members) / count
        return shares
    shares["wrongly_approved"] = approved / count
    return shares


def _could_be_judged(simulated: SimulatedMember) -> bool:
    """Whether the member was wrongly sent back.

    Selfie, primary photo and one photo of the member alone were good enough.
    """
    sent = [photo.sent for photo in simulated.member.photos]
    usable = (
        simulated.member.selfie is not None and sent[0] is not Sent.JUNK and not OWN_SOLO.isdisjoint(sent)
    )
    return usable and simulated.decision.status is Status.RETRY_PHOTO
