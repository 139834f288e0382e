"""docs/metrics.md and the code name the same metrics; what is to be copied from it is well-formed."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.bundle import ROOT
from support.compose import BASE
from support.sources import WORKER, module_of, tree_of
from worker.jobs.queues import IN_ORDER
from worker.metrics.families import ALL, LEVELS, LOGGERS, Family

PAGE = (ROOT / "docs" / "metrics.md").read_text()
ROW = re.compile(r"(?m)^\| `(verify_\w+)` \| (\w+) \| ([^|]*)\| [^|]+ \|")
DOCUMENTED = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(PAGE)}
SCRAPES, SCALED = (yaml.safe_load(block) for block in re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE))


def queries() -> list[str]:
    """Every query of the page."""
    triggers: list[dict[str, Any]] = SCALED["spec"]["triggers"]
    alternatives = re.findall(r"`((?:sum|max)\([^`]+)`", PAGE)
    return [*(trigger["metadata"]["query"] for trigger in triggers), *alternatives]


def test_every_metric_is_in_the_table_with_its_type_and_labels_and_no_other() -> None:
    assert {family.name: (family.kind, family.labels) for family in ALL} == DOCUMENTED


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_a_name_follows_the_conventions_of_prometheus(family: Family) -> None:
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert family.name.endswith("_seconds") or family.kind != "histogram"
    assert family.text.endswith(".")
    assert not {"host", "member", "request", "reviewer", "url", "pid", "le"} & set(family.labels)


def test_an_autoscaler_is_told_how_to_ask_for_metrics_that_there_are() -> None:
    assert SCALED["kind"] == "ScaledObject"
    assert all(float(trigger["metadata"]["threshold"]) > 0 for trigger in SCALED["spec"]["triggers"])
    assert len(queries()) == 4
    for query in queries():
        names = re.findall(r"verify_\w+", query)
        assert names
        for name in names:
            labels = re.findall(rf"{name}\{{(\w+)=", query)
            assert set(labels) <= set(DOCUMENTED[name][1])
    named = re.findall(r'queue=~?"([\w|]+)"', " ".join(queries()))
    assert {queue for several in named for queue in several.split("|")} <= set(IN_ORDER)


def test_prometheus_is_told_of_services_that_there_are() -> None:
    (job,) = SCRAPES["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert set(found["names"]) <= set(BASE["services"])
    assert f":{found['port']}\n" in PAGE or f":{found['port']} " in PAGE


def warns(path: Path) -> bool:
    """Whether the module writes log lines of level warning and above."""
    calls = (node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))
    loud = [c for c in calls if isinstance(c, ast.Attribute) and c.attr in {*LEVELS, "exception"}]
    return any(isinstance(c.value, ast.Name) and c.value.id in ("logger", "_log", "log") for c in loud)


def test_log_lines_are_counted_by_every_module_that_writes_them_in_a_worker() -> None:
    found = {module_of(path) for path in WORKER if warns(path)}
    elsewhere = {name for name in found if name.startswith("worker.console.")}
    elsewhere |= {"worker.metrics.endpoint", "worker.metrics.sources"}
    assert found - elsewhere == LOGGERS - {"worker.logs"}
