"""The commands as people and programs use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from pipeline.verdict import Outcome, PhotoFinding, Reason, Status
from support.bundle import ROOT
from support.jobs import LEASE, MOST, a_job, a_verdict
from support.sheets import HEADERS, a_row, a_workbook, cells_of
from worker import runtime
from worker.cli import COMMANDS, main
from worker.clock import utc_now
from worker.store import Attempt, DeadJob, Store

Cli = Callable[..., Result]


def queued(tmp_path: Path, queue: str) -> int:
    """Messages on a queue of the embedded broker."""
    return len(list((tmp_path / "var" / "broker" / "queues").glob(f"*.{queue}.msg")))


def finished(store: Store, request_id: str, member_id: str, **verdict: Any) -> None:
    """A request of a member, done with this verdict."""
    now = utc_now()
    store.requests.accept(a_job(request_id, member_id, now), "verify", now)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, now)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(**verdict), now)


# Help and errors


def test_every_command_explains_itself() -> None:
    for name in COMMANDS:
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, name
        assert "Usage:" in result.output


def test_the_list_of_commands_loads_none_of_them() -> None:
    code = (
        "import sys; from worker.cli import main; main(['--help'], standalone_mode=False);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)
    assert not {"sqlalchemy", "kombu", "celery", "openpyxl", "numpy"} & set(done.stderr.split())


def test_no_command_of_the_database_needs_the_models() -> None:
    code = (
        "import sys, worker.cli.members.import_file, worker.cli.queue.enqueue, worker.cli.members.show;"
        "import worker.cli.system.status;"
        "import worker.cli.system.database, worker.cli.queue.dead_jobs; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "ai_edge_litert", "cv2", "mediapipe"} & set(done.stdout.split())


@pytest.mark.parametrize("command", [("status",), ("show", "m1"), ("enqueue", "m1"), ("requeue",)])
def test_a_database_without_tables_is_one_line(cli: Cli, command: tuple[str, ...]) -> None:
    result = cli(*command)
    assert result.exit_code == 1
    assert result.stderr == "Error: the tables are missing: run `python -m worker init-db`\n"


@pytest.mark.parametrize("command", [("init-db",), ("status",)])
def test_a_database_that_is_down_is_one_line(cli: Cli, command: tuple[str, ...]) -> None:
    result = cli(*command, DATABASE_URL="mysql://root:secret@127.0.0.1:1/none")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the database cannot be used now")
    assert result.stderr.count("\n") == 1
    assert "secret" not in result.output


def test_a_wrong_setting_is_named_without_its_value(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_DATABASE_URL", "oracle://secret@host/x")
    runtime.reset()
    result = CliRunner().invoke(main, ["status"])
    assert result.exit_code == 2
    assert "VERIFY_DATABASE_URL" in result.stderr
    assert "secret" not in result.output


ARGUMENTS = {
    "import": ("members.xlsx", "--dry-run"),
    "enqueue": ("--pending",),
    "show": ("m1",),
    "explain": ("m1",),
    "review": ("list",),
    "consent": ("m1", "on"),
    "forget": ("m1",),
    "unbar": ("m1",),
    "dismiss": ("1",),
    "models": ("list",),
    "calibrate": ("--from-members",),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistyped_setting_ends_every_command_before_it_does_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    a_workbook(tmp_path / "members.xlsx", [])
    monkeypatch.setenv("VERIFY_PHOTO_HOST", "cdn.example.com")
    runtime.reset()
    result = CliRunner().invoke(main, [name, *ARGUMENTS.get(name, ())])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: VERIFY_PHOTO_HOST: there is no such setting; the nearest is VERIFY_PHOTO_HOSTS\n"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["members.xlsx"]


@pytest.mark.parametrize(
    "program",
    [
        ("worker", "status"),
        ("worker.health",),
        ("celery", "-A", "worker.app", "worker"),
        ("celery", "-A", "worker.app", "beat"),
        ("celery", "-A", "worker.app", "inspect", "ping"),
    ],
)
def test_a_mistyped_setting_ends_every_process_with_one_line(
    tmp_path: Path, program: tuple[str, ...]
) -> None:
    (tmp_path / ".env").write_text("VERIFY_PHOTO_HOST=cdn.example.com\n")
    done = subprocess.run(
        [sys.executable, "-m", *program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "the nearest is VERIFY_PHOTO_HOSTS" in done.stderr


def test_what_a_command_writes_is_nobody_elses_to_read(here: Cli, tmp_path: Path) -> None:
    file = a_workbook(tmp_path / "members.xlsx", [a_row("m1"), a_row("m 2")])
    file.chmod(0o644)
    before = os.umask(0o022)
    here("import", file)
    assert os.umask(before) == 0o022
    written = [f for f in (tmp_path / "members.errors.xlsx", *tmp_path.rglob("*.msg")) if f.is_file()]
    assert len(written) == 2
    assert {f.stat().st_mode & 0o777 for f in written} == {0o600}


@pytest.mark.parametrize(
    "command",
    [("nonsense",), ("show",), ("enqueue",), ("enqueue", "m1", "--pending"), ("import", "none.xlsx")],
)
def test_wrong_usage_is_status_two(cli: Cli, command: tuple[str, ...]) -> None:
    assert cli(*command).exit_code == 2


# init-db


def test_init_db_makes_the_tables_and_may_be_run_again(cli: Cli, database_url: str) -> None:
    for _ in range(2):
        result = cli("init-db", DATABASE_URL=database_url)
        assert result.exit_code == 0
        assert "up to date" in result.output
    assert cli("status").exit_code == 0


# import


def test_import_takes_members_and_queues_them_as_bulk(here: Cli, store: Store, tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1"), a_row("m2")])
    result = here("import", path)
    assert result.exit_code == 0, result.output
    assert "2 requests queued." in result.stdout
    assert (queued(tmp_path, "bulk"), queued(tmp_path, "verify")) == (2, 0)
    assert store.reports.status(utc_now()).queued == {"bulk": 2}


def test_import_ends_with_one_when_rows_come_back(here: Cli, store: Store, tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1"), a_row(None)], [*HEADERS, "비고"])
    result = here("import", path)
    assert result.exit_code == 1
    assert "Columns left alone: 비고" in result.stdout
    assert "m.errors.xlsx with the reason" in result.stdout
    assert len(cells_of(tmp_path / "m.errors.xlsx")) == 2
    assert store.members.find("m1") is not None


def test_a_dry_run_writes_and_queues_nothing(here: Cli, store: Store, tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1")])
    result = here("import", path, "--dry-run")
    assert result.exit_code == 0
    assert "nothing was written" in result.stdout
    assert store.reports.status(utc_now()).members == 0
    assert queued(tmp_path, "bulk") == 0


def test_a_dry_run_needs_no_database(cli: Cli, tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1"), a_row(None)])
    result = cli("import", path, "--dry-run")
    assert result.exit_code == 1
    assert "Not compared with the database" in result.stderr


@pytest.mark.parametrize("options", [(), ("--errors", "bad.xlsx")])
def test_a_dry_run_prints_what_would_be_refused_and_writes_no_file(
    cli: Cli, tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1"), a_row(1001.5), a_row(None)])
    before = {file for file in tmp_path.rglob("*") if file.is_file()}
    result = cli("import", path, "--dry-run", *options)
    assert result.exit_code == 1
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == before
    assert "2 rows would not be imported:" in result.stdout
    assert "  row 3: 회원번호에 소수점이 있습니다 (the member ID has decimals)" in result.stdout
    assert "  row 4: 회원번호가 없습니다 (no member ID)" in result.stdout
    assert not Path("bad.xlsx").exists()
    assert ("bad.xlsx is left alone" in result.stderr) is bool(options)


def test_of_many_refused_rows_a_dry_run_prints_the_first_and_json_has_all(cli: Cli, tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row(f"회원{n}") for n in range(120)])
    shown = cli("import", path, "--dry-run").stdout
    assert shown.count("  row ") == 100
    assert "and 20 more; --json has them all" in shown
    report = json.loads(cli("import", path, "--dry-run", "--json").stdout)
    assert [row["row"] for row in report["refused_rows"]] == list(range(2, 122))
    assert all("ASCII" in row["reason"] for row in report["refused_rows"])


def test_import_counts_and_shows_its_warnings(here: Cli, tmp_path: Path) -> None:
    headers = [*HEADERS, None, "비고"]
    path = a_workbook(tmp_path / "m.xlsx", [[*a_row("m1"), "https://photos.example.com/2.jpg", ""]], headers)
    shown = here("import", path, "--no-enqueue").stdout
    assert "Warning: Columns left alone: 비고." in shown
    assert "Warning: Links in column E (no header) were not taken: 1 rows." in shown
    assert "warnings" in shown
    assert len(json.loads(here("import", path, "--json", "--no-enqueue").stdout)["warnings"]) == 2


def test_import_prints_json(here: Cli, tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("Ab1"), a_row("ab1"), a_row(None)])
    result = here("import", path, "--json", "--no-enqueue")
    report = json.loads(result.stdout)
    assert (report["rows"], report["created"], report["refused"], report["queued"]) == (3, 2, 1, 0)
    assert report["errors_file"] == str(tmp_path / "m.errors.xlsx")
    assert len(report["warnings"]) == 1


def test_a_file_that_is_no_workbook_is_one_line(here: Cli, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("member_id,selfie\n")
    result = here("import", tmp_path / "m.csv")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: no Excel workbook")


def test_progress_is_plain_lines_where_there_is_no_terminal(cli: Cli, tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row(n) for n in range(1, 1101)])
    result = cli("import", path, "--dry-run")
    assert "rows: 1,000 of 1,100" in result.stderr
    assert "\x1b" not in result.output


def test_members_wait_for_the_sweep_where_the_broker_is_away(here: Cli, store: Store, tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1"), a_row("m2")])
    result = here("import", path, BROKER_URL="redis://127.0.0.1:1/0")
    assert result.exit_code == 0
    assert result.stderr.count("the broker cannot be reached") == 1
    assert "2 of them wait in the database for the sweep" in result.stdout
    assert len(store.requests.unfinished(utc_now() + timedelta(hours=1), 10)) == 2


# enqueue


def test_enqueue_takes_those_who_wait(here: Cli, tmp_path: Path) -> None:
    here("import", a_workbook(tmp_path / "m.xlsx", [a_row("m1"), a_row("m2")]), "--no-enqueue")
    assert "2 requests queued." in here("enqueue", "--pending").stdout
    assert "No requests queued." in here("enqueue", "--pending").stdout
    assert queued(tmp_path, "bulk") == 2


def test_enqueue_takes_members_by_name_and_says_who_is_unknown(here: Cli, tmp_path: Path) -> None:
    here("import", a_workbook(tmp_path / "m.xlsx", [a_row("m1"), a_row("M1")]), "--no-enqueue")
    result = here("enqueue", "m1", "nobody", "--queue", "verify")
    assert result.exit_code == 1
    assert "1 request queued." in result.stdout
    assert "nobody: no such member" in result.stderr
    assert queued(tmp_path, "verify") == 1


# show


def test_show_tells_the_verdict_and_every_photo(here: Cli, store: Store) -> None:
    finished(store, "r1", "m1")
    result = here("show", "m1")
    assert result.exit_code == 0
    remarks = ("brightness 12.50, limit 40.00", "its host took too long")
    for text in ("approved", "same_person", "too_dark", "0.830", *remarks):
        assert text in result.stdout
    assert "사진 인증이 완료되었습니다." in result.stdout
    assert "Your photos have been verified." in result.stdout
    assert "sig=abc" not in result.stdout


def test_show_as_json_holds_everything_but_keys_to_photos(here: Cli, store: Store) -> None:
    finished(store, "r1", "m1")
    found = json.loads(here("show", "m1", "--json").stdout)
    assert found["member"]["status"] == "approved"
    assert found["member"]["selfie_url"] == "https://photos.example.com/m1/selfie.jpg?…"
    assert found["member"]["texts"]["ko"].startswith("사진 인증이 완료되었습니다.")
    (request,) = found["requests"]
    assert (request["request_id"], request["photos"][1]["gate"]["limit"]) == ("r1", 40.0)


def test_show_says_only_what_the_member_reads(here: Cli, store: Store) -> None:
    blurred = (PhotoFinding(1, Outcome.TOO_BLURRED),)
    finished(store, "r1", "m1", status=Status.RETRY_PHOTO, reason=Reason.NO_USABLE_PHOTO, photos=blurred)
    assert here("show", "m1", "--ko").stdout.startswith(
        "1번 사진이 흐리거나 화질이 좋지 않습니다. 얼굴이 잘 보이고"
    )
    assert here("show", "m1", "--en").stdout.startswith("Photo 1 is blurred or grainy. Please upload")
    assert here("show", "m1", "--en", "--ko").exit_code == 2


def test_show_of_a_member_before_the_first_verdict(here: Cli, store: Store) -> None:
    store.requests.accept(a_job(), "verify", utc_now())
    result = here("show", "m1")
    assert "none yet" in result.stdout
    assert "아직 확인 전입니다." in result.stdout


@pytest.mark.parametrize("member_id", ["[/red]", "[bold]m1", ":ok:", f"m{'-1234' * 12}"])
def test_a_member_is_shown_under_the_very_id_that_the_app_gave(
    here: Cli, store: Store, member_id: str
) -> None:
    finished(store, "r1", member_id)
    assert f"{member_id} " in here("show", member_id).stdout


def test_an_unknown_member_is_one_line(here: Cli) -> None:
    result = here("show", "nobody")
    assert (result.exit_code, result.stderr) == (1, "Error: no member nobody\n")


# status


def test_status_adds_up(here: Cli, store: Store) -> None:
    finished(store, "r1", "m1")
    finished(store, "r2", "m2", status=Status.REVIEW, reason=Reason.PRIMARY_UNSURE)
    store.requests.accept(a_job("r3", "m3"), "bulk", utc_now())
    found = json.loads(here("status", "--json").stdout)
    assert found["requests"]["done"] == 2
    assert sum(found["requests"].values()) == found["members"] == 3
    assert (found["verdicts"]["approved"], found["verdicts"]["review"]) == (1, 1)
    assert found["queued"] == {"bulk": 1}
    shown = here("status").stdout
    assert all(word in shown for word in ("Requests", "Members", "Waiting", "bulk 1", "none yet"))


def test_status_can_be_watched_by_a_program(engine: sa.Engine, tmp_path: Path) -> None:
    url = engine.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, "-m", "worker", "status", "--watch", "--json"],
        env=os.environ | {"VERIFY_DATABASE_URL": url, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        lines = [process.stdout.readline() for _ in range(2)]
        process.terminate()
    assert [json.loads(line)["members"] for line in lines] == [0, 0]


# requeue


def add_dead(store: Store, reason: str, body: bytes) -> int:
    return store.dead_jobs.add(DeadJob(reason, "words", body, "verify"), utc_now())


def test_requeue_lists_the_dead_and_brings_one_back(here: Cli, store: Store, tmp_path: Path) -> None:
    assert here("requeue").stdout == "No dead jobs.\n"
    job = json.dumps(a_job("r9", "m9").to_message()).encode()
    number, hopeless = add_dead(store, "unknown_schema", job), add_dead(store, "bad_json", b"{")
    listed = here("requeue").stdout
    assert "unknown_schema" in listed
    assert "bad_json" in listed
    result = here("requeue", number, hopeless, 4711)
    assert result.exit_code == 1
    assert "1 request queued." in result.stdout
    assert f"dead job {hopeless}: nothing to put back is kept" in result.stderr
    assert "dead job 4711: there is no dead job 4711" in result.stderr
    assert queued(tmp_path, "verify") == 1
    assert [dead["id"] for dead in json.loads(here("requeue", "--json").stdout)] == [hopeless]


def test_requeue_brings_back_a_request_that_was_given_up(here: Cli, store: Store, tmp_path: Path) -> None:
    store.requests.accept(a_job(), "verify", utc_now())
    store.requests.give_up("r1", "poison", "begun 3 times and never ended", utc_now())
    assert here("requeue", "--request", "r1").exit_code == 0
    assert queued(tmp_path, "verify") == 1
    assert store.reports.status(utc_now()).queued == {"verify": 1}


def test_requeue_all_brings_back_what_can_be(here: Cli, store: Store, tmp_path: Path) -> None:
    for number in range(3):
        add_dead(store, "unknown_schema", json.dumps(a_job(f"r{number}", f"m{number}").to_message()).encode())
    assert "3 requests queued." in here("requeue", "--all").stdout
    assert queued(tmp_path, "verify") == 3
