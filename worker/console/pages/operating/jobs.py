"""Dead jobs: why each could not be processed, and what `requeue` and `dismiss` do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry
from worker.console.pages.operating.asking import Notice, Question, ask, is_sure, numbers, shortened
from worker.console.pages.operating.system import system_strip
from worker.console.roles import Permission
from worker.console.visit import Visit, number_of
from worker.operating.dead_jobs import dismiss_all, put_back
from worker.operating.sending import Sent
from worker.store import Queued
from worker.store.tables.columns import NOTE_LENGTH

MENU: Final = (MenuEntry("nav.jobs", "/jobs", Permission.OPERATE),)
_PAGE: Final = 50
_AT_ONCE: Final = 500
"""Of one reason, with one answer: a page must come within seconds."""


def routes(guard: Guard) -> list[Route]:
    """Of these pages."""
    return [
        guard.page("/jobs", _jobs, Permission.OPERATE, records="requeue"),
        guard.page("/jobs/requeue", _requeue, Permission.OPERATE, method="POST"),
        guard.page("/jobs/dismiss", _dismiss, Permission.OPERATE, method="POST"),
    ]


def _jobs(visit: Visit, notice: Notice | None = None) -> Response:
    store, closed = visit.services.store, visit.query("closed") == "1"
    counts = store.dead_jobs.count_open()
    reason = visit.query("reason")
    before = number_of(visit.query("before"))
    rows = store.dead_jobs.latest(_PAGE + 1, reason=reason, closed=closed, before=before)
    return visit.page(
        "operating/jobs.html",
        notice=notice,
        system=system_strip(visit),
        counts=counts,
        total=sum(counts.values()),
        reason=reason,
        closed=closed,
        rows=rows[:_PAGE],
        newest=rows[0].id if rows else 0,
        more=_address(reason, closed=closed, before=rows[_PAGE - 1].id) if len(rows) > _PAGE else None,
        first=_address(reason, closed=closed) if before else None,
        at_once=_AT_ONCE,
        says=_says,
    )


def _address(reason: str | None, *, closed: bool, before: int | None = None) -> str:
    given = {"reason": reason, "closed": "1" if closed else None, "before": before}
    return f"/jobs?{urlencode({name: value for name, value in given.items() if value is not None})}"


def _says(visit: Visit, reason: str) -> str:
    """What a reason means. Senders of messages that are no jobs have many."""
    key = f"dead.{reason}"
    return visit.words(key if visit.words.has(key) else "dead.other")


def _requeue(visit: Visit) -> Response:
    """`requeue NUMBER…`."""
    t, chosen = visit.words, _chosen(visit)
    if not is_sure(visit):
        question = Question(
            title=t("jobs.requeue.ask", n=f"{len(chosen):,}"),
            says=(*_which(visit, chosen), t("jobs.requeue.cause"), t("jobs.requeue.then")),
            yes=t("jobs.requeue.do", n=f"{len(chosen):,}"),
            fields=_fields(visit),
        )
        return ask(visit, question, back="/jobs")
    visit.note_list("requeue", "console")

    def note(queued: Queued) -> None:
        visit.note_member(queued.job.member_id, "requeue", queued.queue)

    operations = visit.services.operations
    clock = visit.services.clock
    sent = put_back(visit.services.store, operations.publisher, chosen, (), note=note, now=clock)
    return _jobs(visit, _became(visit, sent))


def _became(visit: Visit, sent: Sent) -> Notice:
    t = visit.words
    said = [t("jobs.requeued", n=f"{sent.accepted:,}")]
    if sent.unsent:
        said.append(t("jobs.unsent", n=f"{sent.unsent:,}"))
    if sent.refused:
        said.append(t("jobs.refused", n=f"{len(sent.refused):,}"))
    kind = "warn" if sent.refused or sent.unsent else "good"
    details = [*([sent.problem] if sent.problem else []), *(f"{n}: {why}" for n, why in sent.refused.items())]
    return Notice(" ".join(said), kind if sent.accepted else "bad", shortened(details))


def _dismiss(visit: Visit) -> Response:
    """`dismiss NUMBER…`."""
    t, chosen, note = visit.words, _chosen(visit), visit.form.get("note", "").strip()
    if not is_sure(visit) or len(note) > NOTE_LENGTH:
        question = Question(
            title=t("jobs.dismiss.ask", n=f"{len(chosen):,}"),
            says=(*_which(visit, chosen), t("jobs.dismiss.then"), t("jobs.dismiss.back")),
            yes=t("jobs.dismiss.do", n=f"{len(chosen):,}"),
            fields=_fields(visit),
            danger=True,
            note_label=t("jobs.dismiss.note"),
            note_length=NOTE_LENGTH,
        )
        return ask(visit, question, back="/jobs")
    visit.note_list("dismiss", "console")
    done, refused = dismiss_all(visit.services.store, chosen, visit.person.name, note, visit.now)
    said = [t("jobs.dismissed", n=f"{done:,}")]
    if refused:
        said.append(t("jobs.refused", n=f"{len(refused):,}"))
    details = shortened(f"dead job {one}: {why}" for one, why in refused.items())
    return _jobs(visit, Notice(" ".join(said), "warn" if refused else "good", details))


def _chosen(visit: Visit) -> Sequence[int]:
    """Those that are named, or of one reason those that were there when the page was shown."""
    reason, newest = visit.form.get("reason"), number_of(visit.form.get("newest"))
    if reason and newest is not None:
        found = visit.services.store.dead_jobs.latest(_AT_ONCE, reason=reason, before=newest + 1)
        return sorted(one.id for one in found)
    return sorted(set(numbers(visit.form.get("number"))))[:_AT_ONCE]


def _which(visit: Visit, chosen: Sequence[int]) -> tuple[str, ...]:
    if reason := visit.form.get("reason"):
        return (visit.words("jobs.of_reason", reason=reason, n=f"{len(chosen):,}", most=f"{_AT_ONCE:,}"),)
    return (visit.words("jobs.numbers", numbers=", ".join(map(str, chosen[:20])) or "–"),)


def _fields(visit: Visit) -> dict[str, str]:
    """What names them, to be posted again."""
    names = ("reason", "newest") if visit.form.get("reason") else ("number",)
    return {name: visit.form.get(name, "") for name in names}
