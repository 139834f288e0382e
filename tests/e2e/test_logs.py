"""What a whole run writes where logs are JSON: workers, a process that crashes, beat, Celery, libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from support.bundle import ROOT
from support.noisy_worker import LAST_WORDS, WARNING
from support.photo_server import PhotoServer
from support.portraits import OBAMA, smaller
from support.servers import Redis
from support.system import LONG, System, on_redis
from support.workers import Worker, open_empty_store, wait_until

SECRET: Final = "s3cret"
JOBS: Final = ("quiet", "libraries", "dead-link", "raise", "abort")
"""Each does what its name says (`support.noisy_worker`)."""

Line = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What the processes of one deployment wrote to their standard output and error, in lines."""

    written: list[str]

    @property
    def lines(self) -> list[Line]:
        return [json.loads(line) for line in self.written]

    def with_text(self, text: str) -> Line:
        """The one line whose message has this text."""
        (line,) = [line for line in self.lines if text in line["message"]]
        return line

    def of(self, job: str) -> list[Line]:
        return [line for line in self.lines if line.get("job") == job]


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory, redis_server: Redis, bundle_dir: Path, portraits: Path
) -> Iterator[System]:
    """On SQLite and Redis, with logs in JSON."""
    folder = tmp_path_factory.mktemp("logs")
    with ExitStack() as stack:
        photos = stack.enter_context(PhotoServer())
        broker = stack.enter_context(redis.Redis.from_url(redis_server.url))
        broker.flushdb()
        one, other = (smaller(portraits / OBAMA[i], folder / OBAMA[i]) for i in (0, 2))
        database = f"sqlite:///{folder / 'verify.db'}"
        store = open_empty_store(database)
        stack.callback(store.close)
        settings = _settings(folder, database, redis_server.url, bundle_dir)
        yield System(settings, folder, store, on_redis(broker), photos, (one, other), stack)


@pytest.fixture(scope="module")
def run(system: System) -> Run:
    """Jobs of all kinds, through a worker, a beat and a worker of Celery's own command."""
    return Run(_run(system))


def _settings(folder: Path, database: str, broker: str, bundle: Path) -> dict[str, str]:
    return {
        "VERIFY_HOME": str(folder / "var"),
        "VERIFY_DATABASE_URL": database,
        "VERIFY_BROKER_URL": broker,
        "VERIFY_BUNDLE": str(bundle.absolute()),
        "VERIFY_ALLOW_HTTP": "true",
        "VERIFY_ALLOW_PRIVATE_ADDRESSES": "true",
        "VERIFY_BLIND_AUDIT_SHARE": "0",
        "VERIFY_LOG_FORMAT": "json",
        "VERIFY_LOG_LEVEL": "DEBUG",
        "VERIFY_SWEEP_SECONDS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "0",
    }


def _run(system: System) -> list[str]:
    """Until each of them has done what it is for."""
    worker, beat, other = (
        system.stack.enter_context(Worker(system.settings, system.folder / name, words.split(), program))
        for name, words, program in (
            ("worker", "-c 1", "support.noisy_worker run"),
            ("beat", "beat", "celery -A worker.app"),
            ("other", "worker -Q retrain -c 1", "celery -A worker.app"),
        )
    )
    worker.wait_until_ready()
    gone = system.photos.at(f"gone.jpg?signature={SECRET}")
    for name in JOBS:
        system.send(system.job(name, **({"selfie_url": gone} if name == "dead-link" else {})))
    wait_until(lambda: "abort" in worker.words and "WorkerLostError" in worker.words)
    system.wait_for(["quiet", "libraries", "dead-link"])
    wait_until(lambda: "Traceback" in worker.words and "ready." in other.words and beat.words)
    assert [one.stop() for one in (worker, beat, other)] == [0, 0, 0]
    return [line for one in (worker, beat, other) for line in one.words.splitlines()]


def test_log_lines_of_a_command_are_json_and_its_output_stays_as_it_is(system: System) -> None:
    made = {"VERIFY_DATABASE_URL": f"sqlite:///{system.folder / 'made.db'}"}
    done = subprocess.run(
        [sys.executable, "-m", "worker", "init-db"],
        env={**os.environ, **system.settings, **made},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "up to date" in done.stdout
    assert {json.loads(line)["logger"] for line in done.stderr.splitlines()} >= {"alembic.runtime.migration"}


@LONG
def test_mediapipe_and_tensorflow_write_json_too(system: System) -> None:
    """No worker loads them; they are the libraries that write most."""
    slow = {"VERIFY_TIME_LIMIT_SECONDS": "200", "VERIFY_LEASE_SECONDS": "240"}
    with Worker(
        system.settings | slow, system.folder / "m", ["-c", "1"], "support.noisy_worker run"
    ) as worker:
        worker.wait_until_ready()
        system.send(system.job("mediapipe"))
        system.wait_for(["mediapipe"])
        assert worker.stop() == 0
    said = [line for line in Run(worker.words.splitlines()).of("mediapipe") if line["logger"] == "native"]
    assert [line for line in said if "XNNPACK" in line["message"]]
    assert {"INFO", "WARNING"} == {line["level"] for line in said}


def test_every_line_is_one_json_object_with_its_time_level_and_logger(run: Run) -> None:
    for line in run.lines:
        assert {"time", "level", "logger", "process", "message"} <= line.keys(), line


def test_no_line_holds_the_query_of_a_url(run: Run) -> None:
    assert [line for line in run.written if "gone.jpg" in line or "cdn.example.com" in line]
    assert not [line for line in run.written if SECRET in line]


def test_what_a_library_prints_while_it_works_on_a_photo_names_the_job(run: Run) -> None:
    said = {line["message"].splitlines()[0]: line for line in run.of("libraries")}
    native = [line for text, line in said.items() if text.startswith("libpng warning: iCCP")]
    assert {line["logger"] for line in [*native, said["a line on standard output"]]} == {"native"}
    assert [line for line in run.of("libraries") if WARNING in line["message"]]


def test_the_last_words_of_a_process_that_crashes_name_its_job_and_so_does_the_main_process(run: Run) -> None:
    said = run.of("abort")
    words = [line for line in said if line["message"] == LAST_WORDS.decode().strip()]
    lost = [line for line in said if "WorkerLostError" in line["message"]]
    assert words
    assert lost
    assert words[0]["process"] != lost[0]["process"]


def test_an_error_is_one_line_of_its_job_with_the_traceback_in_one_field(run: Run) -> None:
    (line,) = [line for line in run.of("raise") if line.get("exception")]
    assert "in _raise" in line["exception"]
    assert line["level"] == "ERROR"


def test_a_download_that_fails_names_its_job(run: Run) -> None:
    (line,) = [line for line in run.lines if line["logger"] == "worker.downloads.fetcher"]
    assert (line["job"], line["member"], line["queue"]) == ("dead-link", "member-dead-link", "verify")


def test_the_line_that_ends_a_job_has_its_model_and_the_seconds_of_its_stages(run: Run) -> None:
    (line,) = [line for line in run.of("quiet") if line["logger"] == "worker.verification.delivery"]
    assert line["model"]
    assert line["stages"].keys() == {"queue", "download", "decode", "detect", "embed", "decide", "database"}
    assert all(0 <= seconds < 60 for seconds in line["stages"].values())


def test_no_line_of_a_pool_process_that_has_a_job_leaves_it_out(run: Run) -> None:
    """Whatever is logged between its first line and its last one is about it."""
    about = ("worker.downloads.", "worker.verification.", "worker.store.", "celery.app.trace")
    assert not [line for line in run.lines if line["logger"].startswith(about) and "job" not in line]


def test_beat_and_celerys_own_command_print_no_banner(run: Run) -> None:
    assert not [line for line in run.lines if "[tasks]" in line["message"] or "__    -" in line["message"]]
    assert [line for line in run.lines if line["message"].endswith("ready.")]
