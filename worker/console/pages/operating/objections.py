"""A member wants a person to look: written down with its day, and all that wait, by their deadlines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from worker.client.message import EARLIEST
from worker.console.guard import Guard
from worker.console.pages.operating.absent import nobody
from worker.console.pages.operating.asking import Notice, Question, ask, is_sure, tell
from worker.console.roles import Permission
from worker.console.visit import Visit, number_of
from worker.errors import MemberForgotten, NotPossible
from worker.store import NewObjection

_PAGE: Final = 50
_PATH: Final = "/members/objections"


def routes(guard: Guard) -> list[Route]:
    """Of these pages."""
    return [
        guard.page(_PATH, _waiting, Permission.MEMBERS, records="review"),
        guard.page("/members/object", _form, Permission.MEMBERS),
        guard.page("/members/object", _object, Permission.MEMBERS, method="POST"),
        guard.page("/members/reopen", _reopen, Permission.MEMBERS, method="POST"),
    ]


def _waiting(visit: Visit, notice: Notice | None = None) -> Response:
    objections = visit.services.store.reviews.objections
    rows = objections.waiting(visit.now, _PAGE + 1, after=number_of(visit.query("after")))
    return visit.page(
        "operating/objections.html",
        notice=notice,
        counts=objections.counts(visit.now),
        rows=rows[:_PAGE],
        after=rows[_PAGE - 1].id if len(rows) > _PAGE else None,
        days_left=lambda due: (_day(due, visit) - _day(visit.now, visit)).days,
    )


def _form(visit: Visit) -> Response:
    member_id = visit.query("id") or ""
    if not visit.note_member(member_id, "review", "object"):
        return nobody(visit, member_id, "review", "object")
    return _form_of(visit, member_id, f"{_day(visit.now, visit)}")


def _form_of(visit: Visit, member_id: str, received: str, problem: str = "") -> Response:
    return visit.page(
        "operating/object.html",
        422 if problem else 200,
        member_id=member_id,
        received=received,
        problem=problem,
        today=_day(visit.now, visit),
        earliest=_day(EARLIEST, visit) + timedelta(days=1),
        days=_days(visit),
    )


def _object(visit: Visit) -> Response:
    """`review object`: once the day is in order and whoever wrote it down has seen the deadline."""
    member_id, given = visit.form.get("id", ""), visit.form.get("received", "")
    came = _received(visit, given)
    if came is None:
        wrong = Notice(visit.words("objection.bad_day"), "bad")
        return tell(
            visit, wrong, _PATH, lambda visit, said: _form_of(visit, member_id, given, said.text), 422
        )
    due = f"{_day(came + timedelta(days=_days(visit)), visit)}"
    if not is_sure(visit):
        return _ask_object(visit, member_id, f"{_day(came, visit)}", due)

    def record() -> None:
        new = NewObjection(member_id, came, by=visit.person.name)
        visit.services.store.reviews.objections.record(new, visit.now)

    said = Notice(visit.words("objection.recorded", member=member_id, due=due))
    return _done(visit, member_id, "object", record, said)


def _ask_object(visit: Visit, member_id: str, received: str, due: str) -> Response:
    t = visit.words
    question = Question(
        title=t("objection.ask", member=member_id),
        says=(
            t("objection.ask.received", day=received),
            t("objection.ask.due", day=due),
            t("objection.ask.then"),
        ),
        yes=t("objection.record"),
        fields={"id": member_id, "received": received},
    )
    return ask(visit, question, back=_PATH)


def _reopen(visit: Visit) -> Response:
    """`review reopen`."""
    member_id, t = visit.form.get("id", ""), visit.words
    if not is_sure(visit):
        question = Question(
            title=t("reopen.ask", member=member_id),
            says=(t("reopen.ask.stands"), t("reopen.ask.then")),
            yes=t("reopen.do"),
            fields={"id": member_id},
        )
        return ask(visit, question, back="/members")

    def reopen() -> None:
        visit.services.store.reviews.decisions.reopen(member_id, visit.person.name, visit.now)

    return _done(visit, member_id, "reopen", reopen, Notice(t("reopen.done", member=member_id)))


def _done(visit: Visit, member_id: str, way: str, change: Callable[[], None], said: Notice) -> Response:
    """Do it, on record, and say what came of it."""
    if not visit.note_member(member_id, "review", way):
        return nobody(visit, member_id, "review", way)
    try:
        change()
    except (NotPossible, MemberForgotten) as error:
        said = Notice(visit.words("ops.refused"), "bad", (str(error),))
    return _waiting(visit, said)


def _received(visit: Visit, text: str) -> datetime | None:
    """The beginning of that day; None where it is none, or lies before 2020 or in the future."""
    try:
        day = date.fromisoformat(text)
        came = datetime(day.year, day.month, day.day, tzinfo=visit.services.rules.zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return came if EARLIEST <= came <= visit.now else None


def _day(moment: datetime, visit: Visit) -> date:
    """By the clocks of where the console is used."""
    return moment.astimezone(visit.services.rules.zone).date()


def _days(visit: Visit) -> int:
    """How long an answer may take."""
    return round(visit.services.operations.terms.objection_days)
