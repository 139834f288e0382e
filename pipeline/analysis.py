"""What is in the photos of one job before anybody judges it: faces, cut out for the networks, and vectors.

Of a photo only what the networks want of its faces is kept, so that a job of many large photos needs
the memory of one. Several heads can judge what was seen and embedded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from pipeline.bundles.models import Models
from pipeline.errors import DecodeBudgetSpent, ImageError, PipelineError
from pipeline.faces.embedder import LiteRtEmbedder
from pipeline.faces.people import Observed, observe, refine
from pipeline.faces.same_picture import Structure, fine_structure
from pipeline.faces.types import Rgb, Vectors
from pipeline.images.decode import decode
from pipeline.images.limits import DecodeBudget
from pipeline.verdict import Fault, NotFetched, Outcome, PhotoFinding

PhotoInput = bytes | NotFetched
FaceKey = tuple[int, int]
"""A photo's position and the number of the face in it, the largest is 0."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SeenFace(Observed):
    """A face, how each embedder wants to see it, and what tells this picture from others of it."""

    crops: Mapping[LiteRtEmbedder, Rgb]
    structure: Structure


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A photo that was looked at. ``faces`` are those worth comparing, the largest first.

    The outcome of ``finding`` is final where there is no face, until a head has said which of the
    faces count.
    """

    finding: PhotoFinding
    faces: tuple[SeenFace, ...] = ()
    hashes: tuple[int, int] | None = None
    """Perceptual hashes of the picture and of its mirror image."""


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
    budget: DecodeBudget | None = None,
) -> Seen:
    """Decode every photo, one after the other, and cut the faces out for all ``heads`` that are to judge.

    The first one's detector and mesh look. A photo for which the job's ``budget`` for decoding has not
    enough left is not looked at, and its finding says so; the selfie is served first, then the photos in
    their order. Never raises on account of what is in a photo.
    """
    seen, budget = Seen(clock=clock), budget or DecodeBudget()
    seen.sights += [
        _look(heads, seen, budget, position, photo) for position, photo in enumerate([selfie, *photos])
    ]
    return seen


def _look(
    heads: Sequence[Models], seen: Seen, budget: DecodeBudget, position: int, photo: PhotoInput
) -> Sight:
    if isinstance(photo, NotFetched):
        return Sight(_missing(position, photo))
    try:
        with seen.stage("decode"):
            picture = decode(photo, budget=budget)
    except (ImageError, DecodeBudgetSpent) as error:
        return Sight(_not_decoded(position, error))
    with seen.stage("detect"):
        detection = heads[0].detector.detect(picture.rgb)
    with seen.stage("mesh"):
        found = refine(heads[0].mesh, detection.rgb, detection.faces)
    with seen.stage("quality"):
        observed = observe(detection.rgb, found, picture.scale)
    asked = {models.embedders[name] for models in heads for name in models.judges.dimensions}
    faces = tuple(_cut_out(asked, seen, detection.rgb, one) for one in observed)
    finding = PhotoFinding(position, Outcome.NO_FACE, Fault.MEMBER, sha256=picture.sha256)
    return Sight(finding, faces, picture.hashes)


def _cut_out(embedders: Iterable[LiteRtEmbedder], seen: Seen, rgb: Rgb, one: Observed) -> SeenFace:
    with seen.stage("align"):
        crops = {embedder: embedder.crop(rgb, one.face) for embedder in embedders}
    with seen.stage("same_picture"):
        structure = fine_structure(rgb, one.face)
    return SeenFace(one.face, one.cut_off, one.quality, one.occlusion, crops=crops, structure=structure)


def _not_decoded(position: int, error: PipelineError) -> PhotoFinding:
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, ImageError):
        return PhotoFinding(position, Outcome.INVALID_IMAGE, Fault.MEMBER, detail=detail)
    return PhotoFinding(position, Outcome.NOT_COMPARED, Fault.OURS, detail=detail)


def _missing(position: int, photo: NotFetched) -> PhotoFinding:
    return PhotoFinding(
        position, Outcome.NOT_FETCHED, photo.fault, fetch_problem=photo.problem, detail=photo.detail
    )
