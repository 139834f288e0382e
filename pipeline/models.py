"""Everything that one verification needs, loaded once and handed over whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.embedder import LiteRtEmbedder
from pipeline.judges import Judges
from pipeline.mesh import FaceMesh
from pipeline.ports import FaceDetector


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """A loaded bundle. ``version`` goes into every verdict."""

    detector: FaceDetector
    mesh: FaceMesh
    embedders: Mapping[str, LiteRtEmbedder]
    judges: Judges
    version: str
    calibrated: bool
