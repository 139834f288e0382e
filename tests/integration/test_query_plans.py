"""No query that is asked often reads a whole table: each statement of the bench's work is explained.

On a filled MariaDB, whose statistics are those of a service of a year, in small.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from bench.filling import fill
from bench.work import Scene
from support.databases import fresh_database
from worker.client.results import Results
from worker.clock import utc_now
from worker.migrations import migrate
from worker.store import CaseFilter, CaseList, CaseState, Store, build_engine, month_before
from worker.store.tables.states import Cause

MEMBERS: Final = 6000
MANY: Final = 1_000_000
SEOUL: Final = ZoneInfo("Asia/Seoul")
LARGE: Final = 20
"""Rows of a table that may be read whole: heads, endpoints, retrainings. Others have more."""
_EXPLAINED: Final = ("SELECT", "UPDATE", "DELETE", "(SELECT")


@dataclass(frozen=True)
class Step:
    """How a statement reads a table, as EXPLAIN has it."""

    statement: str
    table: str
    type: str
    key: str | None
    rows: int
    extra: str


@pytest.fixture(scope="module")
def filled(mariadb_url: str) -> Iterator[Scene]:
    with fresh_database(mariadb_url) as url:
        engine = build_engine(url)
        migrate(engine)
        with engine.connect() as c:
            if "MariaDB" not in c.execute(sa.select(sa.func.version())).scalar_one():
                pytest.skip("the rows are made of MariaDB's sequence tables")
        fill(url, MEMBERS, utc_now())
        scene = Scene(Store(engine, tombstone_key=b"k", listening=True), MEMBERS)
        _say_that_there_are_many(scene.store)
        scene.look_back()
        scene.leave_unfinished()
        scene.make_due()
        yield scene
        engine.dispose()


def _say_that_there_are_many(store: Store) -> None:
    """As the sweep would count them in a large service; it has just done so."""
    store.tally.renew(utc_now())
    store.kept_truth.renew(utc_now())
    store.access_watch.look(utc_now())
    while store.kept_months.renew(utc_now(), SEOUL):
        pass
    t = store.database.t.tally
    with store.database.engine.begin() as c:
        for name, counts in c.execute(sa.select(t.c.name, t.c.counts)).all():
            if "requests" in counts:
                counts["requests"]["done"] = MANY
            more = {"size": MANY} if "size" in counts else {}
            c.execute(sa.update(t).where(t.c.name == name).values(counts=counts | more))


def steps(engine: sa.Engine, work: Callable[[], Any]) -> list[Step]:
    """How each statement that the work executes reads its tables."""
    found: list[Step] = []

    def explain(_c: Any, cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement.lstrip().startswith(_EXPLAINED):
            found.extend(explained(cursor, statement, parameters[0] if many else parameters))

    sa.event.listen(engine, "before_cursor_execute", explain)
    try:
        work()
    finally:
        sa.event.remove(engine, "before_cursor_execute", explain)
    return found


def explained(cursor: Any, statement: str, parameters: Any) -> list[Step]:
    cursor.execute(f"EXPLAIN {statement}", parameters)
    names = [column[0] for column in cursor.description]
    return [_step(statement, dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


class ExplainingConnection:
    """The app's connection, which explains each query in place of answering it."""

    def __init__(self, connection: Any, found: list[Step]) -> None:
        self.driver_connection = connection.driver_connection
        self.close, self._connection, self._found = connection.close, connection, found

    def cursor(self) -> ExplainingConnection:
        return self

    def execute(self, statement: str, parameters: Any) -> None:
        with closing(self._connection.cursor()) as cursor:
            self._found += explained(cursor, statement, parameters)

    def fetchall(self) -> list[Any]:
        return []


def _step(statement: str, row: Mapping[str, Any]) -> Step:
    return Step(
        statement=re.sub(r"\s+", " ", statement),
        table=row["table"] or "",
        type=row["type"] or "",
        key=row["key"],
        rows=int(str(row["rows"] or 0).split()[0]),
        extra=row["Extra"] or "",
    )


def quietly(_name: str, call: Callable[[], Any]) -> Any:
    return call()


def pages_of_operators(scene: Scene) -> None:
    """What their pages read."""
    store, now = scene.store, utc_now()
    store.reports.waiting(now)
    store.reviews.reports.pace(now)
    for reason in store.dead_jobs.count_open():
        store.dead_jobs.latest(50, reason=reason)
    store.dead_jobs.latest(50, closed=True, before=10)
    store.reviews.objections.waiting(now)
    store.hosts.in_use(now)
    assert store.kept_truth.truth()[1]  # kept
    store.labels.new_labels(10)
    assert store.kept_months.figures(month_before(now, SEOUL)).counted_at


FILTERS: Final = (
    *(CaseFilter(state=state) for state in CaseState),
    *(CaseFilter(cause=cause) for cause in Cause),
    CaseFilter(opened_before=utc_now() - timedelta(days=7)),
)


def _some(scene: Scene, only: CaseFilter) -> CaseList:
    return scene.store.reviews.queue.page(utc_now(), only=only)


WORK: Final[Mapping[str, Callable[[Scene], Any]]] = {
    "status": Scene.status,
    "review list": Scene.review_list,
    "review list of some": lambda scene: [_some(scene, only) for only in FILTERS],
    "review ahead": lambda scene: scene.store.reviews.queue.peek("kim", utc_now()),
    "review undo bar": lambda scene: scene.store.reviews.undoing.last_of("kim", utc_now()),
    "review": lambda scene: scene.review(quietly),
    "verify": lambda scene: scene.verify(quietly),
    "show": Scene.show,
    "pages of operators": pages_of_operators,
    "sweep": Scene.sweep,
    "forget": lambda scene: scene.forget(quietly),
}


@pytest.mark.parametrize("name", WORK)
def test_no_statement_reads_a_whole_table(filled: Scene, name: str) -> None:
    read = steps(filled.store.database.engine, lambda: WORK[name](filled))
    assert read
    whole = [step for step in read if step.type in {"ALL", "index"} and step.rows > LARGE]
    assert not whole, "\n".join(map(str, whole))


def test_the_app_reads_what_has_changed_by_an_index(filled: Scene) -> None:
    read: list[Step] = []
    results = Results(
        lambda: ExplainingConnection(filled.store.database.engine.raw_connection(), read), paramstyle="format"
    )
    assert list(results.changes(utc_now() - timedelta(days=30))) == []
    assert [(step.type, step.key) for step in read] == [("range", "ix_result_changed_at_request_id")]
