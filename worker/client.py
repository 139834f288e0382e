"""For the app: ask for a verification.

    from worker.client import request_verification

    request_id = request_verification(
        member_id="m-1024",
        selfie_url="https://photos.example.com/m-1024/selfie.jpg?sig=…",
        photo_urls=["https://photos.example.com/m-1024/1.jpg?sig=…"],
        declared_gender="female",
    )

Needs this project's folder on the path and the packages of `worker/requirements.txt`, but no TensorFlow, no
models and no database; the result is in the member table some seconds later. The broker is
`VERIFY_BROKER_URL`, which must be set, or that of a `Publisher` that the caller made. Other languages send
the same message as JSON: see MESSAGE.md beside this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from pipeline.verdict import Gender
from worker.broker.publisher import NotSent, Publisher
from worker.clock import utc_now
from worker.errors import BadSettings
from worker.jobs.identifiers import new_request_id
from worker.jobs.queues import VERIFY
from worker.jobs.verify_job import Why, new_job
from worker.settings import PREFIX, load_settings

__all__ = ["BadSettings", "NotSent", "Publisher", "request_verification"]


def request_verification(
    member_id: str,
    selfie_url: str,
    photo_urls: Sequence[str],
    declared_gender: Gender | str | None = None,
    why: Why | str = Why.SIGNUP,
    *,
    request_id: str | None = None,
    requested_at: datetime | None = None,
    queue: str = VERIFY,
    publisher: Publisher | None = None,
) -> str:
    """Queue one verification; returns its request ID.

    ``photo_urls`` are in the member's order, the primary photo first. Of a member's requests the one with the
    latest ``requested_at`` counts (default: now, in UTC). The same ``request_id`` twice gives one result: to
    retry after NotSent, keep ID and time. ``queue`` is `bulk` for requests that nobody waits for. Raises
    BadMessage and BadSettings (no broker is named) before anything is sent, and NotSent.
    """
    now = requested_at or utc_now()
    job = new_job(
        request_id=request_id or new_request_id(now),
        member_id=member_id,
        selfie_url=selfie_url,
        photo_urls=list(photo_urls),
        why=why,
        declared_gender=declared_gender,
        requested_at=now,
    )
    (publisher or _default_publisher()).send(job, queue)
    return job.request_id


@lru_cache(maxsize=1)
def _default_publisher() -> Publisher:
    settings = load_settings(ours=False)
    if "broker_url" not in settings.model_fields_set:
        # The default is a folder relative to the worker's. Relative to the app's no worker would find it.
        raise BadSettings(f"{PREFIX}BROKER_URL is not set: it must name the broker that the workers serve")
    return Publisher.of(settings)
