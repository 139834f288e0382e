"""The Celery app: `celery -A worker.app worker -Q verify`, `celery -A worker.app beat`."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sys
import time
from typing import Any, Final

from celery import Celery, signals
from celery.apps.beat import Beat
from celery.worker import state
from kombu.transport import TRANSPORT_ALIASES

from pipeline.errors import PipelineError
from worker import logs, runtime, telemetry
from worker.errors import BadSettings, WorkerError
from worker.jobs import queues
from worker.metrics import counting
from worker.metrics.step import MetricsEndpoint
from worker.retraining.packages import missing_packages
from worker.serving import libraries
from worker.serving.registry import share_weights

logger = logging.getLogger(__name__)

# Ordinary broker URLs get our transports, also a second URL that the worker fails over to.
TRANSPORT_ALIASES.update(
    {
        "filesystem": "worker.broker.filesystem:Transport",
        "amqp": "worker.broker.amqp:AmqpTransport",
        "amqps": "worker.broker.amqp:AmqpsTransport",
        "redis": "worker.broker.redis:RedisTransport",
        "rediss": "worker.broker.redis:RedisTransport",
        "sentinel": "worker.broker.redis:SentinelTransport",
    }
)

try:
    runtime.settings()
except BadSettings as error:
    # Celery would print its usage and a traceback around this one line.
    sys.stderr.write(f"Error: {error}\n")
    sys.exit(2)

app = Celery("worker", include=["worker.tasks"], events="worker.broker.monitoring:Events")
app.config_from_object("celeryconfig")
app.steps["worker"].add(MetricsEndpoint)

GIVE_UP: Final = signal.SIGRTMIN
"""A pool process that cannot work sends it to the main process, which ends with exit status 1."""
_PR_SET_PDEATHSIG: Final = 1
_served: list[str] = []
"""The queues of this worker; set before the fork."""


@signals.setup_logging.connect
def _configure_logging(**_: Any) -> None:
    """Celery leaves logging alone when this signal has a receiver."""
    logs.configure(runtime.settings().log_level, runtime.settings().log_format)
    telemetry.errors.start(runtime.settings().sentry_dsn.get_secret_value())


@signals.celeryd_init.connect
def _begin_worker(instance: Any, **_: Any) -> None:
    """As for every command (`worker.cli`) its files are private: queue files and SQLite name people."""
    os.umask(0o077)
    if runtime.settings().log_format == "json":
        instance.quiet = True  # no banner
        logs.capture(runtime.settings().log_level)


class _Beat(Beat):
    """Celery's, whose banner is printed before logging is set up."""

    def run(self) -> None:
        if runtime.settings().log_format == "json":
            self.quiet = True
            logs.capture(runtime.settings().log_level)
        super().run()


app.Beat = app.subclass_with_self(_Beat)


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def _send_the_rest(**_: Any) -> None:
    telemetry.flush()


@signals.task_postrun.connect
def _end_task(task: Any, state: str, **_: Any) -> None:
    counting.task_ended(task.name, state)
    logs.forget()


@signals.celeryd_after_setup.connect
def _prepare_worker(instance: Any, **_: Any) -> None:
    """Put the queues in the order of service; end with one line if the models are missing, the training
    packages of a worker that was asked to train, what a newer revision adds to the tables, or a library."""
    asked = [queue.alias for queue in instance.app.amqp.queues.consume_from.values()]
    _served[:] = queues.in_order(runtime.servable(asked))
    instance.app.amqp.queues.select(_served)
    if problem := runtime.check(_served) or runtime.tables_behind() or _load_libraries():
        sys.exit(f"the worker cannot start: {problem}")
    counting.start(runtime.settings())
    _warn_of_settings()
    if queues.RETRAIN in asked and queues.RETRAIN not in _served:
        logger.warning("the queue retrain is not served: %s", missing_packages())
    signal.signal(GIVE_UP, _end_in_failure)
    # What is there by now is shared with the processes to come until somebody writes to it, as the collector
    # would; and it would go through all of it, 90 ms, every fifty jobs.
    gc.collect()
    gc.freeze()


def _load_libraries() -> str | None:
    """Why what verifications run on cannot be loaded, in one line."""
    if not runtime.needs_models(_served):
        return None
    libraries.one_thread()
    return libraries.load()


def _warn_of_settings() -> None:
    """What is dangerous where real members are."""
    settings = runtime.settings()
    if settings.allow_private_addresses:
        logger.warning(
            "VERIFY_ALLOW_PRIVATE_ADDRESSES is on: a photo link may reach every address of this network; "
            "it is for tests and the demo"
        )
    if settings.sandbox_prefix:
        logger.warning(
            "VERIFY_SANDBOX_PREFIX is on: new members whose ID begins with %s get made-up verdicts",
            settings.sandbox_prefix,
        )
    traces = telemetry.traces.problem() if telemetry.traces.wanted(os.environ) else None
    for problem in (traces, telemetry.errors.problem(settings.sentry_dsn.get_secret_value())):
        if problem:
            logger.warning("%s", problem)
    if real := runtime.real_in_sandbox():
        logger.warning("%s", real)


def _end_in_failure(*_: object) -> None:
    state.should_stop = 1


@signals.worker_process_init.connect
def _prepare_process(**_: Any) -> None:
    try:
        telemetry.traces.start()
        telemetry.errors.start(runtime.settings().sentry_dsn.get_secret_value())  # connections of its own
        share_weights()
        runtime.preload(judging=runtime.needs_models(_served))
        gc.collect()
        gc.freeze()
    except Exception as error:
        # Whatever it is: Celery would log it, and the process would fetch jobs that it cannot do.
        known = isinstance(error, WorkerError | PipelineError)
        logger.critical("the worker ends: %s", error, exc_info=not known)
        os.kill(os.getppid(), GIVE_UP)
        time.sleep(1)  # the process that replaces this one would fail as well
        os._exit(1)


@signals.beat_embedded_init.connect
def _end_with_the_worker(**_: Any) -> None:
    """A worker that is killed must not leave its beat running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
