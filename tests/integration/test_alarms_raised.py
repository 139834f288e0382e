"""A real Prometheus with our rules and the dashboard's queries, over the real endpoint of metrics.

`support.monitored` counts as a worker does; database and broker are real. Alarms are raised by what is true
there, within seconds: the rules wait for none, and their minutes are seconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.verdict import Reason, Status
from support import dashboard
from support.bundle import ROOT
from support.heads import a_bundle
from support.jobs import KIM, LEASE, MOST, a_job, a_verdict
from support.prometheus import ALERTS, RULES, Prometheus, hurried
from support.servers import Redis, free_port
from support.workers import Worker, wait_until
from worker.clock import utc_now
from worker.jobs.queues import VERIFY
from worker.metrics.families import ALL
from worker.serving.registry import publish
from worker.store import Attempt, DeadJob, NewMember, NewObjection, Store, build_engine
from worker.store.access.month import MANY
from worker.store.outbox.records import Tried
from worker.store.tables.states import RunState

PATIENCE_SECONDS = 120
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
QUERIES = {
    f"{panel['title']}: {target['legendFormat']}": target["expr"].replace("$__rate_interval", "5s")
    for panel in json.loads(dashboard.DASHBOARD.read_text())["panels"]
    for target in panel.get("targets", ())
}


@dataclass
class Monitored:
    """What Prometheus watches, and what it has said."""

    store: Store
    broker: Redis
    worker: Worker
    mode: Path
    prometheus: Prometheus
    folder: Path
    said: dict[str, str] = field(default_factory=dict)
    """The summaries of the alarms that were raised, by their names."""
    quiet: dict[str, str] = field(default_factory=dict)
    """The same before anything was wrong."""
    empty: set[str] = field(default_factory=set)
    """Queries of the dashboard without a series."""

    def until_raised(self, *names: str) -> None:
        """Until Prometheus has raised all these alarms; those that it does not fail their own test."""

        def raised() -> bool:
            self.said |= self.prometheus.firing()
            return self.said.keys() >= set(names)

        with suppress(AssertionError):
            wait_until(raised, PATIENCE_SECONDS, every=0.2)

    def judge(self, request_id: str, member_id: str, age: timedelta = MINUTE, **verdict: Any) -> None:
        """A request of that age, which has its verdict."""
        at = utc_now() - age
        self.store.requests.accept(a_job(request_id, member_id, at), VERIFY, at)
        attempt = self.store.requests.acquire(request_id, "w", LEASE, MOST, at)
        assert isinstance(attempt, Attempt)
        assert self.store.requests.finish(attempt, a_verdict(**verdict), at)

    def training(self, state: RunState) -> None:
        """The latest retraining stands there, two days after somebody has asked for it."""
        run, then = self.store.database.t.training_run, utc_now() - 2 * DAY
        values = {"state": state, "finished_at": None if state is RunState.QUEUED else then}
        self.store.database.write(lambda c: c.execute(sa.update(run).values(created_at=then, **values)))


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """A system in which one thing after the other has gone wrong."""
    folder = tmp_path_factory.mktemp("monitored")
    with ExitStack() as stack:
        address = f"127.0.0.1:{free_port()}"
        rules = hurried(ALERTS.read_text()).replace("0.75e9", "1e6")
        prometheus = Prometheus(folder / "prometheus", [address], rules)
        found = started(folder, address, prometheus, stack)
        found.quiet = found.prometheus.firing()
        for go_wrong in (much, more, servers, the_worker):
            go_wrong(found)
        yield found


def started(folder: Path, address: str, prometheus: Prometheus, stack: ExitStack) -> Monitored:
    """All of it, once a quiet minute has been read."""
    broker, mode, url = Redis(folder / "redis"), folder / "mode", f"sqlite:///{folder / 'verify.db'}"
    for server in (broker, prometheus):
        stack.callback(server.kill)
        server.start()
    store = Store(build_engine(url), tombstone_key=b"key", listening=True)
    stack.callback(store.close)
    store.database.t.metadata.create_all(store.database.engine)
    mode.write_text("")
    settings = {
        "VERIFY_HOME": str(folder / "var"),
        "VERIFY_DATABASE_URL": url,
        "VERIFY_BROKER_URL": broker.url,
        "VERIFY_METRICS_ADDRESS": address,
    }
    worker = stack.enter_context(Worker(settings, folder / "worker", [str(mode)], "support.monitored"))
    wait_until(lambda: prometheus.query("avg_over_time(verify:reason_share:1h[10s] offset 5s)"))
    wait_until(lambda: set(prometheus.firing()) <= {"VerifyPurgeMissing", "VerifyWorkerMemory"})
    return Monitored(store, broker, worker, mode, prometheus, folder)


def much(its: Monitored) -> None:
    """Almost all that goes wrong in the database, and what a worker counts."""
    now, store = utc_now(), its.store
    ago = now - 10 * MINUTE
    its.judge("case", "m-case", 3 * DAY, status=Status.REVIEW, reason=Reason.DIFFERENT_PERSON)
    store.requests.accept(a_job("waits", "m-waits", ago), VERIFY, ago)
    store.requests.accept(a_job("lapsed", "m-lapsed", ago), VERIFY, ago)
    assert isinstance(store.requests.acquire("lapsed", "w", LEASE, MOST, ago), Attempt)
    store.dead_jobs.add(DeadJob("no_task", "no job", b"no job", VERIFY), now)
    store.members.import_list([NewMember("m-new", None, "https://h/s.jpg", ())], now)
    for number in range(5):
        its.judge(f"e{number}", f"m-e{number}", status=Status.ERROR, reason=Reason.SELFIE_NOT_FETCHED)
    its.judge("good", "m-stands", 3 * MINUTE)
    its.judge("failed", "m-stands", status=Status.ERROR, reason=Reason.SELFIE_NOT_FETCHED)
    its.judge("refused", "m-objects", 29 * DAY, status=Status.RETRY_PHOTO, reason=Reason.NO_USABLE_PHOTO)
    then = now - 28 * DAY
    store.reviews.objections.record(NewObjection("m-objects", then, "o1"), then)
    seen = [NewMember(f"m-seen{number}", None, "https://h/s.jpg", ()) for number in range(MANY + 1)]
    store.members.import_list(seen, now)
    store.accesses.note([one.member_id for one in seen], KIM, now)
    # One of these records is removed: as many as are unusual are left.
    store.database.write(lambda c: c.execute(sa.delete(store.database.t.access_log).where(sa.text("id = 7"))))
    assert store.access_watch.look(now)
    assert not store.access_watch.check_chain(now).holds
    version = publish(store.models, a_bundle(its.folder / "head", "head"), now)
    store.models.promote(version, now)
    store.models.note_problem(version, "host-1", "damaged", now)
    store.training_runs.ask("kim", now)
    its.training(RunState.FAILED)
    its.mode.write_text("wrong")
    its.until_raised(
        *("VerifySignupsWait", "VerifyOldestWaiting", "VerifyLapsed", "VerifyDeadJobs", "VerifyPending"),
        *("VerifyErrors", "VerifyFailedSinceVerdict", "VerifyReviewsOverdue", "VerifyObjections"),
        *("VerifyUnusualAccess", "VerifyAccessLogBroken"),
        *("VerifyHeadRefused", "VerifyTrainingFailed", "VerifyEventsWait", "VerifyReasonJumps"),
        *("VerifyPhotoHost", "VerifyErrorLines", "VerifyRedisRefuses", "VerifyRedisSettings"),
        *("VerifyResolver", "VerifyAppTable", "VerifyPhotosSwapped", "VerifyPurgeMissing"),
        *("VerifyWorkerMemory",),
    )


def more(its: Monitored) -> None:
    """What cannot be at the same time: another end of the retraining, a receiver that is down."""
    its.training(RunState.REJECTED)
    now, delivery = utc_now(), its.store.database.t.event_delivery
    assert its.store.deliveries.dispatch(["app"], now)
    lease = its.store.deliveries.acquire("app", "w", LEASE, now)
    assert lease
    first, *others = its.store.deliveries.due("app", now, 6)
    held = its.store.deliveries.record(lease, [Tried(one.id, "status 500") for one in others], LEASE, now)
    assert held
    its.store.deliveries.release(held)
    parked = sa.update(delivery).where(delivery.c.id == first.id).values(parked_at=now, due_at=None)
    its.store.database.write(lambda c: c.execute(parked))
    its.until_raised("VerifyTrainingRejected", "VerifyReceiverDown", "VerifyEventsParked")
    its.empty = {name for name, query in QUERIES.items() if not its.prometheus.query(query)}


def servers(its: Monitored) -> None:
    """The worker hangs, no sweep comes, nobody takes up the retraining; then broker and database go."""
    its.training(RunState.QUEUED)
    its.mode.write_text("hangs")
    its.until_raised("VerifyTrainingWaits", "VerifyWorkerHangs", "VerifySweepMissing")
    its.mode.write_text("not ready")
    its.prometheus.every(5)  # what is away is waited for
    its.broker.kill()
    its.store.database.t.metadata.drop_all(its.store.database.engine)
    its.until_raised("VerifyWorkerNotReady", "VerifyBrokerDown", "VerifyDatabaseDown")


def the_worker(its: Monitored) -> None:
    """It is killed, and its endpoint ends with it."""
    for name in (missing := ("VerifyWorkerDown", "VerifyStateMissing")):
        its.said.pop(name, None)  # an answer that was late
    its.worker.process.kill()
    its.until_raised(*missing)


@pytest.mark.parametrize("name", RULES)
def test_an_alarm_is_raised_by_what_is_true(name: str, monitored: Monitored) -> None:
    assert name in monitored.said


def test_before_that_nothing_is_raised_but_what_is_true_there(monitored: Monitored) -> None:
    assert set(monitored.quiet) <= {"VerifyPurgeMissing", "VerifyWorkerMemory"}


def test_a_summary_has_the_figure(monitored: Monitored) -> None:
    assert monitored.said["VerifyDeadJobs"] == "Dead jobs that nobody has put back or dismissed, 1 of them."
    assert re.fullmatch(r"Sign-ups wait, the oldest for \d+m \d+s\.", monitored.said["VerifySignupsWait"])
    assert "app is down" in monitored.said["VerifyReceiverDown"]


def test_every_query_of_the_dashboard_finds_something(monitored: Monitored) -> None:
    assert len(QUERIES) > 40
    assert monitored.empty == set()


def test_the_dashboard_is_what_make_docs_writes() -> None:
    assert dashboard.DASHBOARD.read_text() == dashboard.dashboard()


def test_every_metric_and_every_row_of_the_dashboard_exists() -> None:
    text, exported = dashboard.dashboard(), {family.name for family in ALL}
    named = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"\bverify_\w+", text)}
    assert len(named) > 20
    assert named <= exported
    rows = set(re.findall(r"\$\{runbook\}#([\w-]+)", text))
    anchors = set(re.findall(r'<a id="([\w-]+)">', (ROOT / "docs" / "operations.md").read_text()))
    assert rows <= anchors | {"alarms"}


def test_no_panel_lies_over_another_and_each_has_a_place_in_24_columns() -> None:
    panels = json.loads(dashboard.dashboard())["panels"]
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert max(x for x, _ in taken) == 23
    assert len({panel["id"] for panel in panels}) == len(panels)
