"""Embeddings of photos that were spoilt on purpose, of those whose face a gate then refuses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np

from pipeline.bundles.models import Models
from pipeline.datasets.embeddings import Album, Embedded, Store, embed_face, fingerprint, main_face
from pipeline.errors import ImageError
from pipeline.faces.people import observe, refine, refused
from pipeline.faces.types import Vectors
from pipeline.fitting.degradation import DAMAGES, damage
from pipeline.fitting.fit import Codes, Copies
from pipeline.fitting.metrics import rows_of_each
from pipeline.images.decode import decode
from pipeline.verdict import Outcome

MOST_PEOPLE = 200
"""Of so many people two photos each are spoilt."""


def damaged_copies(album: Album, files: Sequence[str], identity: Codes) -> dict[str, Copies]:
    """For each outcome of `DAMAGES`, copies of two photos of each person with several.

    ``files`` and ``identity`` (n,) are the rows of a face table.
    """
    pairs = two_photos_each(identity)[:MOST_PEOPLE]
    found = {}
    for outcome in DAMAGES:
        embedded = _embed(album, [files[row] for row in pairs.ravel()], outcome)
        rows = [
            (one, other) for two in pairs for one, other in (two, two[::-1]) if files[one] in embedded.row
        ]
        own, others = np.array(rows, dtype=np.int64).reshape(-1, 2).T
        seen = embedded.rows([files[row] for row in own])
        found[str(outcome)] = Copies(own, others, {name: v[seen] for name, v in embedded.vectors.items()})
    return found


def two_photos_each(identity: Codes) -> Codes:
    """(people, 2) rows of the first two photos of everybody who has several."""
    people = rows_of_each(identity)
    return np.array([rows[:2] for rows in people if len(rows) > 1], dtype=np.int64).reshape(-1, 2)


def _embed(album: Album, files: Sequence[str], outcome: Outcome) -> Embedded:
    dimensions = {name: embedder.dimensions for name, embedder in album.models.embedders.items()}
    kept = album.cache / f"{outcome}-{fingerprint(album.models)}.npz" if album.cache else None
    return album.look_at(
        sorted(files), partial(_look, outcome), Store(kept, dimensions), f"spoiling: {outcome}"
    )


def _look(outcome: Outcome, models: Models, path: Path) -> dict[str, Vectors] | None:
    try:
        rgb = decode(path.read_bytes()).rgb
    except ImageError:
        return None
    sight = models.detector.detect(rgb)
    if not sight.faces:
        return None
    rng = np.random.default_rng(crc32(path.name.encode()))
    spoilt = damage(sight.rgb, main_face(sight.rgb, sight.faces), outcome, rng)
    again = models.detector.detect(spoilt)
    if not again.faces:
        return None
    judges, face = models.judges, main_face(again.rgb, again.faces)
    (seen,) = observe(again.rgb, refine(models.mesh, again.rgb, [face]))
    return embed_face(models, again.rgb, face) if refused(seen, judges.quality, judges.occlusion) else None
