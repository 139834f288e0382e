"""The two forms of a log line: plain, for people, and JSON, for programs. Neither has the query of a URL."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter

from worker.logs.context import current
from worker.logs.redaction import redacted

PLAIN: Final = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(process)d %(name)s [%(about)s] %(message)s"
JOB: Final = "_job"
"""The attribute of a record that says whose it is, where it is not of the thread that logs it."""
ADDED: Final = ("trace", "model", "stages")
"""What a log line may have besides (``extra``): other programs' extras hold the arguments of jobs."""
FIELDS: Final = (
    *("time", "level", "logger", "process", "job", "member", "queue", *ADDED, "message", "exception"),
    "stack",
)
_OF_RECORDS: Final = {
    "levelname": "level",
    "name": "logger",
    "process": "process",
    "message": "message",
    "exc_info": "exception",
    "stack_info": "stack",
    **{name: name for name in ADDED},
}


def job_of(record: logging.LogRecord) -> Mapping[str, str]:
    """Of a line of this thread; of one that another process has written, what stands in the record."""
    job: Mapping[str, str] = record.__dict__.get(JOB, current())
    return job


class Plain(logging.Formatter):
    """One line with `[job member]`, or `[-]`; times are UTC. A traceback follows in lines of its own."""

    def __init__(self) -> None:
        super().__init__(PLAIN, datefmt="%Y-%m-%dT%H:%M:%S")

    def converter(self, seconds: float | None) -> time.struct_time:
        return time.gmtime(seconds)

    def format(self, record: logging.LogRecord) -> str:
        job = job_of(record)
        record.about = " ".join(job[name] for name in ("job", "member") if name in job) or "-"
        return redacted(super().format(record))


class Json(JsonFormatter):
    """One JSON object on one line, with those of `FIELDS` that are known."""

    def __init__(self) -> None:
        names = [name for name in _OF_RECORDS if name not in ("exc_info", "stack_info")]
        super().__init__(names, rename_fields=_OF_RECORDS, json_ensure_ascii=False)

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        super().add_fields(log_data, record, message_dict)
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data |= {"time": moment.replace("+00:00", "Z"), **job_of(record)}

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        known = {name: log_data[name] for name in FIELDS if log_data.get(name) is not None}
        return {name: redacted(value) if isinstance(value, str) else value for name, value in known.items()}


FORMS: Final[Mapping[str, type[logging.Formatter]]] = {"plain": Plain, "json": Json}
