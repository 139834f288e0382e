"""`worker/production/monitoring/dashboard.json` for Grafana, which `make docs` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Final

from support.dashboard_parts import (
    NOW,
    Json,
    Panel,
    coloured,
    figures,
    lines,
    named,
    per_minute,
    quantile,
    steps,
    table,
)
from support.prometheus import MONITORING

DASHBOARD: Final = MONITORING / "dashboard.json"

GOOD: Final = steps("green", (1, "orange"))
BAD: Final = steps("green", (1, "red"))
PLAIN: Final = steps("blue")
WAIT: Final = steps("green", (60, "orange"), (300, "red"))
STAGES: Final = ("queue", "download", "decode", "detect", "embed", "decide", "database")
DOT: Final = "A dot is one request; its ID is in the log."
SEVERITIES: Final = {
    name: {"color": color, "index": place}
    for place, (name, color) in enumerate({"critical": "red", "warning": "orange", "info": "blue"}.items())
}
STATUSES: Final = coloured(
    approved="green", review="blue", retry_photo="yellow", error="red", rejected="purple"
)


def stages(share: float, title: str) -> Panel:
    """How long the stages of a sign-up take, one over the other."""
    return lines(
        title,
        "In their order, from below. The one that has grown says where to look: `queue`, too few workers; "
        f"`download`, the photo host; `database`, the database. {DOT}",
        "verify-oldest-waiting",
        12,
        {name: quantile(share, "verify_stage_seconds", f'queue="verify",stage="{name}"') for name in STAGES},
        unit="s",
        height=9,
        stacked="normal",
        query={"exemplar": True},
    )


ROWS: Final[Mapping[str, Sequence[Panel]]] = {
    "Is it working?": (
        figures(
            "Members judged each minute",
            "Verdicts of all workers. None while requests wait: nobody works.",
            "verify-oldest-waiting",
            5,
            {"verdicts": "60 * sum(rate(verify_jobs_total[$__rate_interval]))"},
            show="value",
            height=7,
            defaults={"decimals": 1, "thresholds": PLAIN, "noValue": "none"},
        ),
        figures(
            "The oldest request has waited for",
            "Accepted, and without a verdict. During an import it may be hours: look at what sign-ups wait.",
            "verify-oldest-waiting",
            5,
            {"oldest": "max(verify_oldest_unfinished_seconds)"},
            show="value",
            height=7,
            unit="s",
            defaults={"decimals": 0, "thresholds": WAIT},
        ),
        figures(
            "Workers, by their health checks",
            "How many there should be, you know: `docker compose ps`.",
            "verify-worker-down",
            5,
            {
                "are well": "sum(verify_worker_healthy)",
                "are not": 'count(up{job="verify"}) - (sum(verify_worker_healthy) or vector(0))',
            },
            height=7,
            overrides=[
                named("are well", thresholds=steps("red", (1, "green"))),
                named("are not", thresholds=BAD),
            ],
        ),
        table(
            "Alarms that are raised now",
            "Each has its row in the runbook. An empty table is what you want.",
            "alarms",
            9,
            {"": 'sum by (alertname, severity) (ALERTS{alertstate="firing",alertname=~"Verify.*"})'},
            order=("severity", "alertname"),
            height=7,
            defaults={"noValue": "none"},
            overrides=[
                named(
                    "severity",
                    custom_cellOptions={"type": "color-text"},
                    custom_width=110,
                    mappings=[{"type": "value", "options": SEVERITIES}],
                ),
                named("alertname", displayName="alarm"),
            ],
        ),
        lines(
            "How requests end, as shares",
            "A share that jumps: the app's camera, the photo host or the model has changed.",
            "verify-reason-jumps",
            12,
            {"{{status}}": per_minute("verify_jobs_total", "status")},
            stacked="percent",
            overrides=STATUSES,
        ),
        lines(
            "Why requests are not approved, each minute",
            "The machine's reasons; `show MEMBER` has the number and the limit of one.",
            "verify-reason-jumps",
            12,
            {"{{reason}}": per_minute('verify_jobs_total{status!="approved"}', "reason")},
            stacked="normal",
        ),
    ),
    "Queues": (
        lines(
            "Messages on each queue",
            "Waiting, or taken by a worker. `verify` are sign-ups; `bulk` is an import, and may wait.",
            "verify-signups-wait",
            9,
            {"{{queue}}": "sum by (queue) (max by (queue, state) (verify_queue_messages))"},
        ),
        lines(
            "How long a sign-up takes, from the app's request to the verdict",
            f"Half are faster than one line, 95 of 100 faster than the other. {DOT}",
            "verify-signups-wait",
            9,
            {
                "95 of 100": quantile(0.95, "verify_request_seconds", 'queue="verify"'),
                "half": quantile(0.5, "verify_request_seconds", 'queue="verify"'),
            },
            unit="s",
            query={"exemplar": True},
        ),
        figures(
            "What was left behind",
            "Each of them should be 0.",
            "verify-dead-jobs",
            6,
            {
                "dead jobs": "max(verify_dead_jobs)",
                "jobs whose worker died": "max(verify_lapsed_leases)",
                "members without a request": "max(verify_members_without_request)",
                "newest request failed": "max(verify_members_failed_since_verdict)",
            },
            defaults={"thresholds": GOOD},
            options={"orientation": "horizontal"},
        ),
    ),
    "Where the time goes": (
        stages(0.5, "Half of the sign-ups spend at most so long in each stage"),
        stages(0.95, "95 of 100 sign-ups spend at most so long in each stage"),
    ),
    "Photos": (
        lines(
            "Photos that could not be fetched, each minute",
            "By problem and kind of host: `listed` in VERIFY_PHOTO_HOSTS, or other.",
            "verify-errors",
            12,
            {
                "{{host_class}}: {{problem}}": per_minute(
                    'verify_photo_fetches_total{problem!="none"}', "host_class", "problem"
                )
                + " > 0"
            },
            stacked="normal",
        ),
        lines(
            "Photo hosts that were left alone, each minute",
            "For 30 to 120 s, after several failures. All the time: that host is down; the log names it.",
            "verify-photo-host",
            12,
            {"{{host_class}}": per_minute("verify_circuit_openings_total", "host_class")},
        ),
    ),
    "People": (
        figures(
            "Cases, objections and pace",
            "What waits for a person, and how many decisions there were in the last hour.",
            "verify-reviews-overdue",
            12,
            {
                "open cases": 'max(verify_review_cases{state="open"})',
                "overdue": 'max(verify_review_cases{state="overdue"})',
                "objections due": 'max(verify_objections{state=~"due_soon|overdue"})',
                "the oldest waits": "max(verify_review_oldest_seconds)",
                "decided in an hour": "max(verify_review_votes_last_hour)",
                "half take at most": "max(verify_review_median_seconds)",
            },
            defaults={"thresholds": PLAIN},
            overrides=[
                named("overdue", thresholds=BAD),
                named("objections due", thresholds=BAD),
                named("the oldest waits", unit="s", decimals=0),
                named("half take at most", unit="s"),
            ],
            options={"orientation": "horizontal"},
        ),
        lines(
            "Open cases, and those that are overdue",
            "Growing all day: people are behind.",
            "verify-reviews-overdue",
            12,
            {"{{state}}": "max by (state) (verify_review_cases)"},
            overrides=coloured(overdue="red", open="blue"),
        ),
    ),
    "Models": (
        table(
            "Models that judge",
            "The champion decides; a shadow judges along and decides nothing. `shipped`: the worker's own.",
            "verify-head-refused",
            12,
            {"": "max by (role, version) (verify_model_info)"},
            order=("role", "version"),
            height=5,
        ),
        figures(
            "Hosts that refuse a model",
            "They go on with the one they had.",
            "verify-head-refused",
            6,
            {"hosts": "max(verify_heads_refused)"},
            show="value",
            height=5,
            defaults={"thresholds": GOOD},
        ),
        figures(
            "The latest retraining",
            "Failed or rejected: the champion goes on.",
            "verify-training-failed",
            6,
            {"{{state}}": "max by (state) (verify_training_state) == 1"},
            query=NOW,
            show="name",
            height=5,
            defaults={"thresholds": PLAIN, "noValue": "none yet"},
            overrides=[
                named("failed", thresholds=steps("orange")),
                named("promoted", thresholds=steps("green")),
            ],
        ),
    ),
    "Events to the app": (
        lines(
            "Events that the app has not had",
            "Waiting ones go out within seconds. Parked ones were refused for three days.",
            "verify-events-wait",
            12,
            {"{{state}}": "max by (state) (verify_outbox_events)"},
            height=7,
            overrides=coloured(parked="red", waiting="blue"),
        ),
        figures(
            "Receivers of events",
            "Down: it failed five times in a row, and is asked ever more seldom.",
            "verify-receiver-down",
            6,
            {"{{endpoint}}": "max by (endpoint) (verify_outbox_endpoint_paused)"},
            height=7,
            defaults={
                "thresholds": BAD,
                "noValue": "nobody is told",
                "mappings": [
                    {"type": "value", "options": {"0": {"text": "takes events"}, "1": {"text": "down"}}}
                ],
            },
        ),
        figures(
            "The oldest event has waited for",
            "Without a receiver that is down: nobody delivers, or one event is refused.",
            "verify-events-wait",
            6,
            {"oldest": "max(verify_outbox_oldest_seconds)"},
            show="value",
            height=7,
            unit="s",
            defaults={"decimals": 0, "thresholds": WAIT},
        ),
    ),
    "The machine": (
        lines(
            "Memory of each worker",
            "Its main process and those that judge. Above 750 MB for each of them: a leak.",
            "verify-worker-memory",
            8,
            {"{{instance}}": 'sum by (instance) (verify_worker_memory_bytes{process=~"main|pool"})'},
            unit="decbytes",
        ),
        lines(
            "How long database and broker take to tell their state",
            "Some queries each. It grows: that server is busy. A gap: it could not be read.",
            "verify-database-down",
            8,
            {"{{source}}": 'max by (source) (verify_source_read_seconds{source=~"database|broker"})'},
            unit="s",
        ),
        lines(
            "Log lines of level warning and above, each minute",
            "The runbook quotes those that matter.",
            "verify-error-lines",
            8,
            {"{{level}}": per_minute("verify_log_lines_total", "level")},
            overrides=coloured(warning="orange", error="red", critical="dark-red"),
        ),
    ),
}


def laid_out() -> list[Json]:
    """The panels with their places: from left to right, in rows of 24."""
    found: list[Json] = []
    numbers, y = count(1), 0
    for title, panels in ROWS.items():
        place = {"x": 0, "y": y, "w": 24, "h": 1}
        found.append({"id": next(numbers), "type": "row", "title": title, "gridPos": place, "panels": []})
        x, y = 0, y + 1
        for panel in panels:
            if x == 24:
                x, y = 0, y + found[-1]["gridPos"]["h"]
            found.append(panel.json(next(numbers), x, y))
            x += panel.width
        y += found[-1]["gridPos"]["h"]
    return found


def dashboard() -> str:
    """The text of the file."""
    made = {
        "title": "Face verification",
        "uid": "face-verification",
        "tags": ["face-verification"],
        "schemaVersion": 39,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "graphTooltip": 1,
        "links": [{"title": "Runbook", "type": "link", "url": "${runbook}", "targetBlank": True}],
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                {"name": "runbook", "type": "textbox", "query": "docs/operations.md", "hide": 2},
            ]
        },
        "panels": laid_out(),
    }
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(dashboard(), encoding="utf-8")
