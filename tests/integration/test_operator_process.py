"""The console as a process, with its own database account: every page of operators, and every change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import reviews
from support.console import Console, Visitor, running_console
from support.grants import granted_database
from support.heads import a_bundle
from support.jobs import a_job
from support.training import labelled_member
from worker.clock import utc_now
from worker.serving.registry import publish
from worker.store.tables.states import Role

PATHS = (
    *("/members", "/members?id=m1", "/members?id=m1&view=looks", "/members/letter?id=m1"),
    *("/members/object?id=m1", "/members/objections", "/jobs", "/training"),
)


@pytest.fixture(scope="module")
def console(mariadb_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """On MariaDB, with no more rights than `grants.sql` gives it."""
    folder = tmp_path_factory.mktemp("console")
    bundle = str(a_bundle(folder / "shipped", "default"))
    with granted_database(mariadb_url) as granted:
        owner = granted.admin.url.render_as_string(hide_password=False)
        account = granted.url_of("verify_console")
        with running_console(folder, account, owner, VERIFY_BUNDLE=bundle) as running:
            yield running


@pytest.fixture(scope="module")
def operator(console: Console) -> Visitor:
    return console.visitor("lee", Role.OPERATOR)


def test_every_page_comes_and_the_menu_leads_there(console: Console, operator: Visitor) -> None:
    console.case(1)
    for path in PATHS:
        answer = operator.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert "lee" in answer.text
        assert 'href="/jobs"' in answer.text
    assert operator.get("/members?id=nobody").status_code == 404
    assert [look.looked_by for look in console.store.accesses.of_member("m1")].count("lee") >= 4


def test_every_change_is_within_the_rights_of_the_consoles_account(
    console: Console, operator: Visitor, tmp_path: Path
) -> None:
    store, now = console.store, utc_now()
    for number in (2, 5):
        reviews.decide(store, console.case(number), at=now)
    store.requests.accept(a_job("r3", "m3", now), "verify", now)
    store.requests.give_up("r3", "poison", "begun 3 times and never ended", now)
    dead = store.dead_jobs.latest(1)[0].id
    version = publish(store.models, a_bundle(tmp_path / "new"), now)
    labelled_member(store, "m4")
    received = f"{now:%Y-%m-%d}"
    for path, form in (
        ("/members/object", {"id": "m2", "received": received}),
        ("/members/reopen", {"id": "m5"}),
        ("/jobs/requeue", {"number": str(dead)}),
        ("/training/start", {"force": "yes"}),
        ("/training/shadow", {"version": version}),
        ("/training/promote", {"version": version, "before": ""}),
        ("/training/rollback", {"to": ""}),
    ):
        answer = operator.post(path, **form, sure="yes")
        assert answer.status_code == 200, (path, answer.text)
        assert 'class="notice bad"' not in answer.text, (path, answer.text)
    assert len(store.reviews.objections.waiting(now)) == 1
    assert store.dead_jobs.count_open() == {}
    assert store.training_runs.latest()[0].asked_by == "lee"
    assert store.models.champion() is None
