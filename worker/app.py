"""The Celery app: `celery -A worker.app worker -Q verify`, `celery -A worker.app beat`."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from typing import Any, Final

from celery import Celery, signals
from celery.worker import state
from kombu.transport import TRANSPORT_ALIASES

from pipeline.errors import PipelineError
from worker import logs, runtime
from worker.errors import BadSettings, WorkerError
from worker.jobs import queues
from worker.retraining.packages import missing_packages

logger = logging.getLogger(__name__)

# Ordinary broker URLs, guarded transports; a fail-over to a second URL keeps the guard as well.
TRANSPORT_ALIASES.update(
    {
        "redis": "worker.broker.consumer:RedisTransport",
        "rediss": "worker.broker.consumer:RedisTransport",
        "sentinel": "worker.broker.consumer:SentinelTransport",
        "amqp": "worker.broker.amqp:AmqpTransport",
        "amqps": "worker.broker.amqp:AmqpsTransport",
        "filesystem": "worker.broker.filesystem:Transport",
    }
)

try:
    runtime.settings()
except BadSettings as error:
    # Celery would print its usage and a traceback, which shows more than the one line that helps.
    sys.stderr.write(f"Error: {error}\n")
    sys.exit(2)

app = Celery("worker", include=["worker.tasks"])
app.config_from_object("celeryconfig")
app.steps["consumer"].add("worker.health:Heartbeat")

GIVE_UP: Final = signal.SIGRTMIN
"""From a pool process that cannot work to the main process: end, with exit status 1."""
_PR_SET_PDEATHSIG: Final = 1
_served: list[str] = []
"""The queues of this worker; set before the fork, read after it."""


@signals.setup_logging.connect
def _configure_logging(**_: Any) -> None:
    """With a receiver of this signal Celery leaves logging alone."""
    logs.configure(runtime.settings().log_level)


@signals.celeryd_init.connect
def _keep_files_private(**_: Any) -> None:
    """As for every command (`worker.cli`): queue files and SQLite name people."""
    os.umask(0o077)


@signals.celeryd_after_setup.connect
def _prepare_worker(instance: Any, **_: Any) -> None:
    """Queues in the order of service, and no start at all without models, or without the packages of
    training that were asked for: one clear line instead."""
    asked = [queue.alias for queue in instance.app.amqp.queues.consume_from.values()]
    _served[:] = queues.in_order(runtime.servable(asked))
    instance.app.amqp.queues.select(_served)
    if problem := runtime.check(_served):
        sys.exit(f"the worker cannot start: {problem}")
    if runtime.settings().allow_private_addresses:
        logger.warning(
            "VERIFY_ALLOW_PRIVATE_ADDRESSES is on: a photo link may reach every address of this network; "
            "it is for tests and the demo"
        )
    if queues.RETRAIN in asked and queues.RETRAIN not in _served:
        logger.warning("the queue retrain is not served: %s", missing_packages())
    signal.signal(GIVE_UP, _end_in_failure)


def _end_in_failure(*_: object) -> None:
    state.should_stop = 1


@signals.worker_process_init.connect
def _prepare_process(**_: Any) -> None:
    try:
        runtime.preload(judging=runtime.needs_models(_served))
    except Exception as error:
        # Celery would swallow it, and the process would take jobs without being able to do them.
        known = isinstance(error, WorkerError | PipelineError)
        logger.critical("the worker ends: %s", error, exc_info=not known)
        os.kill(os.getppid(), GIVE_UP)
        time.sleep(1)  # the next process would only fail likewise
        os._exit(1)


@signals.beat_embedded_init.connect
def _die_with_the_worker(**_: Any) -> None:
    """A worker that is killed must not leave its beat behind, enqueueing for nobody."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
