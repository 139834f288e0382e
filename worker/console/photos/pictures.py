"""One file made into what a reviewer sees of it: the face, the whole photo, marks, and facts of the file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import cv2
import numpy as np

from pipeline.faces.types import Doubles, Rgb
from pipeline.images.decode import Picture, decode, reduced_size
from pipeline.images.limits import LIMITS
from pipeline.verdict import Box, Landmarks
from worker.console.photos.crops import (
    Marks,
    Place,
    cut,
    face_affine,
    fitted,
    marks,
    place_of,
    scale_of,
)
from worker.console.photos.facts import FileFacts, facts_of

_FINEST: Final = 2
"""So many times finer than the worker had it a photo is decoded at most, where its face is small."""
_KEPT_QUALITY: Final = 95
"""Of the JPEG in memory, which is decoded once more to be marked."""


class Shape(StrEnum):
    """How a photo is shown."""

    FACE = "face"
    WHOLE = "whole"


class Fitted(StrEnum):
    """By what a face was brought to its place."""

    EYES = "eyes"
    BOX = "box"
    """The eyes are not known: their place and size differ a little from the other photo's."""
    NOTHING = "nothing"
    """No face is known: the picture is the whole photo."""


@dataclass(frozen=True, slots=True)
class ReadyPhoto:
    """What is held of a photo. The pictures are JPEGs without a byte of the original file."""

    pictures: dict[Shape, bytes] = field(repr=False)
    marks: dict[Shape, Marks]
    fitted: Fitted
    facts: FileFacts

    @property
    def size(self) -> int:
        """Bytes of memory, nearly."""
        return sum(map(len, self.pictures.values())) + 4096


def ready(data: bytes, box: Box | None, landmarks: Landmarks | None) -> ReadyPhoto:
    """The pictures of a photo whose face lies there, in pixels of what `decode` makes of it.

    Raises UnsupportedFormat, ImageTooLarge, UndecodableImage.
    """
    place = place_of(box, landmarks)
    picture = decode(data, replace(LIMITS, long_side=_long_side(place)))
    place = place.scaled(_finer(picture))
    face, whole = face_affine(place), fitted(picture.rgb)
    shapes = {Shape.WHOLE: whole, Shape.FACE: whole if face is None else cut(picture.rgb, face)}
    size = whole.shape[1], whole.shape[0]
    shrink = np.diag([size[0] / picture.rgb.shape[1], size[1] / picture.rgb.shape[0]])
    around = marks(place, np.column_stack([shrink, np.zeros(2)]), size)
    near = around if face is None else marks(place, face, (shapes[Shape.FACE].shape[1],) * 2)
    return ReadyPhoto(
        pictures={shape: jpeg(rgb, _KEPT_QUALITY) for shape, rgb in shapes.items()},
        marks={Shape.WHOLE: around, Shape.FACE: near},
        fitted=_fitted(place, face is None),
        facts=facts_of(data, picture),
    )


def _long_side(place: Place) -> int:
    """What the worker's limit is, and more where the face would have to be enlarged."""
    affine = face_affine(place)
    finer = 1.0 if affine is None else min(max(1.0, scale_of(affine)), _FINEST)
    return round(LIMITS.long_side * finer)


def _finer(picture: Picture) -> Doubles:
    """How many pixels of this picture make one of the worker's, across and down."""
    width, height = reduced_size((picture.width, picture.height), LIMITS.long_side)
    return np.array([picture.rgb.shape[1] / width, picture.rgb.shape[0] / height])


def _fitted(place: Place, without: bool) -> Fitted:
    if without:
        return Fitted.NOTHING
    return Fitted.BOX if place.eyes is None else Fitted.EYES


def jpeg(rgb: Rgb, quality: int) -> bytes:
    """A JPEG of the pixels and nothing else."""
    how = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), how)[1].tobytes()


def pixels(picture: bytes) -> Rgb:
    """What `jpeg` made."""
    bgr = cv2.imdecode(np.frombuffer(picture, dtype=np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
