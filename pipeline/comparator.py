"""Holds the photos of one job against each other with one head: gates, comparisons, gender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pipeline.analysis import FaceKey, Seen, SeenFace, Sight
from pipeline.bundles.models import Models
from pipeline.faces.people import people
from pipeline.faces.quality import gate
from pipeline.faces.same_picture import agreement
from pipeline.faces.types import Vectors
from pipeline.verdict import REFUSED, Comparison, Fault, GenderReading, Outcome, PhotoFinding, PhotoVerdict

CLOSE_CROPS = 30
"""As if so many faces had been compared where both photos are close crops. Of `rmfd_crops`, thumbnails of
115 to 160 pixels, 0.4 % of the men's and 1.3 % of the women's impostor pairs pass at the approve edge."""

_SURER: Final = 10
"""By so much fewer false matches are taken where a photo is not held against the selfie itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A photo, what is found in it so far, and the number of the face that it is about."""

    sight: Sight
    finding: PhotoFinding
    main: int = 0

    @property
    def key(self) -> FaceKey:
        """Where the face is found."""
        return self.finding.position, self.main

    @property
    def comparable(self) -> bool:
        """One person, who passed every gate."""
        return self.finding.outcome in (Outcome.USABLE, Outcome.NOT_COMPARED) and self.finding.solo

    @property
    def faces(self) -> list[FaceKey]:
        """All faces of the photo that are faces for sure."""
        seen = enumerate(self.sight.faces)
        return [(self.finding.position, number) for number, face in seen if face.real]


@dataclass(slots=True)
class Comparator:
    """One head and what it has said so far about the photos of one job."""

    models: Models
    seen: Seen
    _projected: dict[FaceKey, dict[str, Vectors]] = field(default_factory=dict)
    """(1, k) of each embedder, ready to be compared."""

    def subjects(self) -> list[Subject]:
        """Whom each photo is about, the selfie's first. Faces that cannot be judged are refused."""
        limits = self.models.judges.quality
        persons = [
            [(position, number) for number in people(sight.faces, limits)]
            for position, sight in enumerate(self.seen.sights)
        ]
        self.project([key for keys in persons if len(keys) > 1 for key in keys])
        return [
            self._subject(sight, self._without_repeats(keys))
            for sight, keys in zip(self.seen.sights, persons, strict=True)
        ]

    def project(self, keys: Sequence[FaceKey]) -> None:
        """Embed these faces in one batch and make them ready to be compared."""
        todo = [key for key in keys if key not in self._projected]
        if not todo:
            return
        scorer = self.models.judges.scorer
        rows = scorer.project(self.seen.embed(self.models, todo, scorer.towers))
        for row, key in enumerate(todo):
            self._projected[key] = {name: vectors[row : row + 1] for name, vectors in rows.items()}

    def _without_repeats(self, keys: Sequence[FaceKey]) -> Sequence[FaceKey]:
        """A person who is there several times, in a collage or a mirror, counts once.

        A face is the main one's again if it is as alike to any face of that person as an approval needs.
        """
        approve = self.models.judges.scorer.edges.approve
        person, others = list(keys[:1]), list(keys[1:])
        for face in person:  # grows while it is read
            again = [key for key in others if self._score(face, key) >= approve]
            person += again
            others = [key for key in others if key not in again]
        return [*keys[:1], *others]

    def _subject(self, sight: Sight, persons: Sequence[FaceKey]) -> Subject:
        """No face, several people, or one who is held against the gates."""
        if not sight.faces:
            return Subject(sight, sight.finding)
        main = persons[0][1] if persons else 0
        face = sight.faces[main]
        finding = replace(sight.finding, faces=max(len(persons), 1), box=face.face.box)
        if len(persons) > 1:
            return Subject(sight, _several(finding), main)
        usable = Outcome.USABLE if finding.position == 0 else Outcome.NOT_COMPARED
        quality = face.quality.as_dict() if face.quality else {}
        gated = self._gated(face, replace(finding, outcome=usable, fault=None, quality=quality))
        if persons or gated.outcome in REFUSED:
            return Subject(sight, gated, main)
        return Subject(sight, sight.finding)

    def _gated(self, face: SeenFace, finding: PhotoFinding) -> PhotoFinding:
        """A face that is too small, too dark, blurred, turned away or hidden is not judged.

        A face that is too small and hidden as well is called hidden: in a larger photo it would
        still be.
        """
        if face.quality is None or face.occlusion is None:
            return finding
        judges = self.models.judges
        if refused := gate(face.quality, judges.quality):
            finding = replace(finding, outcome=refused[0], gate=refused[1], fault=Fault.MEMBER)
        if finding.outcome not in REFUSED or finding.outcome is Outcome.FACE_TOO_SMALL:
            with self.seen.stage("quality"):
                hidden = judges.occlusion.gate(face.occlusion)
            if hidden is not None:
                finding = replace(finding, outcome=Outcome.OCCLUDED, fault=Fault.MEMBER, gate=hidden)
        return finding

    def compare(self, selfie: Subject, photo: Subject) -> PhotoFinding:
        """A gallery photo against a selfie; what was found so far where neither can be compared."""
        finding = self._same_picture(selfie, photo)
        group = finding.outcome is Outcome.MEMBER_NOT_SEEN
        if not selfie.comparable:
            return replace(finding, outcome=Outcome.NOT_COMPARED) if group else finding
        if self.compares(photo):
            finding = self._compare_one(selfie, photo, finding)
        if group or (finding.verdict is PhotoVerdict.CONTRADICTS and len(photo.faces) > 1):
            return self._search(selfie, photo, finding)
        return finding

    def confirm(self, photos: Sequence[Subject], findings: Sequence[PhotoFinding]) -> list[PhotoFinding]:
        """The findings, where a doubtful photo is held against those that surely show the member.

        A person is more alike to some of their own photos than to others. Two people who are alike in one
        photo are alike in others, so that a tenth of the false-match rate is asked: of LFW's people with
        four photos 1.7 % had a doubtful primary photo, and a third of those are told so. No stranger of
        4.1 million passed by it, nor of 5,170 East-Asian pairs, of whom 0.25 % had at the rate itself.
        """
        sure = [
            one for one, found in zip(photos, findings, strict=True) if found.verdict is PhotoVerdict.VERIFIED
        ]
        return [
            self._confirm(photo, found, sure) if found.outcome is Outcome.UNSURE and sure else found
            for photo, found in zip(photos, findings, strict=True)
        ]

    def _confirm(self, photo: Subject, finding: PhotoFinding, sure: Sequence[Subject]) -> PhotoFinding:
        best = max(sure, key=lambda one: self._score(one.key, photo.key))
        comparison = self._comparison(best.key, photo.key, _SURER * (len(sure) + 1))
        if comparison.score < comparison.approve_edge:
            return finding
        detail = f"compared with photo {best.finding.position}, which shows the person of the selfie"
        return replace(finding, outcome=Outcome.SAME, comparison=comparison, detail=detail)

    def compares(self, photo: Subject) -> bool:
        """Whether the photo's one face is held against the selfie's, be it to tell a stranger alone."""
        refused = self.models.judges.scorer.edges.refused
        return photo.comparable or (photo.finding.outcome in refused and photo.key in photo.faces)

    def _compare_one(self, selfie: Subject, photo: Subject, finding: PhotoFinding) -> PhotoFinding:
        """Face against face. One that a gate refused keeps that outcome, and may be a stranger's."""
        comparison, judges = self._comparison(selfie.key, photo.key), self.models.judges
        if not photo.comparable:
            edge = judges.scorer.edges.different_at(finding.outcome)
            return replace(finding, comparison=replace(comparison, different_edge=edge))
        replay = finding.replay or judges.scorer.fused(comparison.cosines) >= judges.replay.score
        return replace(finding, outcome=solo_outcome(comparison), comparison=comparison, replay=replay)

    def _same_picture(self, selfie: Subject, photo: Subject) -> PhotoFinding:
        """What was found in the photo, and whether it is the selfie's picture.

        The same bytes, a near copy by its perceptual hash, also of the mirror image, or any face of
        the selfie edited.
        """
        if selfie.sight.hashes is None or photo.sight.hashes is None:
            return photo.finding
        same_bytes = selfie.finding.sha256 == photo.finding.sha256
        nearest = min((own ^ photo.sight.hashes[0]).bit_count() for own in selfie.sight.hashes)
        limits = self.models.judges.replay
        replay = same_bytes or nearest <= limits.hash_bits
        if not selfie.comparable or not photo.sight.faces:
            return replace(photo.finding, replay=replay)
        agrees = self._agreement(selfie, photo)
        quality = {**photo.finding.quality, "same_picture": round(agrees, 4)}
        return replace(photo.finding, replay=replay or agrees >= limits.agreement, quality=quality)

    def _agreement(self, selfie: Subject, photo: Subject) -> float:
        """Of the selfie's face and the photo's face that agree best, one that a gate refuses too."""
        with self.seen.stage("same_picture"):
            mine, theirs = (
                [one.sight.faces[number].structure for _, number in one.faces or [one.key]]
                for one in (selfie, photo)
            )
            return max(agreement(own, other) for own in mine for other in theirs)

    def _search(self, selfie: Subject, photo: Subject, finding: PhotoFinding) -> PhotoFinding:
        """Look for the member among several faces, or among bystanders of somebody else's face."""
        self.project(photo.faces)
        best = max(photo.faces, key=lambda key: self._score(selfie.key, key))
        comparison = self._comparison(selfie.key, best)
        if comparison.score < self.models.judges.scorer.edges.approve_among(len(photo.faces)):
            return finding if finding.solo else replace(finding, comparison=comparison)
        box, persons = photo.sight.faces[best[1]].face.box, max(finding.faces, 2)
        return replace(finding, outcome=Outcome.GROUP_SAME, faces=persons, box=box, comparison=comparison)

    def _score(self, one: FaceKey, other: FaceKey) -> float:
        scorer = self.models.judges.scorer
        return float(scorer.scores(self._projected[one], self._projected[other])[0])

    def _comparison(self, one: FaceKey, other: FaceKey, chances: int = 1) -> Comparison:
        """Close crops approve less, where both photos are such, and accuse less, where one is.

        ``chances`` is how many times as often strangers would match for another reason.
        """
        scorer, crops = self.models.judges.scorer, [self._close_crop(key) for key in (one, other)]
        chances *= CLOSE_CROPS if all(crops) else 1
        comparison = scorer.compare(self._projected[one], self._projected[other], chances)
        if any(crops) and Outcome.TOO_BLURRED in scorer.edges.refused:
            return replace(comparison, different_edge=scorer.edges.different_at(Outcome.TOO_BLURRED))
        return comparison

    def _close_crop(self, key: FaceKey) -> bool:
        quality = self.seen.sights[key[0]].faces[key[1]].quality
        return quality is not None and quality.close_crop

    def gender(
        self, selfie: Subject, photos: Sequence[Subject], findings: Sequence[PhotoFinding]
    ) -> GenderReading:
        """From the selfie and the gallery faces that match it."""
        judge = self.models.judges.gender
        if not selfie.comparable:
            return judge.read([])
        pairs = zip(photos, findings, strict=True)
        keys = [selfie.key, *(photo.key for photo, found in pairs if found.outcome is Outcome.SAME)]
        return judge.read(judge.logits(self.seen.embed(self.models, keys, judge.weights)).tolist())


def solo_outcome(comparison: Comparison) -> Outcome:
    """Where a comparison of two single faces lies against the edges."""
    if comparison.score >= comparison.approve_edge:
        return Outcome.SAME
    return Outcome.DIFFERENT if comparison.score < comparison.different_edge else Outcome.UNSURE


def _several(finding: PhotoFinding) -> PhotoFinding:
    """Wrong in a selfie; in the gallery nobody's fault, and the member is still to be looked for."""
    if finding.position == 0:
        return replace(finding, outcome=Outcome.SEVERAL_FACES)
    return replace(finding, outcome=Outcome.MEMBER_NOT_SEEN, fault=None)
