"""`python -m worker show MEMBER`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click
from rich.table import Table
from rich.text import Text

from pipeline.terminal import console, new_table
from pipeline.verdict import PhotoFinding, Reason, Status
from worker import runtime
from worker.cli.members.pages import history_table, in_words, number, objections_table, photos_table
from worker.cli.output import STYLES, plain, print_json, without_query
from worker.cli.records import note_access
from worker.results.reviewer_reasons import new_photo_text
from worker.results.texts import Language, member_text
from worker.store import AccessRecord, MemberRecord, Objection, RequestRecord, Store

_BLIND: Final = ("member_id", "request_id", "training_consent", "sandbox")
_BLIND_REQUEST: Final = ("request_id", "why", "state", "requested_at")


@click.command()
@click.argument("member_id", metavar="MEMBER")
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
@click.option("--ko", is_flag=True, help="Only what the member reads, in Korean.")
@click.option("--en", is_flag=True, help="Only what the member reads, in English.")
@click.option("--looks", is_flag=True, help="Only who looked at the member, and when.")
def show(member_id: str, as_json: bool, ko: bool, en: bool, looks: bool) -> None:
    """Show a member: the standing verdict, the latest requests, what was found in each photo.

    That you looked goes on record. While a person is to decide, only the photos' addresses and what the
    member reads are shown: `review next` has all that a reviewer may see.
    """
    if as_json + ko + en + looks > 1:
        raise click.UsageError("--json, --ko, --en and --looks exclude each other")
    store = runtime.store()
    way = "json" if as_json else "text" if ko or en else "looks" if looks else "show"
    # Before anything is shown: where it cannot be written down, nothing is.
    note_access([member_id], "show", way)
    member = store.members.find(member_id)
    if member is None:
        raise click.ClickException(f"no member {member_id}")
    requests = _with_standing(store, member, store.requests.of_member(member_id))
    open_case = _is_open(store, member)
    # An open one is not shown: see `review next`.
    objections = () if open_case else store.reviews.objections.of_member(member_id)
    if looks:
        _print_looks(store.accesses.of_member(member_id), open_case=open_case)
    elif ko or en:
        click.echo(_text(member, requests, Language.KO if ko else Language.EN))
    elif as_json:
        found = _blind_json(member, requests) if open_case else _as_json(member, requests, objections)
        print_json(found | {"consents": store.consents.of_member(member_id)})
    elif open_case:
        _print_blind(member, requests)
    else:
        _print(member, requests, objections)


def _is_open(store: Store, member: MemberRecord) -> bool:
    """Whether a person must still decide. In the photos of the sandbox there is nobody to be told apart."""
    waits = member.status is Status.REVIEW or store.reviews.queue.is_open(member.member_id)
    return waits and not member.sandbox


def _with_standing(store: Store, member: MemberRecord, requests: list[RequestRecord]) -> list[RequestRecord]:
    """The latest requests, and the one that the standing verdict is from if it is older than those."""
    wanted = member.verified_request_id
    if wanted is None or wanted in [one.request_id for one in requests]:
        return requests
    older = store.requests.find(wanted)
    return requests if older is None else [*requests, older]


def _as_json(
    member: MemberRecord, requests: list[RequestRecord], objections: Sequence[Objection]
) -> dict[str, Any]:
    found: dict[str, Any] = plain(member)
    shown = plain(requests)
    found["selfie_url"] = without_query(member.selfie_url)
    found["photo_urls"] = [without_query(url) for url in member.photo_urls]
    found["texts"] = {language: _text(member, requests, language) for language in Language}
    return {"member": found, "requests": shown, "objections": plain(objections)}


def _text(member: MemberRecord, requests: list[RequestRecord], language: Language) -> str:
    """What the member reads of the standing verdict."""
    if member.status is None or member.reason is None:
        return ("아직 확인 전입니다.", "Not verified yet.")[language is Language.EN]
    standing = _standing(member, requests)
    if member.reason is Reason.RETRY_PHOTO_BY_PERSON and standing and standing.photo is not None:
        return new_photo_text(standing.code, standing.photo, language)
    return member_text(member.status, member.reason, language, _named(standing))


def _blind_json(member: MemberRecord, requests: list[RequestRecord]) -> dict[str, Any]:
    """Without anything that could influence whoever decides, or tell an audited approval from a review."""
    about = {name: plain(getattr(member, name)) for name in _BLIND}
    about["status"] = Status.REVIEW  # whatever stands until then
    about["selfie_url"] = without_query(member.selfie_url)
    about["photo_urls"] = [without_query(url) for url in member.photo_urls]
    about["texts"] = {language: _text(member, requests, language) for language in Language}
    sent = [{name: plain(getattr(one, name)) for name in _BLIND_REQUEST} for one in requests]
    return {"member": about, "requests": sent, "open_case": True}


def _print_blind(member: MemberRecord, requests: list[RequestRecord]) -> None:
    out = console()
    table = new_table("member", f"{member.member_id}{' (sandbox)' if member.sandbox else ''}")
    table.add_row("verdict", "a person is to decide: nothing more is shown before")
    table.add_row("training consent", "yes" if member.training_consent else "no")
    table.add_row("newest request", member.request_id or "-")
    for position, url in enumerate([member.selfie_url, *member.photo_urls]):
        table.add_row(f"photo {position}" if position else "selfie", without_query(url))
    out.print(table)
    for language in Language:
        out.print(Text.assemble((language, "bold"), "  ", _text(member, requests, language)))


def _gender(member: MemberRecord) -> str:
    guess = f"{member.gender or '-'} ({number(member.gender_probability)})"
    return f"{guess}, declared {member.declared_gender or '-'}"


def _standing(member: MemberRecord, requests: list[RequestRecord]) -> RequestRecord | None:
    """The request that the member's verdict is from: a later one may have ended without any."""
    if member.verified_request_id is not None:
        return next((one for one in requests if one.request_id == member.verified_request_id), None)
    verdict = (member.status, member.reason)  # of a time when nobody wrote the request down
    return next((one for one in requests if (one.status, one.reason) == verdict), None)


def _named(request: RequestRecord | None) -> PhotoFinding | None:
    """The photo that the reason speaks of."""
    if request is None:
        return None
    return next((finding for finding in request.findings if finding.position == request.photo), None)


def _print(member: MemberRecord, requests: list[RequestRecord], objections: Sequence[Objection]) -> None:
    out = console()
    newest = next((one for one in requests if one.request_id == member.request_id), None)
    out.print(_facts(member, _standing(member, requests), newest))
    if requests and requests[0].selfie:
        out.print(photos_table(requests[0], _urls(member, requests[0])))
    if requests:
        out.print(history_table(requests))
    if objections:
        out.print(objections_table(objections))
    for language in Language:
        out.print(Text.assemble((language, "bold"), "  ", _text(member, requests, language)))


def _urls(member: MemberRecord, request: RequestRecord) -> list[str | None]:
    """The photos' addresses, of the newest request only."""
    return [member.selfie_url, *member.photo_urls] if request.request_id == member.request_id else []


def _facts(member: MemberRecord, standing: RequestRecord | None, newest: RequestRecord | None) -> Table:
    facts: dict[str, str | Text] = {
        "verdict": Text(member.status or "none yet", STYLES[member.status]),
        "reason": in_words(member.reason),
        **(_decided(standing) if standing else {}),
        "same person": {True: "yes", False: "no", None: "-"}[member.same_person],
        "similarity": number(member.similarity),
        "gender": _gender(member),
        "training consent": "yes" if member.training_consent else "no",
        **({"manual": "people look in place of the machine"} if member.manual else {}),
        **({} if member.verification_consent else {"verification consent": "withdrawn"}),
        "verified": f"{member.verified_at:%Y-%m-%d %H:%M:%S} UTC, model {member.model_version or '-'}"
        if member.verified_at
        else "-",
        "verdict of": standing.request_id if standing else "-",
        **(_newest(newest) if newest and newest != standing else {}),
    }
    table = new_table("member", f"{member.member_id}{' (sandbox)' if member.sandbox else ''}")
    for name, value in facts.items():
        table.add_row(name, value)
    return table


def _newest(request: RequestRecord) -> dict[str, str]:
    """What became of the newest request, where the verdict is of an earlier one."""
    said = f", {request.status}, {request.reason}" if request.status else ""
    return {"newest request": f"{request.request_id}: {request.state}{said}"}


def _decided(request: RequestRecord) -> dict[str, str]:
    """Who decided, and beside it what the machine had said, whose numbers follow."""
    latest = next((one for one in reversed(request.decisions) if not one.undone), None)
    if latest is None:
        return {}
    return {
        "decided by": f"{latest.decided_by}, {latest.decided_at:%Y-%m-%d %H:%M:%S} UTC",
        "the machine said": f"{request.machine_status}, {in_words(request.machine_reason)}",
    }


def _print_looks(looks: list[AccessRecord], *, open_case: bool) -> None:
    """While a case is open not how: it would tell whoever has the case what somebody else has decided."""
    table = new_table("when (UTC)", "who", "what", "how", "login", "host", "from")
    for look in looks:
        when = f"{look.looked_at:%Y-%m-%d %H:%M:%S}"
        place = (look.login or "-", look.host or "-", look.client or "-")
        how = "-" if open_case and look.action == "review" else look.way
        table.add_row(when, look.looked_by, look.action, how, *place)
    console().print(table)
