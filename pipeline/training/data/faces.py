"""Training faces: which labelled photos may be learned from, and why the others may not.

A masked, blurred, tiny or doubtful face teaches the wrong thing, so it is kept out, with its
reason. What was found in a photo is kept by the photo's content, one small file for each, so
that a photo or a person can be taken out again.
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
from pipeline.datasets.embeddings import EXTRACTION, embed_face, main_face
from pipeline.errors import ImageError
from pipeline.faces.people import observe, people, refine, refused
from pipeline.faces.types import Face, Rgb, Vectors
from pipeline.images.decode import decode
from pipeline.progress import track

FINDING = 2
"""Raised with every change to what is kept out."""


class KeptOut(StrEnum):
    """Why a photo is not learned from; other reasons are the outcomes of the quality gates."""

    MISSING_FILE = "missing_file"
    INVALID_IMAGE = "invalid_image"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    NOT_THE_MAIN_ONE = "not_the_main_one"
    """The face in the middle is not the main one: nobody knows whom the label means."""
    LOOKS_LIKE_ANOTHER = "looks_like_another"
    """Unlike all photos of its own person, like those of another: a wrong label."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in one photo; ``reason`` is empty for a face that may be learned from."""

    reason: str = ""
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A photo that is kept out of training."""

    face: LabelledFace
    found: Found


@dataclass(frozen=True, slots=True)
class Selection:
    """The labelled faces in two heaps."""

    kept: tuple[LabelledFace, ...]
    refused: tuple[Refused, ...]

    def counts(self) -> dict[str, int]:
        """How many were kept out, by reason, the commonest first."""
        return dict(Counter(one.found.reason for one in self.refused).most_common())

    def without(self, wrong: Iterable[str]) -> Selection:
        """The same with these files moved over as `KeptOut.LOOKS_LIKE_ANOTHER`."""
        names, found = set(wrong), Found(KeptOut.LOOKS_LIKE_ANOTHER)
        moved = tuple(Refused(face, found) for face in self.kept if face.file in names)
        return Selection(tuple(f for f in self.kept if f.file not in names), (*self.refused, *moved))

    def write_report(self, path: Path) -> None:
        """A CSV with a line for every photo that was kept out: which, why, by what number."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "identity", "reason", "value", "limit"])
            for one in self.refused:
                found = one.found
                writer.writerow([one.face.file, one.face.identity, found.reason, found.value, found.limit])


class FaceCache:
    """What was found in photos by these rules, by content; without a folder nothing is kept."""

    def __init__(self, folder: Path | None, rules: str) -> None:
        self._folder, self._rules = folder, rules

    def get(self, digest: str) -> Found | None:
        """What is known of a photo's content."""
        path = self._path(digest)
        if path is None or not path.is_file():
            return None
        record = json.loads(path.read_text("utf-8"))
        return Found(**record["found"]) if record["rules"] == self._rules else None

    def put(self, digest: str, found: Found) -> None:
        """Keep it."""
        if path := self._path(digest):
            path.parent.mkdir(parents=True, exist_ok=True)
            record = {"rules": self._rules, "found": asdict(found)}
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps(record), "utf-8")
            temporary.replace(path)

    def _path(self, digest: str) -> Path | None:
        return place(self._folder, digest, ".json") if self._folder else None


def place(folder: Path, digest: str, suffix: str) -> Path:
    """Where a cache folder keeps what is known of a photo."""
    return folder / "faces" / digest[:2] / f"{digest}{suffix}"


def forget_photos(folder: Path, digests: Iterable[str]) -> int:
    """Take photos out of a cache folder by the sha256 of their content; how many entries went.

    What was found in them, their faces and their embeddings, whichever networks made those.
    """
    gone, names = 0, set(digests)
    for name in names:
        for path in (place(folder, name, ".json"), place(folder, name, ".npz")):
            gone += path.is_file()
            path.unlink(missing_ok=True)
    return gone + sum(_forget_rows(path, names) for path in folder.glob("embeddings-*.npz"))


def _forget_rows(path: Path, names: set[str]) -> int:
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    stays = ~np.isin(arrays["sha256"], sorted(names))
    if not stays.all():
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, **{name: array[stays] for name, array in arrays.items()})
        temporary.replace(path)
    return int((~stays).sum())


def select_faces(models: Models, root: Path, faces: Sequence[LabelledFace], cache: Path | None) -> Selection:
    """Look at every photo below ``root``; each content is looked at once."""
    known, kept, refused = FaceCache(cache, _rules(models)), [], []
    for face in track(faces, len(faces), "looking at photos"):
        found = _look_up(models, root / face.file, known)
        if found.reason:
            refused.append(Refused(face, found))
        else:
            kept.append(face)
    return Selection(tuple(kept), tuple(refused))


def _rules(models: Models) -> str:
    """Changes with anything that decides what is kept out."""
    judges = models.judges
    arrays = {name: array.tobytes() for name, array in sorted(judges.occlusion.arrays().items())}
    rules = repr((EXTRACTION, FINDING, asdict(judges.quality), arrays))
    return hashlib.sha256(rules.encode()).hexdigest()[:16]


def _look_up(models: Models, path: Path, known: FaceCache) -> Found:
    if not path.is_file():
        return Found(KeptOut.MISSING_FILE)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    found = known.get(digest)
    if found is None:
        found = look(models, data)
        known.put(digest, found)
    return found


def look(models: Models, data: bytes) -> Found:
    """May the face of this photo be learned from?"""
    seen = _see(models, data)
    return seen if isinstance(seen, Found) else Found()


def study(models: Models, data: bytes) -> Found | dict[str, Vectors]:
    """The vector (d,) that each embedder gives of the face, or why it may not be learned from."""
    seen = _see(models, data)
    if isinstance(seen, Found):
        return seen
    return embed_face(models, *seen)


def _see(models: Models, data: bytes) -> tuple[Rgb, Face] | Found:
    """The upright photo and its one face, where that may be learned from; else why not."""
    try:
        picture = decode(data)
    except ImageError:
        return Found(KeptOut.INVALID_IMAGE)
    detection = models.detector.detect(picture.rgb)
    faces = observe(detection.rgb, refine(models.mesh, detection.rgb, detection.faces), picture.scale)
    numbers = people(faces, models.judges.quality)
    if len(numbers) != 1:
        return Found(KeptOut.SEVERAL_FACES, float(len(numbers)), 1.0) if numbers else Found(KeptOut.NO_FACE)
    main = faces[numbers[0]]
    if main_face(detection.rgb, detection.faces).box is not main.face.box:
        return Found(KeptOut.NOT_THE_MAIN_ONE)
    if found := refused(main, models.judges.quality, models.judges.occlusion):
        outcome, gated = found
        return Found(str(outcome), round(gated.value, 4), gated.limit)
    return detection.rgb, main.face
