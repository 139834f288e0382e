"""Occlusion: is something over the face, such as a mask, a scarf, sunglasses or a hand?

A small classifier on gradients and colours of the aligned face, fitted on synthetic occlusions
(`pipeline.fitting.occlusion`). It has one network for the mouth and one for the eyes, because different
things hide them. The mouth's network also takes the points of the face mesh, which are placed differently
where the lips are covered. Reading glasses, beards and hats hide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.faces.align import Border, crop_similarity
from pipeline.faces.types import Face, Floats, Rgb
from pipeline.verdict import GateResult


class Part(StrEnum):
    """The parts of a face that may be hidden."""

    MOUTH = "mouth"
    EYES = "eyes"


Features = dict[Part, Floats]
"""For each part (n, d) float32: gradients (HOG) and colours of its region; for the mouth then the mesh's
points and a 1, or as many zeros where there is no mesh."""

SHAPE = 3 * 468 + 1
"""How many of the mouth's features, the last ones, come from the mesh."""


@dataclass(frozen=True, slots=True)
class _Region:
    """A rectangle of the aligned face of 128 pixels, and the size that it is scaled to."""

    left: int
    top: int
    right: int
    bottom: int
    size: tuple[int, int]
    colours: tuple[int, int]

    @property
    def length(self) -> int:
        """Number of features."""
        blocks = [side // 8 - 1 for side in self.size]
        return 36 * blocks[0] * blocks[1] + 3 * self.colours[0] * self.colours[1]

    def features(self, aligned: Rgb) -> Floats:
        """Directions of gradients in cells of 8 pixels, and coarse colours against their median."""
        patch = aligned[self.top : self.bottom, self.left : self.right]
        patch = np.asarray(cv2.resize(patch, self.size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        hog = cv2.HOGDescriptor(self.size, (16, 16), (8, 8), (8, 8), 9)
        gradients = np.ravel(hog.compute(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)))
        lab = cv2.resize(cv2.cvtColor(patch, cv2.COLOR_RGB2LAB), self.colours, interpolation=cv2.INTER_AREA)
        colours = np.asarray(lab, dtype=np.float32).reshape(-1, 3)
        relative = np.ravel(colours - np.median(colours, axis=0)) / 32
        return np.asarray(np.concatenate([gradients, relative]), dtype=np.float32)


_REGIONS = {
    Part.MOUTH: _Region(16, 16, 112, 128, (48, 56), (8, 10)),
    Part.EYES: _Region(10, 30, 118, 84, (96, 48), (12, 6)),
}

LENGTHS = {Part.MOUTH: _REGIONS[Part.MOUTH].length + SHAPE, Part.EYES: _REGIONS[Part.EYES].length}
"""Number of features of each part."""


def occlusion_features(rgb: Rgb, face: Face) -> Features:
    """The classifier's input, one row for each part; ``face`` has its mesh, where one fits."""
    aligned = crop_similarity(rgb, face, 128, Border.REPLICATE)
    found = {part: region.features(aligned) for part, region in _REGIONS.items()}
    found[Part.MOUTH] = np.concatenate([found[Part.MOUTH], _shape(face)])
    return {part: features[None] for part, features in found.items()}


def _shape(face: Face) -> Floats:
    """(`SHAPE`,) points of the mesh; zeros without a mesh, which add nothing to the logit."""
    if face.mesh is None:
        return np.zeros(SHAPE, np.float32)
    return np.append(np.ravel(face.mesh.shape), np.float32(1))


@dataclass(frozen=True, slots=True, eq=False)
class TwoLayers:
    """A network of two layers: features, a few hidden units, one logit."""

    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: Floats

    def logits(self, features: Floats) -> Floats:
        """(n, d) to (n,)."""
        hidden = np.maximum(features @ self.hidden + self.hidden_bias, 0)
        return np.asarray(hidden @ self.out + self.out_bias, dtype=np.float32)


class OcclusionClassifier:
    """Tells which part of a face is hidden; without arrays, none."""

    def __init__(self, networks: Mapping[Part, TwoLayers], limits: Mapping[Part, float]) -> None:
        """A part is hidden where its network's probability is above its limit."""
        self._networks, self._limits = dict(networks), dict(limits)

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]]) -> OcclusionClassifier:
        """The reverse of `arrays`. Raises KeyError where arrays of a part are missing."""
        parts = [part for part in Part if any(name.startswith(f"{part}.") for name in arrays)]
        networks = {
            part: TwoLayers(*(np.asarray(arrays[f"{part}.{name}"], np.float32) for name in _LAYERS))
            for part in parts
        }
        return cls(networks, {part: float(arrays[f"{part}.limit"]) for part in parts})

    def fits(self) -> bool:
        """Whether the networks were fitted on the features that this version computes."""
        return all(len(network.hidden) == LENGTHS[part] for part, network in self._networks.items())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, for a head; the large ones in half precision."""
        arrays: dict[str, NDArray[Any]] = {}
        for part, network in self._networks.items():
            arrays[f"{part}.hidden"] = network.hidden.astype(np.float16)
            arrays[f"{part}.hidden_bias"] = network.hidden_bias
            arrays[f"{part}.out"], arrays[f"{part}.out_bias"] = network.out, network.out_bias
            arrays[f"{part}.limit"] = np.asarray(self._limits[part], dtype=np.float32)
        return arrays

    def logits(self, features: Features) -> dict[Part, Floats]:
        """(n,) for each part; positive where it is more likely hidden."""
        return {part: network.logits(features[part]) for part, network in self._networks.items()}

    def probabilities(self, features: Features) -> dict[Part, float]:
        """The probability that each part of one face is hidden, 0..1."""
        logits = {part: np.clip(float(row[0]), -60, 60) for part, row in self.logits(features).items()}
        return {part: float(1 / (1 + np.exp(-logit))) for part, logit in logits.items()}

    def gate(self, features: Features) -> GateResult | None:
        """The gate for the first hidden part of one face, with its probability; None where none is hidden."""
        for part, probability in self.probabilities(features).items():
            if probability > self._limits[part]:
                return GateResult(f"{part}_hidden", probability, self._limits[part])
        return None


_LAYERS = ("hidden", "hidden_bias", "out", "out_bias")
