"""Prometheus where it is installed (Debian's package `prometheus`), and our files for it."""

from __future__ import annotations

from typing import Any, Final

import pytest
import yaml

from support.bundle import ROOT
from support.servers import ServerMissing, find_program

MONITORING: Final = ROOT / "worker" / "production" / "monitoring"
ALERTS: Final = MONITORING / "alerts.yml"
RULES: Final[dict[str, dict[str, Any]]] = {
    rule["alert"]: rule
    for group in yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
"""By the alert's name."""


def installed(program: str) -> str:
    """The path of `prometheus` or `promtool`; without it the test is skipped."""
    try:
        return find_program(program)
    except ServerMissing:
        pytest.skip("rules and dashboard are tested where Debian's package prometheus is installed")


def promtool() -> str:
    """The path of promtool."""
    return installed("promtool")
