"""The tasks: names on the wire, retries, and one call each."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from celery import Task
from celery.exceptions import Reject, SoftTimeLimitExceeded

from worker import runtime
from worker.app import app
from worker.broker.consumer import alias_of
from worker.broker.publisher import NotSent
from worker.clock import utc_now
from worker.errors import StoreUnavailable
from worker.jobs import queues
from worker.jobs.embed_job import EmbedJob
from worker.retraining.embedding import Remaining
from worker.verification.dead_letters import buried
from worker.verification.maintenance import purge_old
from worker.verification.maintenance import sweep as sweep_once

logger = logging.getLogger(__name__)

_WAIT_SECONDS: Final = (1.0, 4.0)
"""For the database."""


class Discreet(Task):
    """A task whose arguments no remote control shows."""

    Request = "worker.broker.inspection:DiscreetRequest"


class Persistent(Discreet):
    """A task that waits for the database, for as long as it takes.

    Here, and not as a message that is due later: nothing else can be done meanwhile, and a due time that a
    stranger writes is not kept.
    """

    autoretry_for: tuple[type[Exception], ...] = (StoreUnavailable,)
    retry_kwargs: Mapping[str, Any] = {"countdown": 0}
    max_retries = None

    def retry(self, *args: Any, **options: Any) -> Any:
        """Where the broker takes nothing either (it is away, full), what arrived stays.

        Celery would throw it away: the only trace of a request that is not in the database yet.
        """
        if not isinstance(options.get("exc"), SoftTimeLimitExceeded):  # has waited long enough
            _wait()
        try:
            return super().retry(*args, **options)
        except Reject as not_sent:
            raise Reject(not_sent.reason, requeue=True) from not_sent

    def on_retry(self, exc: Exception, *_: Any) -> None:
        """Tell the operator; the message itself is on the queue again."""
        logger.warning("%s; tried again", exc)


def _wait() -> None:
    with suppress(SoftTimeLimitExceeded):
        time.sleep(random.uniform(*_WAIT_SECONDS))  # noqa: S311 - spreads the workers, no secret


class Delivery(Persistent):
    """A task whose message may be all that there is of a request.

    A database that hangs may use a job's whole time up before the request is written down; Celery
    would acknowledge its message then. What is in the database already counts as an attempt there.
    """

    autoretry_for = (StoreUnavailable, SoftTimeLimitExceeded)
    acks_on_timeout = False


@app.task(name=queues.VERIFY_MEMBER, bind=True, base=Delivery)
def verify_member(self: Any, job: Any) -> str:
    """Handle one delivery of a verification job."""
    came_from = alias_of(app, str(self.request.delivery_info.get("routing_key")))
    queue = came_from if came_from in queues.JUDGING else queues.VERIFY
    return str(runtime.verification().handle(job, queue))


@app.task(name=queues.BURY, base=Delivery)
def bury(dead: Any) -> int:
    """Record what arrived and was no job; see `worker.broker.envelope`."""
    return runtime.store().dead_jobs.add(buried(dead), utc_now())


@app.task(name=queues.SWEEP, base=Discreet, throws=(StoreUnavailable, NotSent))
def sweep() -> str:
    """Enqueue what the database says is unfinished. Not retried: the next one comes anyway."""
    runtime.store().training_members.clear()
    publisher = runtime.publisher()
    try:
        swept = sweep_once(runtime.store().requests, runtime.store().pending, publisher, utc_now())
        if not publisher.waiting(queues.RETRAIN) and runtime.store().training_runs.due(utc_now()):
            publisher.send_retrain()
    except NotSent as error:
        logger.warning("%s; the next sweep goes on", error)
        return str(error)
    return str(swept)


@app.task(name=queues.PURGE, base=Persistent)
def purge() -> str:
    """Remove what was kept long enough."""
    return str(purge_old(runtime.store().retention, runtime.settings(), utc_now()))


@app.task(name=queues.BULK_EMBED, base=Persistent)
def bulk_embed(job: Any) -> str:
    """Embed some labelled photos for a retraining. What is left of the batch goes to the queue's end."""
    remaining = runtime.embedding().handle(job, queues.BULK)
    if remaining is Remaining.REST_OF_THE_BATCH:
        bulk_embed.apply_async(kwargs={"job": job})
    elif remaining is Remaining.TRAINING:
        retrain.apply_async()
    return str(remaining)


# Acknowledged when it begins: it may run longer than a message waits for that. A worker that is
# killed leaves its lease in the database, and the sweep sends the next step.
@app.task(name=queues.RETRAIN_STEP, base=Discreet, acks_late=False, throws=(StoreUnavailable,))
def retrain() -> str:
    """Go on with the retraining that is under way."""
    return str(runtime.retraining(send_embed_job).step())


@app.task(name=queues.RETRAIN_PLAN, base=Persistent)
def plan_retraining() -> str:
    """Ask for a retraining if there is enough new to learn, and a worker that could take it up."""
    if problem := runtime.retrain_problem():
        logger.warning("no retraining is asked for: %s", problem)
        return problem
    least = runtime.settings().retrain_min_labels
    asked = runtime.store().training_runs.ask("beat", utc_now(), at_least=least)
    if asked:
        retrain.apply_async()
    return str(asked)


def send_embed_job(job: EmbedJob) -> None:
    """Tell the verify workers of members to look at."""
    bulk_embed.apply_async(kwargs={"job": job.to_message()})
