"""Sign in (a password, then a code), sign out, and answer an invitation."""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlsplit

from starlette.responses import Response
from starlette.routing import Route

from worker.console.guard import SIGN_IN, Guard, MenuEntry, error_page
from worker.console.pages.home import own_path
from worker.console.sessions import (
    browser_of,
    has_ended,
    newcomer_of,
    signed_on_as,
    with_session,
    without_session,
)
from worker.console.spans import wait_in_words
from worker.console.visit import Guest, Visit, is_meant, is_ours
from worker.errors import WeakPassword
from worker.store.staff.factors import address_of
from worker.store.staff.records import Newcomer
from worker.store.staff.sign_in import Passed, Refused
from worker.store.tables.states import Stage

MENU: Final[tuple[MenuEntry, ...]] = ()
CODE: Final = f"{SIGN_IN}/code"
ENROL: Final = "/enrol"
CHOOSE: Final = f"{ENROL}/account"


def routes(guard: Guard) -> list[Route]:
    """Of these pages."""
    return [
        guard.open_page(SIGN_IN, partial(_sign_in, guard)),
        guard.open_page(SIGN_IN, _check_password, method="POST"),
        guard.open_page(CODE, _code),
        guard.open_page(CODE, _check_code, method="POST"),
        guard.page("/sign-out", _sign_out, method="POST"),
        guard.open_page(ENROL, _enrol),
        guard.open_page(ENROL, _check_invitation, method="POST"),
        guard.open_page(CHOOSE, _choose),
        guard.open_page(CHOOSE, _finish, method="POST"),
    ]


def _sign_in(guard: Guard, guest: Guest) -> Response:
    """The form; whoever has signed in, here or with the company's own sign-on, goes on."""
    following = own_path(guest.query("next"))
    if guard.person_of(guest.request) is not None:
        return guest.go(following)
    rules = guest.services.rules
    if not rules.sign_on_header:
        return _password_page(guest, following, ended=has_ended(guest))
    name = signed_on_as(guest.request, rules)
    if name is None:
        return guest.page("sign_on.html", 403, text=guest.words("sign_on.missing"))
    done = guest.services.store.staff.sign_in.trusted(name, browser_of(guest), guest.now)
    if isinstance(done, Refused):
        return guest.page("sign_on.html", 403, text=guest.words("sign_on.unknown"))
    return with_session(guest.go(following), guest, done.token)


def _password_page(
    guest: Guest,
    following: str,
    status: int = 200,
    wrong: str | None = None,
    name: str = "",
    *,
    ended: bool = False,
) -> Response:
    return guest.page("sign_in.html", status, next=following, wrong=wrong, name=name, ended=ended)


def _check_password(guest: Guest) -> Response:
    form, following = guest.form, own_path(guest.form.get("next"))
    if not is_ours(guest) or guest.services.rules.sign_on_header:
        return error_page(guest, 403, "error.csrf")
    name = form.get("username", "")
    done = guest.services.store.staff.sign_in.password(
        name, form.get("password", ""), browser_of(guest), guest.now
    )
    if isinstance(done, Refused):
        return _password_page(guest, following, _status(done), _why(guest, done), name)
    return with_session(guest.go(f"{CODE}?next={quote(following, safe='/')}"), guest, done.token)


def _code(guest: Guest) -> Response:
    newcomer = _on(guest, Stage.PASSWORD)
    if newcomer is None:
        return _password_page(guest, own_path(guest.query("next")), wrong=guest.words("sign_in.late"))
    return _code_page(guest, newcomer, own_path(guest.query("next")))


def _code_page(guest: Guest, newcomer: Newcomer, following: str, **values: Any) -> Response:
    status = values.pop("status", 200)
    shown = {"wrong": None, "csrf": newcomer.csrf_token, "next": following, "name": newcomer.name, **values}
    return guest.page("sign_in_code.html", status, **shown)


def _check_code(guest: Guest) -> Response:
    newcomer, following = _on(guest, Stage.PASSWORD), own_path(guest.form.get("next"))
    if newcomer is None:
        return _password_page(guest, following, 403, guest.words("sign_in.late"))
    if not is_meant(guest, newcomer.csrf_token):
        return error_page(guest, 403, "error.csrf")
    code = guest.form.get("code", "")
    done = guest.services.store.staff.sign_in.code(newcomer, code, browser_of(guest), guest.now)
    if isinstance(done, Refused):
        return _code_page(guest, newcomer, following, status=_status(done), wrong=_why(guest, done))
    return with_session(guest.go(following), guest, done.token)


def _sign_out(visit: Visit) -> Response:
    visit.note_list("sign_out")
    visit.services.store.staff.sessions.sign_out(visit.person.account_id, visit.person.session_id)
    return without_session(visit.go(SIGN_IN), visit)


def _enrol(guest: Guest) -> Response:
    return guest.page("enrol.html", wrong=None)


def _check_invitation(guest: Guest) -> Response:
    if not is_ours(guest):
        return error_page(guest, 403, "error.csrf")
    staff = guest.services.store.staff
    done = staff.enrolment.begin(guest.form.get("invitation", ""), browser_of(guest), guest.now)
    if isinstance(done, Passed):
        return with_session(guest.go(CHOOSE), guest, done.token)
    wrong = _why(guest, done) if done.wait else guest.words("enrol.unknown")
    return guest.page("enrol.html", _status(done), wrong=wrong)


def _choose(guest: Guest) -> Response:
    newcomer = _on(guest, Stage.ENROLMENT)
    return guest.go(ENROL) if newcomer is None else _choose_page(guest, newcomer)


def _choose_page(guest: Guest, newcomer: Newcomer, status: int = 200, **wrong: str) -> Response:
    secret = guest.services.store.staff.enrolment.secret(newcomer)
    values = {"name": newcomer.name, "csrf": newcomer.csrf_token, "wrong": wrong}
    return guest.page("enrol_account.html", status, **values, **telephone(guest, secret, newcomer.name))


def telephone(guest: Guest, secret: str, name: str) -> dict[str, str]:
    """What a page shows so that a telephone learns a secret: a QR code, and letters to type."""
    import segno

    issuer = urlsplit(guest.services.rules.url).hostname or "console"
    picture = segno.make(address_of(secret, name, issuer), error="m", micro=False)
    letters = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
    return {"qr": picture.svg_data_uri(scale=5, border=4, light="#ffffff"), "secret": letters}


def _finish(guest: Guest) -> Response:
    newcomer = _on(guest, Stage.ENROLMENT)
    if newcomer is None:
        return guest.go(ENROL)
    if not is_meant(guest, newcomer.csrf_token):
        return error_page(guest, 403, "error.csrf")
    form, words = guest.form, guest.words
    if form.get("password") != form.get("again"):
        return _choose_page(guest, newcomer, 422, again=words("password.differs"))
    enrolment = guest.services.store.staff.enrolment
    given = (form.get("password", ""), form.get("code", ""))
    try:
        done = enrolment.finish(newcomer, *given, browser_of(guest), guest.now)
    except WeakPassword as weak:
        return _choose_page(guest, newcomer, 422, password=words(f"password.{weak.code}"))
    if isinstance(done, Refused):
        return _choose_page(guest, newcomer, 422, code=words("factor.wrong"))
    page = guest.page("recovery_codes.html", codes=done.recovery, following="/")
    return with_session(page, guest, done.token)


def _on(guest: Guest, stage: Stage) -> Newcomer | None:
    newcomer = newcomer_of(guest)
    return newcomer if newcomer is not None and newcomer.stage is stage else None


def _status(refused: Refused) -> int:
    return 429 if refused.wait else 403


def _why(guest: Guest, refused: Refused) -> str:
    return wait_in_words(refused.wait, guest.words) if refused.wait else guest.words("sign_in.refused")
