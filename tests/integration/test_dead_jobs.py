"""Dead jobs are open until somebody puts them back or dismisses them, and nothing closes them in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import Result

from support.jobs import NOW, a_job, a_message, later
from worker.errors import NotPossible, NotRequeueable
from worker.settings import load_settings
from worker.store import DeadJob, Store
from worker.store.tables.states import State
from worker.verification.maintenance import purge_old

Cli = Callable[..., Result]


@pytest.fixture
def here(here: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same as nobody in particular."""
    monkeypatch.delenv("VERIFY_OPERATOR", raising=False)
    return here


def invalid_message(store: Store, reason: str = "no_task", body: bytes = b"no job") -> int:
    return store.dead_jobs.add(DeadJob(reason, "no job", body, "verify"), NOW)


def open_ones(here: Cli) -> int:
    """As the alarm counts them."""
    count: int = json.loads(here("status", "--json").stdout)["dead_jobs"]
    return count


def test_one_that_is_dismissed_is_counted_no_more_and_stays_on_record(here: Cli, store: Store) -> None:
    number, other = invalid_message(store), invalid_message(store)
    result = here("dismiss", number, "--by", "kim", "--note", "the app is mended")
    assert (result.exit_code, result.stdout) == (0, "1 dismissed, says kim.\n")
    assert open_ones(here) == 1
    assert [dead["id"] for dead in json.loads(here("requeue", "--json").stdout)] == [other]
    [record] = [dead for dead in store.dead_jobs.latest(closed=True) if dead.id == number]
    assert (record.dismissed_by, record.dismissed_note) == ("kim", "the app is mended")
    assert record.dismissed_at is not None


def test_a_flood_is_dismissed_by_its_reason(here: Cli, store: Store) -> None:
    for _ in range(30):
        invalid_message(store)
    left = invalid_message(store, "bad_json")
    assert here("dismiss", "--reason", "no_task", "--by", "kim").stdout == "30 dismissed, says kim.\n"
    assert [dead.id for dead in store.dead_jobs.latest()] == [left]


def test_who_dismisses_says_who_and_which(here: Cli, store: Store) -> None:
    number = invalid_message(store)
    for words in (("dismiss", number), ("dismiss", "--by", "kim"), ("dismiss", "x", "--by", "kim")):
        assert here(*words).exit_code == 2
    assert here("dismiss", number, "--by", "kim", "--note", "x" * 1001).exit_code == 2
    assert len(store.dead_jobs.latest()) == 1


def test_what_is_closed_or_unknown_cannot_be_dismissed_and_the_others_are(here: Cli, store: Store) -> None:
    done, other = invalid_message(store), invalid_message(store)
    store.dead_jobs.dismiss(done, "lee", "", NOW)
    result = here("dismiss", done, other, other + 7, "--by", "kim")
    assert result.exit_code == 1
    assert f"dead job {done}: lee dismissed it" in result.stderr
    assert f"dead job {other + 7}: there is none" in result.stderr
    assert store.dead_jobs.latest() == []
    store.requests.accept(a_job(), "verify", NOW)
    store.requests.give_up("r1", "poison", "boom", NOW)
    number = store.dead_jobs.latest()[0].id
    store.dead_jobs.requeue(number, NOW)
    with pytest.raises(NotPossible, match="put back"):
        store.dead_jobs.dismiss(number, "kim", "", NOW)


def test_one_that_was_dismissed_by_mistake_can_be_put_back(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    store.requests.give_up("r1", "poison", "boom", NOW)
    [dead] = store.dead_jobs.latest()
    store.dead_jobs.dismiss(dead.id, "kim", "", NOW)
    assert store.dead_jobs.requeue(dead.id, later(1)).job == a_job()
    request = store.requests.find("r1")
    assert request is not None
    assert request.state is State.QUEUED


def test_a_purge_closes_nothing_and_what_it_made_impossible_says_so(here: Cli, store: Store) -> None:
    """Nobody decided about it: it is counted and listed until somebody dismisses it."""
    number = invalid_message(store, "unknown_schema", json.dumps(a_message()).encode())
    assert store.dead_jobs.latest()[0].message_kept
    assert purge_old(store.retention, load_settings(), NOW + timedelta(days=31)).dead_jobs == 1
    assert open_ones(here) == 1
    assert "gone" in here("requeue").stdout
    refused = here("requeue", number)
    assert (refused.exit_code, "its message was purged" in refused.stderr) == (1, True)
    assert here("dismiss", number, "--by", "kim").exit_code == 0
    assert open_ones(here) == 0


def test_a_request_that_is_in_the_database_is_put_back_without_the_message(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    store.requests.give_up("r1", "poison", "boom", NOW)
    purge_old(store.retention, load_settings(), NOW + timedelta(days=31))
    [dead] = store.dead_jobs.latest()
    assert not dead.message_kept
    assert store.dead_jobs.requeue(dead.id, NOW).job == a_job(
        selfie_url="https://photos.example.com/m1/selfie.jpg"
    )


@pytest.mark.parametrize("body", [b"", b"no job", json.dumps(a_message(why="no reason")).encode()])
def test_what_was_no_job_says_that_nothing_of_it_can_be_put_back(store: Store, body: bytes) -> None:
    with pytest.raises(NotRequeueable, match="it was no job"):
        store.dead_jobs.requeue(invalid_message(store, body=body), NOW)
