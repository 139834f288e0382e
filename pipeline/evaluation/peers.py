"""Compare this product with others on the same pairs: error rates and processor time.

The others are an extra (`pipeline/requirements-peers.txt`) and are imported only here.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.models import Models
from pipeline.datasets.data import Pair
from pipeline.datasets.embeddings import embed_picture, main_face
from pipeline.errors import ImageError, PeerMissing
from pipeline.faces.types import Embeddings, Face, Flags, Rgb, Scores
from pipeline.fitting import metrics
from pipeline.images.decode import decode
from pipeline.score import Scorer
from pipeline.terminal import track
from pipeline.verdict import Box

FaceDescription = Any
"""A verifier's representation of a face."""

MISSING = "a peer is missing: pip install --no-deps -r pipeline/requirements-peers.txt"


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


@dataclass(frozen=True, slots=True)
class Ours:
    """The product's path from photo to score, as in `evaluate`."""

    models: Models
    """Those that compare faces, see `comparing`."""
    scorer: Scorer
    name: str = "ours"

    @property
    def threshold(self) -> float:
        """The approve threshold."""
        return self.scorer.thresholds.approve

    def describe(self, rgb: Rgb) -> dict[str, Embeddings] | None:
        """Projected embeddings, (1, k) by embedder."""
        embeddings = embed_picture(self.models, rgb)
        if embeddings is None:
            return None
        return self.scorer.project({name: embedding[None] for name, embedding in embeddings.items()})

    def score(self, one: dict[str, Embeddings], other: dict[str, Embeddings]) -> float:
        return float(self.scorer.scores(one, other)[0])


def comparing(models: Models, scorer: Scorer) -> Models:
    """The models without the networks that are only used for gender, which other verifiers do not read."""
    return replace(models, embedders={name: models.embedders[name] for name in scorer.towers})


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

    def describe(self, rgb: Rgb) -> NDArray[np.float64] | None:
        """(128,) of the face that `main_face` chooses among those that dlib finds."""
        found = self._detector(rgb, 1)
        if not found:
            return None
        faces = [_as_face(rectangle) for rectangle in found]
        chosen = faces.index(main_face(rgb, faces))
        shape = self._landmarks(rgb, found[chosen])
        return np.array(self._network.compute_face_descriptor(rgb, shape, 1))

    def score(self, one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
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
