"""The networks that turn faces into vectors, run on LiteRT, or ONNX Runtime where nothing else can.

Each keeps its own rule for cutting a face out and for the values that it is fed; together with
the network's file that rule makes the embedder. The rule is written into the head with
`describe` and read from it with `open_embedder`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

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
from pipeline.faces.litert import Network
from pipeline.faces.onnx_runtime import OnnxNetwork
from pipeline.faces.types import Face, Rgb, Vectors

STRETCHED = ("facenet", "vgg19", "own_cnn")
"""Embedders that take the stretched crop; `pipeline.training` makes the last two."""
ON_TEMPLATE = ("sface", "mobilefacenet")
"""Embedders that take the crop whose landmarks lie where ArcFace's template has them."""

ADDED_CROP: Final = "arcface112"
"""How faces are cut out for a network of the operator's own: laid onto ArcFace's template of 112x112."""

PROBE_LENGTH = 16
PROBE_TOLERANCE = 0.02
"""Other networks differ by 0.1 and more; float16 weights or another processor by 0.001."""


class Runs(Protocol):
    """A loaded network: `pipeline.faces.litert.Network` or `pipeline.faces.onnx_runtime.OnnxNetwork`."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one row: (height, width, channels)."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of one row of the output."""
        ...

    def sha256(self) -> str:
        """Of the network's file."""
        ...

    def run(self, batch: Vectors) -> Vectors:
        """(n, height, width, channels) to (n, d), both float32."""
        ...


class LiteRtEmbedder(ABC):
    """Turns faces into vectors with one network."""

    name: str
    side: int
    """Of a crop, in pixels."""

    def __init__(self, network: Path | Runs, most: int) -> None:
        """Load the network, if it is not yet. Raises ModelError, also where it takes other crops."""
        self._network = _opened(network, most) if isinstance(network, Path) else network
        if self._network.input_shape != (self.side, self.side, 3):
            raise BundleIncompatible(f"the network takes {self._network.input_shape}: it is no {self.name}")

    @property
    def network(self) -> Runs:
        """What runs; embedders with other rules may share it."""
        return self._network

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._network.dimensions

    @property
    def fingerprint(self) -> str:
        """Changes with anything that the vectors depend on."""
        return f"{self.name} {self._network.sha256()} {self._rule()}"

    @abstractmethod
    def crop(self, rgb: Rgb, face: Face) -> Rgb:
        """The aligned face as this network wants it, (side, side, 3) uint8."""

    def embed(self, crops: Sequence[Rgb]) -> Vectors:
        """(n, dimensions) float32, each row of length 1."""
        if not crops:
            return np.empty((0, self.dimensions), np.float32)
        return self._network.run(self._standardise(np.stack([*crops]).astype(np.float32)))

    def describe(self) -> dict[str, Any]:
        """For the head's metadata: the rule, and a probe by which the network is known again."""
        return {**self._rule(), "probe": [round(float(value), 4) for value in self._probe()]}

    def recognise(self, description: Mapping[str, Any]) -> None:
        """Raises BundleIncompatible where a head was fitted on another network than this one."""
        expected = np.array(description["probe"], dtype=np.float32)
        if not np.allclose(expected, self._probe(), rtol=0, atol=PROBE_TOLERANCE):
            raise BundleIncompatible(f"the head was fitted on another {self.name} than the bundle holds")

    def is_fed(self, description: Mapping[str, Any]) -> bool:
        """Whether a head describes this very rule."""
        return {**self._rule(), "probe": description.get("probe")} == {"probe": None, **description}

    def _probe(self) -> Vectors:
        """The first values of the vector of a picture that is the same everywhere."""
        across = np.arange(self.side)
        channels = [across[:, None] * across * (7 + channel) // 16 % 256 for channel in range(3)]
        vectors: Vectors = self.embed([np.stack(channels, axis=-1).astype(np.uint8)])
        return vectors[0, :PROBE_LENGTH]

    @abstractmethod
    def _rule(self) -> dict[str, Any]:
        """How crops are made; JSON."""

    def _standardise(self, crops: Vectors) -> Vectors:
        """(n, side, side, 3) float32 in 0..255 to the values that the network wants: most take them as
        they are."""
        return crops


class FaceNetEmbedder(LiteRtEmbedder):
    """FaceNet (InceptionResNetV1): the face box stretched to 160x160 → (n, 512).

    The other backbones of `STRETCHED` can be trained in its place and are fed like it.
    """

    side = 160

    def __init__(
        self, network: Path | Runs, geometry: StretchedGeometry, colours: Preprocess, name: str = "facenet"
    ) -> None:
        """Load the network. Of four faces at a time each takes 15 % less; more gain nothing."""
        self.name = name
        super().__init__(network, most=4)
        self._geometry, self._colours = geometry, colours

    def crop(self, rgb: Rgb, face: Face) -> Rgb:
        """(160, 160, 3) uint8 by the bundle's geometry, in the bundle's colours."""
        return preprocess(crop_stretched(rgb, face, self._geometry), self._colours)

    def _rule(self) -> dict[str, Any]:
        return {"geometry": asdict(self._geometry), "preprocess": str(self._colours)}

    def _standardise(self, crops: Vectors) -> Vectors:
        return (crops - np.float32(127.5)) / np.float32(128)


class TemplateEmbedder(LiteRtEmbedder):
    """SFace → (n, 128), MobileFaceNet → (n, 192): eyes, nose and mouth laid onto ArcFace's template of
    112x112."""

    side = 112

    def __init__(self, name: str, network: Path | Runs, border: Border, most: int = 2) -> None:
        """Load the network. Two faces at a time are a little quicker than one."""
        self.name = name
        super().__init__(network, most)
        self._border = border

    def crop(self, rgb: Rgb, face: Face) -> Rgb:
        """(112, 112, 3) uint8."""
        return crop_similarity(rgb, face, self.side, self._border)

    def _rule(self) -> dict[str, Any]:
        return {"border": str(self._border)}


@dataclass(frozen=True, slots=True)
class Feed:
    """What a network of the operator's own takes: each value of a crop less ``mean``, divided by ``divisor``;
    ``channels`` are "rgb" or "bgr"."""

    channels: str
    mean: float
    divisor: float

    def __post_init__(self) -> None:
        if self.channels not in ("rgb", "bgr") or not self.divisor:
            raise ValueError(f"no way to feed a network: {self}")


class AddedEmbedder(TemplateEmbedder):
    """A network of the operator's own → (n, d). Takes one face at a time: many files can no other number."""

    def __init__(self, name: str, network: Path | Runs, border: Border, feed: Feed) -> None:
        """Load the network."""
        super().__init__(name, network, border, most=1)
        self._feed = feed

    def embed(self, crops: Sequence[Rgb]) -> Vectors:
        """(n, dimensions) float32, each row of length 1, whatever the network gives."""
        vectors = super().embed(crops)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)

    def _rule(self) -> dict[str, Any]:
        return {**super()._rule(), "crop": ADDED_CROP, "feed": asdict(self._feed)}

    def _standardise(self, crops: Vectors) -> Vectors:
        ordered = crops if self._feed.channels == "rgb" else crops[..., ::-1]
        fed = (ordered - np.float32(self._feed.mean)) / np.float32(self._feed.divisor)
        return np.ascontiguousarray(fed, np.float32)


class FaceResEmbedder(LiteRtEmbedder):
    """FaceRes (MobileNet): the face box stretched to 224x224 → (n, 1024), for gender alone."""

    name = "faceres"
    side = 224

    def __init__(self, network: Path | Runs, geometry: StretchedGeometry) -> None:
        """Load the network."""
        super().__init__(network, most=2)
        self._geometry = geometry

    def crop(self, rgb: Rgb, face: Face) -> Rgb:
        """(224, 224, 3) uint8."""
        return crop_stretched(rgb, face, self._geometry)

    def _rule(self) -> dict[str, Any]:
        return {"geometry": asdict(self._geometry)}


def open_embedder(
    name: str, network: Path | LiteRtEmbedder, description: Mapping[str, Any]
) -> LiteRtEmbedder:
    """The embedder ``name`` as a head describes it, on a network's file or on one that is loaded.

    A loaded embedder that is fed just so is given back itself. Raises ModelError.
    """
    try:
        embedder = _new_or_same(name, network, description)
        embedder.recognise(description)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleIncompatible(f"the head does not say how {name} is fed: {error}") from error
    return embedder


def _new_or_same(name: str, network: Path | LiteRtEmbedder, description: Mapping[str, Any]) -> LiteRtEmbedder:
    if isinstance(network, Path):
        return new_embedder(name, network, description)
    return network if network.is_fed(description) else new_embedder(name, network.network, description)


def new_embedder(name: str, network: Path | Runs, rule: Mapping[str, Any]) -> LiteRtEmbedder:
    """The same for a network that no head describes yet. Raises ModelError, and KeyError for a rule."""
    if name in STRETCHED:
        return FaceNetEmbedder(network, _geometry(rule), Preprocess(rule["preprocess"]), name)
    if name == "faceres":
        return FaceResEmbedder(network, _geometry(rule))
    if name in ON_TEMPLATE:
        return TemplateEmbedder(name, network, Border(rule["border"]))
    if rule.get("crop") == ADDED_CROP:
        return AddedEmbedder(name, network, Border(rule["border"]), Feed(**rule["feed"]))
    raise BundleIncompatible(f"this version knows no embedder named {name}")


def is_added(rule: Mapping[str, Any]) -> bool:
    """Whether a head describes a network of the operator's own so."""
    return "crop" in rule


def _opened(path: Path, most: int) -> Runs:
    """The network in this file, by its ending. Raises ModelError."""
    return OnnxNetwork(path) if path.suffix == ".onnx" else Network(path, most)


def _geometry(rule: Mapping[str, Any]) -> StretchedGeometry:
    return StretchedGeometry(**{**rule["geometry"], "border": Border(rule["geometry"]["border"])})
