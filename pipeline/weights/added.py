"""A network of the operator's own for the bundle: copied, converted from ONNX, or kept as ONNX.

ONNX is rebuilt in Keras and converted to LiteRT where that gives the same embeddings of real faces. Otherwise
it stays an ONNX file for ONNX Runtime (an extra).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from pipeline.bundles.bundle import Bundle, NetworkFile, Origin
from pipeline.errors import ModelError, WeightsCorrupt
from pipeline.faces.align import Border
from pipeline.faces.embedder import AddedEmbedder, Feed
from pipeline.faces.types import Doubles, Embeddings, Rgb
from pipeline.stderr import silent
from pipeline.weights.sources import Source

RECIPE: Final = 1
"""Raised with every change of how ONNX is converted."""
MIN_COSINE: Final = 0.9999
"""The least cosine of the converted network's embeddings with those of the file."""
SIDE: Final = 112


def added_network(
    name: str, source: Source, feed: Feed, previous: Bundle | None, report: Callable[[str], None]
) -> NetworkFile:
    """The network in this file; one of ``previous`` that was made from the same file is reused.

    Raises WeightsMissing, and WeightsCorrupt for a file that holds no embedder of faces of 112x112.
    """
    is_onnx = source.file.endswith(".onnx")
    origin = Origin(source.file, source.sha256(), RECIPE if is_onnx else 0)
    kept = previous.network(name) if previous else None
    if kept is not None and kept.origin == origin:
        return kept
    if not is_onnx:
        return _checked(name, NetworkFile(source.read(), origin), feed)
    converted, problem = _converted(name, source, feed)
    if converted is not None:
        return NetworkFile(converted, origin)
    report(
        f"  {name} stays ONNX ({problem}): wherever it runs, pip install -r pipeline/requirements-onnx.txt"
    )
    return _checked(name, NetworkFile(source.read(), origin, ".onnx"), feed)


def describe(name: str, network: NetworkFile, feed: Feed) -> dict[str, Any]:
    """The network's rule and probe, for the head. Raises ModelError."""
    with _opened(name, network, feed) as embedder:
        return embedder.describe()


def _checked(name: str, network: NetworkFile, feed: Feed) -> NetworkFile:
    """The network; raises WeightsCorrupt where it does not run, or gives no finite embeddings."""
    try:
        embeddings = _embedded(name, network, feed)
    except (ModelError, ValueError, RuntimeError) as error:
        raise WeightsCorrupt(f"{network.origin.file} is no network of faces of 112x112: {error}") from error
    if not np.isfinite(embeddings).all():
        raise WeightsCorrupt(f"{network.origin.file} gives vectors that are no numbers")
    return network


def _embedded(name: str, network: NetworkFile, feed: Feed) -> Embeddings:
    """(n, d) of crops of a real face, each row of length 1."""
    with _opened(name, network, feed) as embedder:
        return embedder.embed(real_crops())


@contextmanager
def _opened(name: str, network: NetworkFile, feed: Feed) -> Iterator[AddedEmbedder]:
    """The embedder on a temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}{network.suffix}"
        path.write_bytes(network.data)
        yield AddedEmbedder(name, path, Border.BLACK, feed)


def _converted(name: str, source: Source, feed: Feed) -> tuple[bytes | None, str]:
    """The LiteRT file, or None and the reason. TensorFlow is loaded here."""
    with silent():
        from pipeline.weights import export, onnx_graph

        try:
            model = onnx_graph.build(source.read(), name)
            converted = export.to_tflite(model)
        except onnx_graph.UnknownOperation as unknown:
            return None, str(unknown)
        except Exception as error:  # noqa: BLE001 - parsers and layers have errors of all kinds
            return None, f"it cannot be rebuilt: {type(error).__name__}"
        ours = _embedded(name, NetworkFile(converted, Origin(source.file, "")), feed)
    theirs = _reference(source.read(), onnx_graph.read_graph(source.read()).entry, feed)
    cosine = float(np.min(np.sum(ours * theirs, axis=1)))
    if cosine < MIN_COSINE:
        return None, f"converted it agrees to a cosine of {cosine:.5f}"
    return converted, ""


def _reference(onnx_file: bytes, entry: str, feed: Feed) -> Doubles:
    """(n, d) of the same crops by ONNX's reference implementation, each row of length 1."""
    session = ReferenceEvaluator(onnx.load_model_from_string(onnx_file))
    rows = []
    for crop in real_crops():
        fed = (crop if feed.channels == "rgb" else crop[..., ::-1]).astype(np.float32)
        picture = ((fed - np.float32(feed.mean)) / np.float32(feed.divisor)).transpose(2, 0, 1)[None]
        results: Any = session.run(None, {entry: picture})
        found = np.asarray(results[0], np.float64).ravel()
        rows.append(found / np.linalg.norm(found))
    return np.stack(rows)


def real_crops() -> list[Rgb]:
    """(112, 112, 3) uint8: two crops of a face, from a portrait that comes with scikit-image."""
    from skimage.data import astronaut

    portrait: Rgb = astronaut()  # type: ignore[no-untyped-call]
    cuts = portrait[30:190, 145:305], portrait[60:180, 170:290]
    crops = (cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for cut in cuts)
    return [np.asarray(crop, np.uint8) for crop in crops]
