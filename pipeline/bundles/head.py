"""The head of a bundle: everything that was fitted, under 1 MB.

`Head` has named arrays, stored in ``NAME.npz``, and metadata in ``NAME.json`` beside it. Neither holds a
member's data. `HeadParams` has the objects that compute with them: `compose` makes a head of them after a
fit, and `read_head_params` reads them at load.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.identities import FittedOn
from pipeline.errors import BundleIncompatible, WeightsCorrupt, WeightsMissing
from pipeline.faces.types import Floats
from pipeline.score import Expectation, GenderHead, Scorer, Thresholds, Tower

if TYPE_CHECKING:  # OpenCV is not loaded where heads are only stored and passed on
    from pipeline.faces.occlusion import OcclusionClassifier
    from pipeline.faces.quality import QualityLimits

MOST_BYTES = 1_000_000
MOST_UNPACKED = 16 * MOST_BYTES
CALIBRATED, UNCALIBRATED = "calibrated", "uncalibrated"
"""The calibration state in the metadata; a calibrated head's thresholds were set on the operator's own
pairs."""
Arrays = Mapping[str, NDArray[Any]]

SHIPPED = Path(__file__).parents[1] / "heads" / "default.npz"
"""The head that comes with the project."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Named arrays and JSON metadata."""

    arrays: Arrays
    metadata: Mapping[str, Any]

    @property
    def fitted_on(self) -> FittedOn:
        """The people that the head was fitted on."""
        return FittedOn.read(self.arrays, self.metadata)

    def pack(self) -> bytes:
        """The arrays as an ``.npz`` file; the same arrays give the same bytes.

        Raises BundleIncompatible over 1 MB.
        """
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{name: self.arrays[name] for name in sorted(self.arrays)})
        packed = buffer.getvalue()
        if len(packed) > MOST_BYTES:
            raise BundleIncompatible(f"the head has {len(packed)} bytes, at most {MOST_BYTES} are allowed")
        return packed

    @classmethod
    def unpack(cls, packed: bytes, metadata: Mapping[str, Any]) -> Head:
        """The reverse of `pack`. Raises WeightsCorrupt.

        Nothing in the file is executed, and its unpacked size is bounded by the sizes that it declares.
        """
        try:
            _check_sizes(packed)
            with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
                return cls({name: archive[name] for name in archive.files}, metadata)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise WeightsCorrupt(f"the head's arrays cannot be read: {error}") from error

    def save(self, path: Path) -> None:
        """Write ``path`` (.npz) and the .json beside it, which holds the arrays' sha256."""
        packed = self.pack()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed)
        record = {**self.metadata, "arrays_sha256": hashlib.sha256(packed).hexdigest()}
        path.with_suffix(".json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path) -> Head:
        """Read what `save` wrote. Raises WeightsMissing or WeightsCorrupt."""
        described = path.with_suffix(".json")
        if missing := [file.name for file in (path, described) if not file.is_file()]:
            raise WeightsMissing(f"the head's file {missing[0]} is not there")
        packed, metadata = path.read_bytes(), _parse(described)
        if metadata.pop("arrays_sha256", None) != hashlib.sha256(packed).hexdigest():
            raise WeightsCorrupt(f"{path.name} is not the file that {described.name} describes")
        return cls.unpack(packed, metadata)


def _check_sizes(packed: bytes) -> None:
    """Raises ValueError where the archive or one of its arrays is larger than a head may be."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_UNPACKED:
            raise ValueError(f"they unpack to more than {MOST_UNPACKED} bytes")
        for member in archive.infolist():
            with archive.open(member) as file:
                np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
                shape, _, kind = np.lib.format.read_array_header_1_0(file)  # type: ignore[no-untyped-call]
            if math.prod(shape) * kind.itemsize > member.file_size:
                raise ValueError(f"{member.filename} is shorter than it says")


def _parse(described: Path) -> dict[str, Any]:
    try:
        metadata = json.loads(described.read_text("utf-8"))
    except ValueError as error:
        raise WeightsCorrupt(f"{described.name} is not JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise WeightsCorrupt(f"{described.name} does not describe a head")
    return metadata


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """The limits from which two pictures count as one: a stolen photo sent as selfie and as gallery photo."""

    hash_bits: int = 6
    """Perceptual hashes (64 bit) that differ in at most so many bits are near copies."""
    score: float = float("inf")
    """A score that hardly any two different pictures of one person reach."""
    agreement: float = 0.93
    """The limit for `pipeline.faces.same_picture.agreement`, which a picture and its edited copy reach, and
    hardly any two different pictures. Set on LFW's folds 1 to 3; the figures are in `MODEL_CARD.md`."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadParams:
    """The objects of a head that compute."""

    scorer: Scorer
    gender: GenderHead
    occlusion: OcclusionClassifier
    quality: QualityLimits
    replay: ReplayLimits

    @property
    def dimensions(self) -> dict[str, int]:
        """The embedders that the head needs, and the lengths of their embeddings."""
        towers = {name: len(tower.mean) for name, tower in self.scorer.towers.items()}
        return towers | {name: len(weight) for name, weight in self.gender.weights.items()}


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
    }
    return Head(arrays, {**facts, **metadata})


def read_head_params(head: Head) -> HeadParams:
    """The parameters of a head. Raises BundleIncompatible where something is missing."""
    try:
        return _read(head.arrays, head.metadata)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleIncompatible(f"the head lacks what this version needs: {error}") from error


def _read(arrays: Arrays, metadata: Mapping[str, Any]) -> HeadParams:
    from pipeline.faces.quality import QualityLimits

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
    )


def _occlusion(arrays: Arrays) -> OcclusionClassifier:
    """The head's own classifier; the shipped one where the head was fitted before the mesh's points were
    used.

    All heads of one version have the same, since it is not fitted on members' photos.
    """
    from pipeline.faces.occlusion import OcclusionClassifier

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
