"""The queue: which cases wait, in their order. Nobody picks one here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry
from worker.console.pages.case import in_hand
from worker.console.roles import Permission
from worker.console.spans import span_in_words
from worker.console.visit import Visit, number_of
from worker.console.words import Words
from worker.store import CaseList, CaseState, ListedCase, WhyOpen
from worker.store.counts.open_cases import EVERYTHING, CaseFilter
from worker.store.tables.states import Cause

MENU: Final = (MenuEntry("nav.queue", "/queue", Permission.QUEUE),)
PAGE: Final = 50
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_SOON: Final = 0.25
"""Share of the review hours that is left when a case is soon due."""
_Code = TypeVar("_Code", bound=StrEnum)

AGES: Final[Mapping[str, tuple[timedelta | None, timedelta | None]]] = {
    "day": (_DAY, None),
    "over_day": (None, _DAY),
    "over_3_days": (None, 3 * _DAY),
    "over_week": (None, _WEEK),
}
"""Opened after, and before, so long ago."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """How a case stands against the review hours: the colour's class, and the same in words."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A case as the list shows it; ``why`` is None for whoever reviews."""

    case: ListedCase
    left: TimeLeft
    waits: str
    why: WhyOpen | None


def routes(guard: Guard) -> list[Route]:
    """Of this page."""
    return [guard.page("/queue", _queue, Permission.QUEUE, records="review")]


def sees_reasons(visit: Visit) -> bool:
    """Whether the person may see what opened a case before anybody has answered.

    Whoever reviews may not, whatever else the person does: audits and the machine's doubts would show.
    """
    return visit.may(Permission.MEMBERS) and not visit.may(Permission.REVIEW)


def _queue(visit: Visit) -> Response:
    open_to = sees_reasons(visit)
    asked = _asked(visit, open_to)
    queue, after = visit.services.store.reviews.queue, number_of(visit.query("after"))
    page = queue.page(visit.now, PAGE, after, only=_filter(asked, visit.now))
    why = queue.why_open([one.case_id for one in page.cases]) if open_to and page.cases else {}
    hours = visit.services.store.reviews.rules.due_after
    rows = [
        Row(one, time_left(one, visit.now, hours, visit.words), _waits(one, visit), why.get(one.case_id))
        for one in page.cases
    ]
    return visit.page(
        "queue.html",
        page=page,
        rows=rows,
        asked=asked,
        next_page=_address({**asked, "after": str(page.after)}) if page.after else None,
        first_page=_address(asked) if after else None,
        open_to=open_to,
        mine=visit.may(Permission.REVIEW) and in_hand(visit) is not None,
        counts=_counts(page),
        states=[*CaseState],
        causes=[*Cause],
        ages=[*AGES],
    )


def _asked(visit: Visit, open_to: bool) -> dict[str, str]:
    """What of the address is a filter that this person may use."""
    known: dict[str, list[str]] = {"state": [*CaseState], "age": [*AGES]}
    if open_to:
        known["cause"] = [*Cause]
    asked = {name: visit.query(name) or "" for name in known}
    return {name: value for name, value in asked.items() if value in known[name]}


def _filter(asked: Mapping[str, str], now: datetime) -> CaseFilter:
    if not asked:
        return EVERYTHING
    newer, older = AGES[asked["age"]] if "age" in asked else (None, None)
    return CaseFilter(
        state=_code(CaseState, asked.get("state")),
        cause=_code(Cause, asked.get("cause")),
        opened_from=now - newer if newer else None,
        opened_before=now - older if older else None,
    )


def _code(kind: type[_Code], word: str | None) -> _Code | None:
    return kind(word) if word else None


def _address(asked: Mapping[str, str]) -> str:
    return "/queue?" + urlencode(asked) if asked else "/queue"


def _counts(page: CaseList) -> dict[CaseState, int]:
    return {
        CaseState.TAKEN: page.claimed,
        CaseState.ESCALATED: page.escalated,
        CaseState.OVERDUE: page.overdue,
        CaseState.SUSPENDED: page.suspended,
    }


def time_left(case: ListedCase, now: datetime, hours: timedelta, words: Words) -> TimeLeft:
    """Against the hours of a review; a suspended case has no time to keep."""
    left = case.due_at - now
    if case.suspended:
        return TimeLeft("", words("queue.left.none"))
    if left <= timedelta(0):
        return TimeLeft("bad", words("queue.left.overdue", time=span_in_words(-left, words)))
    kind, key = ("warn", "soon") if left < hours * _SOON else ("good", "fine")
    return TimeLeft(kind, words(f"queue.left.{key}", time=span_in_words(left, words)))


def _waits(case: ListedCase, visit: Visit) -> str:
    return span_in_words(visit.now - case.opened_at, visit.words)
