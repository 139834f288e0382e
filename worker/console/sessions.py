"""Who has signed in: the session's cookie, and the name that a company's own sign-on gives."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from starlette.requests import Request
from starlette.responses import Response

from worker.console.guard import PersonOf
from worker.console.services import ConsoleRules, Services
from worker.console.visit import Guest
from worker.store.staff.account_rows import folded_name
from worker.store.staff.records import Browser, Newcomer, Person
from worker.store.staff.sessions import LONGEST


def cookie_name(rules: ConsoleRules) -> str:
    """Over TLS no other site of the same domain can set it."""
    return "__Host-session" if rules.secure else "session"


def person_of(services: Services) -> PersonOf:
    """Finds the person of a request; the idle time begins anew with each."""
    name, rules = cookie_name(services.rules), services.rules

    def find(request: Request) -> Person | None:
        token = request.cookies.get(name)
        person = services.store.staff.sessions.person_of(token, services.clock()) if token else None
        if person is None or not rules.sign_on_header:
            return person
        signed_on = folded_name(signed_on_as(request, rules) or "")
        return person if signed_on == folded_name(person.name) else None

    return find


def newcomer_of(guest: Guest) -> Newcomer | None:
    """Who has come half way in this browser."""
    token = guest.request.cookies.get(cookie_name(guest.services.rules))
    return guest.services.store.staff.sessions.newcomer_of(token, guest.now) if token else None


def has_ended(guest: Guest) -> bool:
    """Whether the browser still has the cookie of a session that is over."""
    return cookie_name(guest.services.rules) in guest.request.cookies and newcomer_of(guest) is None


def browser_of(guest: Guest) -> Browser:
    """Where the request comes from."""
    return Browser(guest.address, guest.request.headers.get("user-agent"))


def signed_on_as(request: Request, rules: ConsoleRules) -> str | None:
    """The name in the header of the company's sign-on; only the proxy of the settings is believed.

    None where the header is there twice: a proxy that adds its own lets a browser's through.
    """
    if not rules.sign_on_header or not _is_proxy(getattr(request.state, "peer", ""), rules):
        return None
    names = request.headers.getlist(rules.sign_on_header)
    if len(names) != 1:
        return None
    # Browsers and servers read headers as Latin-1; proxies write names in UTF-8.
    return names[0].encode("latin-1").decode("utf-8", errors="replace").strip() or None


def _is_proxy(peer: str, rules: ConsoleRules) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return any(address in ip_network(proxy) for proxy in rules.proxies)


def with_session(response: Response, guest: Guest, token: str) -> Response:
    """The response, which gives the browser its token."""
    rules = guest.services.rules
    response.set_cookie(
        cookie_name(rules),
        token,
        int(LONGEST.total_seconds()),
        secure=rules.secure,
        httponly=True,
        samesite="lax",
    )
    return response


def without_session(response: Response, guest: Guest) -> Response:
    """The response, which takes the token from the browser."""
    rules = guest.services.rules
    response.delete_cookie(cookie_name(rules), secure=rules.secure, httponly=True, samesite="lax")
    return response
