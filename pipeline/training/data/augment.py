"""Augmentation: photos degraded as members' photos are. The only module that uses imgaug.

The source system blurred one of eyes, nose and mouth at random; its team asked for more kinds. Everything is
drawn with a seed, so that the same seed gives the same picture. Fine-tuning augments every photo anew in
every epoch. A head is trained on embeddings that are computed once, so each photo gets a few fixed copies,
cached by its content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmentables import BoundingBox, BoundingBoxesOnImage, Keypoint, KeypointsOnImage

from pipeline.bundles.models import Models
from pipeline.datasets.embeddings import EXTRACTION, Dataset, EmbeddingCache
from pipeline.faces.types import Embeddings, Face, Points, Rgb
from pipeline.fitting.synthetic_occlusion import Occluder, draw_occluder
from pipeline.training.data.windows import Window, read_window


class Kind(StrEnum):
    """The kinds of augmentation."""

    BLURRED_PART = "blurred part"
    LIGHT = "light"
    CONTRAST = "contrast"
    NOISE = "noise"
    JPEG = "jpeg"
    MOTION = "motion blur"
    ROTATION = "rotation"
    MIRROR = "mirror"
    OLD_PHOTO = "old photo"
    LOW_RESOLUTION = "low resolution"
    BEAUTY = "beauty filter"
    MASK = "drawn mask"


SHARES: Mapping[Kind, float] = {
    Kind.BLURRED_PART: 0.3,
    Kind.LIGHT: 0.3,
    Kind.CONTRAST: 0.3,
    Kind.NOISE: 0.15,
    Kind.JPEG: 0.3,
    Kind.MOTION: 0.1,
    Kind.ROTATION: 0.3,
    Kind.MIRROR: 0.5,
    Kind.OLD_PHOTO: 0.1,
    Kind.LOW_RESOLUTION: 0.15,
    Kind.BEAUTY: 0.1,
    Kind.MASK: 0.03,  # rare: masked faces are kept out of training, and are not judged in service
}
"""How often each kind is applied in training; several may be combined."""

PARTS: Mapping[str, tuple[float, float]] = {"eyes": (1.0, 0.38), "nose": (0.42, 0.38), "mouth": (0.55, 0.32)}
"""Half the width and half the height of a part's box, in distances between the eyes."""
MIRRORED = (1, 0, 2, 3, 5, 4)
"""The order of the landmarks after a mirror, in which right and left are exchanged."""
TILE = 160
LABEL = 22
MIXTURES = 3
COPYING = 1
"""Raised with every change to how a copy is made."""


def augment(
    rgb: Rgb, face: Face, seed: Sequence[int], shares: Mapping[Kind, float] = SHARES
) -> tuple[Rgb, Face]:
    """The photo with a random choice of kinds, and its face there.

    ``seed`` is a few numbers (of the training, the epoch, the photo). The face's landmarks and box follow
    rotation and mirror; its mesh is dropped.
    """
    rng = np.random.default_rng(seed)
    chosen = [kind for kind, share in shares.items() if rng.random() < share]
    return apply(rgb, face, chosen, rng)


def apply(rgb: Rgb, face: Face, kinds: Sequence[Kind], rng: np.random.Generator) -> tuple[Rgb, Face]:
    """The photo after each of ``kinds`` in the order of `Kind`, and its face."""
    for kind in sorted(kinds, key=[*Kind].index):
        if kind is Kind.MASK:
            rgb = draw_occluder(rgb, face, Occluder.MASK, rng)
        elif kind is Kind.JPEG:
            rgb = _compressed(rgb, int(rng.integers(8, 40)))
        else:
            step = _STEPS[kind]()
            step.seed_(int(rng.integers(2**31)))  # reaches inner steps too; a constructor's seed does not
            rgb, face = _run(step, rgb, face)
        if kind is Kind.MIRROR:
            face = replace(face, landmarks=face.landmarks[list(MIRRORED)])
    return rgb, face


def part_boxes(landmarks: Points) -> dict[str, tuple[float, float, float, float]]:
    """The boxes of eyes, nose and mouth, (x1, y1, x2, y2) in pixels, from the six landmarks."""
    points = landmarks.astype(np.float64)
    unit = max(float(np.linalg.norm(points[1] - points[0])), 1.0)
    centres = {"eyes": (points[0] + points[1]) / 2, "nose": points[2], "mouth": points[3]}
    boxes = {}
    for part, (width, height) in PARTS.items():
        x, y = centres[part]
        boxes[part] = (x - width * unit, y - height * unit, x + width * unit, y + height * unit)
    return boxes


def _blurred_part() -> iaa.Augmenter:
    blur = iaa.GaussianBlur((4.0, 9.0))
    return iaa.BlendAlphaBoundingBoxes([*PARTS], foreground=blur, nb_sample_labels=1)


def _old_photo() -> iaa.Augmenter:
    """Pale, warm and a little soft, like an old print that was photographed again."""
    fading = [
        iaa.Grayscale((0.3, 1.0)),
        iaa.LinearContrast((0.5, 0.8)),
        iaa.Add((5, 30)),
        iaa.ChangeColorTemperature((3500, 5500)),
        iaa.GaussianBlur((0.3, 1.0)),
    ]
    return iaa.Sequential(fading)


def _low_resolution() -> iaa.Augmenter:
    small = iaa.Resize((0.2, 0.5), interpolation="area")
    return iaa.KeepSizeByResize(small, interpolation="linear")


def _compressed(rgb: Rgb, quality: int) -> Rgb:
    """Compressed as JPEG and decoded. imgaug's own way writes a file and calls a deprecated function."""
    _, packed = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1])


_STEPS: Mapping[Kind, Callable[[], iaa.Augmenter]] = {
    Kind.BLURRED_PART: _blurred_part,
    # A random order of the two would not follow the seed.
    Kind.LIGHT: lambda: iaa.MultiplyAndAddToBrightness(mul=(0.5, 1.5), add=(-30, 30), random_order=False),
    Kind.CONTRAST: lambda: iaa.LinearContrast((0.5, 1.6)),
    Kind.NOISE: lambda: iaa.AdditiveGaussianNoise(scale=(5, 22), per_channel=0.5),
    Kind.MOTION: lambda: iaa.MotionBlur(k=(5, 13)),
    Kind.ROTATION: lambda: iaa.Affine(rotate=(-12, 12), mode="edge"),
    Kind.MIRROR: lambda: iaa.Fliplr(1.0),
    Kind.OLD_PHOTO: _old_photo,
    Kind.LOW_RESOLUTION: _low_resolution,
    Kind.BEAUTY: lambda: iaa.BilateralBlur(d=(9, 13), sigma_color=(40, 90), sigma_space=(9, 15)),
}


def _run(step: iaa.Augmenter, rgb: Rgb, face: Face) -> tuple[Rgb, Face]:
    """Apply one imgaug step to the picture, the landmarks and the middle of the box.

    No step changes the scale.
    """
    points = np.vstack([face.landmarks, face.box.centre])
    parts = [BoundingBox(*place, label=part) for part, place in part_boxes(face.landmarks).items()]
    image, _, moved = step(
        image=rgb,
        bounding_boxes=BoundingBoxesOnImage(parts, shape=rgb.shape),
        keypoints=KeypointsOnImage([Keypoint(x, y) for x, y in points], shape=rgb.shape),
    )
    *landmarks, (x, y) = moved.to_xy_array()
    box = replace(face.box, x=float(x) - face.box.width / 2, y=float(y) - face.box.height / 2)
    return np.ascontiguousarray(image), replace(
        face, landmarks=np.array(landmarks, np.float32), box=box, mesh=None
    )


def contact_sheet(windows: Sequence[Window], seed: int) -> Rgb:
    """(height, width, 3) uint8: a row for each photo, a column for the original, each kind and mixtures."""
    names = ["as it is", *Kind, *(f"mixture {number}" for number in range(1, MIXTURES + 1))]
    heads = np.hstack([_label(name) for name in names])
    return np.vstack([heads, *(_row(window, seed, photo) for photo, window in enumerate(windows))])


def _row(window: Window, seed: int, photo: int) -> Rgb:
    rgb, face = window.rgb(), window.face
    single = [apply(rgb, face, [kind], np.random.default_rng((seed, photo)))[0] for kind in Kind]
    mixed = [augment(rgb, face, (seed, photo, number))[0] for number in range(MIXTURES)]
    tiles = [cv2.resize(tile, (TILE, TILE), interpolation=cv2.INTER_AREA) for tile in (rgb, *single, *mixed)]
    return np.hstack(tiles).astype(np.uint8)


def _label(text: str) -> Rgb:
    strip = np.full((LABEL, TILE, 3), 255, np.uint8)
    cv2.putText(strip, text, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def write_sheet(sheet: Rgb, path: Path) -> None:
    """Write a PNG, whatever the suffix; imencode accepts paths that imwrite does not."""
    _, packed = cv2.imencode(".png", sheet[..., ::-1])
    path.write_bytes(packed.tobytes())


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
