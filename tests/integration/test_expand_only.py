"""Each revision only adds, so that workers of the version before go on: what they read is there, what they
write is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from worker.migrations.migrate import _config
from worker.store import build_engine

FIRST: Final = "0010"
"""From here on the rule holds for every revision."""

Columns = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture
def engine(mariadb_database_url: str) -> Iterator[sa.Engine]:
    engine = build_engine(mariadb_database_url)
    yield engine
    engine.dispose()


def columns(engine: sa.Engine) -> Columns:
    """What is known of each column, by table and name."""
    inspector = sa.inspect(engine)
    return {
        (table, column["name"]): {**column, "type": str(column["type"])}
        for table in inspector.get_table_names()
        for column in inspector.get_columns(table)
    }


def taken_away(before: Columns, after: Columns) -> list[str]:
    """What a program that knows only the tables of before could not do any more."""
    tables = {table for table, _ in before}
    gone = [f"{'.'.join(key)} is gone" for key in before.keys() - after.keys()]
    stricter = [
        f"{'.'.join(key)} takes less"
        for key in before.keys() & after.keys()
        if (before[key]["nullable"] and not after[key]["nullable"])
        or before[key]["type"] != after[key]["type"]
    ]
    demanded = [
        f"{'.'.join(key)} must be given"
        for key in after.keys() - before.keys()
        if key[0] in tables
        and not (after[key]["nullable"] or after[key]["default"] or after[key].get("computed"))
    ]
    return sorted(gone + stricter + demanded)


def test_a_revision_takes_nothing_away_from_workers_of_the_version_before(engine: sa.Engine) -> None:
    found: dict[str, list[str]] = {}
    with engine.connect() as c:
        scripts = ScriptDirectory.from_config(_config(c, ""))
        revisions = sorted(script.revision for script in scripts.walk_revisions())
        for revision in revisions[revisions.index(FIRST) :]:
            before = columns(engine)
            command.upgrade(_config(c, ""), revision)
            c.commit()
            if before and revision != FIRST:
                found[revision] = taken_away(before, columns(engine))
    assert len(found) >= 4
    assert {revision: lines for revision, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ("DROP COLUMN note", "tried.note is gone"),
        ("MODIFY note VARCHAR(10) NOT NULL", "tried.note takes less"),
        ("MODIFY note VARCHAR(5)", "tried.note takes less"),
        ("ADD more INT NOT NULL", "tried.more must be given"),
        ("ADD more INT, ADD most INT NOT NULL DEFAULT 1", None),
    ],
)
def test_what_takes_something_away_is_seen(engine: sa.Engine, changed: str, line: str | None) -> None:
    with engine.begin() as c:
        c.exec_driver_sql("CREATE TABLE tried (id INT PRIMARY KEY, note VARCHAR(10))")
    before = columns(engine)
    with engine.begin() as c:
        c.exec_driver_sql(f"ALTER TABLE tried {changed}")
    assert taken_away(before, columns(engine)) == ([line] if line else [])
