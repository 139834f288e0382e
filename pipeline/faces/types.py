"""Types that all packages share: arrays by what they hold, tables of rows, and detected faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.verdict import Box

Rgb = NDArray[np.uint8]
"""(height, width, 3) uint8, RGB, upright."""
Points = NDArray[np.float32]
"""(n, 2) or (n, 3) coordinates."""
Embedding = NDArray[np.float32]
"""(d,) of one face."""
Embeddings = NDArray[np.float32]
"""(n, d) of n faces."""
EmbeddingsByName = Mapping[str, NDArray[np.float32]]
"""(n, d) of the same n faces by the name of the embedder; or (n, k) after projection."""
Scores = NDArray[np.float64]
"""(n,) or (n, m) scores of pairs."""
Codes = NDArray[np.int64]
"""(n,) whole numbers: people, genders, ages, or rows of a table."""
Flags = NDArray[np.bool_]
"""(n,) which rows are chosen."""
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Random = np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A table of n rows: each field is an array, a sequence, a mapping of arrays, or another table."""

    def only(self, chosen: Flags | Codes) -> Self:
        """The flagged rows, or the rows with these numbers."""
        return type(self)(**{field.name: _pick(getattr(self, field.name), chosen) for field in fields(self)})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All rows of the parts, which hold arrays and mappings of arrays, one part after the other."""
        return cls(
            **{field.name: _join([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        )


def _pick(column: Any, chosen: Flags | Codes) -> Any:
    if isinstance(column, Rows):
        return column.only(chosen)
    if isinstance(column, Mapping):
        return {name: array[chosen] for name, array in column.items()}
    if isinstance(column, Sequence):
        return tuple(column[row] for row in np.arange(len(column))[chosen])
    return column if column is None else column[chosen]


def _join(columns: Sequence[Any]) -> Any:
    if isinstance(columns[0], Mapping):
        return {name: np.concatenate([column[name] for column in columns]) for name in columns[0]}
    return np.concatenate(columns)


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """The face mesh of one face, in pixels of the upright photo.

    ``five`` is (5, 2) float32: the person's right eye, left eye, nose tip, right and left corner
    of the mouth. The mesh's own box, tighter than the detector's, has its middle at ``centre``,
    ``width`` and ``height`` along the face's own axes, which are turned by ``roll`` (radians).
    """

    five: Points
    centre: tuple[float, float]
    width: float
    height: float
    roll: float
    shape: Points
    """(468, 3) float32: every point in the network's own crop, in half sides of it from its middle; the
    third number is depth. The network computes them from 288 features, all of which they carry."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A detected face in pixels of the upright photo.

    ``landmarks`` is (6, 2) float32 in BlazeFace's order: the right eye and the left eye of the
    person (right comes first and lies left in the picture), nose tip, mouth centre, right ear
    tragion, left ear tragion. ``score`` is the detector's confidence, 0..1.
    """

    box: Box
    landmarks: Points
    score: float
    mesh: Mesh | None = None
    """None before the mesh was computed, or where it does not fit."""
    presence: float | None = None
    """The mesh's logit that there is a face; None before the mesh was computed."""


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """The faces of a photo in pixels of ``rgb``, the largest first.

    ``rgb`` is the photo as given, or turned by 90, 180 or 270 degrees where its faces stood
    upright only then (``turned``, counter-clockwise).
    """

    rgb: Rgb
    faces: tuple[Face, ...]
    turned: int = 0


class FaceDetector(Protocol):
    """Finds the faces of a photo."""

    def detect(self, rgb: Rgb) -> Detection:
        """All faces; a photo without a face is no error."""
        ...
