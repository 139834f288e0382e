"""RabbitMQ over TLS, with a user of its own: jobs go through, and whoever is somebody else is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chaos.deployment import RabbitDeployment
from support.jobs import a_job
from support.servers import MariaDb, ServerMissing, free_port
from support.tls import TlsRabbitMq, make_certificates
from support.workers import wait_until
from worker.broker.publisher import Publisher
from worker.client.broker import Access
from worker.client.errors import NotSent
from worker.jobs.queues import VERIFY


class TlsDeployment(RabbitDeployment):
    """On MariaDB, and a RabbitMQ whose authority only this test knows."""

    def __init__(self, folder: Path, mariadb: MariaDb, broker: TlsRabbitMq, stack: ExitStack) -> None:
        self.access = Access(ca=broker.tls / "ca.crt")
        super().__init__(folder, mariadb, broker, stack)
        self.settings |= {"VERIFY_BROKER_CA": str(self.access.ca)}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates") / "tls")


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another authority's certificate."""
    return make_certificates(tmp_path_factory.mktemp("other_authority") / "tls") / "ca.crt"


@pytest.fixture(scope="module")
def rabbitmq(tls: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRabbitMq]:
    try:
        server = TlsRabbitMq(tmp_path_factory.mktemp("rabbitmq-tls"), tls)
    except ServerMissing as missing:
        pytest.skip(str(missing))
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def deployment(
    rabbitmq: TlsRabbitMq, mariadb_server: MariaDb, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TlsDeployment]:
    with ExitStack() as stack:
        deployment = TlsDeployment(tmp_path_factory.mktemp("deployment"), mariadb_server, rabbitmq, stack)
        deployment.settings["VERIFY_BROKER_URL"] = behind_one_that_is_away(rabbitmq)
        yield deployment


def behind_one_that_is_away(rabbitmq: TlsRabbitMq) -> str:
    """Two hosts of different names, the second of which is there."""
    away = rabbitmq.url.replace(f"127.0.0.1:{rabbitmq.port}", f"127.0.0.2:{free_port()}")
    return f"{away};{rabbitmq.url}"


def test_jobs_are_judged_by_the_worker_that_knows_the_authority(
    deployment: TlsDeployment, other_authority: Path
) -> None:
    misled = deployment.worker("--queues", "verify", ready=False, VERIFY_BROKER_CA=str(other_authority))
    deployment.worker("--queues", "verify,bulk", "--concurrency", "1")
    members = deployment.crowd.members("members", 4)
    deployment.send(members)
    deployment.wait_for_all(members)
    assert deployment.audit(members).lines == []
    wait_until(lambda: "certificate verify failed" in misled.words)
    assert misled.health.problem(time.time()) is not None


def send(url: str, ca: Path | None) -> None:
    with Publisher(url, access=Access(ca=ca)) as publisher:
        publisher.send(a_job(), VERIFY)


def test_a_sender_goes_to_the_second_host_by_its_own_name(rabbitmq: TlsRabbitMq, tls: Path) -> None:
    send(behind_one_that_is_away(rabbitmq), tls / "ca.crt")


def test_a_sender_sends_nothing_to_a_server_with_a_foreign_certificate(
    rabbitmq: TlsRabbitMq, other_authority: Path
) -> None:
    for authority in (other_authority, None):
        with pytest.raises(NotSent):
            send(rabbitmq.url, authority)


@pytest.mark.parametrize(
    ("right", "wrong"), [("rabbit-word", "guessed"), ("faces", "guest"), ("amqps", "amqp")]
)
def test_rabbitmq_lets_nobody_else_in(rabbitmq: TlsRabbitMq, tls: Path, right: str, wrong: str) -> None:
    with pytest.raises(NotSent):
        send(rabbitmq.url.replace(right, wrong), tls / "ca.crt")
