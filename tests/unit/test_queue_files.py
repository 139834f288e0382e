"""Queue files are fetched whole and once, survive a kill, and queues are served in order."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.exceptions import ChannelError

from support.bundle import ROOT
from worker.broker.filesystem import PriorityCycle, fetch_file, unacked_path
from worker.jobs.queues import in_order


@pytest.fixture
def item(tmp_path: Path) -> Path:
    file = tmp_path / "1_a.verify.msg"
    file.write_bytes(b"a message")
    return file


@pytest.fixture
def unacked(item: Path) -> Path:
    return unacked_path(os.getpid(), item)


def test_a_queue_file_is_fetched_once(item: Path, unacked: Path) -> None:
    assert fetch_file(item, unacked) == b"a message"
    assert fetch_file(item, unacked) is None
    assert unacked.read_bytes() == b"a message"


def test_a_queue_file_that_is_being_written_is_left_alone(item: Path, unacked: Path) -> None:
    with item.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert fetch_file(item, unacked) is None
    assert fetch_file(item, unacked) == b"a message"


def test_an_empty_queue_file_is_given_the_time_to_be_written(item: Path, unacked: Path) -> None:
    item.write_bytes(b"")
    assert fetch_file(item, unacked) is None
    os.utime(item, (time.time() - 3600,) * 2)
    assert fetch_file(item, unacked) == b""


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Any]:
    """A connection's channel on queue files of the test's own."""
    folders = {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path)}
    options = {**folders, "control_folder": str(tmp_path / "control")}
    url, transport = "filesystem://", "worker.broker.filesystem:Transport"
    connection = Connection(url, transport=transport, transport_options=options)  # type: ignore[no-untyped-call]
    with connection:
        yield connection.channel()  # type: ignore[no-untyped-call]


def test_an_acknowledged_message_leaves_no_file(channel: Any, item: Path) -> None:
    message = channel.basic_get("verify")
    assert list(item.parent.rglob("*.msg"))
    channel.basic_ack(message.delivery_tag)
    assert not list(item.parent.rglob("*.msg"))


def test_a_message_that_is_requeued_is_there_again_once(channel: Any, item: Path) -> None:
    message = channel.basic_get("verify")
    channel.basic_reject(message.delivery_tag, requeue=True)
    assert len(list(item.parent.rglob("*.msg"))) == 1
    assert channel.basic_get("verify").delivery_info["routing_key"] == "verify"


def test_the_message_of_a_process_that_was_killed_goes_back_to_its_queue(channel: Any, item: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path;"
        "from worker.broker.filesystem import fetch_file, unacked_path;"
        "file = Path(sys.argv[1]); fetch_file(file, unacked_path(os.getpid(), file)); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(item)], cwd=ROOT, check=False)
    assert not item.exists()
    assert channel.basic_get("verify") is not None


def test_the_message_of_a_living_process_stays_with_it(channel: Any, item: Path, unacked: Path) -> None:
    fetch_file(item, unacked)
    assert channel.basic_get("verify") is None


def test_a_sent_message_arrives_as_it_was(channel: Any) -> None:
    queue = Queue("verify")  # type: ignore[no-untyped-call]
    channel.connection.client.Producer(channel).publish({"a": "회원"}, routing_key="verify", declare=[queue])
    assert channel.basic_get("verify").decode() == {"a": "회원"}


@contextmanager
def no_room() -> Iterator[None]:
    """This process may write empty files only, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_message_that_a_full_disk_cannot_take_is_refused_and_leaves_no_half_of_it(
    channel: Any, tmp_path: Path
) -> None:
    producer = channel.connection.client.Producer(channel)
    with no_room(), pytest.raises(ChannelError, match="no message can be written"):
        producer.publish({"a": "회원"}, routing_key="verify", declare=[Queue("verify")])  # type: ignore[no-untyped-call]
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and "verify" in file.name]
    assert channel.basic_get("verify") is None
    producer.publish({"a": "회원"}, routing_key="verify")
    assert channel.basic_get("verify").decode() == {"a": "회원"}


def test_a_message_that_is_requeued_on_a_full_disk_is_not_lost(channel: Any, item: Path) -> None:
    message = channel.basic_get("verify")
    with no_room():
        channel.basic_reject(message.delivery_tag, requeue=True)
    assert item.read_bytes() == b"a message"


def _served(full: set[str]) -> str:
    def fetch(queue: str, callback: object) -> str:
        if queue not in full:
            raise Empty
        return queue

    return str(PriorityCycle(fetch, ["verify", "bulk"]).get(None))  # type: ignore[arg-type]


def test_bulk_is_served_only_when_verify_is_empty() -> None:
    assert _served({"verify", "bulk"}) == "verify"
    assert _served({"bulk"}) == "bulk"
    with pytest.raises(Empty):
        _served(set())


def test_the_order_of_service_is_not_that_of_the_command_line() -> None:
    assert in_order(["retrain", "bulk", "maintenance", "verify"]) == [
        "maintenance",
        "verify",
        "bulk",
        "retrain",
    ]


def test_whoever_verifies_live_members_also_takes_bulk_jobs() -> None:
    assert in_order(["verify"]) == ["verify", "bulk"]
    assert in_order(["bulk"]) == ["bulk"]
    assert in_order(["maintenance"]) == ["maintenance"]
