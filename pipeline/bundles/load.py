"""Load a bundle's networks and head. Concrete classes are chosen here; no TensorFlow is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.bundles.bundle import (
    Bundle,
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
from pipeline.bundles.models import HeadParams, Models, read_head_params
from pipeline.errors import BundleIncompatible
from pipeline.faces.detector import TwoRangeDetector
from pipeline.faces.embedder import Embedder, open_embedder
from pipeline.faces.mesh import FaceMesh
from pipeline.faces.networks import Network, open_network
from pipeline.faces.packed.weights import PackedWeights
from pipeline.memory import keep_freed_memory

Find = Callable[[str, Part], Path]
"""Gives the file of a network by its name and its entry in a manifest. Raises ModelError."""


def _nowhere(name: str, part: Part) -> Path:
    raise BundleIncompatible(f"the bundle here does not hold {name} ({part.file})")


def load_models(folder: Path, packed: Path | None = None) -> Models:
    """Check the bundle and load it. Raises ModelError.

    ``packed`` is a folder where the processes of this host share the embedders' packed weights. LiteRT writes
    two lines to standard error when a process ends that uses it, but for one that ends by `os._exit`.
    Each network runs on one thread and must not be shared between threads.
    """
    bundle = read_bundle(folder)
    params = read_head_params(bundle.head)
    # Also those that a head is yet to be fitted with (`weights --embedder`).
    names = {*params.dimensions, *bundle.head.metadata.get("embedders", {})}
    shared = PackedWeights(packed) if packed else None
    opened = {name: _open(bundle, name, shared) for name in names}
    return Models(
        bundle=bundle,
        manifest=bundle.manifest,
        head=bundle.head,
        detector=TwoRangeDetector(bundle.path("blazeface_short"), bundle.path("blazeface_full")),
        mesh=FaceMesh(bundle.path("face_mesh")),
        embedders=_embedders(bundle.head, params, opened),
        params=params,
    )


def _open(bundle: Bundle, name: str, shared: PackedWeights | None) -> Network:
    path = bundle.path(name)
    return shared.open(path, bundle.manifest.parts[name].sha256) if shared else open_network(path)


def swap_head(held: Sequence[Models], manifest: str, packed: bytes, find: Find = _nowhere) -> Models:
    """Models with another, published head on networks that are loaded; ``held`` does not change.

    ``held`` are the loaded models of the process, those of its own bundle first; the new models share their
    embedders where they are the same. ``manifest`` is the text of the head's manifest, ``packed`` the head.
    ``find`` gives the file of a network that the bundle does not hold. Raises ModelError where head or
    manifest is damaged, a network is missing, or they do not fit.
    """
    described = open_manifest(manifest)
    head = open_head(described, packed)
    params = read_head_params(head)
    if missing := set(lacking(held[0].bundle.manifest, described)) - set(params.dimensions):
        raise BundleIncompatible(
            f"the head is for other networks than are here: {', '.join(sorted(missing))}"
        )
    sources = {name: _source(name, held, described, head, find) for name in params.dimensions}
    embedders = _embedders(head, params, sources)
    _try_out(params, embedders)
    return replace(held[0], manifest=described, head=head, embedders=embedders, params=params)


def _source(
    name: str, held: Sequence[Models], described: Manifest, head: Head, find: Find
) -> Path | Embedder:
    """A loaded embedder on this network, if possible one with the same rule; else the network's file."""
    if name not in described.parts:
        raise BundleIncompatible(f"the manifest of {described.version} names no {name}")
    part, rule = described.parts[name], head.metadata.get("embedders", {}).get(name, {})
    own = [
        m.embedders[name] for m in held if name in m.embedders and same_network(m.manifest.parts[name], part)
    ]
    if own:
        return next((embedder for embedder in own if embedder.has_rule(rule)), own[0])
    bundle = held[0].bundle
    if same_network(bundle.manifest.parts.get(name), part):
        return bundle.path(name)
    path = find(name, part)
    check_part(path, name, part)
    return path


def _embedders(
    head: Head, params: HeadParams, sources: Mapping[str, Path | Network | Embedder]
) -> dict[str, Embedder]:
    """The embedders of ``sources``. Raises BundleIncompatible where one does not fit the head."""
    described, embedders = head.metadata.get("embedders", {}), {}
    for name, source in sources.items():
        embedder = open_embedder(name, source, described.get(name, {}))
        dimensions = params.dimensions.get(name, embedder.dimensions)
        if dimensions != embedder.dimensions:
            raise BundleIncompatible(f"the head wants {dimensions} numbers of {name}")
        embedders[name] = embedder
    return embedders


def _try_out(params: HeadParams, embedders: Mapping[str, Embedder]) -> None:
    """Compute once with zeros, so that a head that does not fit raises now and not at the first member."""
    zeros = {name: np.zeros((1, e.dimensions), np.float32) for name, e in embedders.items()}
    try:
        projected = params.scorer.project(zeros)
        params.scorer.compare(projected, projected)
        params.gender.logits(zeros)
    except (KeyError, ValueError) as error:
        raise BundleIncompatible(f"the head does not fit the networks: {error}") from error


def warm_up(models: Models) -> None:
    """Search a picture, so that the first photo takes no longer than others, and keep memory for it.

    Embedders have been run when they were loaded.
    """
    keep_freed_memory()
    models.detector.detect(np.full((960, 1280, 3), 128, np.uint8))
