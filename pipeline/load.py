"""From a bundle's folder to warm models; the only place that names concrete ones. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.bundle import Bundle, lacking, open_head, open_manifest, read_bundle
from pipeline.detector import TwoRangeDetector
from pipeline.embedder import LiteRtEmbedder, open_embedder
from pipeline.errors import BundleIncompatible
from pipeline.head import Head
from pipeline.judges import Judges, read_judges
from pipeline.mesh import FaceMesh
from pipeline.models import Models


def load_models(folder: Path) -> Models:
    """Check the bundle and load what it holds. Raises ModelError.

    The networks keep one thread each and are not to be shared between threads.
    """
    bundle = read_bundle(folder)
    judges = read_judges(bundle.head)
    return Models(
        bundle=bundle,
        manifest=bundle.manifest,
        head=bundle.head,
        detector=TwoRangeDetector(bundle.path("blazeface_short"), bundle.path("blazeface_full")),
        mesh=FaceMesh(bundle.path("face_mesh")),
        embedders=_embedders(bundle, bundle.head, judges),
        judges=judges,
    )


def swap_head(models: Models, manifest: str, packed: bytes) -> Models:
    """The same loaded networks under another head, as it was published; ``models`` stays as it is.

    ``manifest`` is the text of that bundle's manifest, ``packed`` its head. Embedders that the new
    head feeds as before are shared. Raises ModelError where either is damaged, where this host's
    bundle does not hold the networks that the head was made for, or where it does not fit them.
    """
    described = open_manifest(manifest)
    if missing := lacking(models.bundle.manifest, described):
        raise BundleIncompatible(f"the bundle here does not hold the head's networks: {', '.join(missing)}")
    head = open_head(described, packed)
    judges = read_judges(head)
    embedders = _embedders(models.bundle, head, judges, models.embedders)
    _try_out(judges, embedders)
    return replace(models, manifest=described, head=head, embedders=embedders, judges=judges)


def _embedders(
    bundle: Bundle, head: Head, judges: Judges, loaded: Mapping[str, LiteRtEmbedder] | None = None
) -> dict[str, LiteRtEmbedder]:
    """Those that the head compares by; each must fit it."""
    described, loaded, embedders = head.metadata.get("embedders", {}), loaded or {}, {}
    for name, tower in judges.scorer.towers.items():
        network = loaded[name] if name in loaded else bundle.path(name)
        embedder = open_embedder(name, network, described.get(name, {}))
        if tower.mean.shape != (embedder.dimensions,):
            raise BundleIncompatible(f"the head wants {tower.mean.shape} of {name}")
        embedders[name] = embedder
    return embedders


def _try_out(judges: Judges, embedders: Mapping[str, LiteRtEmbedder]) -> None:
    """A head that cannot compute with these vectors is found out now, not at the first member."""
    nothing = {name: np.zeros((1, e.dimensions), np.float32) for name, e in embedders.items()}
    try:
        projected = judges.scorer.project(nothing)
        judges.scorer.compare(projected, projected)
        judges.gender.logits(nothing)
    except (KeyError, ValueError) as error:
        raise BundleIncompatible(f"the head does not fit the networks: {error}") from error


def warm_up(models: Models) -> None:
    """Run every network once, so that the first photo is as quick as the next.

    Two faces at a time, as in most jobs: buffers for them are made now.
    """
    models.detector.detect(np.full((960, 1280, 3), 128, np.uint8))
    for embedder in models.embedders.values():
        embedder.embed([np.full((embedder.side, embedder.side, 3), 128, np.uint8)] * 2)
