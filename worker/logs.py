"""One log format for the worker, its pool processes and beat; every line names its job.

A line holds IDs only: no URL, no embedding, no pixel. This replaces Celery's own logging setup (`worker.app`
connects `configure` to its signal), so no option of Celery's can undo it.
"""

from __future__ import annotations

import logging
import logging.config
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_job: ContextVar[str] = ContextVar("job", default="-")

FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(process)d %(name)s [%(job)s] %(message)s"

_QUIET: Final = {
    # One line for each delivery and one for each result say nothing that the database does not.
    "celery.worker.strategy": "WARNING",
    "celery.app.trace": "WARNING",
    "celery.beat": "WARNING",
    # On RabbitMQ it warns that a job which waits for the database is held by a worker: that is meant.
    "celery.app.base": "ERROR",
    # urllib3 and requests write whole URLs.
    "urllib3": "ERROR",
    "requests": "ERROR",
    "kombu": "ERROR",  # it warns of a missing host name where none is needed
    "amqp": "WARNING",
    "PIL": "WARNING",
}


@contextmanager
def about(request_id: str, member_id: str) -> Iterator[None]:
    """Every line logged inside is about this job."""
    token = _job.set(f"{request_id} {member_id}")
    try:
        yield
    finally:
        _job.reset(token)


class _WithJob(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.job = _job.get()
        return True


class _Utc(logging.Formatter):
    def __init__(self) -> None:
        super().__init__(FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")

    def converter(self, seconds: float | None) -> time.struct_time:
        return time.gmtime(seconds)


def configure(level: str) -> None:
    """To standard error, in UTC; ``level`` is that of our own loggers and of the root."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"job": {"()": _WithJob}},
            "formatters": {"utc": {"()": _Utc}},
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "filters": ["job"], "formatter": "utc"},
            },
            "root": {"level": level, "handlers": ["stderr"]},
            "loggers": {name: {"level": quiet} for name, quiet in _QUIET.items()},
        }
    )
    logging.captureWarnings(capture=True)
