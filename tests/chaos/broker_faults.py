"""Faults of a broker that lives: it is full, cannot write, is shared, or nobody takes from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Timer
from typing import Any, Final

import redis

from chaos.deployment import Deployment, RedisDeployment
from chaos.jobs import pending_members, waiting_requests
from support.shop import Shop
from worker.jobs.queues import BULK, VERIFY

VERIFY_AND_BULK: Final = ("--queues", "verify,bulk")
MOST_MESSAGES: Final = 1.05
"""For each waiting job; and a few that a worker has done and not acknowledged yet."""
FEW: Final = 10


@contextmanager
def soon(seconds: float, end: Callable[[], None]) -> Iterator[None]:
    """The fault ends by itself: whoever sends while it lasts waits, too."""
    timer = Timer(seconds, end)
    timer.start()
    yield
    timer.join()


def _client(deployment: Deployment) -> redis.Redis:
    assert isinstance(deployment, RedisDeployment)
    return redis.Redis.from_url(deployment.broker.url)


@contextmanager
def redis_full(deployment: Deployment) -> Iterator[None]:
    """Somebody else fills Redis up to its limit; what workers free is taken by the next messages."""
    with _client(deployment) as client:
        client.set("ballast", bytes(2**20))
        client.config_set("maxmemory", client.info()["used_memory"])

        def empty() -> None:
            client.delete("ballast")
            client.config_set("maxmemory", 0)

        with soon(5, empty):
            yield


@contextmanager
def redis_cannot_write(deployment: Deployment) -> Iterator[None]:
    """Redis cannot save to its disk and takes no commands that change anything (MISCONF)."""
    assert isinstance(deployment, RedisDeployment)
    deployment.broker.lose_disk()
    with soon(5, deployment.broker.regain_disk):
        yield


@contextmanager
def rabbitmq_alarm(deployment: Deployment) -> Iterator[None]:
    """RabbitMQ's memory is short: it reads nothing more from whoever sends."""
    broker: Any = deployment.broker  # type: ignore[attr-defined]
    broker.alarm(on=True)
    with soon(5, partial(broker.alarm, on=False)):
        yield


@contextmanager
def app_beside(deployment: Deployment) -> Iterator[None]:
    """An app's Celery on the same Redis, with jobs and reminders that take longer than ours may."""
    assert isinstance(deployment, RedisDeployment)
    folder = deployment.folder / f"shop-{time.monotonic_ns()}"
    folder.mkdir()
    seconds = float(deployment.settings["VERIFY_LEASE_SECONDS"]) + 25
    with Shop(deployment.broker.url, folder, "celery,maintenance") as shop:
        shop.charge("long", seconds)
        orders = [f"order-{number}" for number in range(20)]
        for order in orders:
            shop.charge(f"reminder-{order}", countdown=seconds)
            shop.charge(order, queue="maintenance")
        yield
        shop.wait_for("long", *orders, *(f"reminder-{order}" for order in orders))
        found = {order: times for order, times in shop.charged.items() if times > 1}
    deployment.remarks.doubled += [f"the app's {order}: {times} times" for order, times in found.items()]


@contextmanager
def nobody_consumes(deployment: Deployment) -> Iterator[None]:
    """Nobody verifies for a long time (ten minutes with 20,000 members), while the sweep goes on."""
    for worker in deployment.verifiers:
        worker.stop()
    yield
    messages = _watched(deployment, 10 + 0.03 * _unfinished(deployment))
    for _ in range(2):
        deployment.worker(*VERIFY_AND_BULK, ready=False)
    messages = max(messages, _watched(deployment, 3600, until=lambda: not _unfinished(deployment)))
    if messages > MOST_MESSAGES:
        deployment.remarks.wrong.append(f"{messages:.2f} messages for each waiting job")


def _unfinished(deployment: Deployment) -> int:
    return waiting_requests(deployment.store) + pending_members(deployment.store)


def _watched(deployment: Deployment, seconds: float, until: Callable[[], bool] = bool) -> float:
    """The most messages on the broker that there were for each waiting job."""
    worst, deadline = 0.0, time.monotonic() + seconds
    with _client(deployment) as client:
        while time.monotonic() < deadline and not until():
            messages = client.llen(VERIFY) + client.llen(BULK) + client.hlen("verify:unacked")
            worst = max(worst, (int(messages) - FEW) / max(1, waiting_requests(deployment.store)))
            time.sleep(0.5)
    return worst
