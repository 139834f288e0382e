"""`forget` and `unbar`, as operators use them: asked before, refused where it looks like a slip, undone."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from support.bundle import ROOT
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from worker.errors import MemberForgotten, NotPossible, NotRequeueable
from worker.store import Attempt, DeadJob, NewMember, Store

Cli = Callable[..., Result]


@pytest.fixture
def here(here: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same with a key, as nobody in particular."""
    monkeypatch.setenv("VERIFY_TOMBSTONE_KEY", "test key")
    monkeypatch.delenv("VERIFY_OPERATOR", raising=False)
    return here


def judged(store: Store, request_id: str = "r1", member_id: str = "m1") -> None:
    store.requests.accept(a_job(request_id, member_id), "verify", NOW)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(), NOW)


def on_a_terminal(store: Store, folder: Path, typed: str, *words: str) -> tuple[int, str]:
    """The command in a process of its own with a terminal, where somebody types; exit status and screen."""
    keyboard, terminal = pty.openpty()
    environment = {
        **os.environ,
        "VERIFY_DATABASE_URL": store.database.engine.url.render_as_string(hide_password=False),
        "PYTHONPATH": str(ROOT),
    }
    os.write(keyboard, typed.encode())
    done = subprocess.run(
        [sys.executable, "-m", "worker", *words],
        cwd=folder,
        env=environment,
        stdin=terminal,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(keyboard)
    os.close(terminal)
    return done.returncode, done.stdout + done.stderr


def test_forget_prints_what_went_and_bars_the_id(here: Cli, store: Store) -> None:
    judged(store)
    here("show", "m1")
    result = here("forget", "m1", "--json", "--yes")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    removed = said["removed"]
    assert (removed["member"], removed["verification_photo"], said["records"]) == (1, 4, 2)
    assert store.members.forgotten(["m1", "m2"]) == {"m1"}
    again = here("forget", "m1", "--yes")
    assert (again.exit_code, again.stderr) == (0, "")
    assert here("forget", "m 1", "--yes").exit_code == 2


def test_forgetting_without_a_key_is_warned_of(here: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_TOMBSTONE_KEY", "")
    assert "VERIFY_TOMBSTONE_KEY is not set" in here("forget", "m1").stderr


def test_an_id_that_nobody_knows_is_refused_and_not_barred(here: Cli, store: Store) -> None:
    judged(store)
    result = here("forget", "m11", "--yes")
    assert result.exit_code == 1
    assert "nothing is stored about m11" in result.stderr
    assert store.members.forgotten(["m11"]) == set()
    assert here("forget", "m11", "--yes", "--unknown").exit_code == 0
    assert store.members.forgotten(["m11"]) == {"m11"}


def test_somebody_of_whom_only_an_invalid_message_is_there_is_known(here: Cli, store: Store) -> None:
    store.dead_jobs.add(DeadJob("no_task", "x", b'verify "member_id": "m7" please', "verify"), NOW)
    assert here("forget", "m7", "--yes").exit_code == 0
    assert store.dead_jobs.latest() == []


def test_whoever_is_back_although_barred_is_erased_again(here: Cli, store: Store) -> None:
    judged(store)
    assert here("forget", "m1", "--yes").exit_code == 0
    store.members.import_list([NewMember("m2", None, "https://h/s.jpg", ())], NOW)
    m = store.database.t.member
    with store.database.engine.begin() as c:
        c.execute(sa.insert(m).values(member_id="m1", selfie_url="https://h/s.jpg"))
    assert here("forget", "--barred").exit_code == 1  # nobody said yes
    for erased in (1, 0):
        assert json.loads(here("forget", "--barred", "--yes", "--json").stdout) == {"forgotten_again": erased}
    assert [store.members.find(name) is None for name in ("m1", "m2")] == [True, False]


@pytest.mark.parametrize("words", [(), ("m1", "--barred")])
def test_a_member_or_all_who_are_barred_are_named(here: Cli, words: tuple[str, ...]) -> None:
    assert here("forget", "--yes", *words).exit_code == 2


def test_without_a_terminal_to_ask_on_nothing_is_erased(here: Cli, store: Store) -> None:
    judged(store)
    result = here("forget", "m1")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert store.members.find("m1") is not None
    assert store.members.forgotten(["m1"]) == set()


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_on_a_terminal_it_shows_what_there_is_and_asks(
    here: Cli, store: Store, tmp_path: Path, typed: str, status: int
) -> None:
    judged(store)
    done, screen = on_a_terminal(store, tmp_path, typed, "forget", "m1")
    assert done == status, screen
    assert "would be removed" in screen
    assert "Erase all this for good" in screen
    assert (store.members.find("m1") is None) is (status == 0)
    assert bool(store.members.forgotten(["m1"])) is (status == 0)


def test_a_bar_is_lifted_on_record_and_the_member_can_sign_up(here: Cli, store: Store) -> None:
    here("forget", "m1", "--unknown", "--yes")
    with pytest.raises(MemberForgotten):
        store.requests.accept(a_job("r1"), "verify", NOW)
    assert here("unbar", "m1").exit_code == 2  # nobody said who
    result = here("unbar", "m1", "--by", "kim")
    assert result.exit_code == 0
    [dead] = store.dead_jobs.latest()
    assert f"dismiss {dead.id}" in result.stdout
    [row] = tombstones(store)
    assert row["lifted_by"] == "kim"
    assert row["lifted_at"] >= row["forgotten_at"]
    assert store.requests.accept(a_job("r1"), "verify", NOW).new
    again = here("unbar", "m1", "--by", "kim")
    assert (again.exit_code, "not barred" in again.stderr) == (1, True)


def test_who_is_forgotten_again_is_barred_again_and_both_times_stay_on_record(store: Store) -> None:
    store.members.forget("m1", NOW)
    assert store.members.lift("m1", "kim", later(1)).forgotten_at == NOW
    assert store.members.forgotten(["m1"]) == set()
    judged(store, "r2")
    assert store.members.forget("m1", later(2)).removed["member"] == 1
    assert store.members.forgotten(["m1"]) == {"m1"}
    assert [row["lifted_by"] for row in tombstones(store)] == ["kim", None]
    assert store.members.lift("m1", "lee", later(3)).forgotten_at == later(2)
    with pytest.raises(NotPossible):
        store.members.lift("m1", "lee", later(4))


def test_each_sign_up_that_a_bar_refuses_is_one_open_dead_job(store: Store) -> None:
    store.members.forget("m1", NOW)
    for request_id in ("r1", "r1", "r2"):  # one is delivered twice
        with pytest.raises(MemberForgotten):
            store.requests.accept(a_job(request_id), "verify", NOW)
    with store.database.engine.begin() as c:
        c.exec_driver_sql("INSERT INTO member (member_id, selfie_url) VALUES ('m1', 'https://h/s.jpg')")
    assert store.pending.enqueue("bulk", NOW).jobs == ()
    dead = store.dead_jobs.latest()
    assert [one.reason for one in dead] == ["forgotten"] * 3
    assert [one.request_id for one in dead] == [None, "r2", "r1"]
    assert store.reports.status(NOW).dead_jobs == 3


def test_a_refused_sign_up_that_comes_again_after_it_was_dismissed_is_a_dead_job_again(store: Store) -> None:
    store.members.forget("m1", NOW)
    for _ in range(2):
        with pytest.raises(MemberForgotten):
            store.requests.accept(a_job(), "verify", NOW)
        [dead] = store.dead_jobs.latest()
        store.dead_jobs.dismiss(dead.id, "kim", "", NOW)
    assert len(store.dead_jobs.latest(closed=True)) == 2


def test_what_is_kept_of_a_refused_sign_up_cannot_be_found_by_trying(store: Store) -> None:
    """Neither the member's ID, nor a hash that somebody could compute who guesses the message."""
    store.members.forget("m1", NOW)
    request = a_job("m1-signup")
    with pytest.raises(MemberForgotten):
        store.requests.accept(request, "verify", NOW)
    [dead] = store.dead_jobs.latest()
    assert dead.request_id is None
    store.requests.accept(a_job("m1-signup", "other"), "verify", NOW)
    other = Store(store.database.engine, tombstone_key=b"another key")
    other.members.forget("m1", NOW)
    with pytest.raises(MemberForgotten):
        other.requests.accept(request, "verify", NOW)
    hashes = {(one.member_hash, one.message_sha256) for one in store.dead_jobs.latest()}
    assert len(hashes) == 2


def test_a_refused_sign_up_cannot_be_put_back_and_says_what_to_do(store: Store) -> None:
    store.members.forget("m1", NOW)
    with pytest.raises(MemberForgotten):
        store.requests.accept(a_job(), "verify", NOW)
    [dead] = store.dead_jobs.latest()
    with pytest.raises(NotRequeueable, match="unbar"):
        store.dead_jobs.requeue(dead.id, NOW)
    store.members.lift("m1", "kim", NOW)
    with pytest.raises(NotRequeueable, match=r"barred no more.*send it again"):
        store.dead_jobs.requeue(dead.id, NOW)


def tombstones(store: Store) -> list[dict[str, Any]]:
    t = store.database.t.tombstone
    with store.database.engine.connect() as c:
        return [dict(row) for row in c.execute(sa.select(t).order_by(t.c.forgotten_at)).mappings()]
