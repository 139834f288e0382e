"""From weight files to the networks of a bundle, each proved against the network that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.bundles.bundle import Bundle, NetworkFile, Origin
from pipeline.errors import WeightsCorrupt, WeightsMissing
from pipeline.stderr import silent
from pipeline.weights.sources import Source

if TYPE_CHECKING:
    import keras

RECIPE = 2
"""Raised with every change of a conversion, so that old networks are made again."""

LIKENESS = {"facenet": 0.999, "sface": 0.9999, "mobilefacenet": 0.9999, "faceres": 0.9999}
"""The networks that are converted, and the cosine that their vectors must have with their source's."""
EIGHT_BIT = ("facenet",)
"""FaceNet takes a third of the time in 8 bits and turns its vectors by less than 2 degrees. The others
are full of depthwise convolutions: they gain little or nothing, and would lose more."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to one network."""

    name: str
    made: bool
    """False where the network of the installed bundle could stay."""


def converted_networks(
    sources: Mapping[str, Source], previous: Bundle | None, told: Callable[[Step], None]
) -> dict[str, NetworkFile]:
    """The networks by name: embedders are converted, the others taken as they are.

    What ``previous`` already holds of the same weights is not made again.
    """
    made = {}
    for name, source in sources.items():
        origin = Origin(source.file, source.sha256(), RECIPE if name in LIKENESS else 0)
        kept = previous.network(name) if previous else None
        reuse = kept is not None and kept.origin == origin
        made[name] = kept if kept and reuse else NetworkFile(_network(name, source), origin)
        told(Step(name, made=not reuse))
    return made


def _network(name: str, source: Source) -> bytes:
    """The LiteRT file. TensorFlow is loaded here and not before: an up-to-date bundle needs none."""
    if name not in LIKENESS:
        return source.read()
    with silent():
        from pipeline.weights import export, facenet, faceres, mobilefacenet, sface

        kinds = {"facenet": facenet, "sface": sface, "mobilefacenet": mobilefacenet, "faceres": faceres}
        model = _built(name, kinds[name], source)
        converted = export.to_tflite(model, eight_bit=name in EIGHT_BIT)
        _prove(name, model, converted)
    return converted


def _built(name: str, kind: Any, source: Source) -> keras.Model:
    """The network that the module ``kind`` makes. Raises WeightsMissing, WeightsCorrupt."""
    try:
        model = kind.build(source)
    except WeightsMissing:
        raise
    except Exception as error:  # the parsers of four formats have errors of their own
        raise WeightsCorrupt(f"{source.file} does not hold {name}: {error}") from error
    if model.output_shape != (None, kind.DIMENSIONS):  # an empty file is a whole ONNX model of nothing
        raise WeightsCorrupt(f"{source.file} does not hold {name}: it gives {model.output_shape[1:]}")
    return model


def _prove(name: str, model: keras.Model, converted: bytes) -> None:
    """Both give nearly the same vector for a picture of noise. Raises WeightsCorrupt."""
    from ai_edge_litert.interpreter import Interpreter

    noise = np.random.default_rng(0).uniform(-1, 1, (1, *model.input_shape[1:])).astype(np.float32)
    interpreter = Interpreter(model_content=converted, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], noise)
    interpreter.invoke()
    vector = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    cosine = float(np.sum(vector * np.asarray(model(noise, training=False))))
    if not cosine > LIKENESS[name]:
        raise WeightsCorrupt(f"the converted {name} does not agree with its source: cosine {cosine:.5f}")
