"""Lengths of time in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from worker.console.words import Words

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_EXACT_HOURS: Final = 6
_IN_SECONDS: Final = 90


def age_in_words(span: timedelta | None, words: Words) -> str:
    """How long, in the two largest units."""
    if span is None:
        return "–"
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    if minutes < 1:
        return words("age.seconds", seconds=max(seconds, 0))
    hours, minutes = divmod(minutes, 60)
    if hours < 1:
        return words("age.minutes", minutes=minutes)
    days, hours = divmod(hours, 24)
    if days < 1:
        return words("age.hours", hours=hours, minutes=minutes)
    return words("age.days", days=days, hours=hours)


def span_in_words(time: timedelta, words: Words) -> str:
    """A length of time in the two largest units that say something."""
    minutes = max(0, int(time.total_seconds() // 60))
    if time < _HOUR:
        return words("time.minutes", n=minutes)
    if time < _DAY:
        hours, rest = divmod(minutes, 60)
        exact = rest > 0 and hours < _EXACT_HOURS
        return words("time.hours_minutes", h=hours, m=rest) if exact else words("time.hours", n=hours)
    days, hours = divmod(minutes // 60, 24)
    return words("time.days_hours", d=days, h=hours) if hours and time < _WEEK else words("time.days", n=days)


def wait_in_words(wait: timedelta, words: Words) -> str:
    """That one must wait, and how long."""
    seconds = max(1, round(wait.total_seconds()))
    if seconds < _IN_SECONDS:
        return words("sign_in.wait_seconds", seconds=seconds)
    return words("sign_in.wait_minutes", minutes=-(-seconds // 60))
