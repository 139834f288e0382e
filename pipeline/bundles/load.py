"""From a bundle's folder to warm models; the only place that names concrete ones. No TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.bundles.bundle import (
    Manifest,
    Part,
    check_part,
    lacking,
    open_head,
    open_manifest,
    read_bundle,
    same_network,
)
from pipeline.bundles.head import Head
from pipeline.bundles.head_params import Judges, read_judges
from pipeline.bundles.models import Models
from pipeline.errors import BundleIncompatible
from pipeline.faces.detector import TwoRangeDetector
from pipeline.faces.embedder import LiteRtEmbedder, open_embedder
from pipeline.faces.mesh import FaceMesh

Find = Callable[[str, Part], Path]
"""A network's name and what a manifest says of it, to its file. Raises ModelError."""


def _nowhere(name: str, part: Part) -> Path:
    raise BundleIncompatible(f"the bundle here does not hold {name} ({part.file})")


def load_models(folder: Path) -> Models:
    """Check the bundle and load what it holds. Raises ModelError.

    The networks keep one thread each and are not to be shared between threads.
    """
    bundle = read_bundle(folder)
    judges = read_judges(bundle.head)
    # Those that a head is yet to be fitted with, too (`weights --embedder`): `fit` looks by them.
    names = {*judges.dimensions, *bundle.head.metadata.get("embedders", {})}
    return Models(
        bundle=bundle,
        manifest=bundle.manifest,
        head=bundle.head,
        detector=TwoRangeDetector(bundle.path("blazeface_short"), bundle.path("blazeface_full")),
        mesh=FaceMesh(bundle.path("face_mesh")),
        embedders=_embedders(bundle.head, judges, {name: bundle.path(name) for name in names}),
        judges=judges,
    )


def swap_head(held: Sequence[Models], manifest: str, packed: bytes, find: Find = _nowhere) -> Models:
    """Another head, as it was published, on networks that are loaded; ``held`` stays as it is.

    ``held`` are the models that the process has, the first those of its own bundle; what the new
    head has in common with any of them is shared. ``manifest`` is the text of the head's manifest,
    ``packed`` the head. ``find`` gives the file of a network that the bundle here does not hold.
    Raises ModelError where head or manifest is damaged, a network cannot be had, or they do not fit.
    """
    described = open_manifest(manifest)
    head = open_head(described, packed)
    judges = read_judges(head)
    if missing := set(lacking(held[0].bundle.manifest, described)) - set(judges.dimensions):
        raise BundleIncompatible(
            f"the head is for other networks than are here: {', '.join(sorted(missing))}"
        )
    sources = {name: _source(name, held, described, head, find) for name in judges.dimensions}
    embedders = _embedders(head, judges, sources)
    _try_out(judges, embedders)
    return replace(held[0], manifest=described, head=head, embedders=embedders, judges=judges)


def _source(
    name: str, held: Sequence[Models], described: Manifest, head: Head, find: Find
) -> Path | LiteRtEmbedder:
    """A loaded embedder on this network, at best one that is fed alike; else the network's file."""
    if name not in described.parts:
        raise BundleIncompatible(f"the manifest of {described.version} names no {name}")
    part, rule = described.parts[name], head.metadata.get("embedders", {}).get(name, {})
    own = [
        m.embedders[name] for m in held if name in m.embedders and same_network(m.manifest.parts[name], part)
    ]
    if own:
        return next((embedder for embedder in own if embedder.is_fed(rule)), own[0])
    bundle = held[0].bundle
    if same_network(bundle.manifest.parts.get(name), part):
        return bundle.path(name)
    path = find(name, part)
    check_part(path, name, part)
    return path


def _embedders(
    head: Head, judges: Judges, sources: Mapping[str, Path | LiteRtEmbedder]
) -> dict[str, LiteRtEmbedder]:
    """The networks of ``sources``; each must fit the head."""
    described, embedders = head.metadata.get("embedders", {}), {}
    for name, source in sources.items():
        embedder = open_embedder(name, source, described.get(name, {}))
        dimensions = judges.dimensions.get(name, embedder.dimensions)
        if dimensions != embedder.dimensions:
            raise BundleIncompatible(f"the head wants {dimensions} numbers of {name}")
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
