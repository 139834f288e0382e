"""Everything that one verification needs, loaded once and handed over whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.bundle import Bundle
from pipeline.embedder import LiteRtEmbedder
from pipeline.judges import Judges
from pipeline.mesh import FaceMesh
from pipeline.ports import FaceDetector


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """Loaded networks under one head, whose ``version`` goes into every verdict.

    ``bundle`` is where the networks come from; the head may be another than the one in it.
    """

    bundle: Bundle

    detector: FaceDetector
    mesh: FaceMesh
    embedders: Mapping[str, LiteRtEmbedder]
    judges: Judges
    version: str
    calibrated: bool
