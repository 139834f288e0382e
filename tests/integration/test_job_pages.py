"""An operator's page of dead jobs: what `requeue` and `dismiss` do, in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.desk import Desk, on_record
from support.jobs import NOW, a_job
from worker.settings import Settings, load_settings
from worker.store import DeadJob, Store

REDIS_THAT_IS_DOWN = "redis://127.0.0.1:1/0"
COLUMNS = ("looked_by", "action", "way", "member_id", "client")


def settings(tmp_path: Path, **more: Any) -> Settings:
    return load_settings({"home": tmp_path / "var", **more})


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, settings(tmp_path))


def poisoned(store: Store, number: int = 1) -> int:
    """A dead job of a request that was accepted; its number."""
    request = f"r{number}"
    store.requests.accept(a_job(request, f"m{number}"), "verify", NOW)
    assert store.requests.give_up(request, "poison", "begun 3 times and never ended", NOW)
    return store.dead_jobs.latest(1)[0].id


def no_job(store: Store, reason: str = "no_task", times: int = 1) -> list[int]:
    return [store.dead_jobs.add(DeadJob(reason, "no task header", b"x", "verify"), NOW) for _ in range(times)]


def messages(tmp_path: Path) -> int:
    """How many wait in the queue for sign-ups."""
    return len(list((tmp_path / "var").rglob("*.msg")))


def test_each_is_listed_with_what_its_reason_means_and_the_reasons_are_counted(
    desk: Desk, store: Store
) -> None:
    poisoned(store)
    no_job(store, times=2)
    page = desk.see("/jobs")
    assert "open: 3" in page
    assert "no_task (2)" in page
    assert "poison Begun three times and never ended" in page
    assert "The message is no job. Mend the sender" in page
    assert "세 번 시작했지만 끝나지 않았습니다" in desk.see("/jobs", language="ko")
    assert "no_task The message" not in desk.see("/jobs?reason=poison")
    assert on_record(store, *COLUMNS)[0] == ("lee", "requeue", "page", None, "10.1.2.3")


def test_one_is_put_back_on_its_queue_after_a_question_and_on_record(
    desk: Desk, store: Store, tmp_path: Path
) -> None:
    number = poisoned(store)
    assert "Put 1 back?" in desk.say("/jobs/requeue", number=number)
    assert (messages(tmp_path), store.dead_jobs.count_open()) == (0, {"poison": 1})
    assert "1 put back." in desk.say("/jobs/requeue", number=number, sure="yes")
    assert (messages(tmp_path), store.dead_jobs.count_open()) == (1, {})
    assert ("lee", "requeue", "verify", "m1", "10.1.2.3") in on_record(store, *COLUMNS)
    again = desk.say("/jobs/requeue", number=number, sure="yes")
    assert f"dead job {number}: dead job {number} was put back before" in again
    assert "put back" in desk.see("/jobs?closed=1")


def test_all_of_a_reason_are_those_that_were_there_when_the_page_was_shown(
    desk: Desk, store: Store, tmp_path: Path
) -> None:
    newest = max(poisoned(store, number) for number in (1, 2, 3))
    no_job(store)
    page = desk.see("/jobs?reason=poison")
    assert "Put 3 of this reason back" in page
    poisoned(store, 4)
    form: dict[str, Any] = {"reason": "poison", "newest": newest}
    assert "Put 3 back?" in desk.say("/jobs/requeue", htmx=True, **form)
    assert "3 put back." in desk.say("/jobs/requeue", **form, sure="yes")
    assert store.dead_jobs.count_open() == {"no_task": 1, "poison": 1}
    assert messages(tmp_path) == 3


def test_all_of_a_reason_are_offered_on_the_first_page_alone(desk: Desk, store: Store) -> None:
    oldest, *_ = [poisoned(store, number) for number in range(51)]
    assert "Put 51 of this reason back" in desk.see("/jobs?reason=poison")
    later_page = desk.see(f"/jobs?reason=poison&before={oldest + 1}")
    assert "of this reason" not in later_page
    assert "First page" in later_page


def test_a_queue_that_is_down_is_named_and_what_is_put_back_waits_in_the_database(
    store: Store, tmp_path: Path
) -> None:
    desk = Desk(store, settings(tmp_path, broker_url=REDIS_THAT_IS_DOWN))
    number = poisoned(store)
    assert "cannot be reached" in desk.see("/jobs")
    done = desk.say("/jobs/requeue", number=number, sure="yes")
    assert "1 put back. 1 of them wait in the database" in done
    request = store.requests.find("r1")
    assert request is not None
    assert request.state == "queued"


def test_what_cannot_be_put_back_says_why_and_the_others_are(desk: Desk, store: Store) -> None:
    good, [bad] = poisoned(store), no_job(store)
    page = desk.say("/jobs/requeue", number=[good, bad], sure="yes")
    assert "1 put back. 1 were refused:" in page
    assert f"dead job {bad}: nothing to put back is kept" in page


def test_a_flood_is_dismissed_with_a_note_that_stays(desk: Desk, store: Store) -> None:
    newest = no_job(store, times=3)[-1]
    form: dict[str, Any] = {"reason": "no_task", "newest": newest}
    assert "Dismiss 3?" in desk.say("/jobs/dismiss", **form)
    page = desk.say("/jobs/dismiss", **form, sure="yes", note="the app <b>sent</b> them again")
    assert "3 dismissed." in page
    assert store.dead_jobs.count_open() == {}
    closed = desk.html("/jobs?closed=1")
    assert "the app &lt;b&gt;sent&lt;/b&gt; them again" in closed
    assert store.dead_jobs.latest(1, closed=True)[0].dismissed_by == "lee"
    assert ("lee", "dismiss", "console", None, "10.1.2.3") in on_record(store, *COLUMNS)
    assert "1 put back" not in desk.say("/jobs/requeue", number=newest, sure="yes")
    too_long = desk.say("/jobs/dismiss", number=no_job(store)[0], sure="yes", note="x" * 1001)
    assert "Dismiss 1?" in too_long
    assert store.dead_jobs.count_open() == {"no_task": 1}


def test_pages_follow_each_other_without_gap_and_without_double(desk: Desk, store: Store) -> None:
    numbers = no_job(store, times=120)
    seen: list[str] = []
    path: str | None = "/jobs?reason=no_task"
    while path:
        html = desk.html(path)
        seen += [part.partition("<")[0] for part in html.split('data-label="Number">')[1:]]
        following = html.partition('href="/jobs?reason=no_task&amp;before=')[2].partition('"')[0]
        path = f"/jobs?reason=no_task&before={following}" if following else None
    assert seen == [str(number) for number in reversed(numbers)]


@pytest.mark.parametrize("query", ["before=x", "before=-1", "reason=%3Cscript%3E", f"before={'9' * 40}"])
def test_an_address_that_makes_no_sense_is_harmless(desk: Desk, store: Store, query: str) -> None:
    no_job(store)
    assert "<script>" not in desk.html(f"/jobs?{query}").partition("<main")[2]


def test_a_number_that_was_never_one_is_passed_over(desk: Desk) -> None:
    assert "Put 0 back?" in desk.say("/jobs/requeue", number="x")
    assert "0 put back" in desk.say("/jobs/requeue", number="x", sure="yes")
