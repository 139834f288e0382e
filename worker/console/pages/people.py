"""People: who has an account and which roles, what was done to it, invitations."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry, error_page
from worker.console.pages.signing_in import ENROL
from worker.console.roles import Permission
from worker.console.visit import Visit
from worker.errors import LastAdmin, NotPossible
from worker.store.staff.accounts import Invitation
from worker.store.staff.records import StaffRecord
from worker.store.tables.states import Role

PEOPLE: Final = "/people"
_PERSON: Final = f"{PEOPLE}/{{number:int}}"
MENU: Final = (MenuEntry("nav.people", PEOPLE, Permission.ACCOUNTS),)


def routes(guard: Guard) -> list[Route]:
    """Of these pages."""
    needs = Permission.ACCOUNTS
    return [
        guard.page(PEOPLE, _people, needs, records="people"),
        guard.page(PEOPLE, _add, needs, method="POST"),
        guard.page(_PERSON, _person, needs, records="people"),
        guard.page(f"{_PERSON}/roles", _set_roles, needs, method="POST"),
        guard.page(f"{_PERSON}/reset", _reset, needs, method="POST"),
        guard.page(f"{_PERSON}/close", _close, needs, method="POST"),
    ]


def _people(visit: Visit, status: int = 200, **values: Any) -> Response:
    everybody = visit.services.store.staff.accounts.all(visit.now)
    shown = {"wrong": None, "name": "", "chosen": frozenset(), **values}
    return visit.page("people.html", status, everybody=everybody, roles=list(Role), **shown)


def _add(visit: Visit) -> Response:
    visit.note_list("people", "add")
    name, roles = visit.form.get("name", ""), _roles(visit)
    accounts, note = visit.services.store.staff.accounts, visit.form.get("note")
    try:
        invitation = accounts.add(name, roles, visit.person.name, visit.now, note)
    except NotPossible:
        wrong = visit.words("people.name_taken")
        return _people(visit, 409, wrong=wrong, name=name, chosen=frozenset(roles))
    return _invitation(visit, invitation)


def _roles(visit: Visit) -> list[Role]:
    return [role for role in Role if f"role_{role}" in visit.form]


def _invitation(visit: Visit, invitation: Invitation) -> Response:
    link = f"{visit.services.rules.url}{ENROL}#{invitation.code}"
    return visit.page("invitation.html", invitation=invitation, link=link)


def _person(visit: Visit, status: int = 200, wrong: str | None = None) -> Response:
    record = _record(visit)
    if record is None:
        return error_page(visit, 404)
    history = visit.services.store.staff.accounts.history(record.account_id)
    values = {"record": record, "history": history, "roles": list(Role), "wrong": wrong}
    return visit.page("person.html", status, **values)


def _record(visit: Visit) -> StaffRecord | None:
    number = visit.request.path_params["number"]
    everybody = visit.services.store.staff.accounts.all(visit.now)
    return next((one for one in everybody if one.account_id == number), None)


def _set_roles(visit: Visit) -> Response:
    visit.note_list("people", "roles")
    accounts, number = visit.services.store.staff.accounts, visit.request.path_params["number"]
    try:
        accounts.set_roles(number, _roles(visit), visit.person.name, visit.now, visit.form.get("note"))
    except LastAdmin:
        return _person(visit, 409, visit.words("people.last_admin"))
    return visit.go(f"{PEOPLE}/{number}")


def _reset(visit: Visit) -> Response:
    """Of somebody else's account alone: of one's own, password and app are changed by whoever has them."""
    visit.note_list("people", "reset")
    accounts, number = visit.services.store.staff.accounts, visit.request.path_params["number"]
    if number == visit.person.account_id:
        return _person(visit, 409, visit.words("people.own"))
    return _invitation(visit, accounts.reset(number, visit.person.name, visit.now, visit.form.get("note")))


def _close(visit: Visit) -> Response:
    visit.note_list("people", "close")
    accounts, number = visit.services.store.staff.accounts, visit.request.path_params["number"]
    try:
        accounts.close(number, visit.person.name, visit.now, visit.form.get("note"))
    except LastAdmin:
        return _person(visit, 409, visit.words("people.last_admin"))
    return visit.go(PEOPLE)
