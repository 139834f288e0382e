"""Heads for the tests of the store: small ones, in bundles whose networks are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bundles.bundle import NetworkFile, Origin, write_bundle
from pipeline.bundles.head import Head
from worker.serving.registry import read_head
from worker.store import PublishedHead

NETWORKS = {
    "facenet": NetworkFile(b"the first network", Origin("graph_final.pb", "0" * 64, recipe=1)),
    "sface": NetworkFile(b"the second network", Origin("sface.onnx", "1" * 64, recipe=1)),
}


def a_bundle(
    folder: Path,
    name: str = "trained",
    approve: float = 0.4,
    networks: Sequence[str] = tuple(NETWORKS),
    **facts: Any,
) -> Path:
    """A bundle at ``folder``; another edge or fact gives another version."""
    metadata = {"name": name, "edges": {"approve": approve}, "calibration": "uncalibrated", **facts}
    head = Head({"facenet.mean": np.arange(8, dtype=np.float32)}, metadata)
    write_bundle(folder, head, {network: NETWORKS[network] for network in networks})
    return folder


def a_head(folder: Path, name: str = "trained", approve: float = 0.4, **facts: Any) -> PublishedHead:
    """The head of such a bundle."""
    return read_head(a_bundle(folder, name, approve, **facts))
