"""From images to a verdict. Knows nothing of queues, databases, the network or the environment."""

from __future__ import annotations

from pipeline.api import match, train
from pipeline.decide import Policy
from pipeline.errors import PipelineError
from pipeline.verdict import Gender, NotFetched, Outcome, PhotoFinding, PhotoVerdict, Reason, Status, Verdict

__all__ = [
    "Gender",
    "NotFetched",
    "Outcome",
    "PhotoFinding",
    "PhotoVerdict",
    "PipelineError",
    "Policy",
    "Reason",
    "Status",
    "Verdict",
    "match",
    "train",
]
