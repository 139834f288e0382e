"""One's own account: password, authenticator app, recovery codes, sessions, language."""

from __future__ import annotations

import re
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from worker.console.guard import SIGN_IN, Guard, MenuEntry
from worker.console.pages.signing_in import telephone
from worker.console.sessions import browser_of, with_session, without_session
from worker.console.spans import wait_in_words
from worker.console.visit import Visit, language_of, number_of, with_language
from worker.errors import WeakPassword
from worker.store.staff.sign_in import Refused

MENU: Final[tuple[MenuEntry, ...]] = ()
ACCOUNT: Final = "/account"
FACTOR: Final = f"{ACCOUNT}/factor"
_BROWSERS: Final = (
    *(("Edg", "Edge"), ("Whale", "Whale"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox")),
    *(("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari")),
)
_SYSTEMS: Final = ("Windows", "Android", "iPhone", "iPad", "Mac OS X", "Linux")


def routes(guard: Guard) -> list[Route]:
    """Of these pages."""
    return [
        guard.page(ACCOUNT, _account, records="account"),
        guard.page(f"{ACCOUNT}/password", _change_password, method="POST"),
        guard.page(f"{ACCOUNT}/language", _change_language, method="POST"),
        guard.page(f"{ACCOUNT}/recovery", _new_recovery, method="POST"),
        guard.page(f"{ACCOUNT}/end", _end_one, method="POST"),
        guard.page(f"{ACCOUNT}/end-all", _end_all, method="POST"),
        guard.page(FACTOR, _factor, records="account"),
        guard.page(FACTOR, _begin_factor, method="POST"),
        guard.page(f"{FACTOR}/prove", _prove_factor, method="POST"),
    ]


def _account(visit: Visit, status: int = 200, **wrong: str) -> Response:
    staff, person = visit.services.store.staff, visit.person
    sessions = staff.sessions.of(person.account_id, visit.now)
    return visit.page(
        "account.html",
        status,
        has_password=staff.profile.has_password(person),
        left=staff.profile.recovery_left(person),
        sessions=[(one, browser_name(one.agent)) for one in sessions],
        changed=visit.query("changed") is not None,
        wrong=wrong,
    )


def browser_name(agent: str | None) -> str:
    """What a browser says of itself, for people: `Firefox, Windows`."""
    text = agent or ""
    name = next((name for mark, name in _BROWSERS if f"{mark}/" in text), None)
    system = next((one for one in _SYSTEMS if one in text), None)
    said = ", ".join(part for part in (name, system and system.replace("Mac OS X", "macOS")) if part)
    return said or re.sub(r"[^\w./ -].*", "", text)[:40] or "?"


def _change_password(visit: Visit) -> Response:
    form, words = visit.form, visit.words
    visit.note_list("account", "password")
    if form.get("password") != form.get("again"):
        return _account(visit, 422, again=words("password.differs"))
    profile, given = visit.services.store.staff.profile, (form.get("current", ""), form.get("password", ""))
    try:
        done = profile.change_password(visit.person, *given, browser_of(visit), visit.now)
    except WeakPassword as weak:
        return _account(visit, 422, password=words(f"password.{weak.code}"))
    if isinstance(done, Refused):
        return _refused(visit, done, "current")
    return with_session(visit.go(f"{ACCOUNT}?changed=1"), visit, done.token)


def _refused(visit: Visit, refused: Refused, field: str) -> Response:
    if refused.wait:
        return _account(visit, 429, **{field: wait_in_words(refused.wait, visit.words)})
    return _account(visit, 403, **{field: visit.words("password.wrong")})


def _change_language(visit: Visit) -> Response:
    language = language_of(visit.form.get("language"))
    visit.note_list("account", "language")
    visit.services.store.staff.profile.set_language(visit.person, language)
    return with_language(visit.go(ACCOUNT), visit, language)


def _new_recovery(visit: Visit) -> Response:
    visit.note_list("account", "recovery")
    profile, password = visit.services.store.staff.profile, visit.form.get("current", "")
    done = profile.new_recovery(visit.person, password, browser_of(visit), visit.now)
    if isinstance(done, Refused):
        return _refused(visit, done, "recovery")
    page = visit.page("recovery_codes.html", codes=done.recovery, following=ACCOUNT)
    return with_session(page, visit, done.token)


def _end_one(visit: Visit) -> Response:
    visit.note_list("account", "end_session")
    number = number_of(visit.form.get("session"))
    if number is not None:
        visit.services.store.staff.sessions.sign_out(visit.person.account_id, number)
    return visit.go(ACCOUNT)


def _end_all(visit: Visit) -> Response:
    visit.note_list("account", "end_sessions")
    visit.services.store.staff.sessions.end_all(visit.person.account_id)
    return without_session(visit.go(SIGN_IN), visit)


def _begin_factor(visit: Visit) -> Response:
    visit.note_list("account", "factor")
    profile, password = visit.services.store.staff.profile, visit.form.get("current", "")
    refused = profile.new_factor(visit.person, password, browser_of(visit), visit.now)
    return visit.go(FACTOR) if refused is None else _refused(visit, refused, "factor")


def _factor(visit: Visit, status: int = 200, **wrong: Any) -> Response:
    secret = visit.services.store.staff.profile.secret(visit.person)
    if secret is None:
        return visit.go(ACCOUNT)
    shown = telephone(visit, secret, visit.person.name)
    return visit.page("account_factor.html", status, wrong=wrong, **shown)


def _prove_factor(visit: Visit) -> Response:
    visit.note_list("account", "factor")
    profile, code = visit.services.store.staff.profile, visit.form.get("code", "")
    done = profile.prove_factor(visit.person, code, browser_of(visit), visit.now)
    if isinstance(done, Refused):
        return _factor(visit, 422, code=visit.words("factor.wrong"))
    return with_session(visit.go(f"{ACCOUNT}?changed=1"), visit, done.token)
