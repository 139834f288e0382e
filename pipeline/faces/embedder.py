"""Embedders: networks that turn faces into embeddings, each with a rule for its input.

The rule says how a face is cut out and which values the network takes. `describe` gives the rule for the
head's metadata, and `open_embedder` reads it from there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.errors import BundleIncompatible
from pipeline.faces.align import (
    Border,
    Preprocess,
    StretchedGeometry,
    crop_similarity,
    crop_stretched,
    preprocess,
)
from pipeline.faces.networks import Network, open_network
from pipeline.faces.types import Embeddings, Face, Rgb

STRETCHED = ("facenet", "vgg19", "own_cnn")
"""Embedders that take the stretched crop; `pipeline.training` makes the last two."""
ON_TEMPLATE = ("sface", "sface8", "mobilefacenet")
"""Embedders that take the crop whose landmarks lie where ArcFace's template has them."""
FOR_GENDER = ("faceres", "faceres8")
"""Embedders that only the gender head takes."""

ADDED_CROP: Final = "arcface112"
"""The crop for a network of the operator's own: ArcFace's template of 112x112."""

PROBE_LENGTH = 16
PROBE_TOLERANCE = 0.02
"""Other networks differ by 0.1 and more; float16 weights or another processor by 0.001."""


class Embedder(ABC):
    """Turns faces into embeddings with one network."""

    name: str
    side: int
    """Of a crop, in pixels."""

    def __init__(self, network: Path | Network) -> None:
        """Load the network from a path, or take a loaded one.

        Raises ModelError, also for another input shape.
        """
        self._network = open_network(network) if isinstance(network, Path) else network
        if self._network.input_shape != (self.side, self.side, 3):
            raise BundleIncompatible(f"the network takes {self._network.input_shape}: it is no {self.name}")

    @property
    def network(self) -> Network:
        """The loaded network; embedders with other rules may share it."""
        return self._network

    @property
    def dimensions(self) -> int:
        return self._network.dimensions

    @property
    def fingerprint(self) -> str:
        """Changes with the network and its rule, and so with the embeddings."""
        return f"{self.name} {self._network.sha256()} {self._rule()}"

    @property
    @abstractmethod
    def cut(self) -> str:
        """Equal for embedders that take the same crop."""

    @abstractmethod
    def crop(self, rgb: Rgb, face: Face) -> Rgb:
        """The aligned face for this network, (side, side, 3) uint8."""

    def embed(self, crops: Sequence[Rgb]) -> Embeddings:
        """(n, dimensions) float32, each row of length 1."""
        if not crops:
            return np.empty((0, self.dimensions), np.float32)
        return self._network.run(self._standardise(np.stack([*crops]).astype(np.float32)))

    def describe(self) -> dict[str, Any]:
        """The rule and a probe that identifies the network, for the head's metadata."""
        return {**self._rule(), "probe": [round(float(value), 4) for value in self._probe()]}

    def recognise(self, description: Mapping[str, Any]) -> None:
        """Raises BundleIncompatible where the head was fitted on another network."""
        expected = np.array(description["probe"], dtype=np.float32)
        if not np.allclose(expected, self._probe(), rtol=0, atol=PROBE_TOLERANCE):
            raise BundleIncompatible(f"the head was fitted on another {self.name} than the bundle holds")

    def has_rule(self, description: Mapping[str, Any]) -> bool:
        """Whether a head describes exactly this rule."""
        return {**self._rule(), "probe": description.get("probe")} == {"probe": None, **description}

    def _probe(self) -> Embeddings:
        """The first values of the embedding of a fixed picture."""
        across = np.arange(self.side)
        channels = [across[:, None] * across * (7 + channel) // 16 % 256 for channel in range(3)]
        embeddings: Embeddings = self.embed([np.stack(channels, axis=-1).astype(np.uint8)])
        return embeddings[0, :PROBE_LENGTH]

    @abstractmethod
    def _rule(self) -> dict[str, Any]:
        """How the network's input is made; JSON."""

    def _standardise(self, crops: Embeddings) -> Embeddings:
        """(n, side, side, 3) float32 in 0..255 to the values that the network takes; most take these."""
        return crops


class FaceNetEmbedder(Embedder):
    """FaceNet (InceptionResNetV1): the face box stretched to 160x160 → (n, 512).

    The other networks of `STRETCHED` can be trained in its place and take the same input.
    """

    side = 160

    def __init__(
        self, network: Path | Network, geometry: StretchedGeometry, colours: Preprocess, name: str = "facenet"
    ) -> None:
        self.name = name
        super().__init__(network)
        self._geometry, self._colours = geometry, colours

    @property
    def cut(self) -> str:
        return f"{self._geometry} {self._colours}"

    def crop(self, rgb: Rgb, face: Face) -> Rgb:
        """(160, 160, 3) uint8 in the bundle's geometry and colours."""
        return preprocess(crop_stretched(rgb, face, self._geometry), self._colours)

    def _rule(self) -> dict[str, Any]:
        return {"geometry": asdict(self._geometry), "preprocess": str(self._colours)}

    def _standardise(self, crops: Embeddings) -> Embeddings:
        return (crops - np.float32(127.5)) / np.float32(128)


class TemplateEmbedder(Embedder):
    """SFace → (n, 128), MobileFaceNet → (n, 192): crops on ArcFace's template of 112x112."""

    side = 112

    def __init__(self, name: str, network: Path | Network, border: Border) -> None:
        self.name = name
        super().__init__(network)
        self._border = border

    @property
    def cut(self) -> str:
        return f"template {self.side} {self._border}"

    def crop(self, rgb: Rgb, face: Face) -> Rgb:
        return crop_similarity(rgb, face, self.side, self._border)

    def _rule(self) -> dict[str, Any]:
        return {"border": str(self._border)}


@dataclass(frozen=True, slots=True)
class Feed:
    """The input of a network of the operator's own: the values of a crop less ``mean``, by ``divisor``.

    ``channels`` are "rgb" or "bgr". Raises ValueError for other values.
    """

    channels: str
    mean: float
    divisor: float

    def __post_init__(self) -> None:
        if self.channels not in ("rgb", "bgr") or not self.divisor:
            raise ValueError(f"no way to feed a network: {self}")


class AddedEmbedder(TemplateEmbedder):
    """A network of the operator's own → (n, d)."""

    def __init__(self, name: str, network: Path | Network, border: Border, feed: Feed) -> None:
        super().__init__(name, network, border)
        self._feed = feed

    def embed(self, crops: Sequence[Rgb]) -> Embeddings:
        """(n, dimensions) float32, each row scaled to length 1."""
        embeddings = super().embed(crops)
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(lengths, 1e-12), np.float32)

    def _rule(self) -> dict[str, Any]:
        return {**super()._rule(), "crop": ADDED_CROP, "feed": asdict(self._feed)}

    def _standardise(self, crops: Embeddings) -> Embeddings:
        ordered = crops if self._feed.channels == "rgb" else crops[..., ::-1]
        fed = (ordered - np.float32(self._feed.mean)) / np.float32(self._feed.divisor)
        return np.ascontiguousarray(fed, np.float32)


class FaceResEmbedder(Embedder):
    """FaceRes (MobileNet): the face box stretched to 224x224 → (n, 1024), for the gender head alone."""

    side = 224

    def __init__(self, network: Path | Network, geometry: StretchedGeometry, name: str = "faceres") -> None:
        self.name = name
        super().__init__(network)
        self._geometry = geometry

    @property
    def cut(self) -> str:
        return f"{self._geometry} {Preprocess.COLOR}"

    def crop(self, rgb: Rgb, face: Face) -> Rgb:
        return crop_stretched(rgb, face, self._geometry)

    def _rule(self) -> dict[str, Any]:
        return {"geometry": asdict(self._geometry)}


def open_embedder(name: str, network: Path | Network | Embedder, description: Mapping[str, Any]) -> Embedder:
    """The embedder ``name`` as a head describes it, on a network's file or on one that is loaded.

    A loaded embedder with the same rule is returned itself. Raises ModelError.
    """
    try:
        embedder = _new_or_same(name, network, description)
        embedder.recognise(description)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleIncompatible(f"the head does not say how {name} is fed: {error}") from error
    return embedder


def _new_or_same(name: str, network: Path | Network | Embedder, description: Mapping[str, Any]) -> Embedder:
    if not isinstance(network, Embedder):
        return new_embedder(name, network, description)
    return network if network.has_rule(description) else new_embedder(name, network.network, description)


def new_embedder(name: str, network: Path | Network, rule: Mapping[str, Any]) -> Embedder:
    """An embedder by name and rule. Raises ModelError, and KeyError for an incomplete rule."""
    if name in STRETCHED:
        return FaceNetEmbedder(network, _geometry(rule), Preprocess(rule["preprocess"]), name)
    if name in FOR_GENDER:
        return FaceResEmbedder(network, _geometry(rule), name)
    if name in ON_TEMPLATE:
        return TemplateEmbedder(name, network, Border(rule["border"]))
    if rule.get("crop") == ADDED_CROP:
        return AddedEmbedder(name, network, Border(rule["border"]), Feed(**rule["feed"]))
    raise BundleIncompatible(f"this version knows no embedder named {name}")


def _geometry(rule: Mapping[str, Any]) -> StretchedGeometry:
    return StretchedGeometry(**{**rule["geometry"], "border": Border(rule["geometry"]["border"])})
