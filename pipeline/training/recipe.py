"""How a bundle is trained: every choice in one frozen value, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.tables import Labels
from pipeline.fitting.fit import FaceTable, FitSettings
from pipeline.training.data.pairs import PairSettings
from pipeline.training.networks.backbones import BackboneName
from pipeline.training.networks.learning import Schedule
from pipeline.training.networks.siamese import SiameseSettings


class Mode(StrEnum):
    """What moves."""

    HEAD = "head"
    """The projection alone, on embeddings that are computed once."""
    FINETUNE = "finetune"
    """The backbone's last blocks too, on augmented photos."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The choices of a training."""

    mode: Mode = Mode.HEAD
    backbone: BackboneName = BackboneName.FACENET
    weights: Path | None = None
    """Of the backbone, for fine-tuning."""
    siamese: SiameseSettings = field(default_factory=SiameseSettings)
    pairs: PairSettings = field(default_factory=PairSettings)
    schedule: Schedule = field(default_factory=Schedule)
    fit: FitSettings = field(default_factory=FitSettings)
    copies: int = 0
    """Augmented copies of each face that head mode learns from too."""
    hold_out: float = 0.15
    """Share of the people by whom training is stopped; they are not learned from."""

    @property
    def tower(self) -> str:
        """Name of the embedder whose tower is trained."""
        return str(self.backbone)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingFaces:
    """n faces to learn from, and their ages (n,), `pairs.NO_AGE` where unknown."""

    table: FaceTable
    age: NDArray[np.int64]

    @property
    def labels(self) -> Labels:
        """What pairs are drawn by."""
        return Labels(self.table.identity, self.table.gender, self.age)

    def only(self, chosen: NDArray[np.bool_]) -> TrainingFaces:
        """The flagged faces."""
        return TrainingFaces(self.table.only(chosen), self.age[chosen])
