"""Runs FaceRes' own graph as it was published, in a process of its own because of TensorFlow.

python faceres_graph.py MODEL.json WEIGHTS.bin CROPS.npy VECTORS.npy
"""

from __future__ import annotations

import json
import sys
from math import prod
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import json_format


def main(described: Path, weights: Path, crops_file: Path, vectors_file: Path) -> None:
    """The pooled features of RGB crops (n, 224, 224, 3): the graph takes BGR, ImageNet's means off."""
    model = json.loads(described.read_text("utf-8"))
    definition = tf.compat.v1.GraphDef()
    json_format.ParseDict({"node": model["modelTopology"]["node"]}, definition)
    data, offset = weights.read_bytes(), 0
    nodes = {node.name: node for node in definition.node}
    for item in model["weightsManifest"][0]["weights"]:
        values = np.frombuffer(data, item["dtype"], prod(item["shape"]), offset).reshape(item["shape"])
        nodes[item["name"]].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
        offset += values.nbytes
    crops = np.load(crops_file)[..., ::-1].astype(np.float32) - (103.939, 116.779, 123.68)
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.import_graph_def(definition, name="")
        np.save(vectors_file, session.run("global_pooling/Mean:0", {"input_1:0": crops}))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:5]))
