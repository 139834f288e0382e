"""What can go wrong in the pipeline.

* PipelineError
  + ImageError                the file cannot be made into a picture (the outcome invalid_image)
    - UndecodableImage
    - UnsupportedFormat
    - ImageTooLarge
  + ModelError                a model file is missing or is not what it says
    - WeightsMissing
    - WeightsCorrupt
    - BundleIncompatible
  + DataError                 a CSV, a folder or a label set cannot be used as it is
  + PeerMissing               a package that is only compared with is not installed
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of everything that the pipeline raises on purpose."""


class ImageError(PipelineError):
    """The bytes cannot be made into a picture."""


class UndecodableImage(ImageError):
    """Truncated, damaged, or not an image at all."""


class UnsupportedFormat(ImageError):
    """An image, but of a format that is not taken (GIF, AVIF, TIFF, ...)."""


class ImageTooLarge(ImageError):
    """More pixels than the cap; known from the header, before anything is decoded."""

    def __init__(self, width: int, height: int, limit: int) -> None:
        super().__init__(f"{width} x {height} pixels, at most {limit / 1e6:.0f} million are taken")
        self.width, self.height, self.limit = width, height, limit


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
