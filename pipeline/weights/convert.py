"""Convert weight files to the networks of a bundle, and check each against its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipeline.bundles.bundle import Bundle, NetworkFile, Origin
from pipeline.errors import WeightsCorrupt, WeightsMissing
from pipeline.stderr import silent
from pipeline.weights.sources import Source

if TYPE_CHECKING:
    import keras

RECIPE = 2
"""Raised with every change of a conversion, so that older networks are made again."""

MIN_COSINE = {
    "facenet": 0.999,
    "sface": 0.9999,
    "sface8": 0.99,
    "mobilefacenet": 0.9999,
    "faceres": 0.9999,
    "faceres8": 0.99,
}
"""The converted networks, and the least cosine of their embeddings with the source's."""
DIMENSIONS = {
    "facenet": 512,
    "sface": 128,
    "sface8": 128,
    "mobilefacenet": 192,
    "faceres": 1024,
    "faceres8": 1024,
}
EIGHT_BIT = ("facenet",)
"""FaceNet takes a third of the time in 8 bits, which turns its embeddings by less than 2 degrees. The others
have many depthwise convolutions, which LiteRT does not compute fast in 8 bits."""
EIGHT_BIT_PRODUCTS = ("sface8", "faceres8")
"""Networks of which only the matrix products have 8 bits, which takes half of the time.

They must be proven on values like a photo's, for what is nearly even has little left in 8 bits."""


def converted_networks(
    sources: Mapping[str, Source], previous: Bundle | None, report: Callable[[str, bool], None]
) -> dict[str, NetworkFile]:
    """The networks by name: embedders are converted, the others copied.

    A network of ``previous`` that was made from the same weights is reused. ``report`` gets each name, and
    whether it was made.
    """
    networks = {}
    for name, source in sources.items():
        origin = Origin(source.file, source.sha256(), RECIPE if name in MIN_COSINE else 0)
        kept = previous.network(name) if previous else None
        reuse = kept is not None and kept.origin == origin
        networks[name] = kept if kept and reuse else NetworkFile(_network(name, source), origin)
        report(name, not reuse)
    return networks


def _network(name: str, source: Source) -> bytes:
    """The LiteRT file. TensorFlow is loaded only here, so that an up-to-date bundle needs none."""
    if name not in MIN_COSINE:
        return source.read()
    with silent():
        from pipeline.weights import export, facenet, faceres, mobilefacenet, onnx_graph

        builders = {
            "facenet": facenet.build,
            "sface": lambda file: onnx_graph.build(file.read(), "sface"),
            "sface8": lambda file: onnx_graph.build(file.read(), "sface8"),
            "mobilefacenet": mobilefacenet.build,
            "faceres": faceres.build,
            "faceres8": faceres.build,
        }
        model = _built(name, builders[name], source)
        converted = export.to_tflite(model, eight_bit=name in EIGHT_BIT)
        if name in EIGHT_BIT_PRODUCTS:
            converted = export.with_eight_bit_products(converted)
        _prove(name, model, converted)
    return converted


def _built(name: str, build: Callable[[Source], keras.Model], source: Source) -> keras.Model:
    """The Keras network that ``build`` makes. Raises WeightsMissing or WeightsCorrupt."""
    try:
        model = build(source)
    except WeightsMissing:
        raise
    except Exception as error:  # the parsers of four formats have errors of their own
        raise WeightsCorrupt(f"{source.file} does not hold {name}: {error}") from error
    if model.output_shape != (None, DIMENSIONS[name]):  # an empty file is a whole ONNX model of nothing
        raise WeightsCorrupt(f"{source.file} does not hold {name}: it gives {model.output_shape[1:]}")
    return model


def _prove(name: str, model: keras.Model, converted: bytes) -> None:
    """Raises WeightsCorrupt unless both give nearly the same embedding of noise."""
    from ai_edge_litert.interpreter import Interpreter

    low, high = (0, 255) if name in EIGHT_BIT_PRODUCTS else (-1, 1)
    noise = np.random.default_rng(0).uniform(low, high, (1, *model.input_shape[1:])).astype(np.float32)
    interpreter = Interpreter(model_content=converted, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], noise)
    interpreter.invoke()
    embedding = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    cosine = float(np.sum(embedding * np.asarray(model(noise, training=False))))
    if not cosine > MIN_COSINE[name]:
        raise WeightsCorrupt(f"the converted {name} does not agree with its source: cosine {cosine:.5f}")
