"""The image `verify` holds all that its commands need: the Dockerfile's own steps, away from our packages."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import redis

from support.image_host import PROBE, SECONDS, SERVICES, Host, Program, in_production
from support.images import Image, image
from support.photo_server import PhotoServer
from support.sheets import a_workbook
from support.sources import WORKER, name_of
from support.workers import open_store_at, wait_until
from worker.clock import utc_now
from worker.jobs import queues
from worker.retraining.packages import PACKAGES
from worker.store import Store
from worker.store.tables.states import State

OF_THE_CONSOLE: Final = ("starlette", "uvicorn", "jinja2", "argon2", "pyotp", "segno")
TO_INSTALL: Final = "pip install -r pipeline/requirements.txt"
ASK: Final = """
import sys
from worker.client import request_verification

print(request_verification(member_id=sys.argv[1], selfie_url=sys.argv[2], photo_urls=[sys.argv[2]]))
"""
LOAD_EVERYTHING: Final = """
import importlib, sys

for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as missing:
        print(missing.name.partition(".")[0])
"""


@pytest.fixture(scope="module")
def built(bundle_dir: Path) -> Iterator[Image]:
    with image("verify", bundle_dir) as made:
        yield made


@pytest.fixture
def portrait(photo_server: PhotoServer) -> str:
    """The address of a photo out of a package that the tests have anyway."""
    spec = importlib.util.find_spec("skimage")
    assert spec
    assert spec.origin
    return photo_server.add_photo("me.png", Path(spec.origin).parent / "data" / "astronaut.png")


@pytest.fixture
def embedded(built: Image, tmp_path: Path) -> Iterator[Host]:
    """With nothing set but where the photos lie."""
    with Host(built, {}, tmp_path) as host:
        yield host


def until_done(worker: Program, store: Store, request_id: str) -> None:
    def done() -> bool:
        found = store.requests.find(request_id)
        return found is not None and found.state is State.DONE

    wait_until(lambda: worker.ended or done(), SECONDS)
    assert done(), worker.words[-3000:]


@pytest.fixture
def store(mariadb_database_url: str) -> Iterator[Store]:
    """The database of `production`, from outside."""
    opened = open_store_at(mariadb_database_url)
    yield opened
    opened.close()


@pytest.fixture
def production(built: Image, mariadb_database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Host]:
    """On Redis and MariaDB."""
    with in_production(built, mariadb_database_url, redis_url, tmp_path) as host:
        yield host


def test_the_code_is_there_for_reading_and_the_tests_are_not_there(built: Image) -> None:
    assert sorted(p.name for p in built.app.iterdir()) == ["celeryconfig.py", "pipeline", "worker"]
    assert built.run("touch", "worker/new.py").returncode != 0
    assert built.run("python", "-c", "import pytest").returncode != 0


def test_the_packages_agree_with_each_other(built: Image) -> None:
    done = built.run("python", "-m", "pip", "check")
    assert done.returncode == 0, done.stdout


def test_every_module_of_the_worker_is_there_but_for_what_training_traces_and_the_console_need(
    embedded: Host,
) -> None:
    files = [name_of(path).removesuffix(".py") for path in WORKER if path.name != "__main__.py"]
    modules = [file.replace("/", ".") for file in files if "migrations/" not in file]
    missing = embedded.printed("python", "-c", LOAD_EVERYTHING, *modules).split()
    assert {*missing} <= {*PACKAGES, "opentelemetry", *OF_THE_CONSOLE}


def test_every_command_can_say_what_it_does(embedded: Host) -> None:
    assert "retrain" in embedded.worker("--help")
    assert "SELFIE" in embedded.printed("python", "-m", "pipeline", "verify", "--help")
    assert "worker" in embedded.printed("celery", "-A", "worker.app", "--help")


def test_what_needs_the_packages_of_training_says_so_in_a_line(embedded: Host) -> None:
    embedded.worker("init-db")
    for words in (["worker", "calibrate", "--from-members"], ["pipeline", "evaluate", "--help"]):
        done = embedded.run("python", "-m", *words)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert "pipeline/requirements.txt" in done.stderr


def test_a_sign_up_over_redis_ends_in_mariadb(production: Host, store: Store, portrait: str) -> None:
    worker = production.start_worker(SERVICES["verify"]["command"])
    asked = production.printed("python", "-c", ASK, "m-1", portrait).strip()
    until_done(worker, store, asked)
    production.worker("enqueue", "m-1", "--queue", "verify")
    wait_until(lambda: store.reports.status(utc_now()).requests.get(State.DONE) == 2, SECONDS)
    assert production.shown("m-1")["status"] == "review"
    assert store.members.find("m-1").reason == "same_picture"  # type: ignore[union-attr]
    assert json.loads(production.worker("status", "--json"))["dead_jobs"] == 0
    assert worker.stop() == 0
    assert production.run(*PROBE).returncode == 1


def test_celerys_own_worker_serves_all_that_it_can_and_names_what_it_cannot(
    production: Host, store: Store, portrait: str
) -> None:
    worker = production.start_worker(["celery", "-A", "worker.app", "worker"])
    asked = production.printed("python", "-c", ASK, "m-2", portrait).strip()
    until_done(worker, store, asked)
    [line] = [line for line in worker.words.splitlines() if TO_INSTALL in line]
    assert "the queue retrain is not served" in line


def test_beat_sends_the_periodic_jobs(production: Host, redis_url: str) -> None:
    beat = production.start(SERVICES["beat"]["command"])
    with redis.Redis.from_url(redis_url) as client:
        wait_until(lambda: client.llen(queues.MAINTENANCE) or beat.ended, SECONDS)
    assert not beat.ended, beat.words
    assert production.run(*PROBE).returncode == 0


def test_a_worker_that_is_to_retrain_does_not_start(production: Host) -> None:
    for words in (SERVICES["retrain"]["command"], ["python", "-m", "worker", "run", "--queues", "retrain"]):
        done = production.run(*words)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert TO_INSTALL in done.stderr


def test_embedded_an_excel_file_is_verified(
    embedded: Host, built: Image, portrait: str, tmp_path: Path
) -> None:
    embedded.worker("init-db")
    worker = embedded.start_worker(built.command)
    book = a_workbook(built.home / "members.xlsx", [["m-3", "여", portrait, portrait]])
    embedded.worker("import", str(book))
    wait_until(lambda: embedded.shown("m-3")["status"] == "review", SECONDS, every=1)
    assert json.loads(embedded.worker("review", "next", "--by", "kim", "--json"))["to_answer"] == [1]
    embedded.worker("review", "answer", "1=same", "--by", "kim")
    case = json.loads(embedded.worker("review", "show", "--by", "kim", "--json"))
    assert case["evidence"]["reason"] == "same_picture"
    assert worker.words.count(TO_INSTALL) == 1


def test_embedded_nobody_asks_for_a_retraining_that_cannot_be(embedded: Host) -> None:
    embedded.worker("init-db")
    done = embedded.run("python", "-m", "worker", "retrain", "--force")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert TO_INSTALL in done.stderr
