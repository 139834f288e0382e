"""The settings of a training, and its faces."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pipeline.datasets.tables import Labels
from pipeline.faces.types import Codes, Rows
from pipeline.fitting.fit import FaceTable, FitSettings
from pipeline.training.data.pairs import PairSettings
from pipeline.training.networks.backbones import BackboneName
from pipeline.training.networks.learning import Schedule
from pipeline.training.networks.siamese import SiameseSettings


class Mode(StrEnum):
    """What is trained."""

    HEAD = "head"
    """The projection alone, on embeddings that are computed once."""
    FINETUNE = "finetune"
    """The backbone's last blocks too, on augmented photos."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of a training."""

    mode: Mode = Mode.HEAD
    backbone: BackboneName = BackboneName.FACENET
    weights: Path | None = None
    """Of the backbone, for fine-tuning."""
    siamese: SiameseSettings = field(default_factory=SiameseSettings)
    pairs: PairSettings = field(default_factory=PairSettings)
    schedule: Schedule = field(default_factory=Schedule)
    fit: FitSettings = field(default_factory=FitSettings)
    copies: int = 0
    """Number of augmented copies of each face that head mode is trained on too."""
    hold_out: float = 0.15
    """Share of the people who are held out; training stops by them."""

    @property
    def tower(self) -> str:
        return str(self.backbone)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingFaces(Rows):
    """n faces to train on, and their ages (n,), `NO_AGE` where unknown."""

    table: FaceTable
    age: Codes

    @property
    def labels(self) -> Labels:
        """The labels by which pairs are drawn."""
        return Labels(self.table.identity, self.table.gender, self.age)
