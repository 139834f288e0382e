"""Select training faces: which labelled photos may be trained on, and why the others may not.

A masked, blurred, tiny or doubtful face is a bad example, so it is kept out, with a reason. The result for a
photo is cached by its content, one small file each, so that a photo or a person can be removed again.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from pipeline.bundles.models import Models
from pipeline.datasets.data import LabelledFace
from pipeline.datasets.embeddings import EXTRACTION, embed_face, main_face, replacing, save_arrays
from pipeline.errors import ImageError
from pipeline.faces.people import failed_gate, observe, people, refine
from pipeline.faces.types import Embeddings, Face, Rgb
from pipeline.images.decode import decode
from pipeline.terminal import track

FINDING = 2
"""Raised with every change to what is kept out."""


class KeptOut(StrEnum):
    """Why a photo is kept out of training; other reasons are the outcomes of the quality gates."""

    MISSING_FILE = "missing_file"
    INVALID_IMAGE = "invalid_image"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    NOT_THE_MAIN_ONE = "not_the_main_one"
    """The face in the middle is not the main one, so the label is ambiguous."""
    LOOKS_LIKE_ANOTHER = "looks_like_another"
    """Unlike all photos of its own person and like those of another: a wrong label."""


@dataclass(frozen=True, slots=True)
class PhotoCheck:
    """The check of one photo; ``reason`` is empty for a face that may be trained on."""

    reason: str = ""
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class KeptOutPhoto:
    """A photo that is kept out of training."""

    face: LabelledFace
    check: PhotoCheck


@dataclass(frozen=True, slots=True)
class Selection:
    """The labelled faces, divided."""

    kept: tuple[LabelledFace, ...]
    kept_out: tuple[KeptOutPhoto, ...]

    def counts(self) -> dict[str, int]:
        """How many were kept out, by reason, the most frequent first."""
        return dict(Counter(one.check.reason for one in self.kept_out).most_common())

    def without(self, wrong: Iterable[str]) -> Selection:
        """The selection with these files moved to the kept-out ones as `KeptOut.LOOKS_LIKE_ANOTHER`."""
        names, check = set(wrong), PhotoCheck(KeptOut.LOOKS_LIKE_ANOTHER)
        moved = tuple(KeptOutPhoto(face, check) for face in self.kept if face.file in names)
        return Selection(tuple(f for f in self.kept if f.file not in names), (*self.kept_out, *moved))

    def write_report(self, path: Path) -> None:
        """Write a CSV with every photo that was kept out, the reason and the value."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "identity", "reason", "value", "limit"])
            for one in self.kept_out:
                check = one.check
                writer.writerow([one.face.file, one.face.identity, check.reason, check.value, check.limit])


class CheckCache:
    """Checks of photos by these rules, by content; without a folder nothing is cached."""

    def __init__(self, folder: Path | None, rules: str) -> None:
        self._folder, self._rules = folder, rules

    def get(self, digest: str) -> PhotoCheck | None:
        """The cached check of a photo, by the sha256 of its content."""
        path = self._path(digest)
        if path is None or not path.is_file():
            return None
        record = json.loads(path.read_text("utf-8"))
        return PhotoCheck(**record["found"]) if record["rules"] == self._rules else None

    def put(self, digest: str, check: PhotoCheck) -> None:
        """Cache a check."""
        if path := self._path(digest):
            record = {"rules": self._rules, "found": asdict(check)}
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(record), "utf-8")

    def _path(self, digest: str) -> Path | None:
        return cache_path(self._folder, digest, ".json") if self._folder else None


def cache_path(folder: Path, digest: str, suffix: str) -> Path:
    """The path in a cache folder for a photo's sha256."""
    return folder / "faces" / digest[:2] / f"{digest}{suffix}"


def forget_photos(folder: Path, digests: Iterable[str]) -> int:
    """Remove photos from a cache folder by the sha256 of their content; the number of removed entries.

    Removed are their checks, their faces and their embeddings by any network.
    """
    gone, names = 0, set(digests)
    for name in names:
        for path in (cache_path(folder, name, ".json"), cache_path(folder, name, ".npz")):
            gone += path.is_file()
            path.unlink(missing_ok=True)
    return gone + sum(_forget_rows(path, names) for path in folder.glob("embeddings-*.npz"))


def _forget_rows(path: Path, names: set[str]) -> int:
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    stays = ~np.isin(arrays["sha256"], sorted(names))
    if not stays.all():
        save_arrays(path, **{name: array[stays] for name, array in arrays.items()})
    return int((~stays).sum())


def select_faces(models: Models, root: Path, faces: Sequence[LabelledFace], cache: Path | None) -> Selection:
    """Check every photo below ``root``; each content is checked once."""
    known, kept, kept_out = CheckCache(cache, _rules(models)), [], []
    for face in track(faces, len(faces), "looking at photos"):
        check = _checked(models, root / face.file, known)
        if check.reason:
            kept_out.append(KeptOutPhoto(face, check))
        else:
            kept.append(face)
    return Selection(tuple(kept), tuple(kept_out))


def _rules(models: Models) -> str:
    """Changes with anything that decides what is kept out."""
    params = models.params
    arrays = {name: array.tobytes() for name, array in sorted(params.occlusion.arrays().items())}
    rules = repr((EXTRACTION, FINDING, asdict(params.quality), arrays))
    return hashlib.sha256(rules.encode()).hexdigest()[:16]


def _checked(models: Models, path: Path, known: CheckCache) -> PhotoCheck:
    if not path.is_file():
        return PhotoCheck(KeptOut.MISSING_FILE)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    check = known.get(digest)
    if check is None:
        check = check_photo(models, data)
        known.put(digest, check)
    return check


def check_photo(models: Models, data: bytes) -> PhotoCheck:
    """Whether the face of this photo may be trained on."""
    face = _trainable_face(models, data)
    return face if isinstance(face, PhotoCheck) else PhotoCheck()


def embed_trainable_face(models: Models, data: bytes) -> PhotoCheck | dict[str, Embeddings]:
    """(d,) by embedder of the photo's face, or why it may not be trained on."""
    face = _trainable_face(models, data)
    if isinstance(face, PhotoCheck):
        return face
    return embed_face(models, *face)


def _trainable_face(models: Models, data: bytes) -> tuple[Rgb, Face] | PhotoCheck:
    """The upright photo and its one face where it may be trained on; else the reason."""
    try:
        picture = decode(data)
    except ImageError:
        return PhotoCheck(KeptOut.INVALID_IMAGE)
    detection = models.detector.detect(picture.rgb)
    faces = observe(detection.rgb, refine(models.mesh, detection.rgb, detection.faces), picture.scale)
    numbers = people(faces, models.params.quality)
    if len(numbers) != 1:
        return (
            PhotoCheck(KeptOut.SEVERAL_FACES, float(len(numbers)), 1.0)
            if numbers
            else PhotoCheck(KeptOut.NO_FACE)
        )
    main = faces[numbers[0]]
    if main_face(detection.rgb, detection.faces).box is not main.face.box:
        return PhotoCheck(KeptOut.NOT_THE_MAIN_ONE)
    if refused := failed_gate(main, models.params.quality, models.params.occlusion):
        outcome, gated = refused
        return PhotoCheck(str(outcome), round(gated.value, 4), gated.limit)
    return detection.rgb, main.face
