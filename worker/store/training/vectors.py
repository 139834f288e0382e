"""The form of `training_face.vectors`: float32, little-endian, one network after the other by their names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_FORM = np.dtype("<f4")


def pack(vectors: Mapping[str, NDArray[np.float32]]) -> bytes:
    """One face's vectors, by the names of the networks."""
    return b"".join(vectors[name].astype(_FORM).tobytes() for name in sorted(vectors))


def unpack(data: bytes) -> NDArray[np.float32]:
    """The same side by side."""
    return np.frombuffer(data, _FORM)
