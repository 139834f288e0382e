"""Everything that one verification needs, loaded once and handed over whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.bundles.bundle import Bundle, Manifest, networks
from pipeline.bundles.head import CALIBRATED, Head
from pipeline.bundles.head_params import Judges
from pipeline.faces.embedder import LiteRtEmbedder
from pipeline.faces.mesh import FaceMesh
from pipeline.faces.types import FaceDetector


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """Loaded networks under one head.

    ``bundle`` is where the networks come from; ``manifest`` and ``head`` are the bundle's own, or
    those of another head that was put on its networks.
    """

    bundle: Bundle
    manifest: Manifest
    head: Head
    detector: FaceDetector
    mesh: FaceMesh
    embedders: Mapping[str, LiteRtEmbedder]
    judges: Judges

    @property
    def version(self) -> str:
        """Goes into every verdict."""
        return self.manifest.version

    @property
    def calibrated(self) -> bool:
        """Whether the edges were set on the operator's own pairs."""
        return self.head.metadata.get("calibration") == CALIBRATED

    @property
    def networks(self) -> str:
        """What the embeddings depend on: `pipeline.bundles.bundle.networks`."""
        return networks(self.manifest)
