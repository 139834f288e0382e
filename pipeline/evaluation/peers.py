"""This product and others on the same pairs, one after the other: who is right, and what it costs.

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

Description = Any
"""What a contestant knows of a face; its own business."""


class Verifier(Protocol):
    """Somebody who can tell whether two photos show one person."""

    @property
    def name(self) -> str:
        """For tables."""

    @property
    def threshold(self) -> float:
        """The score from which it calls two faces the same, out of the box."""

    def describe(self, rgb: Rgb) -> Description | None:
        """The main face of a decoded photo; None where it finds none."""

    def score(self, one: Description, other: Description) -> float:
        """How alike; higher is more."""


@dataclass(frozen=True, slots=True)
class Ours:
    """The product's path from photo to score, as `evaluate` walks it."""

    models: Models
    """Those that compare faces: see `comparing`."""
    scorer: Scorer
    name: str = "ours"

    @property
    def threshold(self) -> float:
        """The approve edge."""
        return self.scorer.thresholds.approve

    def describe(self, rgb: Rgb) -> dict[str, Embeddings] | None:
        """Projected vectors, (1, k) for each embedder."""
        embeddings = embed_picture(self.models, rgb)
        if embeddings is None:
            return None
        return self.scorer.project({name: vector[None] for name, vector in embeddings.items()})

    def score(self, one: dict[str, Embeddings], other: dict[str, Embeddings]) -> float:
        """The fused score."""
        return float(self.scorer.scores(one, other)[0])


def comparing(models: Models, scorer: Scorer) -> Models:
    """Without the networks that only read the gender, which the others do not do."""
    return replace(models, embedders={name: models.embedders[name] for name in scorer.towers})


class FaceRecognition:
    """What `face_recognition` 1.3.0 does by default: HOG detector, five landmarks, dlib's network."""

    name = "face_recognition (dlib)"
    threshold = -0.6
    """Its `tolerance`, a distance."""

    def __init__(self) -> None:
        """Raises PeerMissing."""
        dlib, models = _import("dlib"), _folder("face_recognition_models") / "models"
        self._detector = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(
            str(models / "dlib_face_recognition_resnet_model_v1.dat")
        )

    def describe(self, rgb: Rgb) -> NDArray[np.float64] | None:
        """(128,) of the face that `main_face` would choose among those that dlib finds."""
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
    """By name, because it is no requirement."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PeerMissing(
            "a peer is missing: pip install --no-deps -r pipeline/requirements-peers.txt"
        ) from error


def _folder(package: str) -> Path:
    """Of an installed package, not imported: it asks for pkg_resources, which is on its way out."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise PeerMissing("a peer is missing: pip install --no-deps -r pipeline/requirements-peers.txt")
    return Path(spec.origin).parent


@dataclass(slots=True)
class Record:
    """What a contestant said of n pairs, and how long it took."""

    scores: list[float] = field(default_factory=list)
    """``-inf`` where a face was not found."""
    milliseconds: list[float] = field(default_factory=list)
    """Of processor time for a pair, from the files to the score."""


def time_verifiers(verifiers: Sequence[Verifier], pairs: Sequence[Pair], root: Path) -> dict[str, Record]:
    """Every pair by every contestant, in turn, so that a busy machine is busy for all.

    Who begins changes from pair to pair. The first pair is done once for nothing: all are warm then.
    """
    records: dict[str, Record] = defaultdict(Record)
    for verifier in verifiers:
        _judge(verifier, pairs[0], root)
    for number, pair in enumerate(track(pairs, len(pairs), "pairs")):
        first = number % len(verifiers)
        for verifier in [*verifiers[first:], *verifiers[:first]]:
            started = process_time()
            score = _judge(verifier, pair, root)
            record = records[verifier.name]
            record.milliseconds.append((process_time() - started) * 1000)
            record.scores.append(score)
    return {verifier.name: records[verifier.name] for verifier in verifiers}


def _judge(verifier: Verifier, pair: Pair, root: Path) -> float:
    try:
        rgbs = [decode((root / file).read_bytes()).rgb for file in (pair.file_x, pair.file_y)]
    except ImageError:
        return -np.inf
    one, other = (verifier.describe(rgb) for rgb in rgbs)
    if one is None or other is None:
        return -np.inf
    return verifier.score(one, other)


def compare(
    verifiers: Sequence[Verifier], pairs: Sequence[Pair], records: Mapping[str, Record]
) -> dict[str, Any]:
    """Figures for each contestant and each set (its own name, else its fold's), JSON."""
    sets = np.array([pair.set or (f"fold {pair.fold}" if pair.fold else "all") for pair in pairs])
    same = np.array([pair.same for pair in pairs], dtype=bool)
    return {
        verifier.name: {
            "threshold": verifier.threshold,
            "milliseconds": spread(records[verifier.name].milliseconds),
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
    """``best_accuracy`` is at the threshold that suits these very pairs best: equally kind to all."""
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


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = np.percentile(values, [25, 50, 75]).tolist()
    return {"median": middle, "quartile25": low, "quartile75": high}
