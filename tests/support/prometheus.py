"""Prometheus where it is installed (Debian's package `prometheus`), and our files for it."""

from __future__ import annotations

import json
import re
import signal
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError

import pytest
import yaml

from support.bundle import ROOT
from support.servers import PrivateServer, ServerMissing, find_program

MONITORING: Final = ROOT / "worker" / "production" / "monitoring"
ALERTS: Final = MONITORING / "alerts.yml"
RULES: Final[dict[str, dict[str, Any]]] = {
    rule["alert"]: rule
    for group in yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
"""By the alert's name."""
_HURRIED: Final = {"2d": "6s", "1d": "10s", "1h": "5s", "10m": "5s", "5m": "5s", "1m": "5s"}


def installed(program: str) -> str:
    """The path of `prometheus` or `promtool`; without it the test is skipped."""
    try:
        return find_program(program)
    except ServerMissing:
        pytest.skip("rules and dashboard are tested where Debian's package prometheus is installed")


def hurried(rules: str) -> str:
    """The same rules, of seconds in place of minutes and days, without a wait before they are raised."""
    rules = re.sub(r"(?m)^ +for: .*\n", "", rules)
    return re.sub(r"(?<=\[|:)\d+[mhd](?=\]|:)|(?<=offset )\d+[mhd]", lambda m: _HURRIED[m[0]], rules)


class Prometheus(PrivateServer):
    """A private Prometheus that reads these addresses every second."""

    name = "prometheus"

    def __init__(self, folder: Path, targets: Sequence[str], rules: str = "") -> None:
        super().__init__(folder)
        self._program = installed("prometheus")
        self._targets = list(targets)
        (folder / "alerts.yml").write_text(rules or ALERTS.read_text())
        self.every(1)

    def every(self, seconds: int) -> None:
        """Read the targets so often from now on, and wait for an answer as long."""
        job = {"job_name": "verify", "static_configs": [{"targets": self._targets}]}
        times = {"scrape_interval": f"{seconds}s", "evaluation_interval": "500ms"}
        labels = {"external_labels": {"runbook": "docs/operations.md"}}
        config = {"global": times | labels, "rule_files": ["alerts.yml"], "scrape_configs": [job]}
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._signal(signal.SIGHUP)

    def command(self) -> Sequence[str]:
        """Prometheus on the loopback address."""
        return [
            self._program,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--enable-feature=exemplar-storage",
        ]

    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=2):
                return True
        except URLError:
            return False

    def ask(self, path: str, **words: str) -> Any:
        """What the API answers. Raises HTTPError where it refuses, such as for a query that is none."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(words)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Any]:
        """The series of now."""
        found: list[Any] = self.ask("query", query=expression)["result"]
        return found

    def firing(self) -> dict[str, str]:
        """The summaries of the alarms that are raised, by their names."""
        alerts = [alert for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"]
        return {alert["labels"]["alertname"]: alert["annotations"]["summary"] for alert in alerts}
