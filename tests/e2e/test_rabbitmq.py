"""RabbitMQ as the broker: what is no job is recorded and ends no worker."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import amqp
import pytest

from chaos.deployment import RabbitDeployment
from chaos.run import deployment_of
from support.invalid_messages import NO_TASKS, body_of, headers
from support.servers import ServerMissing
from support.workers import wait_until


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitDeployment]:
    """On MariaDB and RabbitMQ."""
    try:
        with deployment_of("rabbitmq", tmp_path_factory.mktemp("rabbitmq")) as deployment:
            assert isinstance(deployment, RabbitDeployment)
            deployment.start()
            yield deployment
    except ServerMissing as missing:
        pytest.skip(str(missing))


class Damaged(amqp.Message):  # type: ignore[misc]
    """A message whose properties are these bytes, whatever they mean."""

    def __init__(self, properties: bytes) -> None:
        super().__init__(b"a body")
        self.damaged = properties

    def _serialize_properties(self) -> bytes:
        return self.damaged


def shortstr(raw: bytes) -> bytes:
    return bytes([len(raw)]) + raw


NO_TEXT = b"\x80\x00" + shortstr(b"\xff\xfe\xfa")
"""A content type that is no UTF-8."""
NO_DATE = b"\x20\x00" + (14).to_bytes(4, "big") + shortstr(b"when") + b"T" + b"\xff" * 8
"""A header with a date beyond the calendar."""


def publish(deployment: RabbitDeployment, *messages: Any) -> int:
    """Onto the queue of live jobs; how many the broker took."""
    taken = 0
    for message in messages:
        try:
            with deployment.broker.connect() as connection, connection.channel() as channel:
                channel.basic_publish(message, routing_key="verify")
                channel.queue_declare("verify", passive=True)  # answered after what came before
            taken += 1
        except (amqp.AMQPError, OSError):
            continue  # the broker itself refused it
    return taken


def as_amqp(item: bytes) -> Any:
    """An item of a Redis list as a program for AMQP would send it."""
    parts = json.loads(item)
    return amqp.Message(
        base64.b64decode(parts["body"]),
        application_headers=parts["headers"],
        content_type=parts["content-type"],
        content_encoding=parts["content-encoding"],
    )


def test_invalid_messages_are_recorded_with_their_reason_and_harm_no_neighbour(
    deployment: RabbitDeployment,
) -> None:
    workers = deployment.verifiers
    before, after = (deployment.crowd.members(name, 5) for name in ("before", "after"))
    deployment.send(before)
    bomb = amqp.Message(
        b"x", application_headers=headers(compression="zlib"), content_type="application/json"
    )
    sound = amqp.Message(body_of({}), content_type="application/json", content_encoding="utf-8")
    known = [as_amqp(item) for item, _ in NO_TASKS.values()]
    assert publish(deployment, Damaged(NO_TEXT), Damaged(NO_DATE), bomb, sound, *known) == 4 + len(known)
    deployment.send(after)
    deployment.wait_for_all([*before, *after])
    expected = sorted(
        ["bad_properties", "bad_properties", "compressed", "no_task", *(r for _, r in NO_TASKS.values())]
    )
    wait_until(lambda: len(deployment.store.dead_jobs.latest(1000)) >= len(expected))
    assert sorted(dead.reason for dead in deployment.store.dead_jobs.latest(1000)) == expected
    assert [worker.running for worker in workers] == [True] * len(workers)


def test_properties_of_random_bytes_never_end_a_worker(deployment: RabbitDeployment) -> None:
    workers, chance = deployment.verifiers, random.Random(1)
    seeds = [NO_TEXT, NO_DATE, as_amqp(NO_TASKS["an unknown task"][0])._serialize_properties()]
    damaged = []
    for _ in range(150):
        raw = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 3)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        damaged.append(Damaged(bytes(raw)))
    dead = len(deployment.store.dead_jobs.latest(1000))
    taken = publish(deployment, *damaged)
    after = deployment.crowd.members("survivors", 5)
    deployment.send(after)
    deployment.wait_for_all(after)
    wait_until(lambda: len(deployment.store.dead_jobs.latest(1000)) >= dead + taken)
    assert taken > 20
    assert [worker.running for worker in workers] == [True] * len(workers)


def test_a_job_that_neither_the_database_nor_rabbitmq_takes_is_done_when_they_do(
    deployment: RabbitDeployment,
) -> None:
    members = deployment.crowd.members("patient", 6)
    deployment.mariadb.kill()
    deployment.send(members)
    deployment.broker.alarm(on=True)
    try:
        wait_until(lambda: any("RabbitMQ takes no messages" in w.words for w in deployment.verifiers), 60)
    finally:
        deployment.broker.alarm(on=False)
        deployment.mariadb.start()
    deployment.wait_for_all(members)
    found = deployment.audit(members)
    assert (found.lost, found.doubled) == ([], [])
    assert len(deployment.verifiers) == 2
