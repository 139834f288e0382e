"""The tasks: names on the wire, retries, and one call each."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from zoneinfo import ZoneInfo

from celery import Task
from celery.exceptions import Reject, SoftTimeLimitExceeded

from worker import runtime
from worker.app import app
from worker.broker.consumer import alias_of
from worker.client.errors import NotSent
from worker.clock import utc_now
from worker.errors import StoreUnavailable
from worker.jobs import queues
from worker.jobs.embed_job import EmbedJob
from worker.retraining.embedding import Remaining
from worker.verification.dead_letters import parse_dead_letter
from worker.verification.maintenance import check_access_chain, purge_old
from worker.verification.maintenance import sweep as sweep_once

logger = logging.getLogger(__name__)

_WAIT_SECONDS: Final = (1.0, 4.0)
"""Between two tries of the database."""


class PrivateTask(Task):
    """A task whose arguments remote control does not show."""

    Request = "worker.broker.consumer:PrivateRequest"


class DatabaseTask(PrivateTask):
    """A task that is retried until the database can be reached.

    The process waits before it retries. A message that is due later would not do: due times are not kept, for
    anybody may have sent them.
    """

    autoretry_for: tuple[type[Exception], ...] = (StoreUnavailable,)
    retry_kwargs: Mapping[str, Any] = {"countdown": 0}
    max_retries = None

    def retry(self, *args: Any, **options: Any) -> Any:
        """Requeue the message when the broker takes no new one either (it is away, or full).

        Celery would drop it: the only trace of a request that is not in the database yet.
        """
        if not isinstance(options.get("exc"), SoftTimeLimitExceeded):  # that job has waited long enough
            _wait()
        try:
            return super().retry(*args, **options)
        except Reject as not_sent:
            raise Reject(not_sent.reason, requeue=True) from not_sent

    def on_retry(self, exc: Exception, *_: Any) -> None:
        logger.warning("%s; tried again", exc)


def _wait() -> None:
    with suppress(SoftTimeLimitExceeded):
        time.sleep(random.uniform(*_WAIT_SECONDS))  # noqa: S311 - spreads the workers, no secret


class DeliveryTask(DatabaseTask):
    """A task whose message may be the only trace of a request.

    A database that hangs may use up a job's whole time before the request is stored; Celery would acknowledge
    the message then. A request that is stored counts the attempt in the database.
    """

    autoretry_for = (StoreUnavailable, SoftTimeLimitExceeded)
    acks_on_timeout = False


@app.task(name=queues.VERIFY_MEMBER, bind=True, base=DeliveryTask)
def verify_member(self: Any, job: Any) -> str:
    """Handle one delivery of a verification job."""
    came_from = alias_of(app, str(self.request.delivery_info.get("routing_key")))
    queue = came_from if came_from in queues.JUDGING else queues.VERIFY
    handled = runtime.verification().handle(job, queue)
    runtime.nudge_delivery()
    return str(handled)


@app.task(name=queues.RECORD_OBJECTION, base=DeliveryTask)
def record_objection(job: Any) -> str:
    """Handle one delivery of an objection."""
    received = runtime.objections().handle(job, queues.VERIFY)
    runtime.nudge_delivery()
    return str(received)


@app.task(name=queues.DEAD_LETTER, base=DeliveryTask)
def record_dead_letter(dead: Any) -> int:
    """Record a message that is no job; see `worker.broker.envelope`."""
    return runtime.store().dead_jobs.add(parse_dead_letter(dead), utc_now())


@app.task(name=queues.SWEEP, base=PrivateTask, throws=(StoreUnavailable, NotSent))
def sweep() -> str:
    """Enqueue unfinished requests. Not retried: the next sweep comes soon."""
    runtime.store().consents.notice(utc_now())
    runtime.store().training_members.clear()
    publisher = runtime.publisher()
    try:
        swept = sweep_once(runtime.store().requests, runtime.store().pending, publisher, utc_now())
        if not publisher.waiting(queues.RETRAIN) and runtime.store().training_runs.due(utc_now()):
            publisher.send_retrain()
        runtime.store().tally.renew(utc_now())
        runtime.store().days.renew(utc_now())
        runtime.store().kept_report.renew(utc_now())
        runtime.store().access_watch.look(utc_now())
        # Each takes seconds with a million members: one of them in a sweep.
        if not runtime.store().kept_months.renew(utc_now(), ZoneInfo(runtime.settings().time_zone)):
            runtime.store().kept_truth.renew(utc_now())
    except NotSent as error:
        logger.warning("%s; the next sweep goes on", error)
        return str(error)
    return str(swept)


# Not retried: the next delivery comes soon. What a killed one has sent is sent again.
@app.task(name=queues.DELIVER_EVENTS, base=PrivateTask, throws=(StoreUnavailable,))
def deliver_events() -> str:
    """Deliver what the app should hear."""
    return str(runtime.event_delivery().run())


@app.task(name=queues.PURGE, base=DatabaseTask)
def purge() -> str:
    """Do what an earlier version left undone; follow the access log's chain; purge what is old."""
    if missed := runtime.store().reviews.missed.follow(utc_now()):
        logger.info("%d cases were behind their members' requests", missed)
    if missed := runtime.store().missed_failures.follow(utc_now()):
        logger.info("%d requests that an earlier version ended have failed since the verdict", missed)
    if untold := runtime.store().untold.tell(utc_now()):
        logger.info("%d results of requests that an earlier version ended were not told before", untold)
    # Before the purge: what was removed by hand at the old end is seen then.
    check_access_chain(runtime.store().access_watch, utc_now())
    return str(purge_old(runtime.store().retention, runtime.settings(), utc_now()))


@app.task(name=queues.BULK_EMBED, base=DatabaseTask)
def bulk_embed(job: Any) -> str:
    """Embed some labelled photos for a retraining. The rest of the batch goes to the end of the queue."""
    remaining = runtime.embedding().handle(job, queues.BULK)
    if remaining is Remaining.REST_OF_THE_BATCH:
        bulk_embed.apply_async(kwargs={"job": job})
    elif remaining is Remaining.TRAINING:
        retrain.apply_async()
    return str(remaining)


# Acknowledged before it runs: it may take longer than a message may be unacknowledged. A worker that is
# killed leaves its lease in the database, and the sweep sends the next step.
@app.task(name=queues.RETRAIN_STEP, base=PrivateTask, acks_late=False, throws=(StoreUnavailable,))
def retrain() -> str:
    """Do the next step of the retraining run."""
    return str(runtime.retraining(send_embed_job).step())


@app.task(name=queues.RETRAIN_PLAN, base=DatabaseTask)
def plan_retraining() -> str:
    """Ask for a retraining if there are enough new labels, and a worker that can train."""
    if problem := runtime.retrain_problem():
        logger.warning("no retraining is asked for: %s", problem)
        return problem
    least = runtime.settings().retrain_min_labels
    asked = runtime.store().training_runs.ask("beat", utc_now(), at_least=least)
    if asked:
        retrain.apply_async()
    return str(asked)


def send_embed_job(job: EmbedJob) -> None:
    """Send the verify workers a batch of members to embed."""
    bulk_embed.apply_async(kwargs={"job": job.to_message()})
