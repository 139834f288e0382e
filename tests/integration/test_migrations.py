"""The migrations build what `worker.store.tables.schema` describes, and nothing of anybody else."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic import command

from support.databases import fresh_database
from worker.errors import SchemaConflict, StoreUnavailable
from worker.migrations import current_revision, migrate
from worker.migrations.migrate import _config, version_table
from worker.store import Store, build_engine
from worker.store.tables.schema import tables
from worker.store.tables.views import view_selects


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = build_engine(database_url)
    yield engine
    engine.dispose()


OLDER = (
    """INSERT INTO member (member_id, selfie_url, pending, request_id)
       VALUES ('m1', 'https://h/s.jpg', 0, 'r1'), ('m2', 'https://h/s.jpg', 1, NULL)""",
    "INSERT INTO photo (member_id, position, url) VALUES ('m1', 1, 'https://h/1.jpg')",
    """INSERT INTO access_log (member_id, looked_by, way, looked_at)
       VALUES ('m1', 'kim', 'show', '2026-01-01 00:00:00')""",
)
HANGING = ("member", "photo", "access_log")


def migrate_to(revision: str, engine: sa.Engine, prefix: str = "") -> None:
    """An installation of an older version."""
    with engine.connect() as connection:
        command.upgrade(_config(connection, prefix), revision)
        connection.commit()


def definitions(engine: sa.Engine) -> dict[str, list[str]]:
    """The SQL of every table and index, as the database itself writes it down.

    By lines and sorted: the order of the indexes and constraints in it is by chance. Without quotes:
    SQLite puts them about the name of a table that was altered.
    """
    with engine.connect() as c:
        if engine.dialect.name == "sqlite":
            sqls = c.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
        else:
            names = sa.inspect(engine).get_table_names()
            sqls = [c.exec_driver_sql(f"SHOW CREATE TABLE `{name}`").one() for name in names]
        # A column that was added to a table of SQLite's stands behind another one.
        lines = {name: re.split(r"\n|, (?=\w+ [A-Z])", sql.replace('"', "")) for name, sql in sqls}
        return {name: sorted(line.strip(" ,\t") for line in there) for name, there in lines.items()}


def views(engine: sa.Engine) -> dict[str, str]:
    """The SQL of every view, as the database itself writes it down."""
    inspector = sa.inspect(engine)
    return {name: inspector.get_view_definition(name) for name in inspector.get_view_names()}


@pytest.mark.parametrize("prefix", ["", "verify_"])
def test_migrations_build_exactly_the_tables_of_the_schema(engine: sa.Engine, prefix: str) -> None:
    migrate(engine, prefix)
    migrated = definitions(engine)
    tables(prefix).metadata.drop_all(engine)
    tables(prefix).metadata.create_all(engine)
    described = definitions(engine)
    migrated.pop(version_table(prefix))
    described.pop(version_table(prefix))
    assert len(described) >= 8
    assert migrated == described


@pytest.mark.parametrize("prefix", ["", "verify_"])
def test_migrations_build_exactly_the_views(engine: sa.Engine, prefix: str) -> None:
    migrate(engine, prefix)
    migrated = views(engine)
    for name in migrated:
        run(engine, f"DROP VIEW {name}")
    tables(prefix).metadata.create_all(engine)
    assert views(engine) == migrated
    assert set(migrated) == (set(view_selects(prefix)) if engine.dialect.name == "mysql" else set())


def test_whoever_waited_for_a_person_has_a_case_after_the_update(engine: sa.Engine) -> None:
    migrate_to("0011", engine)
    columns = "member_id, verification_status, verified_at, request_id, requested_at, requested_state"
    with engine.begin() as c:
        for number, (status, at) in enumerate((("review", 2), ("approved", 3), ("review", 1))):
            values = f"'m{number}', '{status}', '2026-11-0{at}', 'r{number}', '2026-11-01', 'done'"
            c.execute(sa.text(f"INSERT INTO member ({columns}) VALUES ({values})"))
    migrate(engine)
    page = Store(engine).reviews.queue.page(datetime(2026, 11, 3, 12, tzinfo=UTC))
    assert ([one.member_id for one in page.cases], page.overdue) == (["m2", "m0"], 2)
    assert page.cases[0].opened_at == datetime(2026, 11, 1, tzinfo=UTC)
    with engine.connect() as c:
        cases = c.execute(sa.text("SELECT request_id, cause, priority FROM review_case ORDER BY id")).all()
    assert cases == [("r2", "verdict", 1), ("r0", "verdict", 1)]


def test_migrating_again_changes_nothing(engine: sa.Engine) -> None:
    assert current_revision(engine) is None
    revision = migrate(engine)
    before = definitions(engine)
    assert migrate(engine) == revision == current_revision(engine)
    assert definitions(engine) == before


def test_two_processes_that_migrate_at_once_both_succeed(database_url: str) -> None:
    engines = [build_engine(database_url) for _ in range(3)]
    revisions: list[str] = []
    threads = [threading.Thread(target=lambda e=e: revisions.append(migrate(e))) for e in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(revisions) == 3
    assert len(set(revisions)) == 1
    for engine in engines:
        engine.dispose()


def test_an_update_keeps_every_row_and_verifies_nobody_again(engine: sa.Engine) -> None:
    migrate_to("0004", engine)
    with engine.begin() as c:
        for sql in OLDER:
            c.execute(sa.text(sql))
    migrate(engine)
    with engine.connect() as c:
        member, photo, log = (c.scalar(sa.text(f"SELECT count(*) FROM {t}")) for t in HANGING)
        assert (member, photo, log) == (2, 1, 1)
        needing = c.scalars(sa.text("SELECT member_id FROM member WHERE needs_request")).all()
        assert (needing, c.scalar(sa.text("SELECT sum(changed) FROM photo"))) == (["m2"], 0)
        if engine.dialect.name == "sqlite":
            assert c.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_first_migration_that_broke_off_goes_on(engine: sa.Engine) -> None:
    migrate(engine)
    whole = definitions(engine)
    with engine.begin() as c:
        c.execute(sa.text("DROP TABLE tombstone"))
        c.execute(sa.text("DROP TABLE dead_job"))
        c.execute(sa.text("DELETE FROM verify_schema_version"))
    migrate(engine)
    assert definitions(engine) == whole


def test_tables_of_other_people_with_our_names_are_refused_and_left_alone(engine: sa.Engine) -> None:
    with engine.begin() as c:
        c.execute(sa.text("CREATE TABLE member (id INTEGER PRIMARY KEY, name VARCHAR(20))"))
        c.execute(sa.text("INSERT INTO member VALUES (1, 'Kim')"))
    before = definitions(engine)
    with pytest.raises(SchemaConflict, match=r"member.*VERIFY_TABLE_PREFIX"):
        migrate(engine)
    assert definitions(engine) == before
    migrate(engine, "verify_")
    assert definitions(engine)["member"] == before["member"]


def test_the_store_says_how_to_make_the_tables_that_are_missing(engine: sa.Engine) -> None:
    with pytest.raises(StoreUnavailable, match="init-db"):
        Store(engine).members.find("m1")


def test_words_outside_of_an_enum_are_refused_by_the_database(engine: sa.Engine) -> None:
    migrate(engine)
    insert = sa.text("INSERT INTO member (member_id, verification_status) VALUES (:id, :status)")
    with engine.begin() as c:
        c.execute(insert, {"id": "m1", "status": "approved"})
    with engine.begin() as c, pytest.raises((sa.exc.IntegrityError, sa.exc.OperationalError)):
        c.execute(insert, {"id": "m2", "status": "APPROVED"})


# One database, both modes


def run(engine: sa.Engine, sql: str) -> None:
    with engine.begin() as c:
        c.exec_driver_sql(sql)


def share_one_version_table(engine: sa.Engine) -> None:
    """As versions did that gave mapped mode's default prefix and no prefix the same one."""
    run(engine, "ALTER TABLE verify_schema_revision RENAME TO verify_schema_version")


def stands(engine: sa.Engine, prefix: str) -> bool:
    """Whether the tables of this prefix are there, at the newest revision, and can be worked with."""
    revision = migrate(engine, prefix)
    assert Store(engine, tables(prefix)).members.find("m1") is None
    return current_revision(engine, prefix) == revision


@pytest.mark.parametrize(("first", "second"), [("", "verify_"), ("verify_", "")])
def test_tables_of_both_modes_may_stand_in_one_database(engine: sa.Engine, first: str, second: str) -> None:
    migrate(engine, first)
    before = definitions(engine)
    migrate(engine, second)
    assert before.items() <= definitions(engine).items()
    assert stands(engine, first)
    assert stands(engine, second)


@pytest.mark.parametrize("order", [("verify_", ""), ("", "verify_")])
def test_an_installation_in_mapped_mode_goes_on_after_the_update(
    engine: sa.Engine, order: tuple[str, str]
) -> None:
    migrate_to("0004", engine, "verify_")
    run(engine, "INSERT INTO verify_member (member_id) VALUES ('m7')")
    share_one_version_table(engine)
    for prefix in order:
        migrate(engine, prefix)
    assert stands(engine, "verify_")
    assert stands(engine, "")
    assert Store(engine, tables("verify_")).members.find("m7")


def test_a_default_installation_goes_on_after_the_update(engine: sa.Engine) -> None:
    migrate_to("0004", engine)
    run(engine, "INSERT INTO member (member_id) VALUES ('m7')")
    migrate(engine, "verify_")
    assert current_revision(engine) == "0004"
    migrate(engine)
    assert stands(engine, "verify_")
    assert Store(engine).members.find("m7")


def test_two_sets_of_tables_that_shared_a_version_table_keep_their_revision(engine: sa.Engine) -> None:
    migrate(engine)
    run(engine, "DROP TABLE verify_schema_version")
    migrate(engine, "verify_")
    share_one_version_table(engine)
    assert stands(engine, "verify_")
    assert stands(engine, "")


def test_a_first_migration_of_mapped_mode_that_broke_off_before_the_update_goes_on(
    engine: sa.Engine,
) -> None:
    migrate(engine, "verify_")
    whole = definitions(engine)
    run(engine, "DROP TABLE verify_tombstone")
    run(engine, "DELETE FROM verify_schema_revision")
    share_one_version_table(engine)
    migrate(engine, "verify_")
    whole.pop("verify_schema_revision")
    assert whole.items() <= definitions(engine).items()
    assert stands(engine, "verify_")


def test_tables_that_are_gone_are_named_in_place_of_up_to_date(engine: sa.Engine) -> None:
    migrate(engine)
    run(engine, "DROP TABLE tombstone")
    with pytest.raises(SchemaConflict, match=r"no tombstone: restore .*drop that table and run this again"):
        migrate(engine)


def test_tables_of_a_newer_version_are_left_alone(engine: sa.Engine) -> None:
    migrate(engine)
    run(engine, "UPDATE verify_schema_version SET version_num = '9999'")
    with pytest.raises(SchemaConflict, match="at revision 9999, which a newer version"):
        migrate(engine)


def test_a_migration_takes_as_long_as_it_needs_whatever_other_statements_may(mariadb_url: str) -> None:
    with fresh_database(mariadb_url) as url:
        hasty = build_engine(url, statement_seconds=1)
        lock = sa.func.get_lock(f"migrate:{hasty.url.database}", 0)
        with build_engine(url).connect() as other:
            assert other.scalar(sa.select(lock)) == 1  # the first statement of a migration waits for it
            ending = threading.Timer(2.5, other.invalidate)
            ending.start()
            migrate(hasty)
            ending.join()
        assert current_revision(hasty) is not None
        hasty.dispose()
