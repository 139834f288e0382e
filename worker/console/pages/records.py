"""The month's check of the records of access: what each account has done, and the signature under it."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry, error_page
from worker.console.roles import Permission
from worker.console.visit import Visit, number_of
from worker.store import Month, first_of, month_before, month_of
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
    """Without a month, or with nonsense for one: the last that is over."""
    named = _month(visit, visit.query("month"))
    return _page(visit, named or month_before(visit.now, visit.services.rules.zone))


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
    month = _month(visit, visit.form.get("month"))
    if month is None:
        return error_page(visit, 400)
    note = visit.form.get("note", "").replace("\r\n", "\n")  # browsers send the one and count the other
    if not note.strip() or len(note) > NOTE_LENGTH:
        visit.note_list(_ACTION)
        return _page(visit, month, note=note[:NOTE_LENGTH], problem="records.sign.no_note", status=422)
    known = visit.services.store.access_watch.state().breaks
    breaks = min(known, number_of(visit.form.get("breaks")) or 0)
    access = visit.access(_ACTION, f"sign {month.name}")
    visit.services.store.access_reviews.sign(month, access, note, visit.now, breaks=breaks)
    return visit.go(f"{PATH}?month={month.name}")


def _month(visit: Visit, name: str | None) -> Month | None:
    """The one that is named; None where none is, or nonsense."""
    try:
        return month_of(first_of(name or ""), visit.services.rules.zone)
    except ValueError:
        return None
