"""Fits the occlusion judge: bare faces, and the same faces with something drawn over them.

Each photo gives examples as it is and with two things drawn on it; most are then made worse in the
ways that real photos are (cut tightly, stretched, small, compressed, too dark or bright), and the face
is looked at anew each time, because a mask also moves the landmarks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from pipeline.faces.occlusion import (
    SHAPE,
    Features,
    Floats,
    Network,
    OcclusionJudge,
    Part,
    occlusion_features,
)
from pipeline.faces.types import Detection, Face, Rgb
from pipeline.fitting.degradation import worsened
from pipeline.fitting.painting import Random
from pipeline.fitting.synthetic_occlusion import Drawn, draw


class Detector(Protocol):
    """Finds faces, and finds a face again that has changed a little."""

    def detect(self, rgb: Rgb) -> Detection:
        """All faces, the largest first."""
        ...

    def look_again(self, rgb: Rgb, face: Face) -> Face | None:
        """The face where ``face`` was, if one is still seen there."""
        ...


class Mesh(Protocol):
    """Refines a face's landmarks."""

    def refine(self, rgb: Rgb, face: Face, /) -> Face:
        """The same face with its mesh, where one fits."""
        ...


_SHARES = {
    Drawn.MASK: 0.36,
    Drawn.SCARF: 0.07,
    Drawn.HAND_ON_MOUTH: 0.10,
    Drawn.SUNGLASSES: 0.24,
    Drawn.HAND_ON_EYES: 0.05,
    Drawn.READING_GLASSES: 0.13,
    Drawn.CHIN_MASK: 0.05,
}


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What the judge learns from: features, and whether each part is hidden."""

    features: Features
    hidden: dict[Part, Floats]
    """For each part (n,) 0 or 1."""


@dataclass(frozen=True, slots=True)
class Training:
    """How the networks are fitted. What the mesh tells and the limits were chosen on one half of real
    masks, sunglasses and bare faces from which nothing is learned; `MODEL_CARD.md` has the other half."""

    units: int = 16
    members: int = 2
    """So many networks are averaged into one."""
    epochs: int = 20
    batch: int = 64
    rate: float = 1e-3
    decay: float = 6.0
    """By this share of the rate weights shrink at each step."""
    folds: int = 2
    ways: int = 160
    """So many principal components of the mesh's points are looked at."""
    blur: float = 1e-2
    """What moves points by less than this, in half sides of the mesh's crop, counts for less."""
    shape_strength: float = 1e-2
    """Inverse of the regularisation of what the mesh tells."""
    shape_share: float = 1.0
    """Its weight beside what the pixels tell."""
    suspect: float = 3.0
    """A logit above this, from networks that did not learn from the face, contradicts its label."""
    limits: Mapping[Part, float] = field(default_factory=lambda: {Part.MOUTH: 0.5, Part.EYES: 0.6})
    """A part is hidden where its probability is higher."""
    seed: int = 0


def draw_examples(photos: Iterable[Rgb], detector: Detector, mesh: Mesh, seed: int = 0) -> Examples:
    """Each photo, whose largest face is bare, as it is and with two things drawn over it."""
    rng = np.random.default_rng(seed)
    return _gathered(row for photo in photos for row in _examples(photo, detector, mesh, rng))


def sunglasses_examples(
    photos: Iterable[Rgb], detector: Detector, mesh: Mesh, copies: int = 10, seed: int = 0
) -> Examples:
    """Photos whose largest face wears real sunglasses; each counts ``copies`` times, mirrored too."""
    rng = np.random.default_rng(seed)
    mirrored = (side for photo in photos for side in (photo, np.ascontiguousarray(photo[:, ::-1])))
    return _gathered(row for photo in mirrored for row in _worn(photo, detector, mesh, copies, rng))


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


def _worn(photo: Rgb, detector: Detector, mesh: Mesh, copies: int, rng: Random) -> Iterator[_Row]:
    detection = detector.detect(photo)
    for _ in range(copies if detection.faces else 0):
        rgb, face = worsened(detection.rgb, detection.faces[0], rng)
        if seen := detector.look_again(rgb, face):
            yield occlusion_features(rgb, mesh.refine(rgb, seen)), (False, True)


def _examples(photo: Rgb, detector: Detector, mesh: Mesh, rng: Random) -> Iterator[_Row]:
    detection = detector.detect(photo)
    if not detection.faces:
        return
    bare = detection.faces[0]
    drawn = rng.choice(np.array(list(_SHARES)), 2, replace=False, p=list(_SHARES.values()))
    for what in (None, None, *(Drawn(name) for name in drawn)):
        rgb, face = detection.rgb if what is None else draw(detection.rgb, bare, what, rng), bare
        hidden = (what is not None and what.hides_mouth, what is not None and what.hides_eyes)
        if rng.random() < 0.7:
            rgb, face = worsened(rgb, face, rng)
        if seen := detector.look_again(rgb, face):
            yield occlusion_features(rgb, mesh.refine(rgb, seen)), hidden


def fit_occlusion(examples: Examples, training: Training | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an `OcclusionJudge`.

    A few "bare" faces of any collection wear sunglasses: those that networks fitted on the other
    examples clearly call hidden are left out.
    """
    training = training or Training()
    networks = {part: _fit_part(part, examples, training) for part in Part}
    return OcclusionJudge(networks, training.limits).arrays()


def _fit_part(part: Part, examples: Examples, training: Training) -> Network:
    """What pixels tell, the mean of several networks; for the mouth also what the mesh's points tell."""
    x, y = examples.features[part], examples.hidden[part]
    shapes = SHAPE if part is Part.MOUTH else 0
    pixels, points = x[:, : x.shape[1] - shapes], x[:, x.shape[1] - shapes :]
    right = (y == 1) | (_held_out(pixels, y, training) <= training.suspect)
    seeds = range(training.seed, training.seed + training.members)
    members = [_fit(pixels[right], y[right], replace(training, seed=seed)) for seed in seeds]
    networks = [replace(member, out=member.out / len(members)) for member in members]
    together = _stacked(networks, np.mean([member.out_bias for member in members], axis=0))
    return _side_by_side(together, _fit_shape(points[right], y[right], training)) if shapes else together


def _stacked(networks: list[Network], out_bias: Floats) -> Network:
    """The sum of networks on the same features."""
    return Network(
        np.concatenate([network.hidden for network in networks], axis=1),
        np.concatenate([network.hidden_bias for network in networks]),
        np.concatenate([network.out for network in networks]),
        out_bias,
    )


def _side_by_side(one: Network, other: Network) -> Network:
    """The sum of two networks, the first on the first features and the second on the rest."""
    left = replace(one, hidden=np.pad(one.hidden, ((0, len(other.hidden)), (0, 0))))
    right = replace(other, hidden=np.pad(other.hidden, ((len(one.hidden), 0), (0, 0))))
    return _stacked([left, right], one.out_bias + other.out_bias)


def _fit_shape(points: Floats, y: Floats, training: Training) -> Network:
    """A logistic regression on the leading ways in which meshes differ, times its share.

    Two hidden units carry it, the logit and its opposite. Without a mesh it gives 0.
    """
    seen = points[:, -1] == 1
    if len(set(y[seen].tolist())) < 2:
        return Network(*(np.zeros(shape, np.float32) for shape in ((SHAPE, 2), (2,), (2,), (1,))))
    ways = PCA(min(training.ways, int(seen.sum()) - 1), random_state=training.seed)
    lengths = ways.fit_transform(points[seen, :-1])
    scale = np.sqrt(ways.explained_variance_ + training.blur**2)
    model = LogisticRegression(C=training.shape_strength, max_iter=1000).fit(lengths / scale, y[seen])
    weights = (model.coef_[0] / scale) @ ways.components_
    weights = np.append(weights, model.intercept_[0] - weights @ ways.mean_).astype(np.float32)
    out = np.array([training.shape_share, -training.shape_share], dtype=np.float32)
    return Network(
        np.stack([weights, -weights], axis=1), np.zeros(2, np.float32), out, np.zeros(1, np.float32)
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
