"""What is in the photos of one job before anybody judges it: faces, cut out for the networks, and vectors.

Of a photo only what the networks want of its faces is kept, so that a job of many large photos needs
the memory of one. Several heads can judge what was seen and embedded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from pipeline.embedder import LiteRtEmbedder
from pipeline.errors import ImageError
from pipeline.images import Picture, decode
from pipeline.models import Models
from pipeline.occlusion import Features, occlusion_features
from pipeline.ports import Detection, Face, Rgb, Vectors
from pipeline.quality import Quality, measure
from pipeline.verdict import Box, Fault, NotFetched, Outcome, PhotoFinding

PhotoInput = bytes | NotFetched
FaceKey = tuple[int, int]
"""A photo's position and the number of the face in it, the largest is 0."""

SECOND_FACE = 0.5
"""A face whose side is more than this share of the largest one's is a second person, not a bystander."""
MOST_FACES = 10
"""So many faces of a group photo are compared, the largest first; a crowd costs no more."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrops:
    """A face as each embedder wants to see it."""

    box: Box
    crops: Mapping[LiteRtEmbedder, Rgb]


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A photo that was looked at. ``faces`` are those worth comparing, the largest first.

    The outcome of ``finding`` is final where there is no face or there are several; one face is
    `USABLE` (selfie) or `NOT_COMPARED` until it was held against the gates of a head.
    """

    finding: PhotoFinding
    faces: tuple[FaceCrops, ...] = ()
    hashes: tuple[int, int] | None = None
    """Perceptual hashes of the picture and of its mirror image."""
    quality: Quality | None = None
    """Of the one face that counts."""
    occlusion: Features | None = None
    """Likewise."""

    @property
    def comparable(self) -> bool:
        """One face that passed every gate so far."""
        return self.finding.outcome in (Outcome.USABLE, Outcome.NOT_COMPARED) and self.finding.solo


@dataclass(slots=True)
class Seen:
    """The photos of one job, the selfie's first, and what has been computed of their faces."""

    sights: list[Sight] = field(default_factory=list)
    clock: Callable[[], float] = perf_counter
    """Seconds; what the timings are read from."""
    timings: dict[str, float] = field(default_factory=dict)
    """Milliseconds by stage."""
    _vectors: dict[tuple[LiteRtEmbedder, FaceKey], Vectors] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds what happens inside to the timing of this name."""
        start = self.clock()
        yield
        self.timings[name] = self.timings.get(name, 0.0) + (self.clock() - start) * 1000

    def embed(self, models: Models, keys: Sequence[FaceKey], names: Iterable[str]) -> dict[str, Vectors]:
        """(n, d) for each of these embedders, not projected.

        An embedder sees a face once, in a batch with others.
        """
        return {name: self._embed(name, models.embedders[name], keys) for name in names}

    def _embed(self, name: str, embedder: LiteRtEmbedder, keys: Sequence[FaceKey]) -> Vectors:
        todo = [key for key in keys if (embedder, key) not in self._vectors]
        crops = [self.sights[position].faces[number].crops[embedder] for position, number in todo]
        with self.stage(f"embed_{name}"):
            rows = embedder.embed(crops)
        self._vectors.update(((embedder, key), row[None]) for key, row in zip(todo, rows, strict=True))
        return np.concatenate([self._vectors[embedder, key] for key in keys])


def look(
    heads: Sequence[Models],
    selfie: PhotoInput,
    photos: Sequence[PhotoInput],
    clock: Callable[[], float] = perf_counter,
) -> Seen:
    """Decode every photo, one after the other, and cut the faces out for all ``heads`` that are to judge.

    The first one's detector and mesh look. Never raises on account of what is in a photo.
    """
    seen = Seen(clock=clock)
    seen.sights += [_look(heads, seen, position, photo) for position, photo in enumerate([selfie, *photos])]
    return seen


def _look(heads: Sequence[Models], seen: Seen, position: int, photo: PhotoInput) -> Sight:
    if isinstance(photo, NotFetched):
        return Sight(_missing(position, photo))
    try:
        with seen.stage("decode"):
            picture = decode(photo)
    except ImageError as error:
        detail = f"{type(error).__name__}: {error}"
        return Sight(PhotoFinding(position, Outcome.INVALID_IMAGE, Fault.MEMBER, detail=detail))
    with seen.stage("detect"):
        detection = heads[0].detector.detect(picture.rgb)
    with seen.stage("quality"):
        finding, quality = _count_faces(position, picture, detection)
        occlusion = occlusion_features(detection.rgb, detection.faces[0]) if quality else None
    faces = tuple(_cut_out(heads, seen, detection.rgb, face) for face in detection.faces[:MOST_FACES])
    return Sight(finding, faces, picture.hashes, quality, occlusion)


def _cut_out(heads: Sequence[Models], seen: Seen, rgb: Rgb, face: Face) -> FaceCrops:
    """The face by its mesh, once for each embedder that any of the heads asks."""
    with seen.stage("mesh"):
        refined = heads[0].mesh.refine(rgb, face)
    asked = {models.embedders[name] for models in heads for name in models.judges.dimensions}
    with seen.stage("align"):
        return FaceCrops(face.box, {embedder: embedder.crop(rgb, refined) for embedder in asked})


def _count_faces(
    position: int, picture: Picture, detection: Detection
) -> tuple[PhotoFinding, Quality | None]:
    """No face, several, or one with what can be said of it."""
    finding = PhotoFinding(position, Outcome.NO_FACE, Fault.MEMBER, sha256=picture.sha256)
    if not detection.faces:
        return finding, None
    largest = detection.faces[0]
    people = sum(face.box.side > SECOND_FACE * largest.box.side for face in detection.faces)
    finding = replace(finding, faces=people, box=largest.box)
    if people > 1:
        return _several(finding), None
    quality = measure(detection.rgb, largest, picture.scale)
    usable = Outcome.USABLE if position == 0 else Outcome.NOT_COMPARED
    return replace(finding, outcome=usable, fault=None, quality=quality.as_dict()), quality


def _missing(position: int, photo: NotFetched) -> PhotoFinding:
    return PhotoFinding(
        position, Outcome.NOT_FETCHED, photo.fault, fetch_problem=photo.problem, detail=photo.detail
    )


def _several(finding: PhotoFinding) -> PhotoFinding:
    """Wrong in a selfie; in the gallery nobody's fault, and the member is still to be looked for."""
    if finding.position == 0:
        return replace(finding, outcome=Outcome.SEVERAL_FACES)
    return replace(finding, outcome=Outcome.MEMBER_NOT_SEEN, fault=None)
