"""The alarms of docs/operations.md are rules of Prometheus, raised by their faults and not on a quiet day."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.bundle import ROOT
from support.prometheus import ALERTS, MONITORING, RULES, installed
from worker.metrics.families import ALL

RUNBOOK = "https://wiki.example.com/operations.md"
TABLE = (ROOT / "docs" / "operations.md").read_text().partition("\n## Alarms\n")[2].partition("\n## ")[0]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")] for line in re.findall(r"(?m)^\|.*\|$", TABLE)[2:]
]
ANCHORS = dict(re.findall(r'<a id="([\w-]+)"></a>`(\w+)`', TABLE))

WORKER = 'instance="worker:9808",job="verify"'
SWEEPS = 'verify_task_runs_total{task="worker.sweep",outcome="success"}'
PURGES = 'verify_task_runs_total{task="worker.purge",outcome="success"}'
JOBS = 'verify_jobs_total{status="%s",reason="%s",queue="verify",model_version="1"}'
LOG = 'verify_log_lines_total{level="%s",logger="worker.%s"}'
QUIET: Mapping[str, str] = {
    f"up{{{WORKER}}}": "1",
    'verify_queue_oldest_seconds{queue="verify"}': "2",
    "verify_oldest_unfinished_seconds": "200",
    'verify_unfinished_requests{queue="bulk"}': "0",
    'verify_unfinished_requests{queue="verify"}': "3",
    "verify_lapsed_leases": "0",
    "verify_dead_jobs": "0",
    "verify_members_without_request": "0",
    'verify_members{status="error"}': "7",
    "verify_members_failed_since_verdict": "0",
    JOBS % ("approved", "match"): "0+9",
    JOBS % ("retry_photo", "no_face"): "0+1",
    'verify_circuit_openings_total{host_class="listed"}': "3",
    'verify_training_state{state="failed"}': "0",
    'verify_training_state{state="rejected"}': "0",
    'verify_training_state{state="training"}': "0",
    'verify_training_state{state="done"}': "1",
    "verify_training_state_seconds": "400000",
    "verify_heads_refused": "0",
    'verify_review_cases{state="overdue"}': "0",
    'verify_objections{state="due_soon"}': "0",
    'verify_objections{state="overdue"}': "0",
    "verify_access_unusual_accounts": "0",
    "verify_access_log_breaks": "0",
    'verify_outbox_endpoint_paused{endpoint="app"}': "0",
    "verify_outbox_oldest_seconds": "4",
    'verify_outbox_events{state="parked"}': "0",
    f"verify_worker_ready_processes{{{WORKER}}}": "2",
    f"verify_worker_healthy{{{WORKER}}}": "1",
    f'verify_worker_memory_bytes{{{WORKER},process="main"}}': "110000000",
    f'verify_worker_memory_bytes{{{WORKER},process="pool"}}': "700000000",
    f'verify_worker_memory_bytes{{{WORKER},process="other"}}': "3000000000",
    'verify_source_up{source="database"}': "1",
    'verify_source_up{source="broker"}': "1",
    SWEEPS: "0+4",
    PURGES: "1",
    LOG % ("warning", "broker.redis"): "5",
}
"""A quiet day: a value, or its growth in a minute. Whatever was logged or opened was so long ago."""
MISSING = "_"
HOUR, DAY = 65, 25 * 60
"""A bit more, in minutes."""
STEPS: Mapping[int, int] = {HOUR: 1, DAY: 10}
"""How often the rules are asked in tests of that length, in minutes."""
LONGEST: Mapping[int, int] = {HOUR: 60, DAY: DAY}
"""Of a fault, in minutes."""


@dataclass(frozen=True)
class Fault:
    """What differs from a quiet day after an hour of it, and what the alarm says then."""

    series: Mapping[str, str]
    says: str
    after: int = 0
    """Minutes until it is raised; a minute before it is not."""
    labels: Mapping[str, str] = field(default_factory=dict)
    quiet: int = HOUR
    """Minutes before it."""


FAULTS: Mapping[str, Fault] = {
    "VerifySignupsWait": Fault(
        {'verify_queue_oldest_seconds{queue="verify"}': "301"}, "Sign-ups wait, the oldest for 5m 1s.", 1
    ),
    "VerifyOldestWaiting": Fault(
        {"verify_oldest_unfinished_seconds": "5400", 'verify_unfinished_requests{queue="bulk"}': "9"},
        "The oldest unfinished request has waited for 1h 30m 0s.",
        1,
    ),
    "VerifyLapsed": Fault(
        {"verify_lapsed_leases": "3"},
        "Workers died in the middle of 3 jobs, and nobody took those over.",
        2,
    ),
    "VerifyDeadJobs": Fault(
        {"verify_dead_jobs": "2"}, "Dead jobs that nobody has put back or dismissed, 2 of them."
    ),
    "VerifyPending": Fault(
        {"verify_members_without_request": "4"}, "Members wait for a request, 4 of them.", 5
    ),
    "VerifyErrors": Fault(
        {'verify_members{status="error"}': "12"},
        "Members with the status error have grown by 5 within an hour.",
    ),
    "VerifyFailedSinceVerdict": Fault(
        {"verify_members_failed_since_verdict": "6"},
        "The newest request of 6 members failed; an earlier verdict stands.",
        5,
    ),
    "VerifyReasonJumps": Fault(
        {JOBS % ("retry_photo", "no_face"): "+20"},
        "The share of retry_photo (no_face) has grown by 35 % of all verdicts against the day before.",
        19,
        {"status": "retry_photo", "reason": "no_face"},
        quiet=DAY,
    ),
    "VerifyPhotoHost": Fault(
        {'verify_circuit_openings_total{host_class="listed"}': "+1"},
        "A photo host (listed) has been in trouble for half an hour, left alone 10 times in ten minutes.",
        30,
        {"host_class": "listed"},
    ),
    "VerifyTrainingFailed": Fault(
        {'verify_training_state{state="failed"}': "1"}, "A retraining gave no model; the champion goes on."
    ),
    "VerifyTrainingRejected": Fault(
        {'verify_training_state{state="rejected"}': "1"},
        "The gate did not let the new model pass; the champion goes on.",
    ),
    "VerifyTrainingWaits": Fault(
        {'verify_training_state{state="training"}': "1", "verify_training_state_seconds": "90000"},
        "A retraining has been under way for 1d 1h 0m 0s.",
    ),
    "VerifyHeadRefused": Fault(
        {"verify_heads_refused": "1"}, "A head is refused, on 1 hosts, which go on with the one they had."
    ),
    "VerifyReviewsOverdue": Fault(
        {'verify_review_cases{state="overdue"}': "8"}, "Cases for people are overdue, 8 of them."
    ),
    "VerifyObjections": Fault(
        {'verify_objections{state="due_soon"}': "1"},
        "Objections are due soon or overdue, 1 of them; the law sets that time.",
    ),
    "VerifyUnusualAccess": Fault(
        {"verify_access_unusual_accounts": "1"},
        "Accounts that opened far more members in a day than the other reviewers, 1 of them.",
    ),
    "VerifyAccessLogBroken": Fault(
        {"verify_access_log_breaks": "2"}, "Records of access were changed or removed, at 2 places."
    ),
    "VerifyReceiverDown": Fault(
        {'verify_outbox_endpoint_paused{endpoint="app"}': "1"},
        "The app's receiver app is down; events wait.",
        1,
        {"endpoint": "app"},
    ),
    "VerifyEventsWait": Fault(
        {"verify_outbox_oldest_seconds": "600"},
        "The oldest event has waited for 10m 0s, and no receiver is paused.",
        1,
    ),
    "VerifyEventsParked": Fault(
        {'verify_outbox_events{state="parked"}': "2"},
        "A receiver has not taken 2 events for three days.",
    ),
    "VerifyWorkerDown": Fault(
        {f"up{{{WORKER}}}": "0"},
        "No worker answers at worker:9808.",
        2,
        {"instance": "worker:9808", "job": "verify"},
    ),
    "VerifyWorkerNotReady": Fault(
        {f"verify_worker_ready_processes{{{WORKER}}}": "0", f"verify_worker_healthy{{{WORKER}}}": "0"},
        "The worker at worker:9808 has no process that is ready.",
        2,
        {"instance": "worker:9808", "job": "verify"},
    ),
    "VerifyWorkerHangs": Fault(
        {f"verify_worker_healthy{{{WORKER}}}": "0"},
        "The worker at worker:9808 has not come round.",
        2,
        {"instance": "worker:9808", "job": "verify"},
    ),
    "VerifyWorkerMemory": Fault(
        {f'verify_worker_memory_bytes{{{WORKER},process="pool"}}': "1500000000"},
        "The worker at worker:9808 has 1.499GiB of memory.",
        10,
        {"instance": "worker:9808"},
    ),
    "VerifyStateMissing": Fault(
        {'verify_source_up{source="database"}': MISSING, 'verify_source_up{source="broker"}': MISSING},
        "Nobody exports the state of database and broker; most alarms are blind.",
        2,
        {"source": "database"},
    ),
    "VerifyDatabaseDown": Fault(
        {'verify_source_up{source="database"}': "0"}, "The database cannot be read.", 1
    ),
    "VerifyBrokerDown": Fault({'verify_source_up{source="broker"}': "0"}, "The broker cannot be read.", 1),
    "VerifySweepMissing": Fault(
        {SWEEPS: "+0"},
        "No sweep has succeeded for five minutes; what was lost is not sent again.",
        7,
    ),
    "VerifyPurgeMissing": Fault({}, "Nothing has been purged for two days.", 2 * 1440 - DAY - 1, quiet=DAY),
    "VerifyErrorLines": Fault(
        {LOG % ("error", "serving.champion"): "1"},
        "worker.serving.champion has logged 1 lines of level error within ten minutes.",
        0,
        {"level": "error", "logger": "worker.serving.champion"},
    ),
    "VerifyRedisRefuses": Fault(
        {LOG % ("warning", "broker.redis"): "6"},
        "Redis takes nothing just now, or holds tasks of another program; the log says which.",
        0,
        {"level": "warning", "logger": "worker.broker.redis"},
    ),
    "VerifyRedisSettings": Fault(
        {LOG % ("warning", "broker.redis_client"): "1"},
        "Redis throws messages away, or its memory limit holds few; a worker says so at its start.",
        0,
        {"level": "warning", "logger": "worker.broker.redis_client"},
    ),
    "VerifyResolver": Fault(
        {LOG % ("warning", "downloads.resolver"): "4"},
        "The photo resolver gave no link 4 times within ten minutes.",
        0,
        {"level": "warning", "logger": "worker.downloads.resolver"},
    ),
    "VerifyAppTable": Fault(
        {LOG % ("warning", "store.mapped"): "1"},
        "The app's table lacks members, or does not take the state of a request; the log says which.",
        0,
        {"level": "warning", "logger": "worker.store.mapped"},
    ),
    "VerifyPhotosSwapped": Fault(
        {LOG % ("warning", "store.requests.results"): "2"},
        "The content behind photo links was changed after a verdict, 2 times.",
        0,
        {"level": "warning", "logger": "worker.store.requests.results"},
    ),
}


def values(quiet: str, minutes: int, fault: str) -> str:
    """A series in promtool's notation: so many quiet minutes, then the fault; its `+n` goes on from there."""
    before = f"_x{minutes + 1}" if quiet == MISSING else f"{quiet}x{minutes}"
    if fault == MISSING:
        return f"{before} stale"
    if fault.startswith("+"):
        start, _, growth = quiet.partition("+")
        fault = f"{int(start) + int(growth or 0) * minutes + int(fault)}{fault}"
    return f"{before} {fault}x{LONGEST[minutes]}"


def group(fault: Fault) -> dict[str, Any]:
    """A test group of promtool: quiet, then the fault."""
    series = [
        {"series": name, "values": values(QUIET.get(name, MISSING), fault.quiet, fault.series[name])}
        if name in fault.series
        else {"series": name, "values": f"{always}x{fault.quiet + LONGEST[fault.quiet]}"}
        for name, always in {**QUIET, **fault.series}.items()
    ]
    return {"interval": "1m", "external_labels": {"runbook": RUNBOOK}, "input_series": series}


def expected(name: str, fault: Fault) -> list[dict[str, Any]]:
    """Nothing a step before, and then the alarm with its link and the figure in words."""
    at = fault.quiet + 1 + fault.after
    alert = {
        "exp_labels": {**fault.labels, "severity": RULES[name]["labels"]["severity"]},
        "exp_annotations": {"summary": fault.says, "runbook_url": f"{RUNBOOK}#{anchor(name)}"},
    }
    return [
        {"eval_time": f"{at - STEPS[fault.quiet]}m", "alertname": name, "exp_alerts": []},
        {"eval_time": f"{at}m", "alertname": name, "exp_alerts": [alert]},
    ]


def anchor(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"-\1", name).lower()


def check(folder: Path, step: int, *groups: dict[str, Any]) -> None:
    """Run them with promtool."""
    file = folder / "test.yml"
    test = {"rule_files": [str(ALERTS)], "evaluation_interval": f"{step}m", "tests": groups}
    file.write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [installed("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules() -> None:
    command = [installed("promtool"), "check", "rules", "--lint-fatal", str(ALERTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_settings() -> None:
    command = [installed("promtool"), "check", "config", "--syntax-only", str(MONITORING / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("quiet", STEPS)
def test_each_rule_is_raised_by_its_fault_with_the_figure_and_the_link(quiet: int, tmp_path: Path) -> None:
    faults = {name: fault for name, fault in FAULTS.items() if fault.quiet == quiet}
    groups = [{**group(fault), "alert_rule_test": expected(name, fault)} for name, fault in faults.items()]
    check(tmp_path, STEPS[quiet], *groups)


def test_each_rule_has_a_fault() -> None:
    assert FAULTS.keys() == RULES.keys()


def test_no_rule_is_raised_on_a_quiet_day(tmp_path: Path) -> None:
    nothing = [{"eval_time": "30h", "alertname": name, "exp_alerts": []} for name in RULES]
    check(tmp_path, STEPS[DAY], {**group(Fault({}, "", quiet=DAY)), "alert_rule_test": nothing})


def test_every_alarm_of_the_runbook_has_a_rule_or_says_that_it_is_a_log_line() -> None:
    assert len(ROWS) > 40
    for row in ROWS:
        assert len(row) == 4, row
        named = set(re.findall(r"`(\w+)`", row[3]))
        assert (named <= RULES.keys()) if named else row[3].strip() == "log", row


def test_every_rule_links_to_the_row_that_is_its_own() -> None:
    assert {anchor(name): name for name in RULES} == ANCHORS
    for name, rule in RULES.items():
        assert rule["annotations"]["runbook_url"] == f"{{{{ $externalLabels.runbook }}}}#{anchor(name)}"


def test_every_metric_of_a_rule_exists() -> None:
    exported = {family.name for family in ALL}
    used = set(re.findall(r"\bverify_\w+", ALERTS.read_text()))
    assert len(used) > 20
    assert used <= exported


@pytest.mark.parametrize("logger", sorted(set(re.findall(r'logger="([\w.]+)"', ALERTS.read_text()))))
def test_every_logger_of_a_rule_writes_warnings(logger: str) -> None:
    source = (ROOT / f"{logger.replace('.', '/')}.py").read_text()
    assert re.search(r"log(ger)?\.warning\(", source)
    assert "logging.getLogger(__name__)" in source
