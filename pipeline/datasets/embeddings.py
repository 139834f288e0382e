"""Embeddings of labelled photos, computed once and kept by content.

The cache holds embeddings of people, so it exists only where a folder is named for it.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.load import load_models
from pipeline.bundles.models import Models
from pipeline.datasets.data import LabelledFace
from pipeline.errors import DataError, ImageError
from pipeline.faces.types import Face, Rgb, Vectors
from pipeline.images.decode import decode
from pipeline.progress import track

EXTRACTION = 2
"""Raised with every change to how a photo is decoded or its faces are found."""
SAVE_EVERY = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """The main faces of n photos.

    ``row`` finds a photo's row by its path; a photo without a face has none. ``vectors`` has
    (n, d) float32 for each embedder. ``missing`` are the photos with no face or no picture.
    """

    row: dict[str, int]
    vectors: dict[str, Vectors]
    missing: tuple[str, ...]

    def rows(self, files: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of photos, -1 where no face was found."""
        return np.array([self.row.get(file, -1) for file in files], dtype=np.int64)

    def found(self, faces: Sequence[LabelledFace]) -> tuple[list[LabelledFace], dict[str, Vectors]]:
        """Those of the faces that were found, and their vectors, (n, d) for each embedder."""
        found = [face for face in faces if face.file in self.row]
        rows = self.rows([face.file for face in found])
        return found, {name: vectors[rows] for name, vectors in self.vectors.items()}


def main_face(rgb: Rgb, faces: Sequence[Face]) -> Face:
    """The face that a labelled photo is about: large and in the middle.

    LFW's labels mean the central face, and one photo in seven shows a bystander too, at
    times a larger one; in the product the largest face counts.
    """
    height, width = rgb.shape[:2]

    def prominence(face: Face) -> float:
        x, y = face.box.centre
        return face.box.side - float(np.hypot(x - width / 2, y - height / 2))

    return max(faces, key=prominence)


@dataclass(frozen=True, slots=True, eq=False)
class Album:
    """Photos below a folder, and the bundle whose models look at them, in several processes."""

    models: Models
    bundle: Path
    root: Path
    cache: Path | None = None

    def embed(self, files: Sequence[str]) -> Embedded:
        """The main face of every photo."""
        wanted = sorted(set(files))
        dimensions = {name: embedder.dimensions for name, embedder in self.models.embedders.items()}
        path = self.cache / f"embeddings-{fingerprint(self.models)}.npz" if self.cache else None
        return self.look_at(wanted, _embed_one, Store(path, dimensions), "embedding")

    def require(self, files: Iterable[str]) -> None:
        """Raises DataError unless all photos are there."""
        missing = sorted({file for file in files if not (self.root / file).is_file()})
        if missing:
            more = f" and {len(missing) - 1} more" if missing[1:] else ""
            raise DataError(f"photos are not in {self.root}: {missing[0]}{more}")

    def look_at(self, files: Sequence[str], look: Look, store: Store, doing: str) -> Embedded:
        """What ``look`` makes of every photo that the store does not know yet, and of the others.

        Raises DataError where a photo is not there.
        """
        self.require(files)
        digests = {file: _digest(self.root / file) for file in files}
        todo = [(digest, self.root / file) for file, digest in digests.items() if digest not in store.index]
        found = track(_looked_at(self.bundle, look, todo), len(todo), doing)
        for count, (digest, vectors) in enumerate(found, 1):
            store.add(digest, vectors)
            if count % SAVE_EVERY == 0:
                store.save()
        if todo:
            store.save()
        return store.table(digests)


Look = Callable[[Models, Path], "dict[str, Vectors] | None"]
"""(d,) for each name from a photo, None where it shows no face. It must be picklable."""

_worker: list[tuple[Models, Look]] = []
"""The models of a pool process, loaded once, and what it does."""


def _start(bundle: Path, look: Look) -> None:
    _worker.append((load_models(bundle), look))


def _look(photo: tuple[str, Path]) -> tuple[str, dict[str, Vectors] | None]:
    models, look = _worker[0]
    return photo[0], look(models, photo[1])


def _looked_at(
    bundle: Path, look: Look, photos: Sequence[tuple[str, Path]]
) -> Iterator[tuple[str, dict[str, Vectors] | None]]:
    """Photos by digest and path. Each network has one thread, so they are spread over processes."""
    if not photos:
        return
    context = multiprocessing.get_context("spawn")  # the networks' threads do not survive a fork
    with context.Pool(min(len(photos), os.cpu_count() or 1), _start, (bundle, look)) as pool:
        yield from pool.imap_unordered(_look, photos, chunksize=8)


def fingerprint(models: Models) -> str:
    """What the vectors depend on: the mesh and the embedders with their crops."""
    parts = [
        str(EXTRACTION),
        models.mesh.fingerprint,
        *(e.fingerprint for _, e in sorted(models.embedders.items())),
    ]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _embed_one(models: Models, path: Path) -> dict[str, Vectors] | None:
    try:
        picture = decode(path.read_bytes())
    except ImageError:
        return None
    return embed_picture(models, picture.rgb)


def embed_picture(models: Models, rgb: Rgb) -> dict[str, Vectors] | None:
    """(d,) of the main face for each embedder; None where there is no face."""
    detection = models.detector.detect(rgb)
    if not detection.faces:
        return None
    return embed_face(models, detection.rgb, main_face(detection.rgb, detection.faces))


def embed_face(models: Models, rgb: Rgb, face: Face) -> dict[str, Vectors]:
    """(d,) of one face for each embedder."""
    refined = models.mesh.refine(rgb, face)
    return {name: e.embed([e.crop(rgb, refined)])[0] for name, e in models.embedders.items()}


class Store:
    """Vectors by content hash; a row of NaN says that the photo shows no face."""

    def __init__(self, path: Path | None, dimensions: Mapping[str, int]) -> None:
        """Read ``path`` if it is there; ``dimensions`` names the vectors. Without a path nothing is kept.

        Raises DataError.
        """
        self._path = path
        self._names = sorted(dimensions)
        self._vectors: dict[str, list[Vectors]] = {name: [] for name in self._names}
        self._dimensions = dimensions
        self.index: dict[str, int] = {}
        if path and path.is_file():
            self._load(path)

    def _load(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as data:
                self.index = {str(digest): i for i, digest in enumerate(data["sha256"])}
                self._vectors = {name: list(data[name]) for name in self._names}
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"the cache {path} is damaged: remove it") from error

    def add(self, digest: str, vectors: dict[str, Vectors] | None) -> None:
        """Keep what a photo shows."""
        if digest in self.index:
            return
        self.index[digest] = len(self.index)
        for name in self._names:
            empty = np.full(self._dimensions[name], np.nan, np.float32)
            self._vectors[name].append(empty if vectors is None else vectors[name])

    def save(self) -> None:
        """Write the file anew, whole or not at all."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp.npz")
        arrays = {name: np.stack(rows) for name, rows in self._vectors.items()}
        np.savez(temporary, sha256=np.array(list(self.index)), **arrays)
        temporary.replace(self._path)

    def table(self, digests: dict[str, str]) -> Embedded:
        """The faces of photos, by path and digest."""
        vectors = {
            name: np.array(rows, np.float32).reshape(-1, self._dimensions[name])
            for name, rows in self._vectors.items()
        }
        lost = np.isnan(vectors[self._names[0]][:, 0])
        row = {file: self.index[d] for file, d in digests.items() if not lost[self.index[d]]}
        return Embedded(row, vectors, tuple(file for file in digests if file not in row))
