"""Analyse the photos of one request: faces, their crops for the networks, and embeddings.

Of a photo only the crops of its faces are kept, so that a request with many large photos needs the memory
of one. Several heads can judge one analysis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from pipeline.bundles.models import Models
from pipeline.errors import DecodeBudgetSpent, ImageError, PipelineError
from pipeline.faces.embedder import Embedder
from pipeline.faces.people import ObservedFace, large_enough, observe, refine
from pipeline.faces.places import box_in_photo, landmarks_in_photo
from pipeline.faces.same_picture import Structure, fine_structure
from pipeline.faces.types import Detection, Embeddings, Rgb
from pipeline.images.decode import Picture, decode
from pipeline.images.limits import DecodeBudget
from pipeline.verdict import Box, Fault, Landmarks, NotFetched, Outcome, Photo, PhotoFinding

FaceKey = tuple[int, int]
"""A photo's position, and the index of a face in it; the largest face has index 0."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AnalysedFace(ObservedFace):
    """A face with its crops for the embedders and its fine structure."""

    crops: Mapping[str, Rgb]
    """By `Embedder.cut`."""
    structure: Structure
    box: Box
    landmarks: Landmarks
    """Both in pixels of the photo as `decode` gives it, however the detector turned it."""


@dataclass(frozen=True, slots=True, eq=False)
class AnalysedPhoto:
    """A photo and its faces, the largest first. Without a face the outcome of ``finding`` is final."""

    finding: PhotoFinding
    faces: tuple[AnalysedFace, ...] = ()


@dataclass(slots=True)
class PhotoAnalysis:
    """The photos of one request, the selfie first, and the embeddings computed so far."""

    photos: list[AnalysedPhoto] = field(default_factory=list)
    clock: Callable[[], float] = perf_counter
    """Gives seconds, for the timings."""
    timings: dict[str, float] = field(default_factory=dict)
    """Milliseconds by stage."""
    _embeddings: dict[tuple[Embedder, FaceKey], Embeddings] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to the timing of this name."""
        start = self.clock()
        yield
        self.timings[name] = self.timings.get(name, 0.0) + (self.clock() - start) * 1000

    def embed(self, models: Models, keys: Sequence[FaceKey], names: Iterable[str]) -> dict[str, Embeddings]:
        """(n, d) for each of these embedders, not projected. Each face is embedded once, in a batch."""
        return {name: self._embed(name, models.embedders[name], keys) for name in names}

    def _embed(self, name: str, embedder: Embedder, keys: Sequence[FaceKey]) -> Embeddings:
        todo = [key for key in keys if (embedder, key) not in self._embeddings]
        crops = [self.photos[position].faces[number].crops[embedder.cut] for position, number in todo]
        with self.stage(f"embed_{name}"):
            rows = embedder.embed(crops)
        self._embeddings.update(((embedder, key), row[None]) for key, row in zip(todo, rows, strict=True))
        return np.concatenate([self._embeddings[embedder, key] for key in keys])


def analyse(
    heads: Sequence[Models],
    selfie: Photo,
    photos: Sequence[Photo],
    clock: Callable[[], float] = perf_counter,
    budget: DecodeBudget | None = None,
) -> PhotoAnalysis:
    """Decode every photo and cut the faces out for all ``heads`` that are to judge.

    Detector and mesh are those of the first head. The selfie is decoded first, then the photos in their
    order; a photo for which the ``budget`` for decoding has too little left is not decoded, and its finding
    says so. Never raises because of what is in a photo.
    """
    analysis, budget = PhotoAnalysis(clock=clock), budget or DecodeBudget()
    analysis.photos += [
        _analyse_photo(heads, analysis, budget, position, photo)
        for position, photo in enumerate([selfie, *photos])
    ]
    return analysis


def _analyse_photo(
    heads: Sequence[Models], analysis: PhotoAnalysis, budget: DecodeBudget, position: int, photo: Photo
) -> AnalysedPhoto:
    if isinstance(photo, NotFetched):
        return AnalysedPhoto(PhotoFinding.not_fetched(position, photo))
    try:
        picture, detection = _detected(heads[0], analysis, budget, photo)
    except (ImageError, DecodeBudgetSpent) as error:
        return AnalysedPhoto(_not_decoded(position, error))
    with analysis.stage("mesh"):
        found = refine(heads[0].mesh, detection.rgb, detection.faces)
    with analysis.stage("quality"):
        observed = observe(detection.rgb, found, picture.scale)
    embedders = {models.embedders[name] for models in heads for name in models.params.dimensions}
    faces = tuple(_analyse_face(embedders, analysis, picture, detection, one) for one in observed)
    finding = PhotoFinding(
        position, Outcome.NO_FACE, Fault.MEMBER, sha256=picture.sha256, hashes=picture.hashes
    )
    return AnalysedPhoto(finding, faces)


def _detected(
    models: Models, analysis: PhotoAnalysis, budget: DecodeBudget, data: bytes
) -> tuple[Picture, Detection]:
    """The photo and its faces: decoded small where that is enough for them, else at its usual size.

    Raises ImageError and DecodeBudgetSpent.
    """
    picture, detection = _look(models, analysis, budget, data, small=True)
    if picture.places == 1 or large_enough(detection.faces):
        return picture, detection
    return _look(models, analysis, budget, data, small=False)


def _look(
    models: Models, analysis: PhotoAnalysis, budget: DecodeBudget, data: bytes, *, small: bool
) -> tuple[Picture, Detection]:
    with analysis.stage("decode"):
        picture = decode(data, budget=budget, small=small)
    with analysis.stage("detect"):
        return picture, models.detector.detect(picture.rgb)


def _analyse_face(
    embedders: Iterable[Embedder],
    analysis: PhotoAnalysis,
    picture: Picture,
    detection: Detection,
    one: ObservedFace,
) -> AnalysedFace:
    with analysis.stage("align"):
        each = {embedder.cut: embedder for embedder in embedders}
        crops = {cut: embedder.crop(detection.rgb, one.face) for cut, embedder in each.items()}
    with analysis.stage("same_picture"):
        structure = fine_structure(detection.rgb, one.face)
    return AnalysedFace(
        one.face,
        one.cut_off,
        one.quality,
        one.occlusion,
        crops=crops,
        structure=structure,
        box=box_in_photo(detection, one.face, picture.places),
        landmarks=landmarks_in_photo(detection, one.face, picture.places),
    )


def _not_decoded(position: int, error: PipelineError) -> PhotoFinding:
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, ImageError):
        return PhotoFinding(position, Outcome.INVALID_IMAGE, Fault.MEMBER, detail=detail)
    return PhotoFinding(position, Outcome.NOT_COMPARED, Fault.OURS, detail=detail)
