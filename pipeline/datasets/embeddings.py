"""Embeddings of labelled photos, computed once and cached by content.

The cache holds embeddings of people, so there is none unless a folder is named for it.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.load import load_models
from pipeline.bundles.models import Models
from pipeline.datasets.data import LabelledFace
from pipeline.errors import DataError, ImageError
from pipeline.faces.types import Codes, Embeddings, Face, Rgb
from pipeline.images.decode import decode
from pipeline.terminal import track

EXTRACTION = 2
"""Raised with every change to how photos are decoded or faces are detected."""
SAVE_EVERY = 1000


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingTable:
    """The embeddings of the main faces of n photos.

    ``row`` gives a photo's row by its path; a photo without a face has none. ``embeddings`` has (n, d)
    float32 by embedder. ``missing`` are the photos with no face or no picture.
    """

    row: dict[str, int]
    embeddings: dict[str, Embeddings]
    missing: tuple[str, ...]

    def rows(self, files: Sequence[str]) -> Codes:
        """Rows of photos, -1 where no face was found."""
        return np.array([self.row.get(file, -1) for file in files], dtype=np.int64)

    def found(self, faces: Sequence[LabelledFace]) -> tuple[list[LabelledFace], dict[str, Embeddings]]:
        """The faces that were found, and their embeddings, (n, d) by embedder."""
        found = [face for face in faces if face.file in self.row]
        rows = self.rows([face.file for face in found])
        return found, {name: embeddings[rows] for name, embeddings in self.embeddings.items()}


def find_main_face(models: Models, rgb: Rgb) -> tuple[Rgb, Face] | None:
    """The upright photo and its main face, or None; by the detector alone."""
    detection = models.detector.detect(rgb)
    if not detection.faces:
        return None
    return detection.rgb, main_face(detection.rgb, detection.faces)


def main_face(rgb: Rgb, faces: Sequence[Face]) -> Face:
    """The face that a labelled photo is about: large and in the middle.

    LFW's labels mean the central face, and one photo in seven shows a bystander too, who may be larger; in
    the product the largest face counts.
    """
    height, width = rgb.shape[:2]

    def prominence(face: Face) -> float:
        x, y = face.box.centre
        return face.box.side - float(np.hypot(x - width / 2, y - height / 2))

    return max(faces, key=prominence)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Photos below a folder, and the bundle that embeds them, in several processes."""

    models: Models
    bundle: Path
    root: Path
    cache: Path | None = None

    def embed(self, files: Sequence[str]) -> EmbeddingTable:
        """The embeddings of the main face of every photo. Raises DataError where a photo is missing."""
        wanted = sorted(set(files))
        dimensions = {name: embedder.dimensions for name, embedder in self.models.embedders.items()}
        path = self.cache / f"embeddings-{fingerprint(self.models)}.npz" if self.cache else None
        return self.extract(wanted, _embed_one, EmbeddingCache(path, dimensions), "embedding")

    def require(self, files: Iterable[str]) -> None:
        """Raises DataError unless all photos exist."""
        missing = sorted({file for file in files if not (self.root / file).is_file()})
        if missing:
            more = f" and {len(missing) - 1} more" if missing[1:] else ""
            raise DataError(f"photos are not in {self.root}: {missing[0]}{more}")

    def extract(
        self, files: Sequence[str], extract: Extract, cache: EmbeddingCache, doing: str
    ) -> EmbeddingTable:
        """The result of ``extract`` for every photo, from the cache where it is there.

        ``doing`` labels the progress. Raises DataError where a photo is missing.
        """
        self.require(files)
        digests = {file: hashlib.sha256((self.root / file).read_bytes()).hexdigest() for file in files}
        todo = [(digest, self.root / file) for file, digest in digests.items() if digest not in cache.index]
        found = track(_extracted(self.bundle, extract, todo), len(todo), doing)
        for count, (digest, embeddings) in enumerate(found, 1):
            cache.add(digest, embeddings)
            if count % SAVE_EVERY == 0:
                cache.save()
        if todo:
            cache.save()
        return cache.table(digests)


Extract = Callable[[Models, Path], "dict[str, Embeddings] | None"]
"""Gives (d,) by name for a photo, None where it shows no face. It must be picklable."""

_process: list[tuple[Models, Extract]] = []
"""The models of a pool process, loaded once, and its function."""


def _start(bundle: Path, extract: Extract) -> None:
    _process.append((load_models(bundle), extract))


def _extract_one(photo: tuple[str, Path]) -> tuple[str, dict[str, Embeddings] | None]:
    models, extract = _process[0]
    return photo[0], extract(models, photo[1])


def _extracted(
    bundle: Path, extract: Extract, photos: Sequence[tuple[str, Path]]
) -> Iterator[tuple[str, dict[str, Embeddings] | None]]:
    """Results by digest. Each network has one thread, so photos are divided over processes."""
    if not photos:
        return
    context = multiprocessing.get_context("spawn")  # the networks' threads do not survive a fork
    with context.Pool(min(len(photos), os.cpu_count() or 1), _start, (bundle, extract)) as pool:
        yield from pool.imap_unordered(_extract_one, photos, chunksize=8)


def fingerprint(models: Models) -> str:
    """Changes with the mesh and the embedders, and so with the embeddings."""
    parts = [
        str(EXTRACTION),
        models.mesh.fingerprint,
        *(e.fingerprint for _, e in sorted(models.embedders.items())),
    ]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _embed_one(models: Models, path: Path) -> dict[str, Embeddings] | None:
    try:
        picture = decode(path.read_bytes())
    except ImageError:
        return None
    return embed_picture(models, picture.rgb)


def embed_picture(models: Models, rgb: Rgb) -> dict[str, Embeddings] | None:
    """(d,) by embedder of the main face; None where there is no face."""
    found = find_main_face(models, rgb)
    return found and embed_face(models, *found)


def embed_face(models: Models, rgb: Rgb, face: Face) -> dict[str, Embeddings]:
    """(d,) by embedder of one face."""
    refined = models.mesh.refine(rgb, face)
    return {name: e.embed([e.crop(rgb, refined)])[0] for name, e in models.embedders.items()}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to be written in place of ``path``, which it replaces once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f"{path.suffix}.tmp")
    yield temporary
    temporary.replace(path)


def save_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write an .npz file, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


class EmbeddingCache:
    """Embeddings by content hash; a row of NaN is a photo without a face."""

    def __init__(self, path: Path | None, dimensions: Mapping[str, int]) -> None:
        """Read ``path`` if it exists; without a path nothing is kept. ``dimensions`` are the lengths by name.

        Raises DataError for a damaged file.
        """
        self._path = path
        self._names = sorted(dimensions)
        self._embeddings: dict[str, list[Embeddings]] = {name: [] for name in self._names}
        self._dimensions = dimensions
        self.index: dict[str, int] = {}
        if path and path.is_file():
            self._load(path)

    def _load(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as data:
                self.index = {str(digest): i for i, digest in enumerate(data["sha256"])}
                self._embeddings = {name: list(data[name]) for name in self._names}
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"the cache {path} is damaged: remove it") from error

    def add(self, digest: str, embeddings: dict[str, Embeddings] | None) -> None:
        """Add the embeddings of a photo."""
        if digest in self.index:
            return
        self.index[digest] = len(self.index)
        for name in self._names:
            empty = np.full(self._dimensions[name], np.nan, np.float32)
            self._embeddings[name].append(empty if embeddings is None else embeddings[name])

    def save(self) -> None:
        """Write the file, whole or not at all."""
        if self._path is None:
            return
        arrays = {name: np.stack(rows) for name, rows in self._embeddings.items()}
        save_arrays(self._path, sha256=np.array(list(self.index)), **arrays)

    def table(self, digests: dict[str, str]) -> EmbeddingTable:
        """The embeddings of photos, by path and digest."""
        embeddings = {
            name: np.array(rows, np.float32).reshape(-1, self._dimensions[name])
            for name, rows in self._embeddings.items()
        }
        lost = np.isnan(embeddings[self._names[0]][:, 0])
        row = {file: self.index[d] for file, d in digests.items() if not lost[self.index[d]]}
        return EmbeddingTable(row, embeddings, tuple(file for file in digests if file not in row))
