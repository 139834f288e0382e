"""A month's records are signed by people who did not do the work alone; who opens far more is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from click.testing import Result

from pipeline.verdict import Reason, Status
from support import reviews
from support.jobs import KIM, LEASE, MOST, a_job, a_verdict
from worker.errors import NotPossible
from worker.store import Attempt, BreakKind, NewMember, ReviewState, Store, UnusualAccount, month_of
from worker.store.access.month import MANY

Cli = Callable[..., Result]

SEOUL = ZoneInfo("Asia/Seoul")
OCTOBER = month_of(date(2026, 10, 1), SEOUL)
LATER = datetime(2026, 11, 24, 3, tzinfo=UTC)
IDS = [f"m{number:03}" for number in range(3 * MANY)]


@pytest.fixture
def here(here: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("VERIFY_TOMBSTONE_KEY", "test key")
    monkeypatch.setenv("VERIFY_OPERATOR", "park")
    return here


@pytest.fixture
def peopled(store: Store) -> Store:
    """With nine members."""
    return with_members(store, IDS[:9])


@pytest.fixture
def crowded(store: Store) -> Store:
    """With so many that somebody can open far more than others."""
    return with_members(store, IDS)


def with_members(store: Store, member_ids: Sequence[str]) -> Store:
    store.members.import_list([NewMember(i, None, f"https://h/{i}.jpg", ()) for i in member_ids], LATER)
    return store


def opened(store: Store, by: str, members: Sequence[str], at: datetime, action: str = "review") -> None:
    store.accesses.note(members, replace(KIM, by=by, action=action), at)


def signed(store: Store, by: str, at: datetime = LATER) -> ReviewState:
    store.access_reviews.sign(OCTOBER, replace(KIM, by=by), "looked at all", at, breaks=0)
    [october] = store.access_reviews.months(at, SEOUL)
    return october.state


def test_a_month_is_checked_when_somebody_without_work_in_it_has_signed(peopled: Store) -> None:
    opened(peopled, "kim", IDS[:2], OCTOBER.first + timedelta(days=3))
    [october] = peopled.access_reviews.months(LATER, SEOUL)
    assert (october.month, october.state, october.signed) == ("2026-10", ReviewState.OPEN, ())
    assert signed(peopled, "park") is ReviewState.DONE
    [review] = peopled.access_reviews.signed("2026-10").signed
    assert (review.checked_by, review.records, review.own_records) == ("park", 2, 0)
    assert (review.note, review.chain_number) == ("looked at all", 3)


def test_whoever_has_work_in_it_does_not_sign_alone(peopled: Store) -> None:
    opened(peopled, "Kim", IDS[:2], OCTOBER.first + timedelta(days=3))
    opened(peopled, "lee", IDS[:1], OCTOBER.first + timedelta(days=4))
    assert signed(peopled, "kim") is ReviewState.NEEDS_ANOTHER
    assert signed(peopled, "KIM") is ReviewState.NEEDS_ANOTHER
    assert signed(peopled, "lee") is ReviewState.DONE


def test_a_month_that_is_not_over_or_a_signature_without_a_note_is_refused(peopled: Store) -> None:
    with pytest.raises(NotPossible, match="2026-10 is not over"):
        signed(peopled, "park", OCTOBER.after - timedelta(seconds=1))
    for note in ("", "  ", "x" * 1001):
        with pytest.raises(NotPossible, match="a note says"):
            peopled.access_reviews.sign(OCTOBER, KIM, note, LATER, breaks=0)


def test_a_signature_that_is_changed_is_found_out(peopled: Store) -> None:
    opened(peopled, "kim", IDS[:2], OCTOBER.first + timedelta(days=3))
    signed(peopled, "park")
    assert peopled.access_chain.verify(LATER).holds
    with peopled.database.engine.begin() as c:
        c.exec_driver_sql("UPDATE access_review SET note = 'all is well'")
    [found] = peopled.access_chain.verify(LATER).told
    assert (found.kind, found.number) == (BreakKind.SIGNED, 3)


def test_records_that_were_all_removed_and_begun_anew_are_missed_by_what_was_signed(peopled: Store) -> None:
    opened(peopled, "kim", IDS[:9], OCTOBER.first + timedelta(days=3))
    signed(peopled, "park")
    with peopled.database.engine.begin() as c:
        for table in ("access_log", "access_chain"):
            c.exec_driver_sql(f"DELETE FROM {table}")
    opened(peopled, "kim", IDS[:2], LATER)
    assert [one.kind for one in peopled.access_chain.verify(LATER).told] == [BreakKind.SIGNED]


def test_what_is_broken_alarms_until_it_is_signed_and_again_with_the_next(peopled: Store) -> None:
    opened(peopled, "kim", IDS[:9], OCTOBER.first + timedelta(days=3))
    log = peopled.database.t.access_log
    breaks = []
    for number in (3, 6):
        with peopled.database.engine.begin() as c:
            c.execute(sa.delete(log).where(log.c.number == number))
        report = peopled.access_watch.check_chain(LATER)
        breaks.append((report.alarming, peopled.access_watch.state().unsigned_breaks))
        peopled.access_reviews.sign(OCTOBER, KIM, "a test of the restore", LATER, breaks=report.breaks)
        report = peopled.access_chain.verify(LATER)
        breaks.append((report.alarming, peopled.access_watch.state().unsigned_breaks))
    assert breaks == [(True, 1), (False, 0), (True, 1), (False, 0)]


def test_the_command_verifies_signs_and_shows_it(here: Cli, peopled: Store) -> None:
    opened(peopled, "kim", IDS[:2], OCTOBER.first + timedelta(days=3))
    assert "3 records hold together" in here("access", "--verify").stdout  # with that of the command itself
    assert "2026-10 is not signed." in here("access", "--month", "2026-10").stdout
    assert here("access", "--month", "2026-10", "--sign").exit_code == 1
    done = here("access", "--month", "2026-10", "--sign", "--note", "nothing unusual").stdout
    assert "2026-10 was signed by park" in done
    assert "(2 records): nothing unusual" in done
    told = json.loads(here("access", "--month", "2026-10", "--json").stdout)
    assert (told["state"], told["signed"][0]["checked_by"]) == ("done", "park")
    with peopled.database.engine.begin() as c:
        c.exec_driver_sql("UPDATE access_log SET looked_by = 'x' WHERE number = 1")
    result = here("access", "--verify")
    assert (result.exit_code, "record 1 was changed" in result.stdout) == (1, True)
    broken = json.loads(here("access", "--verify", "--json").stdout)
    assert (broken["holds"], broken["breaks"], broken["told"][0]["kind"]) == (False, 1, "changed")


def test_the_report_fits_into_80_columns(here: Cli, crowded: Store) -> None:
    place = {"host": "desk-17.seoul.example.com", "login": "kim (sudo lee)"}
    access = replace(KIM, by="a-reviewer-with-a-long-name", **place)
    crowded.accesses.note(IDS[:120], access, OCTOBER.first + timedelta(days=3, hours=11))
    lines = here("access", "--month", "2026-10").stdout.splitlines()
    assert max(map(len, lines)) <= 80


# Far more than the others


def reviewed(store: Store, *names: str) -> None:
    """Each has decided a case, and opened ten members on each of five days before."""
    for number, name in enumerate(names):
        store.requests.accept(a_job(f"r-{name}", f"case-{name}", LATER), "verify", LATER)
        attempt = store.requests.acquire(f"r-{name}", "w", LEASE, MOST, LATER)
        assert isinstance(attempt, Attempt)
        store.requests.finish(attempt, a_verdict(Status.REVIEW, Reason.DIFFERENT_PERSON), LATER)
        reviews.decide(store, f"case-{name}", by=name, at=LATER)
        for day in range(1, 6):
            opened(store, name, IDS[number * 10 : number * 10 + 10], LATER - timedelta(days=day))


def unusual(store: Store) -> tuple[UnusualAccount, ...]:
    assert store.access_watch.look(LATER)
    return store.access_watch.state().unusual


def test_an_account_that_opens_far_more_than_the_other_reviewers_is_named(crowded: Store) -> None:
    reviewed(crowded, "kim", "lee")
    opened(crowded, "kim", IDS[:MANY], LATER - timedelta(hours=1))
    opened(crowded, "lee", IDS[: MANY - 2], LATER - timedelta(hours=1))
    assert unusual(crowded) == (UnusualAccount("kim", MANY + 1, 10),)


def test_the_median_of_the_others_counts_and_not_the_own_days(crowded: Store) -> None:
    reviewed(crowded, "kim", "lee")
    for day in range(2, 7):
        opened(crowded, "lee", IDS[:MANY], LATER - timedelta(days=day))
    opened(crowded, "kim", IDS[: 2 * MANY], LATER - timedelta(hours=1))
    assert unusual(crowded) == ()
    opened(crowded, "kim", IDS[: 3 * MANY], LATER - timedelta(hours=1))
    assert not crowded.access_watch.look(LATER + timedelta(minutes=9))
    assert crowded.access_watch.look(LATER + timedelta(minutes=10))
    [kim] = crowded.access_watch.state().unusual
    assert (kim.account, kim.usual) == ("kim", MANY)


def test_where_nobody_else_reviews_the_own_days_count(crowded: Store) -> None:
    for day in range(1, 6):
        opened(crowded, "kim", IDS[:MANY], LATER - timedelta(days=day))
    opened(crowded, "kim", IDS[: 2 * MANY], LATER - timedelta(hours=1))
    assert unusual(crowded) == ()


def test_an_import_opens_nobody(crowded: Store) -> None:
    opened(crowded, "kim", IDS, LATER - timedelta(hours=1), "import")
    assert unusual(crowded) == ()


def test_the_month_names_the_days_on_which_an_account_opened_far_more(here: Cli, crowded: Store) -> None:
    reviewed(crowded, "lee")
    opened(crowded, "kim", IDS[:MANY], datetime(2026, 11, 20, 3, tzinfo=UTC), "show")
    opened(crowded, "choi", IDS, datetime(2026, 11, 20, 3, tzinfo=UTC), "import")
    told = json.loads(here("access", "--month", "2026-11", "--json").stdout)["accounts"]
    days = {one["account"]: one["more_than_others"] for one in told}
    assert (days["kim"], days["choi"], days["lee"]) == ({"2026-11-20": MANY}, {}, {})
