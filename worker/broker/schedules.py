"""Schedules of beat that also work after the clock was set back.

Celery compares the clock with the times of the last and the next run. After the clock was set back both are
in the future: a task of every 15 seconds would wait for an hour, and after a wrong year every task would wait
forever.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from typing import Any, Final

from celery import beat
from celery.schedules import crontab, schedstate, schedule

from worker.health import BeatFiles
from worker.settings import load_settings

_DAY: Final = timedelta(days=1)


class Every(schedule):
    """Runs at an interval, and at once if the last run is in the future."""

    def is_due(self, last_run_at: datetime) -> tuple[bool, float]:
        """Whether to run now, and after how many seconds to ask again."""
        if last_run_at > self.now():
            due: tuple[bool, float] = schedstate(is_due=True, next=self.seconds)
            return due
        return super().is_due(last_run_at)  # type: ignore[no-any-return]


class At(crontab):
    """Runs at a time of day; a last run more than a day in the future does not count.

    One within a day does count: a small correction of the clock must not repeat tonight's run.
    """

    _noticed: datetime | None = None

    def is_due(self, last_run_at: datetime) -> tuple[bool, float]:
        """Whether to run now, and after how many seconds to ask again."""
        now = self.now()
        ahead = last_run_at > now + _DAY
        self._noticed = min(self._noticed or now, now) if ahead else None
        return super().is_due(self._noticed or last_run_at)  # type: ignore[no-any-return]


class Scheduler(beat.Scheduler):
    """Celery's in-memory scheduler, which plans anew when the clock was set back, and keeps its health files
    current (`worker.health`)."""

    _before: datetime | None = None
    _files: BeatFiles | None = None

    def setup_schedule(self) -> None:
        """Called where it is to send, not where it only describes itself."""
        super().setup_schedule()
        self._files = BeatFiles.of(load_settings().home, os.getpid())
        for entry in self.schedule.values():
            self._note(entry)

    def tick(self, *args: Any, **options: Any) -> float:
        """Send what is due. Returns how many seconds to wait."""
        now = self.app.now()
        if self._before is not None and now < self._before:
            self._heap = None
        self._before = now
        seconds = float(super().tick(*args, **options))
        if self._files:
            self._files.came_round()
        return seconds

    def apply_async(self, entry: Any, *args: Any, **options: Any) -> Any:
        """Send an entry. Raises SchedulingError where the broker does not take it."""
        sent = super().apply_async(entry, *args, **options)
        self._note(self.schedule[entry.name])
        return sent

    def close(self) -> None:
        """Called when beat ends in good order."""
        super().close()
        if self._files:
            self._files.close()

    def _note(self, entry: Any) -> None:
        if self._files:
            _, seconds = entry.schedule.is_due(entry.last_run_at)
            self._files.due(entry.name, time.time() + seconds)
