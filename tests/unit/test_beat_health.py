"""Beat's health files: its loop runs, and what is due is sent."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from worker.broker.schedules import At, Every, Scheduler
from worker.health import STALE_SECONDS, BeatFiles, HealthFiles, check

HOUR = timedelta(hours=1)


class Beat(Scheduler):
    """The product's, with a broker that the test can take away."""

    producer = None
    broken = False

    def send_task(self, *_: Any, **__: Any) -> None:
        if self.broken:
            raise ConnectionError("no broker")

    def let_pass(self, time: timedelta) -> None:
        """As if everything had been sent so long before, and beat asked what is due."""
        for entry in self.schedule.values():
            entry.last_run_at -= time
        self._heap = None
        while self.tick() == 0:
            pass


@pytest.fixture
def beat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Beat:
    monkeypatch.setenv("VERIFY_HOME", str(tmp_path))
    app = Celery(set_as_current=False)
    app.conf.beat_schedule = {
        "sweep": {"task": "worker.sweep", "schedule": Every(15)},
        "purge": {"task": "worker.purge", "schedule": At(hour=18, minute=17)},
    }
    return Beat(app)


def problems(home: Path, seconds: float = 0) -> list[str]:
    """What the health check says so much later."""
    return [problem.partition(f"beat {os.getpid()} ")[2] for problem in check(home, time.time() + seconds)]


def test_a_beat_that_comes_round_and_sends_is_well(beat: Beat, tmp_path: Path) -> None:
    assert problems(tmp_path) == ["is starting"]
    beat.tick()
    assert problems(tmp_path) == []


def test_a_beat_that_hangs_is_not_well(beat: Beat, tmp_path: Path) -> None:
    beat.tick()
    [problem] = problems(tmp_path, STALE_SECONDS + 1)
    assert problem.startswith("has not come round for 6")


def test_a_beat_whose_messages_nobody_takes_is_not_well_until_one_is_sent(beat: Beat, tmp_path: Path) -> None:
    beat.tick()
    beat.broken = True
    beat.let_pass(HOUR)
    later = STALE_SECONDS + 20
    BeatFiles.of(tmp_path, os.getpid()).came_round()
    os.utime(BeatFiles.of(tmp_path, os.getpid()).folder / "alive", (time.time() + later,) * 2)
    [problem] = problems(tmp_path, later)
    assert problem.startswith("has not sent sweep, which was due 6")
    beat.broken = False
    beat.let_pass(HOUR)
    assert problems(tmp_path) == []


def test_each_entry_is_watched_by_its_own_time(beat: Beat, tmp_path: Path) -> None:
    beat.tick()
    folder = BeatFiles.of(tmp_path, os.getpid()).folder
    due = {file.name: file.stat().st_mtime - time.time() for file in folder.glob("due-*")}
    assert due.keys() == {"due-sweep", "due-purge"}
    assert 0 < due["due-sweep"] <= 15
    assert 0 < due["due-purge"] <= 24 * 3600
    os.utime(folder / "due-purge", (time.time() - 7200,) * 2)
    assert problems(tmp_path) == ["has not sent purge, which was due 7200 s ago"]


def test_worker_and_beat_of_one_machine_are_both_asked(beat: Beat, tmp_path: Path) -> None:
    files = HealthFiles.of(tmp_path, os.getpid())
    files.open()
    files.beat()
    beat.tick()
    assert check(tmp_path, time.time()) == [f"worker {os.getpid()} has no process that is ready"]


def test_a_beat_that_ends_leaves_nothing_and_one_that_was_killed_is_no_problem(
    beat: Beat, tmp_path: Path
) -> None:
    beat.tick()
    beat.close()
    assert check(tmp_path, time.time()) == ["no worker runs here"]
    BeatFiles.of(tmp_path, 2**22 + 1).came_round()  # no such process
    assert check(tmp_path, time.time()) == ["no worker runs here"]


def test_a_beat_that_cannot_write_goes_on_and_is_not_well(beat: Beat, tmp_path: Path) -> None:
    beat.close()
    (tmp_path / "health").rename(tmp_path / "away")
    (tmp_path / "health").write_text("no folder")
    assert beat.tick() > 0
    assert check(tmp_path, time.time()) == ["no worker runs here"]
