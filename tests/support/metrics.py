"""Reads the metrics of a worker as Prometheus does."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from prometheus_client.samples import Sample

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@dataclass(frozen=True)
class Scrape:
    """One answer."""

    metrics: tuple[Metric, ...]

    def value(self, name: str, **labels: str) -> float | None:
        """Of all series with these labels, and perhaps others; None if there is none."""
        found = [s.value for s in self.samples(name) if labels.items() <= s.labels.items()]
        return sum(found) if found else None

    def samples(self, name: str) -> list[Sample]:
        """All series of this name."""
        return [sample for metric in self.metrics for sample in metric.samples if sample.name == name]


def scrape(url: str, token: str = "", *, exemplars: bool = False) -> Scrape:
    """Raises URLError where nobody answers, HTTPError for another status than 200."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if exemplars:
        headers["Accept"] = OPENMETRICS
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        text = answer.read().decode()
    return Scrape(tuple((openmetrics if exemplars else plain)(text)))
