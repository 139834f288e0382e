"""Measure the time of a verification, and compare this product with others on the same pairs.

The others are an extra (`pipeline/requirements-peers.txt`) and are imported only here.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import resource
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageOps

from pipeline.analysis import analyse
from pipeline.bundles.models import Models
from pipeline.datasets.data import Pair
from pipeline.datasets.embeddings import find_main_face, main_face
from pipeline.errors import DataError, ImageError, PeerMissing
from pipeline.faces.types import Doubles, Embeddings, Face, Flags, Rgb, Scores
from pipeline.first_stage import FirstStage
from pipeline.fitting import metrics
from pipeline.images.decode import decode
from pipeline.score import Scorer
from pipeline.terminal import track
from pipeline.verdict import Box, Verdict
from pipeline.verify import judge

SIZE = (1280, 960)
"""Of a photo: that of a phone's picture after an app has reduced it."""
PORTRAIT = "astronaut.png"
QUALITY = 90
Verify = Callable[[bytes, bytes], Verdict]
FaceDescription = Any
"""A verifier's representation of a face."""

MISSING = "a peer is missing: pip install --no-deps -r pipeline/requirements-peers.txt"


def two_photos() -> tuple[bytes, bytes]:
    """Two JPEGs of 1280x960 of one person, made of scikit-image's public-domain portrait.

    The second is mirrored and a little smaller: another file, and for the networks another face.
    `pipeline.faces.same_picture` takes it for a copy, which is its slowest case. Raises DataError without
    scikit-image.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DataError("the portrait is in scikit-image, which is not installed: name two photos")
    portrait = Image.open(Path(spec.origin).parent / "data" / PORTRAIT).convert("RGB")
    return _photo(portrait, 960), _photo(ImageOps.mirror(portrait), 800)


def _photo(portrait: Image.Image, height: int) -> bytes:
    """The portrait, ``height`` pixels high, in the middle of a photo of `SIZE`."""
    photo, side = Image.new("RGB", SIZE, (90, 100, 110)), (height, height)
    scaled = portrait.resize(side, Image.Resampling.LANCZOS)
    photo.paste(scaled, ((SIZE[0] - height) // 2, SIZE[1] - height))
    packed = io.BytesIO()
    photo.save(packed, "JPEG", quality=QUALITY)
    return packed.getvalue()


def bench(models: Models, selfie: bytes, photo: bytes, rounds: int) -> dict[str, Any]:
    """Milliseconds of processor time of every stage and of the whole, over ``rounds``, and on the clock.

    With the networks that compared, and the process's most memory; JSON.

    Raises DataError where a photo shows no face that can be compared.
    """

    def verify_two(one: bytes, other: bytes) -> Verdict:
        return judge(models, analyse([models], one, [other], process_time))

    return measure(verify_two, selfie, photo, rounds)


def measure(verify_two: Verify, selfie: bytes, photo: bytes, rounds: int) -> dict[str, Any]:
    """The same for any verification; a first round, for warming up, is not counted."""
    comparison = verify_two(selfie, photo).photos[0].comparison
    if comparison is None:
        raise DataError("the photos show no two faces that can be compared")
    totals: list[float] = []
    walls: list[float] = []
    stages: list[dict[str, float]] = []
    for _ in track(range(rounds), rounds, "verifying"):
        started, clock = process_time(), perf_counter()
        verdict = verify_two(selfie, photo)
        totals.append((process_time() - started) * 1000)
        walls.append((perf_counter() - clock) * 1000)
        stages.append(dict(verdict.timings))
    by_stage = {name: quartiles([timings.get(name, 0.0) for timings in stages]) for name in stages[0]}
    return {
        "rounds": rounds,
        "milliseconds": {**by_stage, "all": quartiles(totals)},
        "wall": quartiles(walls),
        "networks": sorted(comparison.cosines),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


class Verifier(Protocol):
    """Tells whether two photos show one person."""

    @property
    def name(self) -> str:
        """For tables."""

    @property
    def threshold(self) -> float:
        """The score from which two faces are the same by default."""

    def describe(self, rgb: Rgb) -> FaceDescription | None:
        """The main face of a decoded photo; None where none is found."""

    def score(self, one: FaceDescription, other: FaceDescription) -> float:
        """A higher score means more similar faces."""


@dataclass(slots=True, eq=False)
class _Embedded:
    """A face with what is known of it so far."""

    crops: dict[str, Rgb]
    fast: Embeddings | None
    """(1, k) of the first stage; None for heads without one."""
    projected: dict[str, Embeddings] | None = None
    """(1, k) by tower, once they are needed."""


@dataclass(frozen=True, slots=True)
class Ours:
    """The product's path from photo to score: by the first stage where it decides, else by all networks."""

    models: Models
    scorer: Scorer
    first_stage: FirstStage | None
    name: str = "ours"

    @property
    def threshold(self) -> float:
        """The approve threshold."""
        return self.scorer.thresholds.approve

    def describe(self, rgb: Rgb) -> _Embedded | None:
        """The main face, as the labels mean it."""
        found = find_main_face(self.models, rgb)
        if found is None:
            return None
        upright, face = found
        refined = self.models.mesh.refine(upright, face)
        crops = {name: self.models.embedders[name].crop(upright, refined) for name in self._names()}
        if self.first_stage is None:
            return _Embedded(crops, None)
        embedder = self.models.embedders[self.first_stage.embedder]
        fast = embedder.embed([crops[self.first_stage.embedder]])
        return _Embedded(crops, self.first_stage.project(self.scorer, fast))

    def score(self, one: _Embedded, other: _Embedded) -> float:
        if self.first_stage and one.fast is not None and other.fast is not None:
            decided = self.first_stage.compare(self.scorer, one.fast, other.fast, np.inf)
            if decided is not None:
                return decided.score
        return float(self.scorer.scores(self._projected(one), self._projected(other))[0])

    def _names(self) -> set[str]:
        return {*self.scorer.towers, *([self.first_stage.embedder] if self.first_stage else ())}

    def _projected(self, face: _Embedded) -> dict[str, Embeddings]:
        if face.projected is None:
            embedders = self.models.embedders
            rows = {name: embedders[name].embed([face.crops[name]]) for name in self.scorer.towers}
            face.projected = self.scorer.project(rows)
        return face.projected


class FaceRecognition:
    """`face_recognition` 1.3.0 with its defaults: HOG detector, five landmarks, dlib's network."""

    name = "face_recognition (dlib)"
    threshold = -0.6
    """Its `tolerance`, a distance, negated."""

    def __init__(self) -> None:
        """Raises PeerMissing."""
        dlib, models = _import("dlib"), _folder("face_recognition_models") / "models"
        self._detector = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(
            str(models / "dlib_face_recognition_resnet_model_v1.dat")
        )

    def describe(self, rgb: Rgb) -> Doubles | None:
        """(128,) of the face that `main_face` chooses among those that dlib finds."""
        found = self._detector(rgb, 1)
        if not found:
            return None
        faces = [_as_face(rectangle) for rectangle in found]
        chosen = faces.index(main_face(rgb, faces))
        shape = self._landmarks(rgb, found[chosen])
        return np.array(self._network.compute_face_descriptor(rgb, shape, 1))

    def score(self, one: Doubles, other: Doubles) -> float:
        """Their distance, negated."""
        return -float(np.linalg.norm(one - other))


def _as_face(rectangle: Any) -> Face:
    box = Box(rectangle.left(), rectangle.top(), rectangle.width(), rectangle.height())
    return Face(box, np.zeros((6, 2), np.float32), 1.0)


def _import(name: str) -> Any:
    """Import an optional package. Raises PeerMissing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PeerMissing(MISSING) from error


def _folder(package: str) -> Path:
    """The folder of an installed package, without importing it, because that needs pkg_resources."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise PeerMissing(MISSING)
    return Path(spec.origin).parent


@dataclass(slots=True)
class VerifierRecord:
    """A verifier's scores of n pairs, and its times."""

    scores: list[float] = field(default_factory=list)
    """``-inf`` where a face was not found."""
    milliseconds: list[float] = field(default_factory=list)
    """Processor time for each pair, from the files to the score."""


def time_verifiers(
    verifiers: Sequence[Verifier], pairs: Sequence[Pair], root: Path
) -> dict[str, VerifierRecord]:
    """Score every pair with every verifier in turn, so that other load affects all alike.

    The order changes from pair to pair. The first pair is scored once before, to warm up.
    """
    records: dict[str, VerifierRecord] = defaultdict(VerifierRecord)
    for verifier in verifiers:
        _score(verifier, pairs[0], root)
    for number, pair in enumerate(track(pairs, len(pairs), "pairs")):
        first = number % len(verifiers)
        for verifier in [*verifiers[first:], *verifiers[:first]]:
            started = process_time()
            score = _score(verifier, pair, root)
            record = records[verifier.name]
            record.milliseconds.append((process_time() - started) * 1000)
            record.scores.append(score)
    return {verifier.name: records[verifier.name] for verifier in verifiers}


def _score(verifier: Verifier, pair: Pair, root: Path) -> float:
    try:
        rgbs = [decode((root / file).read_bytes()).rgb for file in (pair.file_x, pair.file_y)]
    except ImageError:
        return -np.inf
    one, other = (verifier.describe(rgb) for rgb in rgbs)
    if one is None or other is None:
        return -np.inf
    return verifier.score(one, other)


def compare(
    verifiers: Sequence[Verifier], pairs: Sequence[Pair], records: Mapping[str, VerifierRecord]
) -> dict[str, Any]:
    """Figures for each verifier and each set (its own name, else its fold's), JSON."""
    sets = np.array([pair.set or (f"fold {pair.fold}" if pair.fold else "all") for pair in pairs])
    same = np.array([pair.same for pair in pairs], dtype=bool)
    return {
        verifier.name: {
            "threshold": verifier.threshold,
            "milliseconds": quartiles(records[verifier.name].milliseconds),
            "sets": {
                name: _figures(
                    np.array(records[verifier.name].scores)[sets == name],
                    same[sets == name],
                    verifier.threshold,
                )
                for name in sorted(set(sets.tolist()))
            },
        }
        for verifier in verifiers
    }


def _figures(scores: Scores, same: Flags, threshold: float) -> dict[str, Any]:
    """``best_accuracy`` is at the threshold that is best for these pairs, which is equally fair to all."""
    genuine, impostor = scores[same], scores[~same]
    return {
        "pairs": len(scores),
        "no_face": int(np.sum(np.isneginf(scores))),
        "auc": metrics.auc(genuine, impostor),
        "tar_at_fmr_0.01": metrics.tar_at_fmr(genuine, impostor, 0.01),
        "best_accuracy": metrics.accuracy(scores, same, metrics.best_threshold(scores, same)),
        "accuracy": metrics.accuracy(scores, same, threshold),
        "fmr": metrics.fmr(impostor, threshold),
        "fnmr": metrics.fnmr(genuine, threshold),
    }


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = np.percentile(values, [25, 50, 75]).tolist()
    return {"median": middle, "quartile25": low, "quartile75": high}
