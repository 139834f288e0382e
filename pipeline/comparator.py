"""Compare the photos of one request with one head: gates, comparisons, gender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from pipeline.analysis import AnalysedFace, AnalysedPhoto, FaceKey, PhotoAnalysis
from pipeline.bundles.models import Models
from pipeline.faces.people import people
from pipeline.faces.quality import gate
from pipeline.faces.same_picture import agreement
from pipeline.faces.types import Embeddings
from pipeline.verdict import REFUSED, Comparison, Fault, GenderReading, Outcome, PhotoFinding, PhotoVerdict

CLOSE_CROP_COMPARISONS = 30
"""Two close crops have the threshold of the best of so many comparisons. Of `rmfd_crops`, thumbnails of 115
to 160 pixels, 0.4 % of the men's and 1.3 % of the women's impostor pairs pass at the approve threshold."""

SURE_GENDER: Final = 0.95
"""The probability from which a selfie's gender is not read from other photos as well."""
_CONFIRMATION_COMPARISONS: Final = 10
"""By this factor fewer false matches are allowed where a photo is compared with another gallery photo."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """An analysed photo, the finding so far, and the index of its main face."""

    analysed: AnalysedPhoto
    finding: PhotoFinding
    main: int = 0

    @property
    def key(self) -> FaceKey:
        """The key of the main face."""
        return self.finding.position, self.main

    @property
    def comparable(self) -> bool:
        """Whether it shows one person, who passed every gate."""
        return self.finding.outcome in (Outcome.USABLE, Outcome.NOT_COMPARED) and self.finding.solo

    @property
    def faces(self) -> list[FaceKey]:
        """All faces of the photo that the mesh confirms."""
        faces = enumerate(self.analysed.faces)
        return [(self.finding.position, number) for number, face in faces if face.real]


@dataclass(slots=True)
class Comparator:
    """One head and the photos of one request."""

    models: Models
    analysis: PhotoAnalysis
    _projected: dict[FaceKey, dict[str, Embeddings]] = field(default_factory=dict)
    """By face, (1, k) for each embedder."""
    _decided: dict[FaceKey, Comparison] = field(default_factory=dict)
    """By a gallery photo's main face, its comparison with the selfie's where the first stage decides it."""

    def subjects(self) -> list[Subject]:
        """The main person of each photo, the selfie's first, with the findings of the gates."""
        limits = self.models.params.quality
        persons = [
            [(position, number) for number in people(photo.faces, limits)]
            for position, photo in enumerate(self.analysis.photos)
        ]
        self.project([key for keys in persons if len(keys) > 1 for key in keys])
        return [
            self._subject(photo, self._without_repeats(keys))
            for photo, keys in zip(self.analysis.photos, persons, strict=True)
        ]

    def project(self, keys: Sequence[FaceKey]) -> None:
        """Embed and project these faces in one batch."""
        todo = [key for key in keys if key not in self._projected]
        if not todo:
            return
        scorer = self.models.params.scorer
        rows = scorer.project(self.analysis.embed(self.models, todo, scorer.towers))
        for row, key in enumerate(todo):
            self._projected[key] = {name: embeddings[row : row + 1] for name, embeddings in rows.items()}

    def compare_all(self, selfie: Subject, gallery: Sequence[Subject]) -> list[PhotoFinding]:
        """The findings of the gallery photos compared with the selfie, or so far as they can be compared."""
        found = [self._same_picture(selfie, photo) for photo in gallery]
        pairs = list(zip(gallery, found, strict=True))
        if selfie.comparable:
            compared = [(photo, finding) for photo, finding in pairs if self.compares(photo)]
            self._decide(selfie, [pair for pair in compared if pair[0].comparable])
            if undecided := [photo.key for photo, _ in compared if photo.key not in self._decided]:
                self.project([selfie.key, *undecided])
        return self.confirm(gallery, [self._compare(selfie, photo, finding) for photo, finding in pairs])

    def _decide(self, selfie: Subject, pairs: Sequence[tuple[Subject, PhotoFinding]]) -> None:
        """The first stage. Close crops have thresholds of their own and are left to the second one.

        Of a photo that is known to be a copy the scores need not tell it.
        """
        params = self.models.params
        whole = [(one.key, finding.replay) for one, finding in pairs if not self._close_crop(one.key)]
        if (stage := params.first_stage) is None or not whole or self._close_crop(selfie.key):
            return
        keys = [selfie.key, *(key for key, _ in whole)]
        embedded = self.analysis.embed(self.models, keys, [stage.embedder])[stage.embedder]
        own, *others = np.split(stage.project(params.scorer, embedded), len(embedded))
        for (key, replay), other in zip(whole, others, strict=True):
            replay_score = float("inf") if replay else params.replay.score
            if found := stage.compare(params.scorer, own, other, replay_score):
                self._decided[key] = found

    def _without_repeats(self, keys: Sequence[FaceKey]) -> Sequence[FaceKey]:
        """The faces without repeats of the first person, as in a collage or a mirror.

        A face is a repeat where its score with any face of that person reaches the approve threshold.
        """
        approve = self.models.params.scorer.thresholds.approve
        person, others = list(keys[:1]), list(keys[1:])
        for face in person:  # grows while it is read
            again = [key for key in others if self._score(face, key) >= approve]
            person += again
            others = [key for key in others if key not in again]
        return [*keys[:1], *others]

    def _subject(self, photo: AnalysedPhoto, persons: Sequence[FaceKey]) -> Subject:
        """The subject of a photo with no face, with several people, or with one person, who is gated."""
        if not photo.faces:
            return Subject(photo, photo.finding)
        main = persons[0][1] if persons else 0
        face = photo.faces[main]
        finding = replace(photo.finding, faces=max(len(persons), 1), box=face.box, landmarks=face.landmarks)
        if len(persons) > 1:
            return Subject(photo, _several_people(finding), main)
        usable = Outcome.USABLE if finding.position == 0 else Outcome.NOT_COMPARED
        quality = face.quality.as_dict() if face.quality else {}
        gated = self._gated(face, replace(finding, outcome=usable, fault=None, quality=quality))
        if persons or gated.outcome in REFUSED:
            return Subject(photo, gated, main)
        return Subject(photo, photo.finding)

    def _gated(self, face: AnalysedFace, finding: PhotoFinding) -> PhotoFinding:
        """The finding with the first gate that refuses the face.

        A face that is both too small and hidden counts as hidden, as it would in a larger photo.
        """
        if face.quality is None or face.occlusion is None:
            return finding
        params = self.models.params
        if refused := gate(face.quality, params.quality):
            finding = replace(finding, outcome=refused[0], gate=refused[1], fault=Fault.MEMBER)
        if finding.outcome not in REFUSED or finding.outcome is Outcome.FACE_TOO_SMALL:
            with self.analysis.stage("quality"):
                hidden = params.occlusion.gate(face.occlusion)
            if hidden is not None:
                finding = replace(finding, outcome=Outcome.OCCLUDED, fault=Fault.MEMBER, gate=hidden)
        return finding

    def _compare(self, selfie: Subject, photo: Subject, finding: PhotoFinding) -> PhotoFinding:
        group = finding.outcome is Outcome.MEMBER_NOT_SEEN
        if not selfie.comparable:
            return replace(finding, outcome=Outcome.NOT_COMPARED) if group else finding
        if self.compares(photo):
            finding = self._compare_one(selfie, photo, finding)
        if group or (finding.verdict is PhotoVerdict.CONTRADICTS and len(photo.faces) > 1):
            return self._search(selfie, photo, finding)
        return finding

    def confirm(self, photos: Sequence[Subject], findings: Sequence[PhotoFinding]) -> list[PhotoFinding]:
        """The findings, where unsure photos are compared with the verified ones as well.

        A person's score is higher with some of their own photos than with others. Impostors with a high
        score in one photo have high scores in others, so a tenth of the false-match rate is allowed. Of
        LFW's people with four photos 1.7 % had an unsure primary photo, and a third of those are verified
        this way. None of 4.1 million impostor pairs passed, nor of 5,170 East-Asian ones, of whom 0.25 %
        had at the full rate.
        """
        pairs = list(zip(photos, findings, strict=True))
        verified = [one for one, found in pairs if found.verdict is PhotoVerdict.VERIFIED]
        unsure = [one for one, found in pairs if found.outcome is Outcome.UNSURE]
        if verified and unsure:
            self.project([one.key for one in (*unsure, *verified)])
        return [
            self._confirm(photo, found, verified) if found.outcome is Outcome.UNSURE and verified else found
            for photo, found in pairs
        ]

    def _confirm(self, photo: Subject, finding: PhotoFinding, verified: Sequence[Subject]) -> PhotoFinding:
        best = max(verified, key=lambda one: self._score(one.key, photo.key))
        comparison = self._comparison(best.key, photo.key, _CONFIRMATION_COMPARISONS * (len(verified) + 1))
        if comparison.score < comparison.approve_threshold:
            return finding
        detail = f"compared with photo {best.finding.position}, which shows the person of the selfie"
        return replace(finding, outcome=Outcome.SAME, comparison=comparison, detail=detail)

    def compares(self, photo: Subject) -> bool:
        """Whether the photo's main face is compared with the selfie's, if only to find a different person."""
        refused = self.models.params.scorer.thresholds.refused
        return photo.comparable or (photo.finding.outcome in refused and photo.key in photo.faces)

    def _compare_one(self, selfie: Subject, photo: Subject, finding: PhotoFinding) -> PhotoFinding:
        """Compare two main faces. One that a gate refused keeps its outcome, but may contradict."""
        if decided := self._decided.get(photo.key):
            return replace(finding, outcome=solo_outcome(decided), comparison=decided)
        comparison, params = self._comparison(selfie.key, photo.key), self.models.params
        if not photo.comparable:
            threshold = params.scorer.thresholds.different_at(finding.outcome)
            return replace(finding, comparison=replace(comparison, different_threshold=threshold))
        replay = finding.replay or params.scorer.fused(comparison.cosines) >= params.replay.score
        return replace(finding, outcome=solo_outcome(comparison), comparison=comparison, replay=replay)

    def _same_picture(self, selfie: Subject, photo: Subject) -> PhotoFinding:
        """The finding of a photo, and whether it is a copy of the selfie's picture.

        A copy has the same bytes, nearly the same perceptual hash (also mirrored), or the fine structure of
        one of the selfie's faces.
        """
        mine, theirs = selfie.finding.hashes, photo.finding.hashes
        if mine is None or theirs is None:
            return photo.finding
        same_bytes = selfie.finding.sha256 == photo.finding.sha256
        nearest = min(own.differs(theirs.picture)[0] for own in (mine.picture, mine.mirror))
        limits = self.models.params.replay
        replay = same_bytes or nearest <= limits.hash_bits
        if not selfie.comparable or not photo.analysed.faces:
            return replace(photo.finding, replay=replay)
        agrees = self._agreement(selfie, photo)
        quality = {**photo.finding.quality, "same_picture": round(agrees, 4)}
        return replace(photo.finding, replay=replay or agrees >= limits.agreement, quality=quality)

    def _agreement(self, selfie: Subject, photo: Subject) -> float:
        """The best agreement between any face of the selfie and any face of the photo, gated or not."""
        with self.analysis.stage("same_picture"):
            mine, theirs = (
                [one.analysed.faces[number].structure for _, number in one.faces or [one.key]]
                for one in (selfie, photo)
            )
            return max(agreement(own, other) for own in mine for other in theirs)

    def _search(self, selfie: Subject, photo: Subject, finding: PhotoFinding) -> PhotoFinding:
        """Search all faces of the photo for the member."""
        self.project([selfie.key, *photo.faces])
        best = max(photo.faces, key=lambda key: self._score(selfie.key, key))
        comparison = self._comparison(selfie.key, best)
        if comparison.score < self.models.params.scorer.thresholds.approve_among(len(photo.faces)):
            return finding if finding.solo else replace(finding, comparison=comparison)
        face, persons = photo.analysed.faces[best[1]], max(finding.faces, 2)
        found = replace(finding, box=face.box, landmarks=face.landmarks, comparison=comparison)
        return replace(found, outcome=Outcome.GROUP_SAME, faces=persons)

    def _score(self, one: FaceKey, other: FaceKey) -> float:
        scorer = self.models.params.scorer
        return float(scorer.scores(self._projected[one], self._projected[other])[0])

    def _comparison(self, one: FaceKey, other: FaceKey, comparisons: int = 1) -> Comparison:
        """Compare two faces; ``comparisons`` is the factor by which false matches are more frequent.

        Two close crops have a higher approve threshold, and one close crop a lower different threshold.
        """
        scorer, crops = self.models.params.scorer, [self._close_crop(key) for key in (one, other)]
        comparisons *= CLOSE_CROP_COMPARISONS if all(crops) else 1
        comparison = scorer.compare(self._projected[one], self._projected[other], comparisons)
        if any(crops) and Outcome.TOO_BLURRED in scorer.thresholds.refused:
            return replace(
                comparison, different_threshold=scorer.thresholds.different_at(Outcome.TOO_BLURRED)
            )
        return comparison

    def _close_crop(self, key: FaceKey) -> bool:
        quality = self.analysis.photos[key[0]].faces[key[1]].quality
        return quality is not None and quality.close_crop

    def gender(
        self, selfie: Subject, photos: Sequence[Subject], findings: Sequence[PhotoFinding]
    ) -> GenderReading:
        """Read the gender from the selfie; where it is not sure, from the gallery faces that match it too."""
        if not selfie.comparable:
            return self.models.params.gender.read([])
        reading = self._gender([selfie.key])
        matching = [
            photo.key for photo, found in zip(photos, findings, strict=True) if found.outcome is Outcome.SAME
        ]
        if not matching or (reading.probability or 0.0) >= SURE_GENDER:
            return reading
        return self._gender([selfie.key, *matching])

    def _gender(self, keys: Sequence[FaceKey]) -> GenderReading:
        head = self.models.params.gender
        return head.read(head.logits(self.analysis.embed(self.models, keys, head.weights)).tolist())


def solo_outcome(comparison: Comparison) -> Outcome:
    """The outcome of comparing two single faces."""
    if comparison.score >= comparison.approve_threshold:
        return Outcome.SAME
    return Outcome.DIFFERENT if comparison.score < comparison.different_threshold else Outcome.UNSURE


def _several_people(finding: PhotoFinding) -> PhotoFinding:
    """The finding of several people: the member's fault in a selfie, in the gallery nobody's so far."""
    if finding.position == 0:
        return replace(finding, outcome=Outcome.SEVERAL_FACES)
    return replace(finding, outcome=Outcome.MEMBER_NOT_SEEN, fault=None)
