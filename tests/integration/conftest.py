"""The store on a migrated, empty database of each kind, and the commands on both."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from support.databases import fresh_database
from support.downloading import LIMITS, Fetcher
from support.training import TrainingScene, labelled_member
from worker import runtime
from worker.cli import main
from worker.downloads.addresses import system_resolver
from worker.downloads.fetcher import FetchLimits, PhotoFetcher
from worker.migrations import migrate
from worker.store import Store, build_engine
from worker.store.tables.schema import tables

KEY = b"test key"
Cli = Callable[..., Result]


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb_url: str) -> Iterator[sa.Engine]:
    """A MariaDB database with our tables; the tests that share it empty it."""
    with fresh_database(mariadb_url) as url:
        engine = build_engine(url)
        migrate(engine)
        yield engine
        engine.dispose()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with our tables; tests work on copies."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = build_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def shared_sqlite(migrated_sqlite: Path) -> Iterator[sa.Engine]:
    """An engine on a file of which each test gets a new copy. As one engine it knows the SQL of the tests
    before: a new one would spend a fifth of each test on writing out its statements again."""
    engine = build_engine(f"sqlite:///{migrated_sqlite.parent / 'verify.db'}")
    yield engine
    engine.dispose()


def _anew(engine: sa.Engine, template: Path) -> None:
    """Put a copy of the template in place of the file that the test before has left."""
    engine.dispose()
    file = Path(str(engine.url.database))
    for left in file.parent.glob(f"{file.name}*"):
        left.unlink()
    shutil.copy(template, file)


@pytest.fixture(params=["sqlite", "mariadb"])
def engine(request: pytest.FixtureRequest) -> sa.Engine:
    """An engine on empty tables; every test that asks for it runs on both kinds."""
    engine: sa.Engine
    if request.param == "sqlite":
        engine = request.getfixturevalue("shared_sqlite")
        _anew(engine, request.getfixturevalue("migrated_sqlite"))
        return engine
    engine = request.getfixturevalue("migrated_mariadb")
    with engine.begin() as connection:
        for table in reversed(tables().metadata.sorted_tables):
            connection.execute(sa.delete(table))
    return engine


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    """The store in own-table mode."""
    return Store(engine, tombstone_key=KEY)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """Runs a command on an embedded set-up of this test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VERIFY_HOME", str(tmp_path / "var"))

    def run(*arguments: object, **settings: str) -> Result:
        for name, value in settings.items():
            monkeypatch.setenv(f"VERIFY_{name}", value)
        runtime.reset()
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        runtime.store().close()
        runtime.reset()
        return result

    yield run
    runtime.reset()


@pytest.fixture
def here(cli: Cli, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same on tables that are there, on both databases."""
    monkeypatch.setenv("VERIFY_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    return cli


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with contextlib.ExitStack() as stack:

        def make(limits: FetchLimits = LIMITS, resolver: object = system_resolver) -> PhotoFetcher:
            made = PhotoFetcher(limits, resolver)  # type: ignore[arg-type]
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def training(store: Store) -> TrainingScene:
    """With members m00 to m05, each with a selfie and two photos that are theirs."""
    for number in range(6):
        labelled_member(store, f"m{number:02}")
    return TrainingScene(store)
