"""The head of a bundle: everything that was fitted, under 1 MB.

The arrays are stored in ``NAME.npz``, the metadata in ``NAME.json`` beside it. Neither holds a member's data.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.identities import FittedOn
from pipeline.errors import BundleIncompatible, WeightsCorrupt, WeightsMissing

MOST_BYTES = 1_000_000
MOST_UNPACKED = 16 * MOST_BYTES
CALIBRATED, UNCALIBRATED = "calibrated", "uncalibrated"
"""The calibration state in the metadata; a calibrated head's thresholds were set on the operator's own
pairs."""
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Named arrays and JSON metadata; `pipeline.bundles.models.HeadParams` gives them their meaning."""

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
