"""Degraded copies of labelled photos whose face a gate then refuses: hidden, out of focus, too few pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

from pipeline.bundles.models import Models
from pipeline.datasets.embeddings import (
    Dataset,
    EmbeddingCache,
    EmbeddingTable,
    embed_face,
    find_main_face,
    fingerprint,
)
from pipeline.errors import ImageError
from pipeline.faces.people import failed_gate, observe, refine
from pipeline.faces.types import Codes, Embeddings, Face, Random, Rgb
from pipeline.fitting.fit import DegradedCopies
from pipeline.fitting.metrics import rows_of_each
from pipeline.fitting.synthetic_occlusion import Occluder, draw_occluder
from pipeline.images.decode import decode
from pipeline.verdict import Outcome

MOST_PEOPLE = 200
"""Two photos each of so many people are degraded."""


def degraded_copies(dataset: Dataset, files: Sequence[str], identity: Codes) -> dict[str, DegradedCopies]:
    """By outcome of `DEGRADATIONS`, copies of two photos of each person with several.

    ``files`` and ``identity`` (n,) are the rows of a face table.
    """
    pairs = two_photos_each(identity)[:MOST_PEOPLE]
    found = {}
    for outcome in DEGRADATIONS:
        embedded = _embed(dataset, [files[row] for row in pairs.ravel()], outcome)
        rows = [
            (one, other) for two in pairs for one, other in (two, two[::-1]) if files[one] in embedded.row
        ]
        own, others = np.array(rows, dtype=np.int64).reshape(-1, 2).T
        copied = embedded.rows([files[row] for row in own])
        found[str(outcome)] = DegradedCopies(
            own, others, {name: v[copied] for name, v in embedded.embeddings.items()}
        )
    return found


def two_photos_each(identity: Codes) -> Codes:
    """(people, 2) rows of the first two photos of each person with several."""
    people = rows_of_each(identity)
    return np.array([rows[:2] for rows in people if len(rows) > 1], dtype=np.int64).reshape(-1, 2)


def _embed(dataset: Dataset, files: Sequence[str], outcome: Outcome) -> EmbeddingTable:
    dimensions = {name: embedder.dimensions for name, embedder in dataset.models.embedders.items()}
    kept = dataset.cache / f"{outcome}-{fingerprint(dataset.models)}.npz" if dataset.cache else None
    return dataset.extract(
        sorted(files),
        partial(_embed_degraded, outcome),
        EmbeddingCache(kept, dimensions),
        f"degrading: {outcome}",
    )


def _embed_degraded(outcome: Outcome, models: Models, path: Path) -> dict[str, Embeddings] | None:
    try:
        rgb = decode(path.read_bytes()).rgb
    except ImageError:
        return None
    found = find_main_face(models, rgb)
    if found is None:
        return None
    rng = np.random.default_rng(crc32(path.name.encode()))
    again = find_main_face(models, degrade(*found, outcome, rng))
    if again is None:
        return None
    upright, face = again
    (observed,) = observe(upright, refine(models.mesh, upright, [face]))
    refused = failed_gate(observed, models.params.quality, models.params.occlusion)
    return embed_face(models, upright, face) if refused else None


def degrade(rgb: Rgb, face: Face, outcome: Outcome, rng: Random) -> Rgb:
    """A copy of the photo whose ``face`` a gate probably refuses with ``outcome``, one of `DEGRADATIONS`."""
    return DEGRADATIONS[outcome](rgb, face, rng)


def _hidden(rgb: Rgb, face: Face, rng: Random) -> Rgb:
    return draw_occluder(rgb, face, Occluder.MASK if rng.random() < 0.5 else Occluder.SUNGLASSES, rng)


def _blurred(rgb: Rgb, face: Face, rng: Random) -> Rgb:
    """From about the least blur that the gate refuses to twice as much, where faces are hardly detected."""
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.04, 0.075) * face.box.side), np.uint8)


def _small(rgb: Rgb, face: Face, rng: Random) -> Rgb:
    """The whole photo scaled down until the face has 24 to 44 pixels."""
    scale = min(1.0, rng.uniform(24, 44) / face.box.side)
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


DEGRADATIONS: dict[Outcome, Callable[[Rgb, Face, Random], Rgb]] = {
    Outcome.OCCLUDED: _hidden,
    Outcome.TOO_BLURRED: _blurred,
    Outcome.FACE_TOO_SMALL: _small,
}
