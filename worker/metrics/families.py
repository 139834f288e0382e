"""Every metric that is exported, with its labels. `docs/metrics.md` says what each means and what to do.

Labels are bounded by the code and the settings, never by what comes in: no host, member, request or person
is in one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "histogram", "gauge"]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its name as Prometheus stores it (a histogram's without `_bucket`), kind, help, labels."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()


# Counted by the processes of a worker.
DELIVERIES: Final = Family(
    "verify_deliveries_total",
    "counter",
    "Deliveries of verify jobs, by what became of them.",
    ("queue", "outcome"),
)
JOBS: Final = Family(
    "verify_jobs_total",
    "counter",
    "Requests that were judged, by the verdict as it is recorded.",
    ("queue", "status", "reason", "model_version"),
)
REQUEST_SECONDS: Final = Family(
    "verify_request_seconds",
    "histogram",
    "From the moment a request was made to its recorded verdict.",
    ("queue",),
)
STAGE_SECONDS: Final = Family(
    "verify_stage_seconds", "histogram", "Where the time of a delivery went.", ("queue", "stage")
)
PHOTO_FETCHES: Final = Family(
    "verify_photo_fetches_total",
    "counter",
    "Photos after their download, by problem (none: the photo is there).",
    ("host_class", "problem"),
)
CIRCUIT_OPENINGS: Final = Family(
    "verify_circuit_openings_total",
    "counter",
    "Photo hosts that were left alone for a while.",
    ("host_class",),
)
TASK_RUNS: Final = Family(
    "verify_task_runs_total", "counter", "Runs of Celery tasks, by their end.", ("task", "outcome")
)
LOG_LINES: Final = Family(
    "verify_log_lines_total", "counter", "Log lines of level warning and above.", ("level", "logger")
)

# Of the worker that serves them.
WORKER_HEALTHY: Final = Family(
    "verify_worker_healthy", "gauge", "Whether the health check of this worker says that it is well."
)
WORKER_READY_PROCESSES: Final = Family(
    "verify_worker_ready_processes", "gauge", "Processes of this worker that take jobs."
)
WORKER_MEMORY: Final = Family(
    "verify_worker_memory_bytes",
    "gauge",
    "Resident memory of this worker's processes, by the part that they have in it.",
    ("process",),
)
WORKER_LARGEST: Final = Family(
    "verify_worker_largest_process_bytes", "gauge", "Resident memory of this worker's largest process."
)

# Read from the broker.
QUEUE_MESSAGES: Final = Family(
    "verify_queue_messages", "gauge", "Messages on the broker, by where they are.", ("queue", "state")
)
QUEUE_OLDEST: Final = Family(
    "verify_queue_oldest_seconds",
    "gauge",
    "Age of the request whose message is the next on its queue; 0 where none waits.",
    ("queue",),
)

# Read from the database.
UNFINISHED: Final = Family("verify_unfinished_requests", "gauge", "Accepted and not ended.", ("queue",))
OLDEST_UNFINISHED: Final = Family(
    "verify_oldest_unfinished_seconds",
    "gauge",
    "Age of the oldest unfinished request; 0 where there is none.",
)
LAPSED: Final = Family("verify_lapsed_leases", "gauge", "Running requests whose lease has ended.")
REQUESTS: Final = Family("verify_requests", "gauge", "Requests ever accepted, by state.", ("state",))
MEMBERS: Final = Family(
    "verify_members", "gauge", "Members by standing verdict (none: without one).", ("status",)
)
WITHOUT_REQUEST: Final = Family(
    "verify_members_without_request", "gauge", "Members who want a request and have none yet."
)
FAILED_SINCE_VERDICT: Final = Family(
    "verify_members_failed_since_verdict",
    "gauge",
    "Members whose newest request failed while an earlier verdict stands.",
)
DEAD_JOBS: Final = Family("verify_dead_jobs", "gauge", "Dead letters that nobody has put back or dismissed.")
OUTBOX_EVENTS: Final = Family(
    "verify_outbox_events", "gauge", "Events that the app has not had, waiting or parked.", ("state",)
)
OUTBOX_OLDEST: Final = Family(
    "verify_outbox_oldest_seconds", "gauge", "Age of the oldest event that waits; 0 where none does."
)
ENDPOINT_PAUSED: Final = Family(
    "verify_outbox_endpoint_paused", "gauge", "Whether an endpoint is left alone for a while.", ("endpoint",)
)
REVIEW_CASES: Final = Family(
    "verify_review_cases",
    "gauge",
    "Open cases, and which of them are overdue, claimed, escalated.",
    ("state",),
)
OBJECTIONS: Final = Family(
    "verify_objections",
    "gauge",
    "Objections that wait for an answer, and which of them are due soon or overdue.",
    ("state",),
)
REVIEW_OLDEST: Final = Family(
    "verify_review_oldest_seconds", "gauge", "Age of the oldest open case; 0 where there is none."
)
REVIEW_VOTES: Final = Family(
    "verify_review_votes_last_hour", "gauge", "Decisions of all reviewers in the last hour, 1,000 at most."
)
REVIEW_MEDIAN: Final = Family(
    "verify_review_median_seconds", "gauge", "Median of those from the claim to the decision; 0 without any."
)
ACCESS_UNUSUAL: Final = Family(
    "verify_access_unusual_accounts",
    "gauge",
    "Accounts that opened far more members in the last 24 hours than the other reviewers do in a day.",
)
ACCESS_BREAKS: Final = Family(
    "verify_access_log_breaks",
    "gauge",
    "Places where the records of access do not hold together that no signed review knows.",
)
TRAINING_STATE: Final = Family(
    "verify_training_state",
    "gauge",
    "1 for the state of the latest retraining, 0 for the others.",
    ("state",),
)
TRAINING_SECONDS: Final = Family(
    "verify_training_state_seconds",
    "gauge",
    "Since the latest retraining was asked for or, where it has ended, since its end.",
)
MODEL_INFO: Final = Family(
    "verify_model_info",
    "gauge",
    "1 for each head in use (shipped: that of each host's bundle).",
    ("version", "role"),
)
HEADS_REFUSED: Final = Family("verify_heads_refused", "gauge", "Hosts that cannot use a head they should.")

# Of the reading itself.
SOURCE_UP: Final = Family(
    "verify_source_up", "gauge", "Whether what is read from there could be read.", ("source",)
)
SOURCE_SECONDS: Final = Family(
    "verify_source_read_seconds", "gauge", "How long the last reading took that succeeded.", ("source",)
)

COUNTED: Final = (
    *(
        DELIVERIES,
        JOBS,
        REQUEST_SECONDS,
        STAGE_SECONDS,
        PHOTO_FETCHES,
        CIRCUIT_OPENINGS,
        TASK_RUNS,
        LOG_LINES,
    ),
)
OF_WORKER: Final = (WORKER_HEALTHY, WORKER_READY_PROCESSES, WORKER_MEMORY, WORKER_LARGEST)
OF_BROKER: Final = (QUEUE_MESSAGES, QUEUE_OLDEST)
OF_DATABASE: Final = (
    *(UNFINISHED, OLDEST_UNFINISHED, LAPSED, REQUESTS, MEMBERS, WITHOUT_REQUEST, FAILED_SINCE_VERDICT),
    *(DEAD_JOBS, OUTBOX_EVENTS, OUTBOX_OLDEST, ENDPOINT_PAUSED, REVIEW_CASES, REVIEW_OLDEST, REVIEW_VOTES),
    *(
        REVIEW_MEDIAN,
        OBJECTIONS,
        ACCESS_UNUSUAL,
        ACCESS_BREAKS,
        TRAINING_STATE,
        TRAINING_SECONDS,
        MODEL_INFO,
        HEADS_REFUSED,
    ),
)
ALL: Final = (*COUNTED, *OF_WORKER, *OF_BROKER, *OF_DATABASE, SOURCE_UP, SOURCE_SECONDS)

LOGGERS: Final = frozenset(
    f"worker.{module}"
    for module in (
        *("app", "runtime", "tasks", "clock", "broker.consumer", "broker.redis", "broker.redis_client"),
        *("downloads.fetcher", "downloads.resolver", "events.delivery", "logs", "metrics.counting"),
        *("metrics.recorder", "metrics.step", "retraining.embedding", "retraining.process", "retraining.run"),
        *("serving.champion", "store.mapped", "store.requests.acceptance", "store.requests.results"),
        *("verification.delivery", "verification.maintenance", "verification.objections"),
    )
)
"""Our modules that write log lines of level warning and above in a worker."""
OTHER_LOGGERS: Final = frozenset({"celery", "native"})
"""Loggers whose lines are counted under the first part of their name. All others are `other`."""
LEVELS: Final = ("warning", "error", "critical")

BUCKETS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    *(60.0, 300.0, 1800.0, 7200.0),
)
"""Upper bounds in seconds, of every histogram: from a decision to an import that waits for hours."""


def exemplar_key(name: str, labels: tuple[str, ...], bucket: int) -> str:
    """``bucket`` is its place in `BUCKETS`; one more for the last, which has no upper bound."""
    return "|".join((name, *labels, str(bucket)))
