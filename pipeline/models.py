"""Everything that one verification needs, loaded once and handed over whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.gender import GenderJudge
from pipeline.occlusion import OcclusionJudge
from pipeline.ports import FaceDetector, FaceEmbedder
from pipeline.quality import QualityLimits
from pipeline.score import Scorer


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """When two pictures count as one: the stolen photo sent as selfie and as gallery photo."""

    hash_bits: int = 6
    """Perceptual hashes (64 bit) that differ in at most so many bits are near copies."""
    score: float = float("inf")
    """A fused score that no two different pictures of one person reach."""


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """A loaded bundle. ``version`` goes into every verdict."""

    detector: FaceDetector
    embedders: Mapping[str, FaceEmbedder]
    scorer: Scorer
    gender: GenderJudge
    occlusion: OcclusionJudge
    quality_limits: QualityLimits
    replay: ReplayLimits
    version: str
    calibrated: bool
