"""When beat's periodic tasks are due, also after somebody has set the clock.

Celery plans by moments: that of the last run, and that of the next one. When the clock is set back both lie
ahead: a task of every 15 seconds would wait an hour for them, and after a wrong year all of them for good.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from celery import beat
from celery.schedules import crontab, schedstate, schedule

_DAY: Final = timedelta(days=1)


class Every(schedule):
    """Every so many seconds, and at once where the last run lies ahead."""

    def is_due(self, last_run_at: datetime) -> tuple[bool, float]:
        """Whether to run now, and after how many seconds to ask again."""
        if last_run_at > self.now():
            due: tuple[bool, float] = schedstate(is_due=True, next=self.seconds)
            return due
        return super().is_due(last_run_at)  # type: ignore[no-any-return]


class At(crontab):
    """At a time of day; a last run that lies more than a day ahead does not count.

    Within a day it does: what ran tonight does not run again because the clock was put right.
    """

    _noticed: datetime | None = None

    def is_due(self, last_run_at: datetime) -> tuple[bool, float]:
        """Whether to run now, and after how many seconds to ask again."""
        now = self.now()
        ahead = last_run_at > now + _DAY
        self._noticed = min(self._noticed or now, now) if ahead else None
        return super().is_due(self._noticed or last_run_at)  # type: ignore[no-any-return]


class Scheduler(beat.Scheduler):
    """Celery's, in memory, which plans anew when it finds itself earlier than before."""

    _before: datetime | None = None

    def tick(self, *args: Any, **options: Any) -> float:
        """Send what is due; how many seconds there is nothing to do then."""
        now = self.app.now()
        if self._before is not None and now < self._before:
            self._heap = None
        self._before = now
        return float(super().tick(*args, **options))
