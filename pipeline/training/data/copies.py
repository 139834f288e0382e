"""Augmented copies of training faces for head mode, embedded once: bad light, old photos, blurred parts.

Fine-tuning augments every photo anew in every epoch. A head is trained on embeddings that are made
once, so each photo gets a few copies, the same ones each time, kept by its content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.bundles.models import Models
from pipeline.datasets.embeddings import EXTRACTION, Album, Store
from pipeline.faces.types import Vectors
from pipeline.training.data.augment import SHARES, augment
from pipeline.training.data.windows import read_window

COPYING = 1
"""Raised with every change to how a copy is made."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of every photo: the ``number``-th of a training's seed, for one embedder."""

    tower: str
    seed: int
    number: int
    windows: Path | None
    """The cache of faces with their surroundings."""

    def __call__(self, models: Models, path: Path) -> dict[str, Vectors] | None:
        """The vector (d,) of the photo's face, made worse at random.

        The chance depends on the photo's content, so it does not matter who else is trained on.
        """
        window = read_window(models, path, self.windows)
        content = int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:4], "big")
        rgb, face = augment(window.rgb(), window.face, (self.seed, self.number, content))
        embedder = models.embedders[self.tower]
        return {self.tower: embedder.embed([embedder.crop(rgb, face)])[0]}

    def store(self, album: Album) -> Store:
        """Where its vectors are kept: `forget_photos` finds them by the photo's content."""
        embedder = album.models.embedders[self.tower]
        parts = [EXTRACTION, COPYING, embedder.fingerprint, self.seed, self.number, sorted(SHARES.items())]
        rules = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
        path = album.cache / f"embeddings-copy-{rules}.npz" if album.cache else None
        return Store(path, {self.tower: embedder.dimensions})


def embed_copies(album: Album, files: Sequence[str], tower: str, copies: int, seed: int) -> Vectors:
    """(copies, n, d): the copies of the main face of every photo. The photos must show one."""
    found = []
    for number in range(copies):
        one = Copy(tower, seed, number, album.cache)
        embedded = album.look_at(files, one, one.store(album), f"copy {number + 1} of {copies}")
        found.append(embedded.vectors[tower][embedded.rows(files)])
    size = album.models.embedders[tower].dimensions
    return np.array(found, np.float32).reshape(copies, len(files), size)
