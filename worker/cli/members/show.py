"""`python -m worker show MEMBER`."""

from __future__ import annotations

from typing import Any, Final

import click
from rich.table import Table
from rich.text import Text

from pipeline.terminal import console, new_table
from pipeline.verdict import Status
from worker import runtime
from worker.cli.members.pages import history_table, in_words, number, objections_table, photos_table
from worker.cli.output import STYLES, plain, print_json
from worker.cli.records import note_access
from worker.operating.member_file import MemberFile, member_file, without_query
from worker.results.texts import Language
from worker.store import AccessRecord, MemberRecord, RequestRecord

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
    file = member_file(store, member_id)
    if file is None:
        raise click.ClickException(f"no member {member_id}")
    if looks:
        _print_looks(store.accesses.of_member(member_id), open_case=file.open_case)
    elif ko or en:
        click.echo(file.text(Language.KO if ko else Language.EN))
    elif as_json:
        found = _blind_json(file) if file.open_case else _as_json(file)
        print_json(found | {"consents": file.consents})
    elif file.open_case:
        _print_blind(file)
    else:
        _print(file)


def _as_json(file: MemberFile) -> dict[str, Any]:
    member: dict[str, Any] = plain(file.member)
    member |= _addresses_and_texts(file)
    return {"member": member, "requests": plain(file.requests), "objections": plain(file.objections)}


def _addresses_and_texts(file: MemberFile) -> dict[str, Any]:
    return {
        "selfie_url": without_query(file.member.selfie_url),
        "photo_urls": [without_query(url) for url in file.member.photo_urls],
        "texts": {language: file.text(language) for language in Language},
    }


def _blind_json(file: MemberFile) -> dict[str, Any]:
    """Without anything that could influence whoever decides, or tell an audited approval from a review."""
    about = {name: plain(getattr(file.member, name)) for name in _BLIND}
    about["status"] = Status.REVIEW  # whatever stands until then
    about |= _addresses_and_texts(file)
    sent = [{name: plain(getattr(one, name)) for name in _BLIND_REQUEST} for one in file.requests]
    return {"member": about, "requests": sent, "open_case": True}


def _print_blind(file: MemberFile) -> None:
    out, member = console(), file.member
    table = new_table("member", f"{member.member_id}{' (sandbox)' if member.sandbox else ''}")
    table.add_row("verdict", "a person is to decide: nothing more is shown before")
    table.add_row("training consent", "yes" if member.training_consent else "no")
    table.add_row("newest request", member.request_id or "-")
    for position, url in enumerate([member.selfie_url, *member.photo_urls]):
        table.add_row(f"photo {position}" if position else "selfie", without_query(url))
    out.print(table)
    _print_texts(file)


def _print_texts(file: MemberFile) -> None:
    for language in Language:
        console().print(Text.assemble((language, "bold"), "  ", file.text(language)))


def _gender(member: MemberRecord) -> str:
    guess = f"{member.gender or '-'} ({number(member.gender_probability)})"
    return f"{guess}, declared {member.declared_gender or '-'}"


def _print(file: MemberFile) -> None:
    out, requests = console(), file.requests
    out.print(_facts(file.member, file.standing, file.newest))
    if requests and requests[0].selfie:
        out.print(photos_table(requests[0], _urls(file.member, requests[0])))
    if requests:
        out.print(history_table(requests))
    if file.objections:
        out.print(objections_table(file.objections))
    _print_texts(file)


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
