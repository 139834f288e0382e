"""The loaded networks and head that a verification needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.bundles.bundle import Bundle, Manifest, networks
from pipeline.bundles.head import CALIBRATED, Head, HeadParams
from pipeline.faces.embedder import Embedder
from pipeline.faces.mesh import FaceMesh
from pipeline.faces.types import FaceDetector


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
        """The version that is stored with every verdict."""
        return self.manifest.version

    @property
    def calibrated(self) -> bool:
        """Whether the thresholds were set on the operator's own pairs."""
        return self.head.metadata.get("calibration") == CALIBRATED

    @property
    def networks(self) -> str:
        """What embeddings depend on: `pipeline.bundles.bundle.networks`."""
        return networks(self.manifest)
