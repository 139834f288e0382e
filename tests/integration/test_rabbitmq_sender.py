"""Who sends to a RabbitMQ that takes nothing is told so, and waits for no answer for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from support.rabbitmq import RabbitMq
from support.servers import ServerMissing
from worker.broker.depths import QueueDepth
from worker.broker.publisher import Publisher
from worker.client.errors import NotSent
from worker.jobs.queues import VERIFY
from worker.jobs.verify_job import VerifyJob, new_job

UNENDING = 60.0
"""A sender that is not back after so many seconds waits for ever."""


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    """A RabbitMQ of this module's own."""
    try:
        server = RabbitMq(tmp_path_factory.mktemp("rabbitmq"))
        server.start()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    yield server
    server.close()


@pytest.fixture
def alarm(rabbitmq: RabbitMq) -> Iterator[None]:
    """Its memory is short, for the length of the test."""
    rabbitmq.alarm(on=True)
    yield
    rabbitmq.alarm(on=False)


def a_job(name: str) -> VerifyJob:
    return new_job(
        request_id=name,
        member_id=name,
        selfie_url="https://photos.example.com/s.jpg",
        photo_urls=[],
        requested_at=datetime.now(UTC),
    )


def answer(ask: Callable[[], object]) -> object:
    """What a call returns or raises; fails where it does neither."""
    answers: list[object] = []

    def run() -> None:
        try:
            answers.append(ask())
        except NotSent as error:
            answers.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(UNENDING)
    assert answers, "waits for ever"
    return answers[0]


def test_a_new_sender_is_told_of_an_alarm(rabbitmq: RabbitMq, alarm: None) -> None:
    with Publisher(rabbitmq.url) as publisher:
        told = answer(lambda: publisher.send(a_job("r1"), VERIFY))
    assert isinstance(told, NotSent)
    assert "RabbitMQ takes no messages" in str(told)


def test_a_sender_that_is_connected_is_told_of_an_alarm_and_sends_when_it_is_over(rabbitmq: RabbitMq) -> None:
    with Publisher(rabbitmq.url) as publisher:
        publisher.send(a_job("before"), VERIFY)
        rabbitmq.alarm(on=True)
        try:
            for _ in range(3):
                assert isinstance(answer(lambda: publisher.send(a_job("r2"), VERIFY)), NotSent)
        finally:
            rabbitmq.alarm(on=False)
        assert answer(lambda: publisher.send(a_job("after"), VERIFY)) is None


def test_a_sender_to_a_rabbitmq_that_hangs_is_told(rabbitmq: RabbitMq) -> None:
    with Publisher(rabbitmq.url) as publisher:
        publisher.send(a_job("before"), VERIFY)
        rabbitmq.freeze()
        try:
            assert isinstance(answer(lambda: publisher.send(a_job("connected"), VERIFY)), NotSent)
            assert isinstance(answer(lambda: publisher.send(a_job("anew"), VERIFY)), NotSent)
            assert isinstance(answer(lambda: publisher.waiting(VERIFY)), NotSent)
        finally:
            rabbitmq.thaw()
        assert answer(lambda: publisher.send(a_job("after"), VERIFY)) is None


def test_how_many_messages_wait_can_be_asked(rabbitmq: RabbitMq) -> None:
    with Publisher(rabbitmq.url) as publisher:
        assert publisher.waiting("retrain") == 0
        publisher.send_retrain()
        assert publisher.waiting("retrain") == rabbitmq.depth("retrain") == 1


def test_what_waits_on_rabbitmq_is_counted_and_what_cannot_be_told_is_not(rabbitmq: RabbitMq) -> None:
    with Publisher(rabbitmq.url) as publisher:
        before = publisher.depths(datetime.now(UTC))[VERIFY].waiting
        publisher.send(a_job("counted"), VERIFY)
        publisher.send(a_job("counted-2"), VERIFY)
        depth = publisher.depths(datetime.now(UTC))[VERIFY]
    assert depth == QueueDepth(before + 2)
    assert depth.unacknowledged is None
