"""One verification from bytes to verdict: look at every photo, embed, compare, decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from pipeline.decide import POLICY_VERSION, GenderReading, Policy, decide
from pipeline.errors import ImageError
from pipeline.images import Picture, decode
from pipeline.models import Models
from pipeline.ports import Detection, Face, Rgb, Vectors
from pipeline.quality import gate, measure
from pipeline.verdict import Comparison, Fault, Gender, NotFetched, Outcome, PhotoFinding, Verdict

PhotoInput = bytes | NotFetched

SECOND_FACE = 0.5
"""A face whose side is more than this share of the largest one's is a second person, not a bystander."""
MOST_FACES = 10
"""So many faces of a group photo are compared, the largest first; a crowd costs no more."""


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
    job, policy = _Job(models), policy or Policy()
    face, *gallery = (job.look(position, photo) for position, photo in enumerate([selfie, *photos]))
    job.embed_solo(face, gallery)
    findings = [job.search_group(face, sight, job.compare(face, sight)) for sight in gallery]
    gender = job.gender(face, findings)
    decision = decide(face.finding, findings, gender, declared_gender, policy, calibrated=models.calibrated)
    deciding = _deciding_comparison(decision.photo, findings)
    return Verdict(
        status=decision.status,
        reason=decision.reason,
        photo=decision.photo,
        same_person=decision.same_person,
        similarity=deciding.similarity if deciding else None,
        gender=gender.gender,
        gender_probability=gender.probability,
        selfie=face.finding,
        photos=tuple(findings),
        model_version=models.version,
        policy_version=POLICY_VERSION,
        timings=job.timings,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """A photo while its job runs. ``faces`` are those worth comparing, the largest first."""

    finding: PhotoFinding
    rgb: Rgb | None = None
    faces: tuple[Face, ...] = ()
    hashes: tuple[int, int] | None = None
    """Perceptual hashes of the picture and of its mirror image."""

    @property
    def comparable(self) -> bool:
        """One face that passed every gate so far."""
        return self.finding.outcome in (Outcome.USABLE, Outcome.NOT_COMPARED) and self.finding.solo


@dataclass(slots=True)
class _Job:
    """The models and what they have said so far about the photos of one job."""

    models: Models
    embeddings: dict[int, dict[str, Vectors]] = field(default_factory=dict)
    """Of the main face, by position and embedder, (1, d) each, not projected."""
    projected: dict[int, dict[str, Vectors]] = field(default_factory=dict)
    """The same, ready to be compared."""
    timings: dict[str, float] = field(default_factory=dict)
    """Milliseconds by stage."""

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.timings[name] = self.timings.get(name, 0.0) + (perf_counter() - start) * 1000

    def look(self, position: int, photo: PhotoInput) -> _Sight:
        """Decode, find the faces, hold the one that counts against the quality gates."""
        if isinstance(photo, NotFetched):
            return _Sight(_missing(position, photo))
        try:
            with self._stage("decode"):
                picture = decode(photo)
        except ImageError as error:
            detail = f"{type(error).__name__}: {error}"
            return _Sight(PhotoFinding(position, Outcome.INVALID_IMAGE, Fault.MEMBER, detail=detail))
        with self._stage("detect"):
            detection = self.models.detector.detect(picture.rgb)
        with self._stage("quality"):
            finding = self._unveil(self._judge_faces(position, picture, detection), detection)
        return _Sight(finding, detection.rgb, tuple(detection.faces[:MOST_FACES]), picture.hashes)

    def _judge_faces(self, position: int, picture: Picture, detection: Detection) -> PhotoFinding:
        """The outcome so far: no face, several, a gate, or one face that can be compared."""
        finding = PhotoFinding(position, Outcome.NO_FACE, Fault.MEMBER, sha256=picture.sha256)
        if not detection.faces:
            return finding
        largest = detection.faces[0]
        people = sum(face.box.side > SECOND_FACE * largest.box.side for face in detection.faces)
        finding = replace(finding, faces=people, box=largest.box)
        if people > 1:
            return _several(finding)
        quality = measure(detection.rgb, largest, picture.scale)
        finding = replace(finding, quality=quality.as_dict())
        if refused := gate(quality, self.models.judges.quality):
            return replace(finding, outcome=refused[0], gate=refused[1])
        usable = Outcome.USABLE if position == 0 else Outcome.NOT_COMPARED
        return replace(finding, outcome=usable, fault=None)

    def _unveil(self, finding: PhotoFinding, detection: Detection) -> PhotoFinding:
        """A mask, sunglasses or a hand over the face: not a face to be compared.

        A face that is too small as well is called hidden: in a larger photo it would still be.
        """
        if finding.outcome not in (Outcome.USABLE, Outcome.NOT_COMPARED, Outcome.FACE_TOO_SMALL):
            return finding
        hidden = self.models.judges.occlusion.gate(detection.rgb, detection.faces[0])
        if hidden is None:
            return finding
        return replace(finding, outcome=Outcome.OCCLUDED, fault=Fault.MEMBER, gate=hidden)

    def embed_solo(self, selfie: _Sight, gallery: Sequence[_Sight]) -> None:
        """The main face of every photo that can be judged, in one batch for each embedder.

        Without a usable selfie there is nothing to hold a gallery face against.
        """
        if not selfie.comparable:
            return
        wanted = [sight for sight in (selfie, *gallery) if sight.comparable]
        batch = self._embed([(sight.rgb, sight.faces[0]) for sight in wanted if sight.rgb is not None])
        projected = self.models.judges.scorer.project(batch)
        for row, sight in enumerate(wanted):
            position, rows = sight.finding.position, slice(row, row + 1)
            self.embeddings[position] = {name: vectors[rows] for name, vectors in batch.items()}
            self.projected[position] = {name: vectors[rows] for name, vectors in projected.items()}

    def _embed(self, faces: Sequence[tuple[Rgb, Face]]) -> dict[str, Vectors]:
        with self._stage("mesh"):
            faces = [(rgb, self.models.mesh.refine(rgb, face)) for rgb, face in faces]
        embedded: dict[str, Vectors] = {}
        for name, embedder in self.models.embedders.items():
            with self._stage("align"):
                crops = [embedder.crop(rgb, face) for rgb, face in faces]
            with self._stage(f"embed_{name}"):
                embedded[name] = embedder.embed(crops)
        return embedded

    def compare(self, selfie: _Sight, sight: _Sight) -> PhotoFinding:
        """A gallery photo of one person against the selfie."""
        replay = self._same_picture(selfie, sight)
        finding = replace(sight.finding, replay=replay)
        if not sight.comparable or not selfie.comparable:
            return finding
        mine, theirs = (self.projected[s.finding.position] for s in (selfie, sight))
        comparison = self.models.judges.scorer.compare(mine, theirs)
        replay = replay or comparison.score >= self.models.judges.replay.score
        return replace(finding, outcome=solo_outcome(comparison), comparison=comparison, replay=replay)

    def _same_picture(self, selfie: _Sight, sight: _Sight) -> bool:
        """Same bytes, or a near copy by its perceptual hash, also of the mirror image."""
        if selfie.hashes is None or sight.hashes is None:
            return False
        same_bytes = selfie.finding.sha256 == sight.finding.sha256
        nearest = min((own ^ sight.hashes[0]).bit_count() for own in selfie.hashes)
        return same_bytes or nearest <= self.models.judges.replay.hash_bits

    def search_group(self, selfie: _Sight, sight: _Sight, finding: PhotoFinding) -> PhotoFinding:
        """Look for the member among several faces, or among bystanders of somebody else's face."""
        stranger = finding.outcome is Outcome.DIFFERENT and len(sight.faces) > 1
        if finding.outcome is not Outcome.MEMBER_NOT_SEEN and not stranger:
            return finding
        if sight.rgb is None or not selfie.comparable:
            return replace(finding, outcome=Outcome.NOT_COMPARED)
        scorer, mine = self.models.judges.scorer, self.projected[0]
        faces = scorer.project(self._embed([(sight.rgb, face) for face in sight.faces]))
        best = int(np.argmax(scorer.matrix(mine, faces)[0]))
        comparison = scorer.compare(mine, {name: rows[best : best + 1] for name, rows in faces.items()})
        if comparison.score < scorer.edges.approve_among(len(sight.faces)):
            return finding if stranger else replace(finding, comparison=comparison)
        box, people = sight.faces[best].box, max(finding.faces, 2)
        return replace(finding, outcome=Outcome.GROUP_SAME, faces=people, box=box, comparison=comparison)

    def gender(self, selfie: _Sight, findings: Sequence[PhotoFinding]) -> GenderReading:
        """From the selfie and the gallery faces that match it."""
        judge = self.models.judges.gender
        if not selfie.comparable:
            return judge.read([])
        positions = [0, *(f.position for f in findings if f.outcome is Outcome.SAME)]
        return judge.read([float(judge.logits(self.embeddings[position])[0]) for position in positions])


def _missing(position: int, photo: NotFetched) -> PhotoFinding:
    return PhotoFinding(
        position, Outcome.NOT_FETCHED, photo.fault, fetch_problem=photo.problem, detail=photo.detail
    )


def _several(finding: PhotoFinding) -> PhotoFinding:
    """Wrong in a selfie; in the gallery nobody's fault, and the member is still to be looked for."""
    if finding.position == 0:
        return replace(finding, outcome=Outcome.SEVERAL_FACES)
    return replace(finding, outcome=Outcome.MEMBER_NOT_SEEN, fault=None)


def solo_outcome(comparison: Comparison) -> Outcome:
    """Where a comparison of two single faces lies against the edges."""
    if comparison.score >= comparison.approve_edge:
        return Outcome.SAME
    return Outcome.DIFFERENT if comparison.score < comparison.different_edge else Outcome.UNSURE


def _deciding_comparison(photo: int | None, findings: Sequence[PhotoFinding]) -> Comparison | None:
    """The comparison that the verdict rests on; else the most alike one."""
    compared = {f.position: f.comparison for f in findings if f.comparison}
    if photo in compared:
        return compared[photo]
    return max(compared.values(), key=lambda c: c.score, default=None)
