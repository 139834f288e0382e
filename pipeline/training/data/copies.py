"""Augmented copies of training faces for head mode, embedded once.

Fine-tuning augments every photo anew in every epoch. A head is trained on embeddings that are computed once,
so each photo gets a few fixed copies, cached by its content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.bundles.models import Models
from pipeline.datasets.embeddings import EXTRACTION, Dataset, EmbeddingCache
from pipeline.faces.types import Embeddings
from pipeline.training.data.augment import SHARES, augment
from pipeline.training.data.windows import read_window

COPYING = 1
"""Raised with every change to how a copy is made."""


@dataclass(frozen=True, slots=True)
class AugmentedCopy:
    """One copy of every photo: the ``number``-th of a training's seed, for one embedder."""

    tower: str
    seed: int
    number: int
    windows: Path | None
    """The cache of windows."""

    def __call__(self, models: Models, path: Path) -> dict[str, Embeddings] | None:
        """The embedding (d,) of the photo's face after a random augmentation.

        The seed depends on the photo's content, and so not on the other photos of a training.
        """
        window = read_window(models, path, self.windows)
        content = int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:4], "big")
        rgb, face = augment(window.rgb(), window.face, (self.seed, self.number, content))
        embedder = models.embedders[self.tower]
        return {self.tower: embedder.embed([embedder.crop(rgb, face)])[0]}

    def cache(self, dataset: Dataset) -> EmbeddingCache:
        """The cache of the copy's embeddings; `forget_photos` finds them by the photo's content."""
        embedder = dataset.models.embedders[self.tower]
        parts = [EXTRACTION, COPYING, embedder.fingerprint, self.seed, self.number, sorted(SHARES.items())]
        rules = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
        path = dataset.cache / f"embeddings-copy-{rules}.npz" if dataset.cache else None
        return EmbeddingCache(path, {self.tower: embedder.dimensions})


def embed_copies(dataset: Dataset, files: Sequence[str], tower: str, copies: int, seed: int) -> Embeddings:
    """(copies, n, d): copies of the main face of every photo. The photos must show one."""
    found = []
    for number in range(copies):
        one = AugmentedCopy(tower, seed, number, dataset.cache)
        embedded = dataset.extract(files, one, one.cache(dataset), f"copy {number + 1} of {copies}")
        found.append(embedded.embeddings[tower][embedded.rows(files)])
    size = dataset.models.embedders[tower].dimensions
    return np.array(found, np.float32).reshape(copies, len(files), size)
