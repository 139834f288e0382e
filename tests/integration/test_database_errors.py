"""Each trouble with a database says which it is and what to do, on one line, without password or values."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import certifi
import pymysql
import pytest
import sqlalchemy as sa
from click.testing import Result
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from support.accounts import PASSWORD, account
from support.databases import fresh_database
from support.jobs import NOW, a_job
from support.servers import MariaDb
from worker.errors import StoreUnavailable
from worker.migrations import migrate
from worker.store import Store, build_engine
from worker.store.failures import translate

Cli = Callable[..., Result]

INIT_DB = "`python -m worker init-db`"


@pytest.fixture
def says(cli: Cli) -> Callable[..., str]:
    """The one line that a command ends with on a database."""

    def line(url: str, *command: str) -> str:
        result = cli(*(command or ("status",)), DATABASE_URL=url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
        assert PASSWORD not in result.stderr
        return result.stderr

    return line


@pytest.fixture
def made(mariadb_database_url: str) -> str:
    """A MariaDB database with our tables."""
    engine = build_engine(mariadb_database_url)
    migrate(engine)
    engine.dispose()
    return mariadb_database_url


@pytest.fixture
def on_our_server(mariadb_server: MariaDb) -> Iterator[str]:
    """The same on a server of the tests' own, whose variables they may change."""
    with fresh_database(mariadb_server.url) as url:
        engine = build_engine(url)
        migrate(engine)
        engine.dispose()
        yield url


def at(url: str, **parts: str | int) -> str:
    return sa.make_url(url).set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]


@contextmanager
def setting(server: MariaDb, name: str, value: int) -> Iterator[None]:
    """A server's variable while the test runs; the connection stays open, for none might be made later."""
    root = pymysql.connect(host="127.0.0.1", port=server.port, user="root")
    with root, root.cursor() as cursor:
        cursor.execute(f"SELECT @@GLOBAL.{name}")
        (before,) = cursor.fetchone() or (None,)
        cursor.execute(f"SET GLOBAL {name} = {value}")
        try:
            yield
        finally:
            cursor.execute(f"SET GLOBAL {name} = {before}")


# The way there


def test_a_wrong_password_and_an_unknown_account(says: Callable[..., str], made: str) -> None:
    with account(made, "ALL ON *") as url:
        assert "refuses account and password of VERIFY_DATABASE_URL" in says(at(url, password="guessed"))
        assert "refuses account and password of VERIFY_DATABASE_URL" in says(at(url, username="nobody"))


def test_a_closed_port_and_an_unknown_host(says: Callable[..., str]) -> None:
    assert "nothing listens at the host and port" in says(f"mysql://app:{PASSWORD}@127.0.0.1:1/verify")
    assert "the host's name" in says(f"mysql://app:{PASSWORD}@no-such-host.invalid/verify")


def test_a_missing_database(says: Callable[..., str], mariadb_url: str, made: str) -> None:
    assert "there is no database of the name" in says(at(mariadb_url, database="there_is_none"))
    with account(made, "ALL ON *") as url:  # whom the server does not tell what there is
        assert "is missing, or the account has no right on it" in says(at(url, database="there_is_none"))


def test_a_locked_account(says: Callable[..., str], made: str) -> None:
    with account(made, "ALL ON *", options="ACCOUNT LOCK") as url:
        assert "the account is locked: ALTER USER" in says(url)


def test_an_account_that_must_use_tls(says: Callable[..., str], made: str) -> None:
    with account(made, "ALL ON *", options="REQUIRE SSL") as url:
        assert "over TLS only" in says(url)


def test_a_server_that_demands_tls(says: Callable[..., str], mariadb_server: MariaDb) -> None:
    """MariaDB has no number of its own for it; MySQL has."""
    with setting(mariadb_server, "require_secure_transport", 1):
        assert "over TLS only (add ?ssl_ca=" in says(at(mariadb_server.url, database="x"))
    mysql = OperationalError("", None, pymysql.err.OperationalError(3159, "Connections using …"))
    assert "the server demands TLS: add ?ssl_ca=" in str(translate(mysql))


def test_tls_that_the_server_does_not_have_and_a_file_that_is_not_there(
    says: Callable[..., str], made: str
) -> None:
    joined = f"{made}&ssl_ca="
    assert "the certificates of VERIFY_DATABASE_URL cannot be used" in says(f"{joined}/no/such.crt")
    assert "asks for TLS, and the server has none" in says(f"{joined}{certifi.where()}")


def test_too_many_connections(says: Callable[..., str], mariadb_server: MariaDb, on_our_server: str) -> None:
    with account(on_our_server, "ALL ON *", options="WITH MAX_USER_CONNECTIONS 1") as url:
        taken = build_engine(url)
        with taken.connect():
            assert "too many connections: raise max_connections" in says(url)
        taken.dispose()
    with (
        account(on_our_server, "ALL ON *") as url,
        setting(mariadb_server, "max_connections", 10),
        ExitStack() as all_of,
    ):
        parts = sa.make_url(url)
        while True:  # until there is no room
            try:
                taken_up = pymysql.connect(
                    host="127.0.0.1", port=parts.port or 0, user=parts.username, password=PASSWORD
                )
            except pymysql.err.OperationalError:
                break
            all_of.enter_context(taken_up)
        assert "too many connections: raise max_connections" in says(url)


# Rights


def test_a_right_that_is_missing_is_named_with_its_table(says: Callable[..., str], made: str) -> None:
    with account(made, "SELECT ON member") as url:
        assert "the account may not do that (SELECT on model_version): worker/grants.sql" in says(url)
    with account(made, "SELECT, UPDATE, DELETE, LOCK TABLES ON *") as url:
        store = Store(build_engine(url))
        with pytest.raises(StoreUnavailable, match=r"\(INSERT on member\): worker/grants.sql"):
            store.requests.accept(a_job(), "verify", NOW)
        store.close()


@pytest.mark.parametrize("right", ["SELECT ON member", "SELECT, INSERT, UPDATE, DELETE ON member"])
def test_init_db_by_a_workers_account_does_not_blame_the_prefix(
    says: Callable[..., str], made: str, right: str
) -> None:
    with account(made, right) as url:
        line = says(url, "init-db")
    assert "`init-db` needs the one that owns them (SELECT on verify_schema_version)" in line
    assert "PREFIX" not in line


def test_init_db_without_the_right_to_make_tables(
    says: Callable[..., str], mariadb_database_url: str
) -> None:
    with account(mariadb_database_url, "SELECT, INSERT, UPDATE, DELETE ON *") as url:
        assert "may not make or change tables" in says(url, "init-db")


# A server that has changed its role


@pytest.fixture
def read_only(mariadb_server: MariaDb) -> Iterator[Callable[[], object]]:
    """Makes the server read-only, as a primary that was demoted is."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(setting(mariadb_server, "read_only", 1))


def test_init_db_on_a_read_only_server(
    says: Callable[..., str], mariadb_server: MariaDb, read_only: Callable[[], object]
) -> None:
    with fresh_database(mariadb_server.url) as empty, account(empty, "ALL ON *") as url:
        read_only()
        assert "is read-only, a replica or a demoted primary" in says(url, "init-db")


def test_a_demoted_primary_is_left_for_whoever_answers_at_its_address_now(
    on_our_server: str, read_only: Callable[[], object]
) -> None:
    """Its connections live on and answer, so that only an error tells."""
    with account(on_our_server, "ALL ON *") as url:
        store = Store(build_engine(url))

        def connection() -> object:
            with store.database.engine.connect() as c:
                return c.scalar(sa.text("SELECT CONNECTION_ID()"))

        first = connection()
        assert connection() == first
        read_only()
        with pytest.raises(StoreUnavailable, match="read-only"):
            store.requests.accept(a_job(), "verify", NOW)
        assert connection() != first
        store.close()


# Tables


@pytest.mark.parametrize("column", ["training_consent", "selfie_url"])
def test_tables_that_are_older_than_the_program(
    says: Callable[..., str], engine: sa.Engine, column: str
) -> None:
    with engine.begin() as c:
        c.exec_driver_sql(f"ALTER TABLE member RENAME COLUMN {column} TO no_longer")
    try:
        line = says(engine.url.render_as_string(hide_password=False), "enqueue", "--pending")
    finally:
        with engine.begin() as c:
            c.exec_driver_sql(f"ALTER TABLE member RENAME COLUMN no_longer TO {column}")
    assert f"{column}: the tables are older than this program: run {INIT_DB}" in line


# SQLite


def test_a_folder_that_cannot_be_made(says: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = says(f"sqlite:///{tmp_path}/file/verify.db")
    assert "verify.db cannot be made (" in line
    assert "is its folder there, and may this account write it?" in line


def test_a_folder_in_place_of_a_file(says: Callable[..., str], tmp_path: Path) -> None:
    assert "the file of VERIFY_DATABASE_URL cannot be opened" in says(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database(says: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, whatever its name\n" * 40)
    assert "is no SQLite database" in says(f"sqlite:///{tmp_path}/notes.txt")


@contextmanager
def nobody() -> Iterator[None]:
    """Root may write everything; anybody else is as they are."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_written(migrated_sqlite: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "verify.db"
        file.write_bytes(migrated_sqlite.read_bytes())
        file.chmod(0o444)
        Path(made).chmod(0o555)
        with nobody(), pytest.raises(StoreUnavailable, match="may not write the file, or its folder"):
            Store(build_engine(f"sqlite:///{file}")).requests.accept(a_job(), "verify", NOW)
        Path(made).chmod(0o755)


def test_a_full_disk(migrated_sqlite: Path, tmp_path: Path) -> None:
    file = tmp_path / "verify.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    engine = build_engine(f"sqlite:///{file}")
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA max_page_count = 1"))
    store = Store(engine)

    def fill() -> None:
        for number in range(500):
            store.requests.accept(a_job(f"r{number}", f"m{number}"), "verify", NOW)

    with pytest.raises(StoreUnavailable, match="its disk is full: make room"):
        fill()


def test_what_is_kept_of_members_is_nobody_elses_to_read(tmp_path: Path) -> None:
    file = tmp_path / "var" / "verify.db"
    engine = build_engine(f"sqlite:///{file}")
    migrate(engine)
    with engine.begin() as c:
        c.exec_driver_sql("SELECT 1 FROM member")
        modes = {each.name: each.stat().st_mode & 0o777 for each in [file.parent, *file.parent.iterdir()]}
    assert modes.pop("var") == 0o700
    assert set(modes.values()) == {0o600}
    assert "verify.db-wal" in modes
    engine.dispose()
