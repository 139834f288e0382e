"""From a bundle's folder to warm models; the only place that names concrete ones. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.bundle import Bundle, read_bundle
from pipeline.detector import TwoRangeDetector
from pipeline.embedder import LiteRtEmbedder, open_embedder
from pipeline.errors import BundleIncompatible
from pipeline.judges import Judges, read_judges
from pipeline.mesh import FaceMesh
from pipeline.models import Models

CALIBRATED = "calibrated"


def load_models(folder: Path) -> Models:
    """Check the bundle and load what it holds. Raises ModelError.

    The networks keep one thread each and are not to be shared between threads.
    """
    bundle = read_bundle(folder)
    judges = read_judges(bundle.head)
    return Models(
        detector=TwoRangeDetector(bundle.path("blazeface_short"), bundle.path("blazeface_full")),
        mesh=FaceMesh(bundle.path("face_mesh")),
        embedders=_embedders(bundle, judges),
        judges=judges,
        version=bundle.manifest.version,
        calibrated=bundle.head.metadata.get("calibration") == CALIBRATED,
    )


def _embedders(bundle: Bundle, judges: Judges) -> dict[str, LiteRtEmbedder]:
    """Those that the head compares by; each must fit it."""
    described = bundle.head.metadata.get("embedders", {})
    embedders = {}
    for name, tower in judges.scorer.towers.items():
        embedder = open_embedder(name, bundle.path(name), described.get(name, {}))
        if tower.mean.shape != (embedder.dimensions,):
            raise BundleIncompatible(f"the head wants {tower.mean.shape} of {name}")
        embedders[name] = embedder
    return embedders


def warm_up(models: Models) -> None:
    """Run every network once, so that the first photo is as quick as the next.

    Two faces at a time, as in most jobs: buffers for them are made now.
    """
    models.detector.detect(np.full((960, 1280, 3), 128, np.uint8))
    for embedder in models.embedders.values():
        embedder.embed([np.full((embedder.side, embedder.side, 3), 128, np.uint8)] * 2)
