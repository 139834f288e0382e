"""Reads what the processes of a worker have counted, with the request that stands for each bucket."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Exemplar, Sample

from worker.metrics.families import BUCKETS, COUNTED, exemplar_key
from worker.metrics.files import CountFiles

_LABELS: Final = {family.name: family.labels for family in COUNTED if family.kind == "histogram"}
_NO_BOUND: Final = "+Inf"


class CountedCollector:
    """A collector of prometheus-client over the files of one worker.

    Its own leaves exemplars out where several processes count.
    """

    def __init__(self, files: CountFiles) -> None:
        self._files = files

    def collect(self) -> Iterable[Metric]:
        """All that was counted so far."""
        with self._files.unmoved() as files:
            metrics = list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]
        exemplars = self._exemplars()
        for metric in metrics:
            metric.samples = [_with_exemplar(sample, exemplars) for sample in metric.samples]
        return metrics

    def _exemplars(self) -> dict[str, Exemplar]:
        """The latest of all processes, by their key."""
        found: dict[str, Exemplar] = {}
        for of_process in self._files.read_exemplars():
            for key, (request_id, value, at) in of_process.items():
                if key not in found or float(found[key].timestamp or 0.0) < at:
                    found[key] = Exemplar({"request_id": request_id}, value, at)
        return found


def _with_exemplar(sample: Sample, exemplars: dict[str, Exemplar]) -> Sample:
    name = sample.name.removesuffix("_bucket")
    if name == sample.name or name not in _LABELS:
        return sample
    labels = tuple(sample.labels[label] for label in _LABELS[name])
    return sample._replace(exemplar=exemplars.get(exemplar_key(name, labels, _bucket(sample.labels["le"]))))


def _bucket(bound: str) -> int:
    return len(BUCKETS) if bound == _NO_BOUND else BUCKETS.index(float(bound))
