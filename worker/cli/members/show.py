"""`python -m worker show MEMBER`."""

from __future__ import annotations

from typing import Any, Final

import click
from rich.table import Table
from rich.text import Text

from pipeline.terminal import console, new_table
from pipeline.verdict import PhotoFinding, Reason, Status
from worker import runtime
from worker.cli.output import STYLES, plain, print_json, without_query
from worker.cli.records import note_access
from worker.results.texts import Language, fetch_text, member_text, operator_text
from worker.store import AccessRecord, MemberRecord, RequestRecord, Store


@click.command()
@click.argument("member_id", metavar="MEMBER")
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
@click.option("--ko", is_flag=True, help="Only what the member reads, in Korean.")
@click.option("--en", is_flag=True, help="Only what the member reads, in English.")
@click.option("--looks", is_flag=True, help="Only who looked at the member, and when.")
def show(member_id: str, as_json: bool, ko: bool, en: bool, looks: bool) -> None:
    """Show a member: the standing verdict, the latest requests, what was found in each photo.

    That you looked goes on record. What the machine makes of the gender is shown when a person who
    was to decide has decided.
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
    if as_json:
        print_json(_as_json(member, requests) | {"consents": store.consents.of_member(member_id)})
    elif ko or en:
        click.echo(_text(member, requests, Language.KO if ko else Language.EN))
    elif looks:
        _print_looks(store.accesses.of_member(member_id))
    else:
        _print(member, requests)


def _with_standing(store: Store, member: MemberRecord, requests: list[RequestRecord]) -> list[RequestRecord]:
    """The latest requests, and the one that the standing verdict is from if it is older than those."""
    wanted = member.verified_request_id
    if wanted is None or wanted in [one.request_id for one in requests]:
        return requests
    older = store.requests.find(wanted)
    return requests if older is None else [*requests, older]


def _as_json(member: MemberRecord, requests: list[RequestRecord]) -> dict[str, Any]:
    found: dict[str, Any] = plain(member)
    shown = plain(requests)
    if _undecided(member):
        for one in (found, *shown):
            one["gender"] = one["gender_probability"] = None
    found["selfie_url"] = without_query(member.selfie_url)
    found["photo_urls"] = [without_query(url) for url in member.photo_urls]
    found["texts"] = {language: _text(member, requests, language) for language in Language}
    return {"member": found, "requests": shown}


def _text(member: MemberRecord, requests: list[RequestRecord], language: Language) -> str:
    """What the member reads of the standing verdict."""
    if member.status is None or member.reason is None:
        return ("아직 확인 전입니다.", "Not verified yet.")[language is Language.EN]
    return member_text(member.status, member.reason, language, _named(_standing(member, requests)))


def _undecided(member: MemberRecord) -> bool:
    """Whether a person must still decide: a guess at the gender could influence them."""
    return member.status is Status.REVIEW


def _gender(member: MemberRecord) -> str:
    guess = f"{member.gender or '-'} ({_number(member.gender_probability)})"
    return f"{'not shown before the decision' if _undecided(member) else guess}, declared " + (
        member.declared_gender or "-"
    )


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


def _print(member: MemberRecord, requests: list[RequestRecord]) -> None:
    out = console()
    newest = next((one for one in requests if one.request_id == member.request_id), None)
    out.print(_facts(member, _standing(member, requests), newest))
    if requests and requests[0].selfie:
        out.print(_photos(member, requests[0]))
    if requests:
        out.print(_history(requests))
    for language in Language:
        out.print(Text.assemble((language, "bold"), "  ", _text(member, requests, language)))


def _facts(member: MemberRecord, standing: RequestRecord | None, newest: RequestRecord | None) -> Table:
    facts: dict[str, str | Text] = {
        "verdict": Text(member.status or "none yet", STYLES[member.status]),
        "reason": _in_words(member.reason),
        **(_decided(standing) if standing else {}),
        "same person": {True: "yes", False: "no", None: "-"}[member.same_person],
        "similarity": _number(member.similarity),
        "gender": _gender(member),
        "training consent": "yes" if member.training_consent else "no",
        **({} if member.verification_consent else {"verification consent": "withdrawn"}),
        "verified": f"{member.verified_at:%Y-%m-%d %H:%M:%S} UTC, model {member.model_version}"
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
    if not request.decisions:
        return {}
    latest = request.decisions[-1]
    return {
        "decided by": f"{latest.decided_by}, {latest.decided_at:%Y-%m-%d %H:%M:%S} UTC",
        "the machine said": f"{request.machine_status}, {_in_words(request.machine_reason)}",
    }


def _in_words(reason: Reason | None) -> str:
    return f"{reason}: {operator_text(reason)}" if reason else "-"


def _photos(member: MemberRecord, request: RequestRecord) -> Table:
    table = new_table(
        "photo", "outcome", "shown as", "faces", "similarity", "remark", "address", title="Latest request"
    )
    urls = [member.selfie_url, *member.photo_urls]
    for finding in request.findings:
        name = "selfie" if finding.position == 0 else str(finding.position)
        similarity = finding.comparison.similarity if finding.comparison else None
        known = request.request_id == member.request_id and finding.position < len(urls)
        url = without_query(urls[finding.position]) if known else "-"
        remark = _SWAPPED if finding.position in request.swapped else _remark(finding)
        remark = _used_by(request, finding.position) or remark
        row = (
            name,
            finding.outcome,
            finding.verdict or "-",
            str(finding.faces),
            _number(similarity),
            remark,
            url,
        )
        table.add_row(*row)
    return table


_SWAPPED: Final = "another picture than the verdict before saw at this address"


def _used_by(request: RequestRecord, position: int) -> str:
    """Which members had used the photo before; empty if none had."""
    used = [
        f"{one.of_member_id} (request {one.of_request_id}, {one.of_since:%Y-%m-%d}, "
        f"{'the same file' if one.same_file else 'a near copy'})"
        for one in request.reuses
        if one.position == position
    ]
    return f"used before by {', '.join(used)}" if used else ""


def _remark(finding: PhotoFinding) -> str:
    """Why it could not be judged, with the number against its limit."""
    if finding.fetch_problem:
        return f"{finding.fetch_problem}: {fetch_text(finding.fetch_problem)}"
    if finding.gate:
        return f"{finding.gate.name} {finding.gate.value:.2f}, limit {finding.gate.limit:.2f}"
    return "the same picture as the selfie" if finding.replay else finding.detail


def _history(requests: list[RequestRecord]) -> Table:
    table = new_table(
        *("request", "why", "state", "verdict", "reason", "similarity", "attempts", "requested", "ms"),
        title="Requests",
    )
    for one in requests:
        total = sum(one.timings.values())
        table.add_row(
            one.request_id,
            one.why,
            one.state,
            Text(one.status or "-", STYLES[one.status]),
            one.reason or one.problem or "-",
            _number(one.similarity),
            str(one.attempts),
            f"{one.requested_at:%Y-%m-%d %H:%M:%S}",
            f"{total:.0f}" if total else "-",
        )
    return table


def _print_looks(looks: list[AccessRecord]) -> None:
    table = new_table("when (UTC)", "who", "what", "how", "login", "host", "from")
    for look in looks:
        when = f"{look.looked_at:%Y-%m-%d %H:%M:%S}"
        place = (look.login or "-", look.host or "-", look.client or "-")
        table.add_row(when, look.looked_by, look.action, look.way, *place)
    console().print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
