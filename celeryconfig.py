"""Celery's settings: those whose default does not fit, each with the reason.

What an operator may change is in `worker.settings` (variables `VERIFY_…`).
"""

from __future__ import annotations

from typing import Any

from worker.broker.pool_size import LEAST, default_processes
from worker.broker.schedules import At, Every
from worker.client.broker import filesystem_options, is_embedded, is_redis, sentinel_options, tls_options
from worker.client.sender import kombu_queue
from worker.jobs.queues import (
    BULK,
    DELIVER_EVENTS,
    IN_ORDER,
    MAINTENANCE,
    PURGE,
    RECORD_OBJECTION,
    RETRAIN,
    RETRAIN_PLAN,
    RETRAIN_STEP,
    SWEEP,
    VERIFY,
    VERIFY_MEMBER,
)
from worker.settings import load_settings

_settings = load_settings()
_url = _settings.broker_url.get_secret_value()
_redis = is_redis(_url)
_embedded = is_embedded(_url)

_redis_options: dict[str, Any] = {
    # Keeps our queues apart on a shared Redis, and the keys of unacknowledged messages, too: kombu's own keys
    # belong to every Celery there.
    "queue_prefix": _settings.queue_prefix,
    # Queues are polled in the order in which the worker consumes them: bulk comes last.
    "queue_order_strategy": "priority",
    # The message of a worker that died is delivered again after this time; nothing else brings back a request
    # that was not yet in the database. Longer than any job may run; a late second delivery does nothing.
    "visibility_timeout": _settings.lease_seconds + 15,
    # Seconds between two searches for messages of workers of an earlier version.
    "unacked_restore_interval": 5,
    # Without these a worker waits forever on a connection whose other end is gone.
    "socket_keepalive": True,
    "socket_connect_timeout": 5,
    "socket_timeout": 30,
}

_rabbitmq_options: dict[str, Any] = {
    # A message counts as sent when the broker has it on disk; without this a refused message is lost
    # unnoticed.
    "confirm_publish": True,
    "connect_timeout": 5,
}


def _transport_options() -> dict[str, Any]:
    if _embedded:
        # kombu's second between two polls of empty queues would be most of a job's time.
        return {**filesystem_options(_settings.broker_folder), "polling_interval": 0.1}
    if not _redis:
        return _rabbitmq_options
    return {**_redis_options, **sentinel_options(_url, _settings.access)}


# Broker
broker_url = _url
broker_transport_options = _transport_options()
# Neither rediss:// nor amqps:// checks the certificate by itself.
broker_use_ssl = tls_options(_url, _settings.access)
# AMQP only. RabbitMQ and worker notice a dead connection after twice this time.
broker_heartbeat = 20
# A worker that starts before its broker waits for it; one that loses its broker retries forever.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None

# Messages
task_serializer = "json"
accept_content = ["json"]  # never pickle: a message may come from anyone who reaches the broker
task_ignore_result = True  # the result is in the database
task_store_errors_even_if_ignored = False
enable_utc = True
timezone = "UTC"

# Queues
task_queues = [kombu_queue(_url, _settings.access, name) for name in IN_ORDER]
task_default_queue = VERIFY
# The default exchange leads straight to the queue of that name. Any other needs a table of bindings, which a
# full Redis would refuse to a starting worker.
task_default_exchange = ""
task_create_missing_queues = False  # a misspelt queue must be an error, not a queue that nobody serves
task_routes = {
    VERIFY_MEMBER: {"queue": VERIFY},
    RECORD_OBJECTION: {"queue": VERIFY},
    SWEEP: {"queue": MAINTENANCE},
    PURGE: {"queue": MAINTENANCE},
    RETRAIN_PLAN: {"queue": MAINTENANCE},
    DELIVER_EVENTS: {"queue": MAINTENANCE},
    RETRAIN_STEP: {"queue": RETRAIN},
    "worker.bulk_*": {"queue": BULK},
}

# Delivery: at least once; the database makes sure that each job is done once.
task_acks_late = True
# Safe only because attempts are counted in the database: Celery by itself would retry forever.
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1
# On Redis the multiplier's count drifts upward over days; other brokers do not have the option.
worker_disable_prefetch = _redis
# With True (Celery 6) a broker that restarts would kill every running job; after three restarts the job
# counts as poison. The second delivery of a job that runs on is refused by its lease.
worker_cancel_long_running_tasks_on_connection_loss = False

# Limits of one job. Both are shorter than the lease, so that nobody acquires a job that still runs.
task_soft_time_limit = _settings.time_limit_seconds
task_time_limit = (_settings.time_limit_seconds + _settings.lease_seconds) / 2

# A retraining and a delivery limit their own time; these limits are for one that hangs. The purge follows the
# whole chain of the access log first: a million records take about a minute.
task_annotations = {
    PURGE: {"soft_time_limit": 600, "time_limit": 660},
    DELIVER_EVENTS: {"soft_time_limit": 60, "time_limit": 70},
    RETRAIN_STEP: {
        "soft_time_limit": _settings.retrain_time_limit_seconds + 240,
        "time_limit": _settings.retrain_time_limit_seconds + 300,
    },
}

# Processes
worker_consumer = "worker.broker.consumer:ValidatingConsumer"  # no message ends the worker or is lost
# Queue files and SQLite have one writer at a time: more processes than two would wait for each other.
worker_concurrency = _settings.concurrency or (LEAST if _embedded else default_processes())
# Queue files have no event loop; Celery's pool for such brokers hangs after a `kill -9` of a child.
worker_pool = "worker.broker.filesystem:KillSafePool" if _embedded else "prefork"
# A process loads models when it starts; after 4 s (default) Celery would kill it, again and again.
worker_proc_alive_timeout = 60
# Limits leaks in native libraries; a new process costs half a second.
worker_max_tasks_per_child = 2000
worker_max_memory_per_child = 800_000  # KiB; a process has 270 to 350 MB, shared memory counted in
worker_hijack_root_logger = False  # worker.logs owns it
worker_redirect_stdouts = False
# Our own: an app's Celery on the same broker would get our commands, and we would get its.
control_exchange = f"{_settings.queue_prefix}verify"
event_exchange = f"{_settings.queue_prefix}verify.events"
# For `celery inspect`, `celery status` and Flower. On the filesystem broker both would leave files behind
# that nobody reads.
worker_enable_remote_control = not _embedded
worker_send_task_events = not _embedded

# Schedule In memory: the schedule is not worth a file that a crash can damage. Celery's own scheduler stops
# for as long as the clock was set back.
beat_scheduler = "worker.broker.schedules:Scheduler"
# Its health check sees within a minute that it hangs; Celery's 300 s are longer than that.
beat_max_loop_interval = 20
beat_schedule = {
    "sweep": {"task": SWEEP, "schedule": Every(_settings.sweep_seconds), "options": {"queue": MAINTENANCE}},
    # Where nobody is told of events they are only marked.
    "events": {
        "task": DELIVER_EVENTS,
        "schedule": Every(5 if _settings.endpoints else 60),
        "options": {"queue": MAINTENANCE},
    },
    # At a time of day (03:17 in Seoul), and not every 24 h: a beat that is restarted daily would never run
    # it.
    "purge": {
        "task": PURGE,
        "schedule": At(hour=18, minute=17),
        "options": {"queue": MAINTENANCE},
    },
}
if _settings.retrain_schedule != "never":
    beat_schedule["retrain"] = {
        "task": RETRAIN_PLAN,
        "schedule": At.from_string(_settings.retrain_schedule),
        "options": {"queue": MAINTENANCE},
    }
