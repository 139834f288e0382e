"""One verification from bytes to verdict: look at every photo, embed, compare, decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.decide import POLICY_VERSION, GenderReading, Policy, decide
from pipeline.models import Models
from pipeline.ports import Vectors
from pipeline.quality import gate
from pipeline.seen import FaceKey, PhotoInput, Seen, Sight, look
from pipeline.verdict import Comparison, Fault, Gender, Outcome, PhotoFinding, Verdict


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
    return judge(models, look([models], selfie, photos), declared_gender, policy)


def judge(
    models: Models, seen: Seen, declared_gender: Gender | None = None, policy: Policy | None = None
) -> Verdict:
    """The verdict about photos that were looked at, by one head; by several, one after the other.

    Heads on the same networks share the embeddings that the first of them has asked for.
    """
    bench, policy = _Bench(models, seen), policy or Policy()
    face, *gallery = (bench.hold_against_gates(sight) for sight in seen.sights)
    bench.embed_solo(face, gallery)
    findings = [bench.search_group(face, sight, bench.compare(face, sight)) for sight in gallery]
    gender = bench.gender(face, findings)
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
        timings=dict(seen.timings),
    )


def usable_faces(
    models: Models, selfie: PhotoInput, photos: Sequence[PhotoInput]
) -> list[dict[str, Vectors] | None]:
    """The vectors of every photo's one face, (1, d) for each embedder, the selfie's first.

    None where a photo shows no such face or the face does not pass the gates: what a verification
    would not compare.
    """
    seen = look([models], selfie, photos)
    bench = _Bench(models, seen)
    usable = [bench.hold_against_gates(sight).comparable for sight in seen.sights]
    return [
        seen.embed(models, [(i, 0)], models.embedders) if passed else None for i, passed in enumerate(usable)
    ]


@dataclass(slots=True)
class _Bench:
    """One head and what it has said so far about the photos of one job."""

    models: Models
    seen: Seen
    projected: dict[int, dict[str, Vectors]] = field(default_factory=dict)
    """Of the main face, by position and embedder, (1, k) each, ready to be compared."""

    def hold_against_gates(self, sight: Sight) -> Sight:
        """A face that is too small, too dark, blurred, turned away or hidden is not compared.

        A face that is too small and hidden as well is called hidden: in a larger photo it would
        still be.
        """
        if sight.quality is None or sight.occlusion is None:
            return sight
        judges, finding = self.models.judges, sight.finding
        if refused := gate(sight.quality, judges.quality):
            finding = replace(finding, outcome=refused[0], gate=refused[1], fault=Fault.MEMBER)
        if finding.outcome in (Outcome.USABLE, Outcome.NOT_COMPARED, Outcome.FACE_TOO_SMALL):
            with self.seen.stage("quality"):
                hidden = judges.occlusion.gate(sight.occlusion)
            if hidden is not None:
                finding = replace(finding, outcome=Outcome.OCCLUDED, fault=Fault.MEMBER, gate=hidden)
        return replace(sight, finding=finding)

    def embed_solo(self, selfie: Sight, gallery: Sequence[Sight]) -> None:
        """The main face of every photo that can be judged, in one batch for each embedder.

        Without a usable selfie there is nothing to hold a gallery face against.
        """
        if not selfie.comparable:
            return
        positions = [sight.finding.position for sight in (selfie, *gallery) if sight.comparable]
        projected = self._project([(position, 0) for position in positions])
        for row, position in enumerate(positions):
            self.projected[position] = {name: rows[row : row + 1] for name, rows in projected.items()}

    def _project(self, keys: Sequence[FaceKey]) -> dict[str, Vectors]:
        scorer = self.models.judges.scorer
        return scorer.project(self.seen.embed(self.models, keys, scorer.towers))

    def compare(self, selfie: Sight, sight: Sight) -> PhotoFinding:
        """A gallery photo of one person against the selfie."""
        replay = self._same_picture(selfie, sight)
        finding = replace(sight.finding, replay=replay)
        if not sight.comparable or not selfie.comparable:
            return finding
        mine, theirs = (self.projected[s.finding.position] for s in (selfie, sight))
        judges = self.models.judges
        comparison = judges.scorer.compare(mine, theirs)
        replay = replay or judges.scorer.fused(comparison.cosines) >= judges.replay.score
        return replace(finding, outcome=solo_outcome(comparison), comparison=comparison, replay=replay)

    def _same_picture(self, selfie: Sight, sight: Sight) -> bool:
        """Same bytes, or a near copy by its perceptual hash, also of the mirror image."""
        if selfie.hashes is None or sight.hashes is None:
            return False
        same_bytes = selfie.finding.sha256 == sight.finding.sha256
        nearest = min((own ^ sight.hashes[0]).bit_count() for own in selfie.hashes)
        return same_bytes or nearest <= self.models.judges.replay.hash_bits

    def search_group(self, selfie: Sight, sight: Sight, finding: PhotoFinding) -> PhotoFinding:
        """Look for the member among several faces, or among bystanders of somebody else's face."""
        stranger = finding.outcome is Outcome.DIFFERENT and len(sight.faces) > 1
        if finding.outcome is not Outcome.MEMBER_NOT_SEEN and not stranger:
            return finding
        if not selfie.comparable:
            return replace(finding, outcome=Outcome.NOT_COMPARED)
        scorer, mine = self.models.judges.scorer, self.projected[0]
        keys = [(finding.position, number) for number in range(len(sight.faces))]
        faces = self._project(keys)
        best = int(np.argmax(scorer.matrix(mine, faces)[0]))
        comparison = scorer.compare(mine, {name: rows[best : best + 1] for name, rows in faces.items()})
        if comparison.score < scorer.edges.approve_among(len(sight.faces)):
            return finding if stranger else replace(finding, comparison=comparison)
        box, people = sight.faces[best].box, max(finding.faces, 2)
        return replace(finding, outcome=Outcome.GROUP_SAME, faces=people, box=box, comparison=comparison)

    def gender(self, selfie: Sight, findings: Sequence[PhotoFinding]) -> GenderReading:
        """From the selfie and the gallery faces that match it."""
        judge = self.models.judges.gender
        if not selfie.comparable:
            return judge.read([])
        keys = [(0, 0), *((f.position, 0) for f in findings if f.outcome is Outcome.SAME)]
        return judge.read(judge.logits(self.seen.embed(self.models, keys, judge.weights)).tolist())


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
