"""One log form for the worker, its pool processes, beat and commands; every line names its job.

A line holds IDs only: no query of a URL, no embedding, no pixel. This replaces Celery's own logging setup
(`worker.app` connects `configure` to its signal), so no option of Celery's can undo it.
"""

from __future__ import annotations

import logging
import logging.config
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Literal

from worker.logs import native
from worker.logs.context import about, current, forget, in_context
from worker.logs.forms import FORMS, JOB
from worker.logs.redaction import redacted

__all__ = ["Form", "about", "capture", "configure", "current", "forget", "in_context", "redacted"]

Form = Literal["plain", "json"]

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
    "alembic.runtime.plugins": "WARNING",
    # A receiver of traces or errors that is down: one line for each batch of each process.
    "opentelemetry": "CRITICAL",
    "sentry_sdk": "CRITICAL",
}


def configure(level: str, form: Form) -> None:
    """To standard error, in UTC; ``level`` is that of our own loggers and of the root."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"ours": {"()": FORMS[form]}},
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": "ours",
                    "stream": native.screen(),
                },
            },
            "root": {"level": level, "handlers": ["stderr"]},
            "loggers": {name: {"level": quiet} for name, quiet in _QUIET.items()},
        }
    )
    logging.captureWarnings(capture=True)


def capture(level: str) -> None:
    """Log as JSON, and log whatever this process and its children print. Called before the fork."""
    reader = native.redirect()
    configure(level, "json")
    if reader is not None:
        native.log_lines(reader, _emit)
        sys.excepthook = _uncaught


def _emit(process: int, job: Mapping[str, str], text: str) -> None:
    logger = logging.getLogger(native.NATIVE)
    level = native.level_of(text)
    if logger.isEnabledFor(level):
        record = logger.makeRecord(native.NATIVE, level, "", 0, text, (), None)
        record.process = process
        setattr(record, JOB, job)
        logger.handle(record)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, Exception):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger(__name__).critical("the process ends by an error", exc_info=(kind, error, trace))
