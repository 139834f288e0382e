"""The errors of the pipeline.

* PipelineError
  + ImageError                the file cannot be decoded (the outcome invalid_image)
    - UndecodableImage
    - UnsupportedFormat
    - ImageTooLarge
  + DecodeBudgetSpent         the photos of one job would take too long to decode
  + ModelError                a model file is missing or damaged
    - WeightsMissing
    - WeightsCorrupt
    - BundleIncompatible
  + DataError                 a CSV, a folder or a label set cannot be used
  + PeerMissing               a package that is only compared with is not installed
"""

from __future__ import annotations

from enum import StrEnum


class PipelineError(Exception):
    """Base of the errors that the pipeline raises on purpose."""


class ImageError(PipelineError):
    """The bytes cannot be decoded."""


class UndecodableImage(ImageError):
    """Truncated, damaged, or not an image at all."""


class UnsupportedFormat(ImageError):
    """An image of a format that is not supported (GIF, AVIF, PDF, ...)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not taken; JPEG, PNG, WebP, HEIC and BMP are")
        self.name = name


class Limit(StrEnum):
    """The limit that a photo exceeds."""

    PIXELS = "pixels"
    SIDE = "side"
    MEMORY = "memory"


class ImageTooLarge(ImageError):
    """Too many pixels, too long a side or too much memory; raised before anything is decoded."""

    def __init__(self, size: tuple[int, int], limit: Limit, why: str) -> None:
        super().__init__(f"{limit} ({size[0]} x {size[1]}; {why})")
        self.width, self.height = size
        self.limit = limit


class DecodeBudgetSpent(PipelineError):
    """The photos before it have used up the job's time for decoding; the photo itself may be intact."""

    def __init__(self, kind: str, pixels: int, cost: float, left: float) -> None:
        super().__init__(
            f"not decoded: {pixels / 1e6:.0f} million pixels of {kind} would take about {cost:.1f} s, "
            f"and of the job's time for decoding {left:.1f} s are left"
        )


class ModelError(PipelineError):
    """A model file is missing or damaged."""


class WeightsMissing(ModelError):
    """A file that the bundle needs is missing."""


class WeightsCorrupt(ModelError):
    """A file's sha256 is not that in the manifest."""


class BundleIncompatible(ModelError):
    """Head and networks do not belong together, or this version does not know the format."""


class DataError(PipelineError):
    """A CSV, a folder or a label set cannot be used."""


class PeerMissing(PipelineError):
    """A package that is only compared with is not installed."""
