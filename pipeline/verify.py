"""One verification from bytes to verdict: look at every photo, embed, compare, decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from pipeline.decide import POLICY_VERSION, GenderReading, Policy, decide
from pipeline.errors import ImageError
from pipeline.images import decode
from pipeline.models import Models
from pipeline.ports import Face, Rgb, Vectors
from pipeline.quality import gate, measure
from pipeline.verdict import Comparison, Fault, Gender, NotFetched, Outcome, PhotoFinding, Verdict

PhotoInput = bytes | NotFetched
Embeddings = dict[str, Vectors]
"""By embedder name, (n, d) float32."""

SECOND_FACE = 0.5
"""A face whose side is more than this share of the largest one's is a second person, not a bystander."""
MOST_FACES = 10
"""So many faces of a group photo are compared, the largest first; a crowd costs no more."""


@dataclass(slots=True)
class _Clock:
    """Milliseconds by stage."""

    spent: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.spent[name] = self.spent.get(name, 0.0) + (perf_counter() - start) * 1000


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """A photo while its job runs. ``faces`` are those worth comparing, the largest first."""

    finding: PhotoFinding
    rgb: Rgb | None = None
    faces: tuple[Face, ...] = ()
    phash: int | None = None


def verify(
    models: Models,
    selfie: PhotoInput,
    photos: Sequence[PhotoInput],
    declared_gender: Gender | None = None,
    policy: Policy | None = None,
) -> Verdict:
    """Judge a member: is the person of ``selfie`` the one in the gallery ``photos``?

    Photos are file contents (JPEG, PNG, WebP, HEIC) or the reason why there are none. Never
    raises on their account: a damaged file is an outcome of its photo.
    """
    policy, clock = policy or Policy(), _Clock()
    face, *gallery = (_look(models, position, photo, clock) for position, photo in enumerate([selfie, *photos]))
    embeddings = _embed_solo(models, [face, *gallery], clock)
    face, *gallery = (_unveil(models, sight, embeddings) for sight in [face, *gallery])
    with clock.stage("compare"):
        findings = [_compare(models, face, sight, embeddings) for sight in gallery]
    findings = [_search_group(models, face, s, f, embeddings, clock) for s, f in zip(gallery, findings, strict=True)]
    gender = _gender(models, face, findings, embeddings)
    decision = decide(face.finding, findings, gender, declared_gender, policy, calibrated=models.calibrated)
    best = _deciding_comparison(decision.photo, findings)
    return Verdict(
        status=decision.status,
        reason=decision.reason,
        photo=decision.photo,
        same_person=decision.same_person,
        similarity=best.similarity if best else None,
        gender=gender.gender,
        gender_probability=gender.probability,
        selfie=face.finding,
        photos=tuple(findings),
        model_version=models.version,
        policy_version=POLICY_VERSION,
        timings=clock.spent,
    )


def _look(models: Models, position: int, photo: PhotoInput, clock: _Clock) -> _Sight:
    """Decode, find the faces, hold the one that counts against the quality gates."""
    if isinstance(photo, NotFetched):
        missing = PhotoFinding(position, Outcome.NOT_FETCHED, photo.fault, fetch_problem=photo.problem, detail=photo.detail)
        return _Sight(missing)
    try:
        with clock.stage("decode"):
            picture = decode(photo)
    except ImageError as error:
        detail = f"{type(error).__name__}: {error}"
        return _Sight(PhotoFinding(position, Outcome.INVALID_IMAGE, Fault.MEMBER, detail=detail))
    with clock.stage("detect"):
        detection = models.detector.detect(picture.rgb)
    finding = PhotoFinding(position, Outcome.NO_FACE, Fault.MEMBER, sha256=picture.sha256)
    if not detection.faces:
        return _Sight(finding, phash=picture.phash)
    with clock.stage("quality"):
        judged = _judge_quality(models, finding, detection.rgb, detection.faces, picture.scale)
    return _Sight(judged, detection.rgb, tuple(detection.faces[:MOST_FACES]), picture.phash)


def _judge_quality(models: Models, finding: PhotoFinding, rgb: Rgb, faces: Sequence[Face], scale: float) -> PhotoFinding:
    """The outcome so far: a gate, several faces, or a face that can be compared."""
    largest = faces[0]
    people = sum(face.box.side > SECOND_FACE * largest.box.side for face in faces)
    finding = replace(finding, faces=people, box=largest.box)
    if people > 1:
        outcome = Outcome.SEVERAL_FACES if finding.position == 0 else Outcome.MEMBER_NOT_SEEN
        return replace(finding, outcome=outcome)
    quality = measure(rgb, largest, scale)
    finding = replace(finding, quality=quality.as_dict())
    if refused := gate(quality, models.quality_limits):
        return replace(finding, outcome=refused[0], gate=refused[1])
    usable = Outcome.USABLE if finding.position == 0 else Outcome.NOT_COMPARED
    return replace(finding, outcome=usable, fault=None)


def _comparable(sight: _Sight) -> bool:
    return sight.finding.outcome in (Outcome.USABLE, Outcome.NOT_COMPARED)


def _embed(models: Models, faces: Sequence[tuple[Rgb, Face]]) -> Embeddings:
    """One batch for each embedder."""
    return {
        name: embedder.embed([embedder.crop(rgb, face) for rgb, face in faces])
        for name, embedder in models.embedders.items()
    }


def _embed_solo(models: Models, sights: Sequence[_Sight], clock: _Clock) -> dict[int, Embeddings]:
    """Embeddings of the main face of every photo that can be judged, by position."""
    wanted = [sight for sight in sights if _comparable(sight)]
    pairs = [(sight.rgb, sight.faces[0]) for sight in wanted if sight.rgb is not None]
    if not pairs:
        return {}
    with clock.stage("embed"):
        batch = _embed(models, pairs)
    return {s.finding.position: {n: v[i : i + 1] for n, v in batch.items()} for i, s in enumerate(wanted)}


def _unveil(models: Models, sight: _Sight, embeddings: dict[int, Embeddings]) -> _Sight:
    """Masks, sunglasses and hands are seen in the embedding, after it is there."""
    if not _comparable(sight) or sight.rgb is None:
        return sight
    hidden = models.occlusion.judge(sight.rgb, sight.faces[0], embeddings[sight.finding.position])
    if hidden is None:
        return sight
    return replace(sight, finding=replace(sight.finding, outcome=Outcome.OCCLUDED, fault=Fault.MEMBER, gate=hidden))


def _compare(models: Models, selfie: _Sight, sight: _Sight, embeddings: dict[int, Embeddings]) -> PhotoFinding:
    """A gallery photo of one person against the selfie."""
    replay = _same_picture(models, selfie, sight)
    finding = replace(sight.finding, replay=replay)
    if not _comparable(sight) or not _comparable(selfie):
        return finding
    pair = [models.scorer.project(embeddings[s.finding.position]) for s in (selfie, sight)]
    comparison = models.scorer.compare(pair[0], pair[1])
    replay = replay or comparison.score >= models.replay.score
    return replace(finding, outcome=_solo_outcome(comparison), comparison=comparison, replay=replay)


def _same_picture(models: Models, selfie: _Sight, sight: _Sight) -> bool:
    """Same bytes, or a near copy by its perceptual hash."""
    if selfie.phash is None or sight.phash is None:
        return False
    same_bytes = selfie.finding.sha256 == sight.finding.sha256
    return same_bytes or (selfie.phash ^ sight.phash).bit_count() <= models.replay.hash_bits


def _solo_outcome(comparison: Comparison) -> Outcome:
    if comparison.score >= comparison.approve_edge:
        return Outcome.SAME
    return Outcome.DIFFERENT if comparison.score < comparison.different_edge else Outcome.UNSURE


def _search_group(
    models: Models, selfie: _Sight, sight: _Sight, finding: PhotoFinding, embeddings: dict[int, Embeddings], clock: _Clock
) -> PhotoFinding:
    """Look for the member among several faces, and among bystanders of a face that is not theirs."""
    crowd = finding.outcome is Outcome.MEMBER_NOT_SEEN or (finding.outcome is Outcome.DIFFERENT and len(sight.faces) > 1)
    if not crowd or not _comparable(selfie) or sight.rgb is None:
        return finding
    with clock.stage("embed"):
        faces = models.scorer.project(_embed(models, [(sight.rgb, face) for face in sight.faces]))
    mine = models.scorer.project(embeddings[0])
    best = int(np.argmax(models.scorer.matrix(mine, faces)[0]))
    comparison = models.scorer.compare(mine, {name: rows[best : best + 1] for name, rows in faces.items()})
    if comparison.score < models.scorer.edges.approve_among(len(sight.faces)):
        return replace(finding, comparison=comparison if finding.comparison is None else finding.comparison)
    group = max(finding.faces, 2)
    return replace(
        finding, outcome=Outcome.GROUP_SAME, fault=None, faces=group, box=sight.faces[best].box, comparison=comparison
    )


def _gender(
    models: Models, selfie: _Sight, findings: Sequence[PhotoFinding], embeddings: dict[int, Embeddings]
) -> GenderReading:
    """From the selfie and the gallery faces that match it."""
    if not _comparable(selfie):
        return models.gender.read([])
    positions = [0, *(f.position for f in findings if f.outcome is Outcome.SAME)]
    return models.gender.read([float(models.gender.logits(embeddings[p])[0]) for p in positions])


def _deciding_comparison(photo: int | None, findings: Sequence[PhotoFinding]) -> Comparison | None:
    """The comparison that the verdict rests on; else the most alike one."""
    compared = {f.position: f.comparison for f in findings if f.comparison}
    if photo in compared:
        return compared[photo]
    return max(compared.values(), key=lambda c: c.score, default=None)
