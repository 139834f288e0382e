"""Which head judges: `models list`, `promote`, `rollback`, `shadow` and `report`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from pipeline.errors import ModelError
from worker.console.guard import Guard, error_page
from worker.console.pages.operating.asking import Notice, Question, ask, is_sure, tell
from worker.console.roles import Permission
from worker.console.visit import Visit
from worker.errors import NotPossible
from worker.store import Replaced
from worker.store.tables.states import ModelState

Page = Callable[[Visit, Notice | None], Response]
_BACK: Final = "/training"


def routes(guard: Guard, page: Page) -> list[Route]:
    """Of these pages; ``page`` shows what came of a change."""
    changes = {"promote": _promote, "rollback": _rollback, "shadow": _shadow}
    return [
        guard.page("/training/report", _report, Permission.OPERATE, records="models"),
        *(
            guard.page(f"/training/{name}", partial(change, page=page), Permission.OPERATE, method="POST")
            for name, change in changes.items()
        ),
    ]


def shown(visit: Visit) -> dict[str, Any]:
    """For the page about models."""
    store = visit.services.store
    records = store.models.latest()
    champion = next((one for one in records if one.state is ModelState.CHAMPION), None)
    return {
        "models": records,
        "champion": champion,
        "shipped": visit.services.operations.heads.shipped,
        "back_to": store.models.previous_champion() if champion else None,
        "hosts": store.hosts.in_use(visit.now),
    }


def _report(visit: Visit) -> Response:
    """`models report VERSION`."""
    version = visit.query("version") or ""
    found = visit.services.store.shadows.report(version)
    if not found.verdicts:
        return error_page(visit, 404)
    return visit.page("operating/shadow.html", report=found)


def _promote(visit: Visit, page: Page) -> Response:
    """`models promote VERSION`; what must be forced there must be ticked here."""
    version, t, models = visit.form.get("version", ""), visit.words, visit.services.store.models
    state = models.state_of(version)
    if state is None:
        return error_page(visit, 404)
    problem, rejected = _problem(visit, version), state is ModelState.REJECTED
    force = bool(visit.form.get("force"))
    if not is_sure(visit) or ((problem or rejected) and not force):
        before = models.champion()
        warned = t("models.was_rejected") if rejected else t("models.unusable") if problem else ""
        question = Question(
            title=t("models.promote.ask", version=version),
            says=_says(visit, before, version),
            yes=t("models.promote"),
            fields={"version": version, "before": before or ""},
            warning=warned,
            detail=problem or "",
            must_tick=t("models.force") if warned else "",
        )
        return ask(visit, question, _BACK)
    over = visit.form.get("before") or None
    return _changed(
        visit, "promote", page, lambda: models.promote(version, visit.now, force=force, over=over)
    )


def _rollback(visit: Visit, page: Page) -> Response:
    """`models rollback`."""
    t, models = visit.words, visit.services.store.models
    champion, back_to = models.champion(), models.previous_champion()
    problem, force = _problem(visit, back_to), bool(visit.form.get("force"))
    if not is_sure(visit) or (problem and not force):
        question = Question(
            title=t("models.rollback.ask"),
            says=_says(visit, champion, back_to),
            yes=t("models.rollback"),
            fields={"to": back_to or ""},
            danger=True,
            warning=t("models.unusable") if problem else "",
            detail=problem or "",
            must_tick=t("models.force") if problem else "",
        )
        return ask(visit, question, _BACK)
    return _changed(visit, "rollback", page, lambda: models.rollback(to=visit.form.get("to") or None))


def _shadow(visit: Visit, page: Page) -> Response:
    """`models shadow VERSION` and, with ``off``, `--off`."""
    version, t, off = visit.form.get("version", ""), visit.words, bool(visit.form.get("off"))
    problem = None if off else _problem(visit, version)
    if problem:
        return tell(visit, Notice(t("models.unusable"), "bad", (problem,)), _BACK, page)
    if not is_sure(visit):
        question = Question(
            title=t("models.shadow_off.ask" if off else "models.shadow.ask", version=version),
            says=(t("models.shadow_off.then" if off else "models.shadow.then"),),
            yes=t("models.shadow_off" if off else "models.shadow"),
            fields={"version": version, **({"off": "1"} if off else {})},
        )
        return ask(visit, question, _BACK)
    visit.note_list("models", "shadow off" if off else "shadow")
    try:
        visit.services.store.models.set_shadow(version, on=not off)
    except NotPossible as error:
        return page(visit, Notice(t("ops.refused"), "bad", (str(error),)))
    return page(visit, Notice(t("models.shadow_off.done" if off else "models.shadow.done", version=version)))


def _changed(visit: Visit, way: str, page: Page, change: Callable[[], Replaced]) -> Response:
    """Change the champion, on record."""
    visit.note_list("models", way)
    try:
        done = change()
    except NotPossible as error:
        return page(visit, Notice(visit.words("ops.refused"), "bad", (str(error),)))
    return page(visit, Notice(_changes(visit, done.before, done.champion)))


def _says(visit: Visit, before: str | None, champion: str | None) -> tuple[str, ...]:
    """What a change of the champion means."""
    t = visit.words
    unchecked = () if visit.services.operations.heads.shipped else (t("models.unchecked"),)
    changes = _changes(visit, before, champion)
    return (changes, t("models.promote.then"), t("models.promote.stands"), *unchecked)


def _changes(visit: Visit, before: str | None, champion: str | None) -> str:
    shipped = visit.words("models.shipped")
    return visit.words("models.changes", before=before or shipped, champion=champion or shipped)


def _problem(visit: Visit, version: str | None) -> str | None:
    """Why a worker of this host could not judge with it; of a host without models, what is wrong with it."""
    heads = visit.services.operations.heads
    try:
        (heads.check if heads.shipped else heads.check_itself)(version)
    except ModelError as error:
        return str(error)
    return None
