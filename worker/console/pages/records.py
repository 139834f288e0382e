"""The month's check of the records of access: what each account has done, and the signature under it."""

from __future__ import annotations

from datetime import date
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry
from worker.console.roles import Permission
from worker.console.visit import Visit, number_of
from worker.store import Month, month_before, month_of
from worker.store.tables.columns import NOTE_LENGTH

PATH: Final = "/records"
SIGN: Final = "/records/sign"
MENU: Final = (MenuEntry("nav.records", PATH, Permission.RECORDS),)
_ACTION: Final = "access"


def routes(guard: Guard) -> list[Route]:
    """Of this page."""
    return [
        guard.page(PATH, _show, Permission.RECORDS, records=_ACTION),
        guard.page(SIGN, _sign, Permission.RECORDS, method="POST"),
    ]


def _show(visit: Visit) -> Response:
    return _page(visit, _month(visit, visit.query("month")))


def _page(visit: Visit, month: Month, *, note: str = "", problem: str = "", status: int = 200) -> Response:
    store, zone = visit.services.store, visit.services.rules.zone
    figures = store.kept_months.figures(month)
    running = month_of(visit.now.astimezone(zone).date(), zone)
    return visit.page(
        "records.html",
        status=status,
        month=month,
        rows=[one.as_row() for one in figures.accounts],
        counted_at=figures.counted_at,
        state=store.access_reviews.signed(month.name),
        months=store.access_reviews.months(visit.now, zone),
        running=running.name,
        is_over=visit.now >= month.after,
        watch=store.access_watch.state(),
        records=figures.records,
        own=figures.own_records(visit.person.name),
        note=note,
        problem=problem,
        most=NOTE_LENGTH,
    )


def _sign(visit: Visit) -> Response:
    """Under what the person was shown: a break that was found since is not signed."""
    month, note = _month(visit, visit.form.get("month")), visit.form.get("note", "")
    if not note.strip() or len(note) > NOTE_LENGTH:
        visit.note_list(_ACTION)
        return _page(visit, month, note=note[:NOTE_LENGTH], problem="records.sign.no_note", status=422)
    known = visit.services.store.access_watch.state().breaks
    breaks = min(known, number_of(visit.form.get("breaks")) or 0)
    access = visit.access(_ACTION, f"sign {month.name}")
    visit.services.store.access_reviews.sign(month, access, note, visit.now, breaks=breaks)
    return visit.go(f"{PATH}?month={month.name}")


def _month(visit: Visit, name: str | None) -> Month:
    """The one that is named; the last that is over where none is, or nonsense."""
    zone = visit.services.rules.zone
    try:
        return month_of(date.fromisoformat(f"{name}-01"), zone)
    except ValueError:
        return month_before(visit.now, zone)
