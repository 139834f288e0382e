"""Retraining and models: how the last runs went, which head judges where, and what may change that."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry, error_page
from worker.console.pages.operating import heads
from worker.console.pages.operating.asking import Notice, Question, ask, is_sure, tell
from worker.console.pages.operating.gate import facts_of, gate_of
from worker.console.pages.operating.system import system_strip
from worker.console.roles import Permission
from worker.console.visit import Visit, number_of
from worker.operating.retraining import ask as ask_for_retraining
from worker.store import RunRecord

_PATH: Final = "/training"
MENU: Final = (MenuEntry("nav.training", _PATH, Permission.OPERATE),)
_RUNS: Final = 10


def routes(guard: Guard) -> list[Route]:
    """Of these pages."""
    return [
        guard.page(_PATH, _training, Permission.OPERATE, records="retrain"),
        guard.page("/training/progress", _progress, Permission.OPERATE),
        guard.page("/training/run", _run, Permission.OPERATE, records="retrain"),
        guard.page("/training/start", _start, Permission.OPERATE, method="POST"),
        *heads.routes(guard, _training),
    ]


def _training(visit: Visit, notice: Notice | None = None) -> Response:
    store, operations = visit.services.store, visit.services.operations
    runs = store.training_runs.latest(_RUNS)
    truth, counted_at = store.kept_truth.truth()
    return visit.page(
        "operating/training.html",
        notice=notice,
        system=system_strip(visit),
        truth=truth,
        counted_at=counted_at,
        min_labels=operations.min_labels,
        problem=operations.retrain_problem(),
        runs=runs,
        **_of_run(visit, runs[0] if runs else None),
        **heads.shown(visit),
    )


def _of_run(visit: Visit, run: RunRecord | None) -> dict[str, Any]:
    """The run that is under way, and how far it is."""
    under_way = run if run is not None and not run.state.ended else None
    members = under_way and visit.services.store.training_members.progress(under_way.run_id)
    return {"under_way": under_way, "members": members}


def _progress(visit: Visit) -> Response:
    """A part of the page, asked for again and again while a run is under way. It names nobody."""
    runs = visit.services.store.training_runs.latest(1)
    return visit.page("operating/progress.html", **_of_run(visit, runs[0] if runs else None))


def _run(visit: Visit) -> Response:
    """`retrain --report RUN`."""
    run_id = number_of(visit.query("number"))
    run = None if run_id is None else visit.services.store.training_runs.find(run_id)
    if run is None:
        return error_page(visit, 404)
    return visit.page("operating/run.html", run=run, facts=facts_of(run.report), gate=gate_of(run.report))


def _start(visit: Visit) -> Response:
    """`retrain`, and with ``force`` `retrain --force`."""
    t, store, operations = visit.words, visit.services.store, visit.services.operations
    truth, _ = store.kept_truth.truth()
    if problem := operations.retrain_problem():
        return tell(visit, Notice(t("training.cannot"), "bad", (problem,)), _PATH, _training)
    if not truth.labels:
        return tell(visit, Notice(t("training.nothing"), "bad"), _PATH, _training)
    few = store.labels.new_labels(operations.min_labels) < operations.min_labels
    if not is_sure(visit) or (few and not visit.form.get("force")):
        counts = {"labels": truth.labels, "new": truth.new_labels, "members": truth.members}
        question = Question(
            title=t("training.ask"),
            says=(
                t("training.truth", **{name: f"{n:,}" for name, n in counts.items()}),
                t("training.ask.then"),
                t("training.ask.gate"),
            ),
            yes=t("training.start"),
            warning=t("training.few", n=f"{operations.min_labels:,}") if few else "",
            must_tick=t("training.force") if few else "",
        )
        return ask(visit, question, _PATH)
    visit.note_list("retrain", "console")
    at_least = 0 if visit.form.get("force") else operations.min_labels
    done = ask_for_retraining(store, operations.publisher, visit.person.name, visit.now, at_least=at_least)
    if done.run is None:  # labels were taken back meanwhile
        return _training(visit, Notice(t("training.few", n=f"{operations.min_labels:,}"), "bad"))
    said = t("training.queued" if done.run.new else "training.under_way", n=done.run.run_id)
    if done.unsent:
        return _training(visit, Notice(f"{said} {t('training.unsent')}", "warn", (done.unsent,)))
    return _training(visit, Notice(said))
