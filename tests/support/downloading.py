"""Photo servers that say what a test wants, and what a fetch from them gave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from pipeline.verdict import FetchProblem, NotFetched
from support.workers import wait_until
from worker.downloads.addresses import PRIVATE_NETWORKS, AddressRules
from worker.downloads.fetcher import FetchLimits, PhotoFetcher

JPEG = b"\xff\xd8\xff\xe0" + b"photo" * 1000

HERE = AddressRules(allow_http=True, ports=None, networks=PRIVATE_NETWORKS)

LIMITS = FetchLimits(rules=HERE, connect_seconds=30, read_seconds=60, total_seconds=60, circuit_failures=100)

HURRIED = replace(LIMITS, total_seconds=1.0)

"""For what never comes."""

PATIENT = replace(LIMITS, total_seconds=8.0)

"""For what never comes beside what does, and the machine may be slow."""

Fetcher = Callable[..., PhotoFetcher]


def problem(fetcher: PhotoFetcher, url: str) -> FetchProblem | None:
    """What is wrong with the one photo; None where it arrived."""
    (result,) = fetcher.fetch_all([url])
    return result.problem if isinstance(result, NotFetched) else None


def failure(fetcher: PhotoFetcher, url: str) -> NotFetched:
    (result,) = fetcher.fetch_all([url])
    assert isinstance(result, NotFetched)
    return result


def gave_up(fetcher: PhotoFetcher, url: str) -> bool:
    """Whether the time was up, and the fetch itself notices, so that its thread is free again."""
    found = problem(fetcher, url)
    wait_until(lambda: not any(thread.name.startswith("photo") for thread in threading.enumerate()))
    return found is FetchProblem.TIMEOUT


def say(*parts: bytes) -> Callable[[socket.socket, int], None]:
    """A server's part that says these bytes and hangs up."""

    def talk(connection: socket.socket, number: int) -> None:
        for part in parts:
            connection.sendall(part)

    return talk


def for_ever(start: bytes, again: bytes, pause: float = 0.0) -> Callable[[socket.socket, int], None]:
    """A server's part that never ends by itself."""

    def talk(connection: socket.socket, number: int) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(again)
            threading.Event().wait(pause)

    return talk


# What a job gets


def at_home(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]
