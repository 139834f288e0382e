"""Fits the occlusion judge: bare faces, and the same faces with something drawn over them.

Each photo gives examples as it is and with two things drawn on it; half of all are then made
worse in the ways that real photos are (cut tightly, small, compressed, too dark or bright), and
the face is found anew each time, because a mask also moves the landmarks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.drawing import Drawn, draw
from pipeline.occlusion import Features, Floats, Network, OcclusionJudge, Part, occlusion_features
from pipeline.painting import Random
from pipeline.ports import Face, FaceDetector, Rgb

_SHARES = {
    Drawn.MASK: 0.34,
    Drawn.SCARF: 0.08,
    Drawn.HAND_ON_MOUTH: 0.08,
    Drawn.SUNGLASSES: 0.30,
    Drawn.HAND_ON_EYES: 0.06,
    Drawn.READING_GLASSES: 0.14,
}


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What the judge learns from: features, and whether each part is hidden."""

    features: Features
    hidden: dict[Part, Floats]
    """For each part (n,) 0 or 1."""


@dataclass(frozen=True, slots=True)
class Training:
    """How the networks are fitted. Limits were set so that FairFace's bare faces of 50 to 69, which
    no network learns from, are refused in two cases of 81."""

    units: int = 16
    members: int = 2
    """So many networks are averaged into one."""
    epochs: int = 30
    batch: int = 64
    rate: float = 1e-3
    decay: float = 2.0
    """By this share of the rate weights shrink at each step."""
    folds: int = 4
    suspect: float = 1.0
    """A logit above this, from networks that did not learn from the face, contradicts its label."""
    limits: Mapping[Part, float] = field(default_factory=lambda: {Part.MOUTH: 0.94, Part.EYES: 0.8})
    """A part is hidden where its probability is higher."""
    seed: int = 0


def draw_examples(photos: Iterable[Rgb], detector: FaceDetector, seed: int = 0) -> Examples:
    """Each photo, whose largest face is bare, as it is and with two things drawn over it."""
    rng = np.random.default_rng(seed)
    return _gathered(row for photo in photos for row in _examples(photo, detector, rng))


def sunglasses_examples(
    photos: Iterable[Rgb], detector: FaceDetector, copies: int = 15, seed: int = 0
) -> Examples:
    """Photos whose largest face wears real sunglasses; each counts ``copies`` times, mirrored too."""
    rng = np.random.default_rng(seed)
    mirrored = (side for photo in photos for side in (photo, np.ascontiguousarray(photo[:, ::-1])))
    return _gathered(row for photo in mirrored for row in _worn(photo, detector, copies, rng))


def joined(one: Examples, other: Examples) -> Examples:
    """Both, one after the other."""
    return Examples(
        {part: np.concatenate([one.features[part], other.features[part]]) for part in Part},
        {part: np.concatenate([one.hidden[part], other.hidden[part]]) for part in Part},
    )


_Row = tuple[Features, tuple[bool, bool]]
"""Features, and whether mouth and eyes are hidden."""


def _gathered(rows: Iterable[_Row]) -> Examples:
    features, hidden = zip(*rows, strict=True)
    mouth, eyes = np.array(hidden, dtype=np.float32).T
    return Examples(
        {part: np.concatenate([row[part] for row in features]) for part in Part},
        {Part.MOUTH: mouth, Part.EYES: eyes},
    )


def _worn(photo: Rgb, detector: FaceDetector, copies: int, rng: Random) -> Iterator[_Row]:
    detection = detector.detect(photo)
    for _ in range(copies if detection.faces else 0):
        rgb = _worsened(detection.rgb, detection.faces[0], rng)
        if seen := detector.detect(rgb).faces:
            yield occlusion_features(rgb, seen[0]), (False, True)


def _examples(
    photo: Rgb, detector: FaceDetector, rng: Random
) -> Iterator[tuple[Features, tuple[bool, bool]]]:
    detection = detector.detect(photo)
    if not detection.faces:
        return
    face = detection.faces[0]
    drawn = rng.choice(np.array(list(_SHARES)), 2, replace=False, p=list(_SHARES.values()))
    for what in (None, None, *(Drawn(name) for name in drawn)):
        rgb = detection.rgb if what is None else draw(detection.rgb, face, what, rng)
        hidden = (what is not None and what.hides_mouth, what is not None and what.hides_eyes)
        if rng.random() < 0.6:
            rgb = _worsened(rgb, face, rng)
        if seen := detector.detect(rgb).faces:
            yield occlusion_features(rgb, seen[0]), hidden


def _worsened(rgb: Rgb, face: Face, rng: Random) -> Rgb:
    """The photo as it might have arrived: cut, small, compressed, badly lit."""
    if rng.random() < 0.5:
        rgb = _cut(rgb, face, rng)
    scale = min(1.0, rng.uniform(40, 130) / face.box.side) if rng.random() < 0.5 else 1.0
    gamma = rng.uniform(0.6, 1.7) if rng.random() < 0.5 else 1.0
    image = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image = cv2.LUT(image, (255 * (np.arange(256) / 255) ** gamma).astype(np.uint8))
    if rng.random() < 0.15:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    quality = int(rng.integers(25, 95))
    packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)


def _cut(rgb: Rgb, face: Face, rng: Random) -> Rgb:
    """The face alone, as in a cropped profile picture."""
    (x, y), half = face.box.centre, face.box.side / 2
    left, right = x - half * rng.uniform(0.85, 1.6), x + half * rng.uniform(0.85, 1.6)
    top, bottom = y - half * rng.uniform(0.9, 1.9), y + half * rng.uniform(0.75, 1.6)
    return rgb[max(0, int(top)) : max(1, int(bottom)), max(0, int(left)) : max(1, int(right))]


def fit_occlusion(examples: Examples, training: Training | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an `OcclusionJudge`.

    A few "bare" faces of any collection wear sunglasses: those that networks fitted on the other
    examples clearly call hidden are left out.
    """
    training = training or Training()
    networks = {part: _fit_part(examples.features[part], examples.hidden[part], training) for part in Part}
    return OcclusionJudge(networks, training.limits).arrays()


def _fit_part(x: Floats, y: Floats, training: Training) -> Network:
    """The mean of several networks, as one."""
    mislabelled = (y == 0) & (_held_out(x, y, training) > training.suspect)
    x, y = x[~mislabelled], y[~mislabelled]
    seeds = range(training.seed, training.seed + training.members)
    members = [_fit(x, y, replace(training, seed=seed)) for seed in seeds]
    return Network(
        np.concatenate([member.hidden for member in members], axis=1),
        np.concatenate([member.hidden_bias for member in members]),
        np.concatenate([member.out for member in members]) / len(members),
        np.mean([member.out_bias for member in members], axis=0),
    )


def _held_out(x: Floats, y: Floats, training: Training) -> Floats:
    """(n,) logits, each from a network fitted on the other folds; neighbours, of one photo, stay together."""
    logits = np.empty(len(x), dtype=np.float32)
    for fold in np.array_split(np.arange(len(x)), training.folds):
        others = np.setdiff1d(np.arange(len(x)), fold)
        logits[fold] = _fit(x[others], y[others], training).logits(x[fold])
    return logits


def _fit(x: Floats, y: Floats, training: Training) -> Network:
    """A network for raw features: their scaling is folded into the first layer."""
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-3
    hidden, bias, out, out_bias = _descend((x - mean) / spread, y[:, None], training)
    return Network(hidden / spread[:, None], bias - (mean / spread) @ hidden, out[:, 0], out_bias)


def _descend(x: Floats, y: Floats, training: Training) -> list[Floats]:
    """Adam on the cross-entropy; hidden weights and bias, output weights and bias."""
    rng = np.random.default_rng(training.seed)
    shapes = [(x.shape[1], training.units), (training.units,), (training.units, 1), (1,)]
    weights = [
        rng.normal(0, shape[0] ** -0.5, shape).astype(np.float32) * (len(shape) > 1) for shape in shapes
    ]
    moments = [np.zeros((2, *weight.shape), dtype=np.float32) for weight in weights]
    count = 0
    for epoch in range(training.epochs):
        rate = training.rate * 0.5 * (1 + np.cos(np.pi * epoch / training.epochs))
        for rows in np.array_split(rng.permutation(len(x)), max(1, len(x) // training.batch)):
            count += 1
            for layer, gradient in enumerate(_gradients(x[rows], y[rows], weights)):
                pull = _adam(moments[layer], gradient, count)
                weights[layer] -= rate * (pull + training.decay * weights[layer])
    return weights


def _adam(moments: Floats, gradient: Floats, count: int) -> Floats:
    """The direction to go, from the running mean and mean square, which are brought up to date."""
    moments[0] += 0.1 * (gradient - moments[0])
    moments[1] += 0.001 * (gradient**2 - moments[1])
    mean, square = moments[0] / (1 - 0.9**count), moments[1] / (1 - 0.999**count)
    return np.asarray(mean / (np.sqrt(square) + 1e-8), dtype=np.float32)


def _gradients(x: Floats, y: Floats, weights: list[Floats]) -> list[Floats]:
    """Of the mean cross-entropy, in the order of ``weights``."""
    hidden = np.maximum(x @ weights[0] + weights[1], 0)
    error = (1 / (1 + np.exp(-np.clip(hidden @ weights[2] + weights[3], -60, 60))) - y) / len(x)
    back = (error @ weights[2].T) * (hidden > 0)
    return [x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]
