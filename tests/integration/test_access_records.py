"""Every command that shows or changes something of a member is on record; a month's records are reported."""

from __future__ import annotations

import json
import os
import pwd
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result

from pipeline.verdict import Gender
from support.jobs import NOW, a_job, a_message
from support.sheets import a_row, a_workbook, photo
from worker.clock import utc_now
from worker.store import Access, DeadJob, NewMember, Store

Cli = Callable[..., Result]


@pytest.fixture
def here(here: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """As Kim, who came over SSH."""
    monkeypatch.setenv("VERIFY_TOMBSTONE_KEY", "test key")
    monkeypatch.setenv("VERIFY_OPERATOR", "kim")
    monkeypatch.setenv("SSH_CONNECTION", "203.0.113.7 50022 10.0.0.5 22")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("SUDO_USER", raising=False)
    return here


def imported(store: Store, *member_ids: str) -> None:
    store.members.import_list([NewMember(i, None, f"https://h/{i}.jpg", ()) for i in member_ids], NOW)


def test_each_command_writes_who_from_where_what_and_whom(here: Cli, store: Store) -> None:
    imported(store, "m1", "m2")
    store.requests.accept(a_job("r1", "m1"), "verify", NOW)
    store.requests.give_up("r1", "poison", "boom", NOW)
    [dead] = store.dead_jobs.latest()
    for words in (
        ("show", "m1"),
        ("show", "m1", "--looks"),
        ("consent", "m1", "on"),
        ("requeue", dead.id),
        ("enqueue", "m1", "nobody"),
        ("forget", "m1", "--yes"),
        ("unbar", "m1", "--by", "lee"),
        ("show", "m2", "--json"),
        ("requeue",),
        ("events",),
        ("enqueue", "--pending"),
    ):
        here(*words)
    records = store.accesses.of_member("m1")
    assert [(one.looked_by, one.action, one.way) for one in reversed(records)] == [
        ("kim", "show", "show"),
        ("kim", "show", "looks"),
        ("kim", "consent", "training on"),
        ("kim", "requeue", "verify"),
        ("kim", "enqueue", "bulk"),
        ("kim", "forget", "erase"),
        ("lee", "unbar", "lift"),
    ]
    login = pwd.getpwuid(os.getuid()).pw_name
    assert {(one.host, one.client, one.login) for one in records} == {
        (socket.gethostname(), "203.0.113.7", login)
    }
    since = utc_now() - timedelta(hours=1)
    lists = [one.action for whose, one in store.accesses.between(since, utc_now()) if whose is None]
    assert lists == ["requeue", "events", "enqueue"]


def test_an_import_is_on_record_for_members_who_are_new_or_changed(
    here: Cli, store: Store, tmp_path: Path
) -> None:
    same = NewMember("m1", Gender.FEMALE, photo("m1", "selfie"), (photo("m1", 1),))
    store.members.import_list([same], NOW)
    imported(store, "m2")
    file = a_workbook(tmp_path / "members.xlsx", map(a_row, ("m1", "m2", "m3")))
    for words in ("--dry-run", "--no-enqueue", "--no-enqueue"):
        assert here("import", file, words).exit_code == 0
    found = {i: [one.action for one in store.accesses.of_member(i)] for i in ("m1", "m2", "m3")}
    assert found == {"m1": [], "m2": ["import"], "m3": ["import"]}


def test_a_month_is_reported_by_account_and_host(here: Cli, store: Store) -> None:
    ids = [f"m{number:02}" for number in range(40)]
    imported(store, *ids)

    def note(by: str, members: list[str], at: str, way: str = "show", host: str = "desk-1") -> None:
        access = Access(by, "show", way, host, "203.0.113.7", by)
        store.accesses.note(members, access, datetime.fromisoformat(at))

    for day in range(2, 7):
        note("kim", ids[:8], f"2026-11-{day:02}T14:00+09:00")
    note("kim", ids[:30], "2026-11-09T14:00+09:00")  # a Monday
    note("kim", ["m00"], "2026-11-10T03:00+09:00", "json", host="home")
    note("lee", ids[:25], "2026-12-01T08:59+09:00")  # the month after, though UTC says November
    note("lee", ids[:1], "2026-10-15T11:00+09:00")
    store.members.forget("m00", NOW)
    result = here("access", "--month", "2026-11", "--json")
    assert "m00" not in result.stdout
    told = json.loads(result.stdout)
    kim, at_home, *_ = told["accounts"]  # and the report itself, from here
    assert (kim["account"], kim["host"], kim["members"], kim["actions"]) == (
        "kim",
        "desk-1",
        30,
        {"show": 70},
    )
    assert (kim["outside_hours"], kim["unusual_days"], kim["as_json"]) == (0, {"2026-11-09": 30}, 0)
    assert (at_home["host"], at_home["outside_hours"], at_home["as_json"]) == ("home", 1, 1)
    [lee] = json.loads(here("access", "--month", "2026-12", "--json").stdout)["accounts"]
    assert (lee["members"], lee["outside_hours"], lee["unusual_days"]) == (25, 25, {"2026-12-01": 25})
    assert "2026-11-09: 30" in here("access", "--month", "2026-11").stdout
    assert "No records of 2025-01" in here("access", "--month", "2025-01").stdout
    for month in ("9999-12", "0001-01", "1999-12", "2026-13"):
        refused = here("access", "--month", month)
        assert (refused.exit_code, "no month such as 2026-11" in refused.output) == (2, True)


@pytest.mark.parametrize(
    "words",
    [("--month", "2026-13"), ("--month", "november"), ("--hours", "19-9"), ("--zone", "Mars/Base")],
)
def test_a_report_of_nothing_there_is_is_wrong_usage(here: Cli, words: tuple[str, ...]) -> None:
    assert here("access", *words).exit_code == 2


def test_a_dead_job_of_nobody_is_put_back_without_a_record(here: Cli, store: Store) -> None:
    body = json.dumps(a_message(schema=99)).encode()
    number = store.dead_jobs.add(DeadJob("unknown_schema", "no job", body, "verify"), NOW)
    assert here("requeue", number).exit_code == 1
    assert store.accesses.of_member("m1") == []
