"""Celery's settings. Each stands here because its default will not do; the reason is beside it.

What an operator may change is in `worker.settings` (variables `VERIFY_…`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from worker.broker.publisher import declared
from worker.broker.schedules import At, Every
from worker.jobs.queues import (
    BULK,
    IN_ORDER,
    MAINTENANCE,
    PURGE,
    RETRAIN,
    RETRAIN_PLAN,
    RETRAIN_STEP,
    SWEEP,
    VERIFY,
    VERIFY_MEMBER,
)
from worker.settings import load_settings
from worker.urls import is_rabbitmq, is_redis, sentinel_options, tls_options

_settings = load_settings()
_url = _settings.broker_url.get_secret_value()
_redis = is_redis(_url)
_embedded = not _redis and not is_rabbitmq(_url)


def _filesystem_options(folder: Path) -> dict[str, Any]:
    (folder / "queues").mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(folder / "queues"),
        "data_folder_out": str(folder / "queues"),
        "control_folder": str(folder / "control"),
        # kombu's second between two looks at empty queues would be most of a job's time.
        "polling_interval": 0.1,
    }


_redis_options: dict[str, Any] = {
    # Where others use this Redis as well. The keys of what is unacknowledged follow from it, too: kombu's own
    # are those of every Celery there.
    "queue_prefix": _settings.queue_prefix,
    # Queues are looked at in the order in which the worker consumes them: bulk comes last.
    "queue_order_strategy": "priority",
    # A message that a dead worker held comes back after this time: the only net under one that was
    # not yet in the database. Longer than any job may run; a late second delivery does nothing.
    "visibility_timeout": _settings.lease_seconds + 15,
    # So often messages of workers of an earlier version are looked for.
    "unacked_restore_interval": 5,
    # Without these a worker waits for ever on a connection whose other end is gone.
    "socket_keepalive": True,
    "socket_connect_timeout": 5,
    "socket_timeout": 30,
}

_rabbitmq_options: dict[str, Any] = {
    # Sent is what the broker has on disk; without it a message that it refuses is gone without a word.
    "confirm_publish": True,
    "connect_timeout": 5,
}


def _transport_options() -> dict[str, Any]:
    if _embedded:
        return _filesystem_options(_settings.broker_folder)
    if not _redis:
        return _rabbitmq_options
    return {**_redis_options, **sentinel_options(_url, _settings.access)}


# Broker
broker_url = _url
broker_transport_options = _transport_options()
# Neither rediss:// nor amqps:// checks the certificate by itself.
broker_use_ssl = tls_options(_url, _settings.access)
# AMQP only. Of a connection that is dead without a sign RabbitMQ and worker know after twice this time.
broker_heartbeat = 20
# A worker that starts before its broker waits for it, and one that loses it tries for ever.
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
task_queues = [declared(_url, _settings.access, name) for name in IN_ORDER]
task_default_queue = VERIFY
# Every broker's direct way to the queue of that name: no exchange or table of bindings to be declared, which
# a full Redis would refuse to a starting worker.
task_default_exchange = ""
task_create_missing_queues = False  # a misspelt queue must be an error, not a queue without a consumer
task_routes = {
    VERIFY_MEMBER: {"queue": VERIFY},
    SWEEP: {"queue": MAINTENANCE},
    PURGE: {"queue": MAINTENANCE},
    RETRAIN_PLAN: {"queue": MAINTENANCE},
    RETRAIN_STEP: {"queue": RETRAIN},
    "worker.bulk_*": {"queue": BULK},
}

# Delivery: at least once; the database makes it once.
task_acks_late = True
# Safe only because attempts are counted in the database: Celery by itself would go round for ever.
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1
# The multiplier's count drifts upward over days on Redis; other brokers know nothing of the option.
worker_disable_prefetch = _redis
# With True (Celery 6) a broker that restarts would kill every running job, three times: poison. A
# job that runs on and is delivered a second time is refused by its lease.
worker_cancel_long_running_tasks_on_connection_loss = False

# Limits of one job. Both lie below the lease, so that nobody takes a job over that still runs.
task_soft_time_limit = _settings.time_limit_seconds
task_time_limit = (_settings.time_limit_seconds + _settings.lease_seconds) / 2

# A retraining may take long and ends itself in time; this is the net below that.
task_annotations = {
    RETRAIN_STEP: {
        "soft_time_limit": _settings.retrain_time_limit_seconds + 240,
        "time_limit": _settings.retrain_time_limit_seconds + 300,
    },
}

# Processes
worker_consumer = "worker.broker.consumer:GuardedConsumer"  # no message ends the worker or gets lost
worker_concurrency = _settings.concurrency
# Queue files have no event loop; Celery's pool for such brokers can be struck dumb by one `kill -9`.
worker_pool = "worker.broker.filesystem:SurvivingPool" if _embedded else "prefork"
# Models are loaded when a process starts; after 4 s (default) Celery would kill it, again and again.
worker_proc_alive_timeout = 60
# A belt against leaks in native libraries: a new process costs half a second.
worker_max_tasks_per_child = 2000
worker_max_memory_per_child = 800_000  # KiB; a process has 300 to 350 MB
worker_hijack_root_logger = False  # worker.logs owns it
worker_redirect_stdouts = False
# Of our own: an app's Celery on the same broker would hear our commands, and we its own.
control_exchange = f"{_settings.queue_prefix}verify"
event_exchange = f"{_settings.queue_prefix}verify.events"
# On the filesystem broker remote control would leave files behind that nobody reads.
worker_enable_remote_control = not _embedded

# Schedule
# In memory: nothing here is worth a file that a crash can damage. Celery's own stands still for as long as
# the clock was set back.
beat_scheduler = "worker.broker.schedules:Scheduler"
beat_schedule = {
    "sweep": {"task": SWEEP, "schedule": Every(_settings.sweep_seconds), "options": {"queue": MAINTENANCE}},
    # At a time of day (03:17 in Seoul), and not every 24 h: a beat that is restarted daily would never
    # come to it.
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
