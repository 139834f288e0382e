"""Head parameters and loaded networks: what a verification needs in memory.

`HeadParams` are the objects of a head that compute. `compose` makes a head of them after a fit, and
`read_head_params` reads them when a head is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.bundle import Bundle, Manifest, networks
from pipeline.bundles.head import CALIBRATED, Arrays, Head
from pipeline.bundles.identities import FittedOn
from pipeline.errors import BundleIncompatible
from pipeline.faces.embedder import Embedder
from pipeline.faces.mesh import FaceMesh
from pipeline.faces.occlusion import OcclusionClassifier
from pipeline.faces.quality import QualityLimits
from pipeline.faces.types import FaceDetector, Floats
from pipeline.first_stage import FirstStage
from pipeline.score import Expectation, GenderHead, Scorer, Thresholds, Tower

SHIPPED = Path(__file__).parents[1] / "heads" / "default.npz"
"""The head that comes with the project."""


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """The limits from which two pictures count as one: a stolen photo sent as selfie and as gallery photo."""

    hash_bits: int = 6
    """Perceptual hashes (64 bit) that differ in at most so many bits are near copies."""
    score: float = float("inf")
    """A score that hardly any two different pictures of one person reach."""
    agreement: float = 0.93
    """The limit for `pipeline.faces.same_picture.agreement`, which a picture and its edited copy reach, and
    hardly any two different pictures. Set on LFW's folds 1 to 3; the figures are in `docs/accuracy.md`."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadParams:
    """The objects of a head that compute."""

    scorer: Scorer
    gender: GenderHead
    occlusion: OcclusionClassifier
    quality: QualityLimits
    replay: ReplayLimits
    first_stage: FirstStage | None = None
    """Heads that were fitted before have none."""

    @property
    def dimensions(self) -> dict[str, int]:
        """The embedders that the head needs, and the lengths of their embeddings."""
        towers = {name: len(tower.mean) for name, tower in self.scorer.towers.items()}
        first = {one.embedder: towers[one.tower]} if (one := self.first_stage) else {}
        return first | towers | {name: len(weight) for name, weight in self.gender.weights.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """Loaded networks and a head.

    ``bundle`` is where the networks come from; ``manifest`` and ``head`` are the bundle's own, or those of
    another head for the same networks.
    """

    bundle: Bundle
    manifest: Manifest
    head: Head
    detector: FaceDetector
    mesh: FaceMesh
    embedders: Mapping[str, Embedder]
    params: HeadParams

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def calibrated(self) -> bool:
        """Whether the thresholds were set on the operator's own pairs."""
        return self.head.metadata.get("calibration") == CALIBRATED

    @property
    def networks(self) -> str:
        """What embeddings depend on: `pipeline.bundles.bundle.networks`."""
        return networks(self.manifest)


def compose(params: HeadParams, facts: Mapping[str, Any], people: FittedOn) -> Head:
    """The head with these parameters, fitted on ``people``; ``facts`` are added to its metadata."""
    arrays = {f"occlusion.{name}": array for name, array in params.occlusion.arrays().items()}
    for name, tower in params.scorer.towers.items():
        arrays[f"{name}.mean"], arrays[f"{name}.projection"] = tower.mean, tower.projection
    if expectation := params.scorer.expectation:
        arrays.update({f"expectation.{name}": weight for name, weight in expectation.weights.items()})
    arrays.update({f"gender.{name}": weight for name, weight in params.gender.weights.items()})
    arrays.update(people.arrays())
    metadata = {
        "fitted_on": people.facts(),
        "weights": {name: tower.weight for name, tower in params.scorer.towers.items()},
        "edges": asdict(params.scorer.thresholds),
        **({"expectation": _numbers(expectation)} if expectation else {}),
        "gender": {"bias": params.gender.bias, "margin": params.gender.margin},
        "quality": asdict(params.quality),
        "replay": asdict(params.replay),
        **({"first_stage": asdict(params.first_stage)} if params.first_stage else {}),
    }
    return Head(arrays, {**facts, **metadata})


def read_head_params(head: Head) -> HeadParams:
    """The parameters of a head. Raises BundleIncompatible where something is missing."""
    try:
        return _read(head.arrays, head.metadata)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleIncompatible(f"the head lacks what this version needs: {error}") from error


def _read(arrays: Arrays, metadata: Mapping[str, Any]) -> HeadParams:
    towers = {
        name: Tower(_floats(arrays[f"{name}.mean"]), _floats(arrays[f"{name}.projection"]), float(weight))
        for name, weight in metadata["weights"].items()
    }
    return HeadParams(
        scorer=Scorer(towers, Thresholds(**metadata["edges"]), _expectation(arrays, metadata)),
        gender=GenderHead(_below(arrays, "gender."), **metadata["gender"]),
        occlusion=_occlusion(_below(arrays, "occlusion.")),
        quality=QualityLimits(**metadata["quality"]),
        replay=ReplayLimits(**metadata["replay"]),
        first_stage=FirstStage(**metadata["first_stage"]) if "first_stage" in metadata else None,
    )


def _occlusion(arrays: Arrays) -> OcclusionClassifier:
    """The head's own classifier; the shipped one for heads that were fitted before the mesh was used.

    All heads of one version have the same, since it is not fitted on members' photos.
    """
    classifier = OcclusionClassifier.read(arrays)
    return (
        classifier
        if classifier.fits()
        else OcclusionClassifier.read(_below(Head.load(SHIPPED).arrays, "occlusion."))
    )


def _numbers(expectation: Expectation) -> dict[str, float]:
    return {"usual": expectation.usual, "limit": expectation.limit, "share": expectation.share}


def _expectation(arrays: Arrays, metadata: Mapping[str, Any]) -> Expectation | None:
    if "expectation" not in metadata:
        return None
    return Expectation(_below(arrays, "expectation."), **metadata["expectation"])


def _below(arrays: Arrays, prefix: str) -> dict[str, Floats]:
    return {name.removeprefix(prefix): _floats(a) for name, a in arrays.items() if name.startswith(prefix)}


def _floats(array: NDArray[Any]) -> Floats:
    return np.asarray(array, dtype=np.float32)
