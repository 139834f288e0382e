"""Between a head's named arrays and the judges that compute with them.

One place knows the names: `compose` writes them after a fit, `read_judges` reads them at load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.head import Head
from pipeline.bundles.identities import FittedOn
from pipeline.errors import BundleIncompatible
from pipeline.faces.occlusion import OcclusionJudge
from pipeline.faces.quality import QualityLimits
from pipeline.gender import GenderJudge
from pipeline.score import Edges, Expectation, Scorer, Tower

Arrays = dict[str, NDArray[Any]]

SHIPPED = Path(__file__).parents[1] / "heads" / "default.npz"
"""The head that comes along."""


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """When two pictures count as one: the stolen photo sent as selfie and as gallery photo."""

    hash_bits: int = 6
    """Perceptual hashes (64 bit) that differ in at most so many bits are near copies."""
    score: float = float("inf")
    """A likeness that two different pictures of one person hardly ever reach."""
    agreement: float = 0.93
    """What `pipeline.faces.same_picture.agreement` gives of a picture and its edited copy, and of two
    different pictures hardly ever. Set on LFW's folds 1 to 3; `MODEL_CARD.md` has the figures."""


@dataclass(frozen=True, slots=True, eq=False)
class Judges:
    """Everything in a head that computes."""

    scorer: Scorer
    gender: GenderJudge
    occlusion: OcclusionJudge
    quality: QualityLimits
    replay: ReplayLimits

    @property
    def dimensions(self) -> dict[str, int]:
        """The embedders whose vectors these judges need, and the vectors' lengths."""
        towers = {name: len(tower.mean) for name, tower in self.scorer.towers.items()}
        return towers | {name: len(weight) for name, weight in self.gender.weights.items()}


def compose(judges: Judges, facts: Mapping[str, Any], people: FittedOn) -> Head:
    """The head that holds these judges and was fitted on ``people``; ``facts`` join its metadata."""
    arrays: Arrays = {f"occlusion.{name}": array for name, array in judges.occlusion.arrays().items()}
    for name, tower in judges.scorer.towers.items():
        arrays[f"{name}.mean"], arrays[f"{name}.projection"] = tower.mean, tower.projection
    if expectation := judges.scorer.expectation:
        arrays.update({f"expectation.{name}": weight for name, weight in expectation.weights.items()})
    arrays.update({f"gender.{name}": weight for name, weight in judges.gender.weights.items()})
    arrays.update(people.arrays())
    metadata = {
        "fitted_on": people.facts(),
        "weights": {name: tower.weight for name, tower in judges.scorer.towers.items()},
        "edges": asdict(judges.scorer.edges),
        **({"expectation": _numbers(expectation)} if expectation else {}),
        "gender": {"bias": judges.gender.bias, "margin": judges.gender.margin},
        "quality": asdict(judges.quality),
        "replay": asdict(judges.replay),
    }
    return Head(arrays, {**facts, **metadata})


def read_judges(head: Head) -> Judges:
    """The judges of a head. Raises BundleIncompatible where something is missing."""
    try:
        return _read(head.arrays, head.metadata)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleIncompatible(f"the head lacks what this version needs: {error}") from error


def _read(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> Judges:
    towers = {
        name: Tower(_floats(arrays[f"{name}.mean"]), _floats(arrays[f"{name}.projection"]), float(weight))
        for name, weight in metadata["weights"].items()
    }
    return Judges(
        scorer=Scorer(towers, Edges(**metadata["edges"]), _expectation(arrays, metadata)),
        gender=GenderJudge(_below(arrays, "gender."), **metadata["gender"]),
        occlusion=_occlusion(_below(arrays, "occlusion.")),
        quality=QualityLimits(**metadata["quality"]),
        replay=ReplayLimits(**metadata["replay"]),
    )


def _occlusion(arrays: Arrays) -> OcclusionJudge:
    """The head's own; the shipped one for a head that was fitted before the mesh's points were looked at.

    It is the same in all heads of one version: nobody's own photos teach it.
    """
    judge = OcclusionJudge.read(arrays)
    return judge if judge.fits() else OcclusionJudge.read(_below(Head.load(SHIPPED).arrays, "occlusion."))


def _numbers(expectation: Expectation) -> dict[str, float]:
    return {"usual": expectation.usual, "limit": expectation.limit, "share": expectation.share}


def _expectation(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> Expectation | None:
    """None for a head that was fitted without one."""
    if "expectation" not in metadata:
        return None
    return Expectation(_below(arrays, "expectation."), **metadata["expectation"])


def _below(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[np.float32]]:
    return {name.removeprefix(prefix): _floats(a) for name, a in arrays.items() if name.startswith(prefix)}


def _floats(array: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(array, dtype=np.float32)
