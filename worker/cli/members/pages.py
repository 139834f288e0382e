"""Tables about requests and their photos, for several commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from pipeline.terminal import new_table
from pipeline.verdict import PhotoFinding, Reason
from worker.cli.output import STYLES
from worker.operating.member_file import without_query
from worker.results.texts import fetch_text, operator_text
from worker.store import Objection, RequestRecord
from worker.store.tables.states import State

_SWAPPED: Final = "another picture than the verdict before saw at this address"


def in_words(reason: Reason | None) -> str:
    """The reason with what it means."""
    return f"{reason}: {operator_text(reason)}" if reason else "-"


def photos_table(
    request: RequestRecord, urls: Sequence[str | None] = (), title: str = "Latest request"
) -> Table:
    """What was found in each photo; ``urls`` by position, as far as they are known."""
    table = new_table("photo", "outcome", "shown as", "faces", "similarity", "remark", "address", title=title)
    for finding in request.findings:
        name = "selfie" if finding.position == 0 else str(finding.position)
        similarity = finding.comparison.similarity if finding.comparison else None
        url = without_query(urls[finding.position]) if finding.position < len(urls) else "-"
        remark = _SWAPPED if finding.position in request.swapped else _remark(finding)
        remark = _used_by(request, finding.position) or remark
        row = (
            name,
            finding.outcome,
            request.verdict_of(finding) or "-",
            str(finding.faces),
            number(similarity),
            remark,
            url,
        )
        table.add_row(*row)
    return table


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


def history_table(requests: Sequence[RequestRecord]) -> Table:
    """One row for each request, in as few columns as a terminal of 80 can show."""
    table = new_table("requested (UTC)", "request", "result", title="Requests")
    for one in requests:
        total = sum(one.timings.values())
        tries = f"{one.why}, {one.attempts} attempt{'' if one.attempts == 1 else 's'}"
        table.add_row(
            f"{one.requested_at:%Y-%m-%d %H:%M:%S}\n{tries}" + (f", {total:.0f} ms" if total else ""),
            one.request_id,
            _result(one),
        )
    return table


def _result(request: RequestRecord) -> Text:
    """What became of it; the number is the machine's."""
    text = Text(request.status or request.state, STYLES[request.status])
    if request.status and request.state is not State.DONE:
        text.append(f" ({request.state})", "")
    if request.similarity is not None:
        text.append(f", similarity {number(request.similarity)}", "default")
    return text.append(f"\n{request.reason or request.problem or '-'}", "default")


def objections_table(objections: Sequence[Objection]) -> Table:
    """When each came, and what the answer was."""
    table = new_table("objected", "how", "answer by", "answer", "answered by", "answered", title="Objections")
    for one in objections:
        how = one.way if one.recorded_by is None else f"{one.way} ({one.recorded_by})"
        answered = "-" if one.answered_at is None else f"{one.answered_at:%Y-%m-%d %H:%M}"
        answer = (Text(one.answer or "none yet", STYLES[one.answer]), one.answered_by or "-", answered)
        table.add_row(f"{one.received_at:%Y-%m-%d %H:%M}", how, f"{one.due_at:%Y-%m-%d}", *answer)
    return table


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    return "-" if value is None else f"{value:.3f}"
