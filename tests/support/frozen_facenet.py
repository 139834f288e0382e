"""Runs the frozen FaceNet graph as it was published, in a process of its own because of TensorFlow.

python frozen_facenet.py GRAPH CROPS.npy VECTORS.npy
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def main(graph_file: Path, crops_file: Path, vectors_file: Path) -> None:
    """Embed standardised crops (n, 160, 160, 3) one by one: the graph's batch size is fixed."""
    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString(graph_file.read_bytes())
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.import_graph_def(definition, name="")
        vectors = [session.run("embeddings:0", {"input:0": crop[None]})[0] for crop in np.load(crops_file)]
    np.save(vectors_file, np.stack(vectors))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
