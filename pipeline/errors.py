"""What can go wrong in the pipeline.

* PipelineError
  + ImageError                the file cannot be made into a picture (the outcome invalid_image)
    - UndecodableImage
    - UnsupportedFormat
    - ImageTooLarge
  + DecodeBudgetSpent         the photos of one job would take too long to decode
  + ModelError                a model file is missing or is not what it says
    - WeightsMissing
    - WeightsCorrupt
    - BundleIncompatible
  + DataError                 a CSV, a folder or a label set cannot be used as it is
  + PeerMissing               a package that is only compared with is not installed
"""

from __future__ import annotations

from enum import StrEnum


class PipelineError(Exception):
    """Base of everything that the pipeline raises on purpose."""


class ImageError(PipelineError):
    """The bytes cannot be made into a picture."""


class UndecodableImage(ImageError):
    """Truncated, damaged, or not an image at all."""


class UnsupportedFormat(ImageError):
    """An image, but of a format that is not taken (GIF, AVIF, PDF, ...)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not taken; JPEG, PNG, WebP, HEIC and BMP are")
        self.name = name


class Limit(StrEnum):
    """What of a photo may be too much."""

    PIXELS = "pixels"
    SIDE = "side"
    MEMORY = "memory"


class ImageTooLarge(ImageError):
    """More pixels, a longer side or more memory than may be; known before anything is decoded."""

    def __init__(self, size: tuple[int, int], limit: Limit, why: str) -> None:
        super().__init__(f"{limit} ({size[0]} x {size[1]}; {why})")
        self.width, self.height = size
        self.limit = limit


class DecodeBudgetSpent(PipelineError):
    """Nothing is wrong with the photo: those before it have used up the job's time for decoding."""

    def __init__(self, kind: str, pixels: int, cost: float, left: float) -> None:
        super().__init__(
            f"not decoded: {pixels / 1e6:.0f} million pixels of {kind} would take about {cost:.1f} s, "
            f"and of the job's time for decoding {left:.1f} s are left"
        )


class ModelError(PipelineError):
    """A model file is missing or is not what it says."""


class WeightsMissing(ModelError):
    """A file that the bundle needs is not there."""


class WeightsCorrupt(ModelError):
    """A file's sha256 is not the one that the manifest names."""


class BundleIncompatible(ModelError):
    """Head and backbone do not belong together, or the format is unknown to this version."""


class DataError(PipelineError):
    """A CSV, a folder or a label set cannot be used as it is."""


class PeerMissing(PipelineError):
    """A package that is only compared with is not installed."""
