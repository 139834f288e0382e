"""Queue files are taken whole and once, and queues are served in order."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from queue import Empty

import pytest

from worker.queues import in_order
from worker.wire import InOrder, take_file


@pytest.fixture
def item(tmp_path: Path) -> Path:
    file = tmp_path / "1_a.verify.msg"
    file.write_bytes(b"a message")
    return file


def test_a_queue_file_is_taken_once(item: Path) -> None:
    assert take_file(item) == b"a message"
    assert take_file(item) is None
    assert not item.exists()


def test_a_queue_file_that_is_being_written_is_left_alone(item: Path) -> None:
    with item.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert take_file(item) is None
    assert take_file(item) == b"a message"


def test_an_empty_queue_file_is_given_the_time_to_be_written(tmp_path: Path) -> None:
    file = tmp_path / "1_a.verify.msg"
    file.touch()
    assert take_file(file) is None
    os.utime(file, (time.time() - 3600,) * 2)
    assert take_file(file) == b""


def _served(full: set[str]) -> str:
    def fetch(queue: str, callback: object) -> str:
        if queue not in full:
            raise Empty
        return queue

    return str(InOrder(fetch, ["verify", "bulk"]).get(None))  # type: ignore[arg-type]


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
