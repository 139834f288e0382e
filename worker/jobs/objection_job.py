"""The message `record_objection`: a member wants a person to look.

Whatever is wrong with it becomes a `BadMessage` with a code of `worker.jobs.verify_job`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from pydantic import ConfigDict, TypeAdapter

from worker.jobs.verify_job import Identifier, Moment, check_time, from_message


@dataclass(frozen=True, slots=True)
class ObjectionJob:
    """An objection of one member; ``requested_at`` is in UTC."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="ignore")

    schema: int
    objection_id: Identifier
    requested_at: Moment
    member_id: Identifier


_JOB: Final = TypeAdapter(ObjectionJob)


def parse_objection_job(body: object, now: datetime) -> ObjectionJob:
    """The job in a message's body. Raises BadMessage, and nothing else, for whatever else may be in it."""
    job = from_message(_JOB, body)
    check_time(job.requested_at, now)
    return job
