"""docs/metrics.md and the code name the same metrics."""

from __future__ import annotations

import re

import pytest

from support.bundle import ROOT
from worker.metrics.families import ALL, Family

ROW = re.compile(r"(?m)^\| `(verify_\w+)` \| (\w+) \| ([^|]*)\| [^|]+ \|")
DOCUMENTED = {
    name: (kind, tuple(re.findall(r"`(\w+)`", labels)))
    for name, kind, labels in ROW.findall((ROOT / "docs" / "metrics.md").read_text())
}


def test_every_metric_is_in_the_table_with_its_type_and_labels_and_no_other() -> None:
    assert {family.name: (family.kind, family.labels) for family in ALL} == DOCUMENTED


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_a_name_follows_the_conventions_of_prometheus(family: Family) -> None:
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert family.name.endswith("_seconds") or family.kind != "histogram"
    assert family.text.endswith(".")
    assert not {"host", "member", "request", "reviewer", "url", "pid", "le"} & set(family.labels)
