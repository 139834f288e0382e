"""Sentinel and its Redis over TLS, each with a password of its own: only who has all of it gets in."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from support.jobs import a_job
from support.sentinel import MASTER, PASSWORD
from support.system import depth_for_a_worker
from support.tls import TlsRedis, TlsSentinel, make_certificates
from worker.broker.publisher import Publisher
from worker.client.broker import Access
from worker.client.errors import NotSent
from worker.jobs.queues import VERIFY


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates") / "tls")


@pytest.fixture(scope="module")
def access(tls: Path) -> Access:
    return Access(ca=tls / "ca.crt", master=MASTER, sentinel_password=PASSWORD, sentinel_tls=True)


@pytest.fixture(scope="module")
def url(tls: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Sentinel, with the password of Redis."""
    folder = tmp_path_factory.mktemp("sentinel")
    server = TlsRedis(folder / "redis", tls)
    sentinel = TlsSentinel(folder / "sentinel", server)
    for each in (server, sentinel):
        each.start()
    yield f"sentinel://:{server.password}@127.0.0.1:{sentinel.port}/0"
    for each in (server, sentinel):
        each.kill()


def send(url: str, access: Access) -> None:
    with Publisher(url, access=access) as publisher:
        publisher.send(a_job(), VERIFY)


def test_a_sender_and_a_worker_find_the_redis_by_its_name(url: str, access: Access) -> None:
    send(url, access)
    settings = {
        "VERIFY_BROKER_URL": url,
        "VERIFY_BROKER_CA": str(access.ca),
        "VERIFY_SENTINEL_MASTER": MASTER,
        "VERIFY_SENTINEL_PASSWORD": PASSWORD,
        "VERIFY_SENTINEL_TLS": "true",
    }
    assert depth_for_a_worker(settings) == 1


def outcome(attempt: tuple[str, Access]) -> str:
    try:
        send(*attempt)
    except NotSent:
        return "refused"
    return "sent"


def test_nobody_gets_in_who_lacks_something(url: str, access: Access, tmp_path: Path) -> None:
    attempts = {
        "the certificate of a stranger's authority": (
            url,
            replace(access, ca=make_certificates(tmp_path / "tls") / "ca.crt"),
        ),
        "no authority but those that the machine trusts": (url, replace(access, ca=None)),
        "no TLS": (url, replace(access, sentinel_tls=False)),
        "no password of Sentinel": (url, replace(access, sentinel_password="")),
        "a wrong password of Sentinel": (url, replace(access, sentinel_password="guessed")),
        "a wrong password of Redis": (url.replace("redis-word", "guessed"), access),
        "a name that Sentinel does not know": (url, replace(access, master="another")),
    }
    with ThreadPoolExecutor(len(attempts)) as pool:
        outcomes = dict(zip(attempts, pool.map(outcome, attempts.values()), strict=True))
    assert outcomes == dict.fromkeys(attempts, "refused")
