"""The photos of the experiments: chosen evenly, cut once, augmented once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.models import Models
from pipeline.datasets.data import LabelledFace
from pipeline.datasets.tables import CODES, NO_AGE, Labels
from pipeline.errors import DataError
from pipeline.experiments.tables import Size
from pipeline.faces.align import Preprocess, StretchedGeometry, crop_stretched, preprocess
from pipeline.faces.types import Codes, Face, Flags, Rgb
from pipeline.training.data.augment import augment
from pipeline.training.data.faces import select_faces
from pipeline.training.data.windows import JPEG_QUALITY, Window, read_windows
from pipeline.training.networks.finetune import AT_ONCE, Crop, Seeds, crops_of
from pipeline.training.networks.learning import Faces
from pipeline.verdict import Gender

CHOICE = 0
"""The seed by which people are chosen: the same for every run."""
FEWEST_PEOPLE = 5
"""Of each gender; fewer cannot be divided into training, validation and test."""


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """n photos: their labels, and each as it is and in augmented versions."""

    faces: tuple[LabelledFace, ...]
    labels: Labels
    versions: tuple[tuple[Window, ...], ...]
    """(1 + versions, n); the first is the photo as it is."""


def choose(faces: Sequence[LabelledFace], size: Size) -> list[LabelledFace]:
    """As many men as women with two photos or more, a few photos of each."""
    photos: dict[str, list[LabelledFace]] = defaultdict(list)
    for face in faces:
        photos[face.identity].append(face)
    chosen: list[LabelledFace] = []
    people = {gender: _people(photos, gender) for gender in (Gender.FEMALE, Gender.MALE)}
    count = min(size.people, *(len(names) for names in people.values()))
    for names in people.values():
        for name in names[:count]:
            chosen += photos[name][: size.photos]
    return chosen


def _people(photos: dict[str, list[LabelledFace]], gender: Gender) -> list[str]:
    """Names in random order, those with three photos or more first."""
    names = sorted(
        name for name, own in photos.items() if len(own) > 1 and {face.gender for face in own} == {gender}
    )
    shuffled = np.random.default_rng(CHOICE).permutation(names).tolist()
    return sorted(shuffled, key=lambda name: len(photos[name]) < 3)


def collect(
    models: Models, root: Path, faces: Sequence[LabelledFace], size: Size, cache: Path | None
) -> Collection:
    """The chosen photos that may be trained on. Raises DataError where too few people are left."""
    chosen = choose(faces, size)
    _require_people(chosen)
    kept = select_faces(models, root, chosen, cache).kept
    counts: dict[str, int] = defaultdict(int)
    for face in kept:
        counts[face.identity] += 1
    kept = tuple(face for face in kept if counts[face.identity] > 1)
    _require_people(kept)
    windows = read_windows(models, root, [face.file for face in kept], cache)
    others = [
        tuple(_augmented(window, (CHOICE, photo, number)) for photo, window in enumerate(windows))
        for number in range(size.versions)
    ]
    return Collection(kept, _labels(kept), (tuple(windows), *others))


def _require_people(faces: Sequence[LabelledFace]) -> None:
    for gender in (Gender.FEMALE, Gender.MALE):
        if len({face.identity for face in faces if face.gender is gender}) < FEWEST_PEOPLE:
            raise DataError(
                f"the faces show fewer than {FEWEST_PEOPLE} people ({gender}) with two usable photos"
            )


def _labels(faces: Sequence[LabelledFace]) -> Labels:
    identity = np.unique([face.identity for face in faces], return_inverse=True)[1]
    gender = np.array([CODES[face.gender] for face in faces], dtype=np.int64)
    return Labels(identity.astype(np.int64), gender, np.full(len(faces), NO_AGE))


def _augmented(window: Window, seed: tuple[int, ...]) -> Window:
    rgb, face = augment(window.rgb(), window.face, seed)
    _, packed = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Window(packed.tobytes(), face)


def crop_for(side: int, colours: Preprocess) -> Crop:
    """The crop for a network's input."""
    geometry = StretchedGeometry(size=side)

    def crop(rgb: Rgb, face: Face) -> Rgb:
        return preprocess(crop_stretched(rgb, face, geometry), colours)

    return crop


@dataclass(frozen=True, slots=True, eq=False)
class ViewPhotos:
    """n photos as input of a backbone, (1 + versions, n, ...), kept in memory.

    float16 holds standardised pixels exactly, and features to a two-thousandth. Without ``vary`` photos are
    never augmented.
    """

    views: NDArray[np.float16]
    vary: bool

    def __len__(self) -> int:
        return self.views.shape[1]

    def only(self, chosen: Flags) -> ViewPhotos:
        """The flagged photos."""
        return ViewPhotos(self.views[:, chosen], self.vary)

    def plain(self, rows: Codes) -> Faces:
        """The photos without augmentation."""
        return np.asarray(self.views[0, rows], np.float32)

    def augmented(self, rows: Codes, seeds: Seeds) -> Faces:
        """Each photo in one of its versions, chosen by its seed."""
        if not self.vary or len(self.views) == 1:
            return self.plain(rows)
        drawn = [int(np.random.default_rng(seed).integers(1, len(self.views))) for seed in seeds]
        return np.asarray(self.views[drawn, rows], np.float32)


def compute_views(
    collection: Collection, crop: Crop, through: Callable[[Faces], Faces]
) -> NDArray[np.float16]:
    """(1 + versions, n, ...) the output of a network's frozen blocks (``through``) for every version."""
    return np.stack([_views_of(windows, crop, through) for windows in collection.versions])


def _views_of(
    windows: Sequence[Window], crop: Crop, through: Callable[[Faces], Faces]
) -> NDArray[np.float16]:
    parts = [
        through(crops_of(windows[start : start + AT_ONCE], crop)).astype(np.float16)
        for start in range(0, len(windows), AT_ONCE)
    ]
    return np.concatenate(parts)
