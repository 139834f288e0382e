"""The occlusion judge's arithmetic and its fit, on made-up faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.bundles.head import Head
from pipeline.bundles.models import SHIPPED, read_head_params
from pipeline.faces.occlusion import LENGTHS, SHAPE, OcclusionClassifier, Part, occlusion_features
from pipeline.faces.types import Detection, Face, Mesh, Rgb
from pipeline.fitting.occlusion import (
    Examples,
    OcclusionSettings,
    draw_examples,
    fit_occlusion,
    sunglasses_examples,
)
from pipeline.verdict import Box

LANDMARKS = np.array([[86, 64], [114, 64], [100, 80], [100, 96], [70, 70], [130, 70]], dtype=np.float32)
FIVE = np.array([[86, 64], [114, 64], [100, 80], [90, 96], [110, 96]], dtype=np.float32)
SHAPES = np.random.default_rng(5).normal(0, 1, (30, 468, 3)).astype(np.float32)
"""Ways in which a made-up mesh differs."""


def meshed(weights: np.ndarray) -> Mesh:
    """A mesh that lies so far in each of the ways."""
    return Mesh(FIVE, (100, 80), 60, 70, 0.0, np.tensordot(weights, SHAPES, 1).astype(np.float32))


UNMESHED = Face(Box(60, 40, 80, 80), LANDMARKS, 0.9, presence=-3.0)
FACE = replace(UNMESHED, mesh=meshed(np.ones(30)), presence=20.0)


class Steady:
    """Finds the same face in every photo that is large enough for it, and a mesh in each face."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(3)

    def detect(self, rgb: Rgb) -> Detection:
        return Detection(rgb, (FACE,) if min(rgb.shape[:2]) >= 120 else ())

    def detect_again(self, rgb: Rgb, face: Face) -> Face | None:
        return face if min(rgb.shape[:2]) >= 40 else None

    def refine(self, _: Rgb, face: Face) -> Face:
        return replace(face, mesh=meshed(self.rng.normal(0, 1, 30)))


def photo(seed: int = 0) -> Rgb:
    rng = np.random.default_rng(seed)
    return np.asarray(np.array([200, 150, 120]) + rng.integers(-20, 20, (160, 200, 1)), dtype=np.uint8)


def examples(count: int = 200) -> Examples:
    """Noise, of which the first two hundred numbers tell whether the part is hidden."""
    rng = np.random.default_rng(0)
    hidden = {part: (rng.random(count) < 0.4).astype(np.float32) for part in Part}
    sizes = {part: values.shape[1] for part, values in occlusion_features(photo(), FACE).items()}
    features = {part: rng.normal(0, 1, (count, sizes[part])).astype(np.float32) for part in Part}
    features[Part.MOUTH][:, -SHAPE:] = 0  # no meshes, unless a test adds them
    for part in Part:
        features[part][:, :200] += 2 * hidden[part][:, None]
    return Examples(features, hidden)


def of_meshes(count: int = 200) -> Examples:
    """The same with meshes, whose first way tells whether the mouth is hidden, and nothing else does."""
    made = examples(count)
    weights = np.random.default_rng(1).normal(0, 1, (count, 30))
    weights[:, 0] += 4 * made.hidden[Part.MOUTH]
    made.features[Part.MOUTH][:, :200] -= 2 * made.hidden[Part.MOUTH][:, None]
    for row, weight in zip(made.features[Part.MOUTH], weights, strict=True):
        row[-SHAPE:] = np.append(meshed(weight).shape.ravel(), 1)
    return made


def test_features_are_finite_and_do_not_depend_on_the_size_of_the_photo() -> None:
    features = occlusion_features(photo(), FACE)
    assert {part: values.shape for part, values in features.items()} == {
        part: (1, length) for part, length in LENGTHS.items()
    }
    assert all(np.isfinite(values).all() for values in features.values())
    black = occlusion_features(np.zeros((1, 1, 3), np.uint8), FACE)
    assert all(np.isfinite(values).all() for values in black.values())


def test_what_was_learnt_is_told_from_what_was_not() -> None:
    known = examples()
    classifier = OcclusionClassifier.read(fit_occlusion(known, OcclusionSettings(epochs=15)))
    for part in Part:
        logits = classifier.logits(known.features)[part]
        assert np.mean((logits > 0) == (known.hidden[part] == 1)) > 0.95


def test_the_mesh_tells_a_hidden_mouth_where_the_pixels_do_not() -> None:
    known = of_meshes()
    training = OcclusionSettings(epochs=1, shape_strength=1.0)
    logits = OcclusionClassifier.read(fit_occlusion(known, training)).logits(known.features)[Part.MOUTH]
    hidden = known.hidden[Part.MOUTH]
    assert np.mean((logits > np.quantile(logits, 1 - hidden.mean())) == (hidden == 1)) > 0.9


def test_a_face_without_a_mesh_is_judged_by_its_pixels_alone() -> None:
    features = occlusion_features(photo(), UNMESHED)
    assert not features[Part.MOUTH][0, -SHAPE:].any()
    pixels, both = (
        OcclusionClassifier.read(fit_occlusion(e, OcclusionSettings(epochs=2)))
        for e in (examples(), of_meshes())
    )
    for classifier in (pixels, both):
        assert np.isfinite(classifier.logits(features)[Part.MOUTH]).all()


def test_a_few_wrong_labels_do_no_harm() -> None:
    known = examples(400)
    truth = known.hidden[Part.EYES].copy()
    worn = np.flatnonzero(truth == 1)[:8]
    known.hidden[Part.EYES][worn] = 0  # sunglasses that nobody has labelled
    classifier = OcclusionClassifier.read(fit_occlusion(known, OcclusionSettings(epochs=15)))
    assert np.mean(classifier.logits(known.features)[Part.EYES][worn] > 0) > 0.8


def test_the_same_examples_give_the_same_arrays() -> None:
    one, other = (fit_occlusion(examples(60), OcclusionSettings(epochs=2)) for _ in range(2))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_arrays_survive_being_stored_in_half_precision() -> None:
    arrays = fit_occlusion(examples(60), OcclusionSettings(epochs=2))
    classifier = OcclusionClassifier.read(arrays)
    again = OcclusionClassifier.read(
        {name: array.astype(np.float32) for name, array in classifier.arrays().items()}
    )
    assert sum(array.nbytes for array in arrays.values()) < 400_000
    features = occlusion_features(photo(), FACE)
    assert classifier.probabilities(features) == again.probabilities(features)


@pytest.mark.parametrize("part", list(Part))
def test_the_gate_names_what_is_hidden(part: Part) -> None:
    arrays = fit_occlusion(examples(60), OcclusionSettings(epochs=1))
    for other in Part:
        arrays[f"{other}.limit"] = np.array(-1 if other is part else 2, dtype=np.float32)
    refused = OcclusionClassifier.read(arrays).gate(occlusion_features(photo(), FACE))
    assert refused is not None
    assert (refused.name, refused.limit) == (f"{part}_hidden", -1)
    assert 0 <= refused.value <= 1


def test_a_head_without_a_classifier_refuses_nobody() -> None:
    classifier = OcclusionClassifier.read({})
    assert classifier.gate(occlusion_features(photo(), FACE)) is None
    assert classifier.arrays() == {}


def test_a_head_for_the_features_of_an_earlier_version_gets_the_shipped_classifier() -> None:
    shipped = Head.load(SHIPPED)
    earlier = {**shipped.arrays, "occlusion.mouth.hidden": np.zeros((2064, 32), np.float16)}
    params = [
        read_head_params(Head(arrays, shipped.metadata)).occlusion for arrays in (earlier, shipped.arrays)
    ]
    one, other = (classifier.probabilities(occlusion_features(photo(), FACE)) for classifier in params)
    assert one == other


def test_half_a_classifier_is_not_accepted() -> None:
    arrays = fit_occlusion(examples(60), OcclusionSettings(epochs=1))
    del arrays["mouth.out"]
    with pytest.raises(KeyError):
        OcclusionClassifier.read(arrays)


def test_each_photo_gives_two_bare_and_two_drawn_examples() -> None:
    drawn = draw_examples([photo(seed) for seed in range(12)], Steady(), Steady(), seed=1)
    hidden = np.stack([drawn.hidden[part] for part in Part])
    bare = float((hidden.max(axis=0) == 0).mean())
    assert 0.5 <= bare <= 0.75
    assert 0 < hidden[0].sum() < hidden.shape[1]
    assert hidden.min(axis=0).max() == 0  # nothing drawn hides both
    assert all(len(drawn.features[part]) == hidden.shape[1] for part in Part)


def test_photos_without_a_face_give_no_examples() -> None:
    small = np.zeros((10, 10, 3), np.uint8)
    with_small = draw_examples([photo(), small, photo(1)], Steady(), Steady(), seed=1)
    without = draw_examples([photo(), photo(1)], Steady(), Steady(), seed=1)
    assert len(with_small.hidden[Part.MOUTH]) == len(without.hidden[Part.MOUTH])


def test_real_sunglasses_count_mirrored_and_more_than_once() -> None:
    worn = sunglasses_examples([photo()], Steady(), Steady(), copies=6)
    count = len(worn.hidden[Part.EYES])
    assert 0 < count <= 12
    assert worn.hidden[Part.EYES].all()
    assert not worn.hidden[Part.MOUTH].any()
    together = Examples.joined([examples(10), worn])
    assert len(together.features[Part.EYES]) == len(together.hidden[Part.MOUTH]) == 10 + count
