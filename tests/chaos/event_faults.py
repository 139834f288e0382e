"""Faults between the outbox and the app: its receiver fails, or those who deliver."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from chaos.broker_faults import soon
from chaos.deployment import Deployment
from chaos.events import EventsDeployment
from support.workers import Worker
from worker.app import app
from worker.jobs.queues import DELIVER_EVENTS, MAINTENANCE


@contextmanager
def receiver_killed(deployment: Deployment) -> Iterator[None]:
    """`kill -9` of the app's receiver; it comes back after five seconds, on the same port."""
    assert isinstance(deployment, EventsDeployment)
    deployment.kill_receiver()
    with soon(5, deployment.receive):
        yield


@contextmanager
def receiver_hangs(deployment: Deployment) -> Iterator[None]:
    """The receiver stands still for longer than a post may take: connections stay open, nothing answers."""
    assert isinstance(deployment, EventsDeployment)
    deployment.receiver.send_signal(signal.SIGSTOP)
    with soon(15, partial(deployment.receiver.send_signal, signal.SIGCONT)):
        yield


@contextmanager
def receiver_slow(deployment: Deployment) -> Iterator[None]:
    """Each answer takes a quarter of a second."""
    assert isinstance(deployment, EventsDeployment)
    slow = deployment.log.with_suffix(".slow")
    slow.write_text("250")
    with soon(10, slow.unlink):
        yield


def _deliverer(deployment: Deployment) -> Worker:
    return next(w for w in deployment.workers if w.running and w not in deployment.verifiers)


@contextmanager
def deliverer_killed(deployment: Deployment) -> Iterator[None]:
    """`kill -9` of the worker that delivers, in the middle of posts that are answered slowly; of the others,
    too, once they have committed what nobody delivers."""
    assert isinstance(deployment, EventsDeployment)
    slow = deployment.log.with_suffix(".slow")
    slow.write_text("250")
    time.sleep(1)
    _deliverer(deployment).kill()
    slow.unlink()
    yield
    time.sleep(1)
    for worker in deployment.verifiers:
        worker.kill()
    deployment.start()


@contextmanager
def two_deliveries(deployment: Deployment) -> Iterator[None]:
    """A second worker that delivers, and twenty deliveries at once."""
    second = deployment.worker("--queues", MAINTENANCE, "--concurrency", "2")
    yield
    with app.connection_for_write(deployment.settings["VERIFY_BROKER_URL"]) as connection:
        for _ in range(20):
            app.send_task(DELIVER_EVENTS, queue=MAINTENANCE, connection=connection)
    time.sleep(5)
    second.stop()
