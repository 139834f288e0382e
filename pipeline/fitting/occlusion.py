"""Fit the occlusion classifier on bare faces, and on the same faces with synthetic occluders.

Each photo gives examples as it is and with two occluders. Most are then degraded as real photos are (cut
tightly, stretched, small, compressed, too dark or bright), and the face is detected anew each time, because a
mask also moves the landmarks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from pipeline.faces.occlusion import SHAPE, Features, OcclusionClassifier, Part, TwoLayers, occlusion_features
from pipeline.faces.types import Detection, Face, Floats, Random, Rgb, Rows
from pipeline.fitting.synthetic_occlusion import Occluder, draw_occluder
from pipeline.verdict import Box


class Detector(Protocol):
    """Finds faces, and finds a face again in a photo that has changed a little."""

    def detect(self, rgb: Rgb) -> Detection:
        """All faces, the largest first."""
        ...

    def detect_again(self, rgb: Rgb, face: Face) -> Face | None:
        """The face at the place of ``face``, if one is found there."""
        ...


class Mesh(Protocol):
    """Computes the mesh of a face."""

    def refine(self, rgb: Rgb, face: Face, /) -> Face:
        """The same face with its mesh, where one fits."""
        ...


_SHARES = {
    Occluder.MASK: 0.36,
    Occluder.SCARF: 0.07,
    Occluder.HAND_ON_MOUTH: 0.10,
    Occluder.SUNGLASSES: 0.24,
    Occluder.HAND_ON_EYES: 0.05,
    Occluder.READING_GLASSES: 0.13,
    Occluder.CHIN_MASK: 0.05,
}


@dataclass(frozen=True, slots=True, eq=False)
class Examples(Rows):
    """Features, and whether each part is hidden."""

    features: Features
    hidden: dict[Part, Floats]
    """For each part (n,) 0 or 1."""


@dataclass(frozen=True, slots=True)
class OcclusionSettings:
    """How the networks are fitted.

    The use of the mesh and the limits were chosen on one half of a set of real masks, sunglasses and bare
    faces that nothing is fitted on; `docs/accuracy.md` has the figures of the other half.
    """

    units: int = 16
    members: int = 2
    """Number of networks that are averaged."""
    epochs: int = 20
    batch: int = 64
    rate: float = 1e-3
    decay: float = 6.0
    """Weights shrink by this share of the rate at each step."""
    folds: int = 2
    ways: int = 160
    """Number of principal components of the mesh's points."""
    blur: float = 1e-2
    """Components that move points by less than this, in half sides of the mesh's crop, count less."""
    shape_strength: float = 1e-2
    """Inverse of the regularisation of the mesh's regression."""
    shape_share: float = 1.0
    """Weight of the mesh beside the pixels."""
    contradicts: float = 3.0
    """From this logit on, by networks that were not fitted on the face, a bare label counts as wrong."""
    limits: Mapping[Part, float] = field(default_factory=lambda: {Part.MOUTH: 0.5, Part.EYES: 0.6})
    """A part is hidden where its probability is higher."""
    seed: int = 0


def draw_examples(photos: Iterable[Rgb], detector: Detector, mesh: Mesh, seed: int = 0) -> Examples:
    """Each photo, whose largest face is bare, as it is and with two occluders."""
    rng = np.random.default_rng(seed)
    return _collected(row for photo in photos for row in _examples(photo, detector, mesh, rng))


def sunglasses_examples(
    photos: Iterable[Rgb], detector: Detector, mesh: Mesh, copies: int = 10, seed: int = 0
) -> Examples:
    """Photos whose largest face wears real sunglasses; ``copies`` of each, also mirrored."""
    rng = np.random.default_rng(seed)
    mirrored = (side for photo in photos for side in (photo, np.ascontiguousarray(photo[:, ::-1])))
    return _collected(row for photo in mirrored for row in _worn(photo, detector, mesh, copies, rng))


_Example = tuple[Features, tuple[bool, bool]]
"""Features, and whether mouth and eyes are hidden."""


def _collected(rows: Iterable[_Example]) -> Examples:
    features, hidden = zip(*rows, strict=True)
    mouth, eyes = np.array(hidden, dtype=np.float32).T
    return Examples(
        {part: np.concatenate([row[part] for row in features]) for part in Part},
        {Part.MOUTH: mouth, Part.EYES: eyes},
    )


def _worn(photo: Rgb, detector: Detector, mesh: Mesh, copies: int, rng: Random) -> Iterator[_Example]:
    detection = detector.detect(photo)
    for _ in range(copies if detection.faces else 0):
        rgb, face = degraded(detection.rgb, detection.faces[0], rng)
        if again := detector.detect_again(rgb, face):
            yield occlusion_features(rgb, mesh.refine(rgb, again)), (False, True)


def _examples(photo: Rgb, detector: Detector, mesh: Mesh, rng: Random) -> Iterator[_Example]:
    detection = detector.detect(photo)
    if not detection.faces:
        return
    bare = detection.faces[0]
    drawn = rng.choice(np.array(list(_SHARES)), 2, replace=False, p=list(_SHARES.values()))
    for what in (None, None, *(Occluder(name) for name in drawn)):
        rgb, face = detection.rgb if what is None else draw_occluder(detection.rgb, bare, what, rng), bare
        hidden = (what is not None and what.hides_mouth, what is not None and what.hides_eyes)
        if rng.random() < 0.7:
            rgb, face = degraded(rgb, face, rng)
        if again := detector.detect_again(rgb, face):
            yield occlusion_features(rgb, mesh.refine(rgb, again)), hidden


def degraded(rgb: Rgb, face: Face, rng: Random) -> tuple[Rgb, Face]:
    """The photo degraded at random, and its face there."""
    if rng.random() < 0.6:
        rgb, face = _cut(rgb, face, rng)
    rgb, face = _resized(rgb, face, rng)
    if rng.random() < 0.25:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 1.6)), dtype=np.uint8)
    gamma = rng.uniform(0.5, 1.9) if rng.random() < 0.5 else 1.0
    gain = rng.uniform(0.8, 1.4) if rng.random() < 0.3 else 1.0
    curve = 255 * np.clip(gain * (np.arange(256) / 255) ** gamma, 0, 1)
    image = cv2.LUT(rgb, curve.astype(np.uint8))
    if rng.random() < 0.1:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8), face


def _cut(rgb: Rgb, face: Face, rng: Random) -> tuple[Rgb, Face]:
    """The face alone, as in a cropped profile picture; half of them are cut tightly."""
    (x, y), half = face.box.centre, face.box.side / 2
    least, most = (0.72, 1.15) if rng.random() < 0.5 else (0.85, 1.8)
    left, top = (max(0, int(at - half * rng.uniform(least, most))) for at in (x, y))
    right, bottom = (max(1, int(at + half * rng.uniform(least, most))) for at in (x, y))
    return rgb[top:bottom, left:right], _moved(face, np.array([left, top]), np.ones(2))


def _resized(rgb: Rgb, face: Face, rng: Random) -> tuple[Rgb, Face]:
    """Half of the photos smaller, a quarter stretched a little."""
    scale = min(1.0, rng.uniform(35, 130) / face.box.side) if rng.random() < 0.5 else 1.0
    stretch = rng.uniform(0.85, 1.2) if rng.random() < 0.25 else 1.0
    size = [
        max(1, round(side * by)) for side, by in zip(rgb.shape[1::-1], (scale * stretch, scale), strict=True)
    ]
    image = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return image, _moved(face, np.zeros(2), np.array(size) / rgb.shape[1::-1])


def _moved(face: Face, origin: NDArray[Any], scale: NDArray[Any]) -> Face:
    """The face in a picture that begins at ``origin`` (x, y) of the old one and is scaled by ``scale``."""
    x, y = (np.array([face.box.x, face.box.y]) - origin) * scale
    width, height = np.array([face.box.width, face.box.height]) * scale
    landmarks = ((face.landmarks - origin) * scale).astype(np.float32)
    return Face(Box(float(x), float(y), float(width), float(height)), landmarks, 0.0)


def fit_occlusion(examples: Examples, settings: OcclusionSettings | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an `OcclusionClassifier`.

    A few "bare" faces of any collection wear sunglasses: those that networks fitted on the other examples
    clearly classify as hidden are left out.
    """
    settings = settings or OcclusionSettings()
    networks = {part: _fit_part(part, examples, settings) for part in Part}
    return OcclusionClassifier(networks, settings.limits).arrays()


def _fit_part(part: Part, examples: Examples, settings: OcclusionSettings) -> TwoLayers:
    """The mean of several networks on the pixels; for the mouth plus a regression on the mesh's points."""
    x, y = examples.features[part], examples.hidden[part]
    shapes = SHAPE if part is Part.MOUTH else 0
    pixels, points = x[:, : x.shape[1] - shapes], x[:, x.shape[1] - shapes :]
    right = (y == 1) | (_cross_fitted_logits(pixels, y, settings) <= settings.contradicts)
    seeds = range(settings.seed, settings.seed + settings.members)
    members = [_fit(pixels[right], y[right], replace(settings, seed=seed)) for seed in seeds]
    networks = [replace(member, out=member.out / len(members)) for member in members]
    together = _stacked(networks, np.mean([member.out_bias for member in members], axis=0))
    return _side_by_side(together, _fit_mesh(points[right], y[right], settings)) if shapes else together


def _stacked(networks: list[TwoLayers], out_bias: Floats) -> TwoLayers:
    return TwoLayers(
        np.concatenate([network.hidden for network in networks], axis=1),
        np.concatenate([network.hidden_bias for network in networks]),
        np.concatenate([network.out for network in networks]),
        out_bias,
    )


def _side_by_side(one: TwoLayers, other: TwoLayers) -> TwoLayers:
    """The sum of two networks, the first on the first features and the second on the rest."""
    left = replace(one, hidden=np.pad(one.hidden, ((0, len(other.hidden)), (0, 0))))
    right = replace(other, hidden=np.pad(other.hidden, ((len(one.hidden), 0), (0, 0))))
    return _stacked([left, right], one.out_bias + other.out_bias)


def _fit_mesh(points: Floats, y: Floats, settings: OcclusionSettings) -> TwoLayers:
    """A logistic regression on the principal components of the mesh, times its share.

    Two hidden units carry the logit and its opposite. Without a mesh it gives 0.
    """
    present = points[:, -1] == 1
    if len(set(y[present].tolist())) < 2:
        return TwoLayers(*(np.zeros(shape, np.float32) for shape in ((SHAPE, 2), (2,), (2,), (1,))))
    ways = PCA(min(settings.ways, int(present.sum()) - 1), random_state=settings.seed)
    lengths = ways.fit_transform(points[present, :-1])
    scale = np.sqrt(ways.explained_variance_ + settings.blur**2)
    model = LogisticRegression(C=settings.shape_strength, max_iter=1000).fit(lengths / scale, y[present])
    weights = (model.coef_[0] / scale) @ ways.components_
    weights = np.append(weights, model.intercept_[0] - weights @ ways.mean_).astype(np.float32)
    out = np.array([settings.shape_share, -settings.shape_share], dtype=np.float32)
    return TwoLayers(
        np.stack([weights, -weights], axis=1), np.zeros(2, np.float32), out, np.zeros(1, np.float32)
    )


def _cross_fitted_logits(x: Floats, y: Floats, settings: OcclusionSettings) -> Floats:
    """(n,) logits, each by a network fitted on the other folds; examples of one photo mostly share a fold."""
    logits = np.empty(len(x), dtype=np.float32)
    for fold in np.array_split(np.arange(len(x)), settings.folds):
        others = np.setdiff1d(np.arange(len(x)), fold)
        logits[fold] = _fit(x[others], y[others], settings).logits(x[fold])
    return logits


def _fit(x: Floats, y: Floats, settings: OcclusionSettings) -> TwoLayers:
    """A network for raw features, whose scaling is folded into the first layer."""
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-3
    hidden, bias, out, out_bias = _descend((x - mean) / spread, y[:, None], settings)
    return TwoLayers(hidden / spread[:, None], bias - (mean / spread) @ hidden, out[:, 0], out_bias)


def _descend(x: Floats, y: Floats, settings: OcclusionSettings) -> list[Floats]:
    """Minimise the cross-entropy with Adam; hidden weights and bias, output weights and bias."""
    rng = np.random.default_rng(settings.seed)
    shapes = [(x.shape[1], settings.units), (settings.units,), (settings.units, 1), (1,)]
    weights = [
        rng.normal(0, shape[0] ** -0.5, shape).astype(np.float32) * (len(shape) > 1) for shape in shapes
    ]
    moments = [np.zeros((2, *weight.shape), dtype=np.float32) for weight in weights]
    count = 0
    for epoch in range(settings.epochs):
        rate = settings.rate * 0.5 * (1 + np.cos(np.pi * epoch / settings.epochs))
        for rows in np.array_split(rng.permutation(len(x)), max(1, len(x) // settings.batch)):
            count += 1
            for layer, gradient in enumerate(_gradients(x[rows], y[rows], weights)):
                pull = _adam(moments[layer], gradient, count)
                weights[layer] -= rate * (pull + settings.decay * weights[layer])
    return weights


def _adam(moments: Floats, gradient: Floats, count: int) -> Floats:
    """The direction of a step, by the running mean and mean square, which are updated."""
    moments[0] += 0.1 * (gradient - moments[0])
    moments[1] += 0.001 * (gradient**2 - moments[1])
    mean, square = moments[0] / (1 - 0.9**count), moments[1] / (1 - 0.999**count)
    return np.asarray(mean / (np.sqrt(square) + 1e-8), dtype=np.float32)


def _gradients(x: Floats, y: Floats, weights: list[Floats]) -> list[Floats]:
    """Gradients of the mean cross-entropy, in the order of ``weights``."""
    hidden = np.maximum(x @ weights[0] + weights[1], 0)
    error = (1 / (1 + np.exp(-np.clip(hidden @ weights[2] + weights[3], -60, 60))) - y) / len(x)
    back = (error @ weights[2].T) * (hidden > 0)
    return [x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]
