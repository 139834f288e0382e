"""Reviewers at the command line: what they see, what they do not see, and a hundred cases for two of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from pipeline.verdict import Reason, Status
from support import reviewers
from support.grants import granted_database
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from support.workers import rows as rows_of
from worker.clock import utc_now
from worker.store import Attempt, Store, build_engine

Cli = Callable[..., Result]


def rows(store: Store, table: sa.Table) -> list[dict[str, Any]]:
    return [dict(row) for row in rows_of(store, table)]


@pytest.fixture
def here(here: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same with a key, as nobody in particular."""
    monkeypatch.setenv("VERIFY_TOMBSTONE_KEY", "test key")
    monkeypatch.setenv("VERIFY_SECOND_REVIEW_SHARE", "0")
    monkeypatch.delenv("VERIFY_OPERATOR", raising=False)
    return here


def judged(store: Store, number: int, **verdict: Any) -> None:
    at = later(number)
    store.requests.accept(a_job(f"r{number}", f"m{number}", at), "verify", at)
    attempt = store.requests.acquire(f"r{number}", "w", LEASE, MOST, at)
    assert isinstance(attempt, Attempt)
    said = {"status": Status.REVIEW, "reason": Reason.DIFFERENT_PERSON, **verdict}
    assert store.requests.finish(attempt, a_verdict(**said), at)


def test_of_a_hundred_cases_two_reviewers_decide_each_once_and_none_without_a_look(mariadb_url: str) -> None:
    with granted_database(mariadb_url) as granted:
        engine = build_engine(granted.url_of("verify_worker"))
        store = Store(engine, tombstone_key=b"key", review_rules=reviewers.RULES)
        for number in range(100):
            judged(store, number)
        processes = reviewers.begin(granted.url_of("verify_operator"), ("kim", "lee"))
        for process in processes:
            process.join(300)
        assert [process.exitcode for process in processes] == [0, 0]
        t = store.database.t
        decisions, votes, cases = (rows(store, table) for table in (t.decision, t.review_vote, t.review_case))
        with granted.admin.connect() as c:
            looks = c.execute(sa.select(t.access_log)).all()
        engine.dispose()
    assert Counter(row["request_id"] for row in decisions) == {f"r{n}": 1 for n in range(100)}
    assert (len(cases), [case for case in cases if case["unfinished"]]) == (100, [])
    seconds = {case["id"] for case in cases if case["second"]}
    assert 0 < len(seconds) < 100
    by_case: dict[int, list[str]] = {}
    for vote in votes:
        by_case.setdefault(vote["case_id"], []).append(vote["voted_by"])
    for case in cases:
        assert sorted(by_case[case["id"]]) in (
            [["kim", "lee"]] if case["id"] in seconds else [["kim"], ["lee"]]
        )
    members = {case["id"]: case["member_id"] for case in cases}
    first_looks: dict[tuple[str, str], Any] = {}
    for look in looks:
        first_looks.setdefault((look.member_id, look.looked_by), look.looked_at)
    for vote in votes:
        assert first_looks[members[vote["case_id"]], vote["voted_by"]] <= vote["voted_at"]
    assert {vote["voted_by"] for vote in votes} == {"kim", "lee"}


# An audited approval is like any other case

COMMANDS = (
    ("review", "list"),
    ("review", "list", "--json"),
    ("review", "next", "--by", "kim"),
    ("review", "next", "--by", "kim", "--json"),
    ("review", "show", "--by", "kim", "--links"),
    ("show", "m1"),
    ("show", "m1", "--json"),
    ("show", "m1", "--ko"),
    ("review", "decide", "approve", "--reason", "same_person", "--by", "kim"),
    ("review", "answer", "1=same", "--by", "kim"),
    ("review", "answer", "1=same", "2=cannot_tell", "--by", "kim"),
    ("review", "report"),
)


def test_an_audited_approval_cannot_be_told_from_any_other_case(here: Cli, store: Store) -> None:
    """By its text, its JSON, its place in the order, or the statements that run for it."""
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    seen = []
    try:
        for ordinary in (False, True):
            _empty(store)
            if ordinary:
                judged(store, 1, reason=Reason.GENDER_CONFLICT, similarity=0.31)
            else:
                judged(store, 1, reason=Reason.BLIND_AUDIT, same_person=True, similarity=0.999)
            judged(store, 2, reason=Reason.SAME_PICTURE)
            statements.clear()
            shown = [here(*words) for words in COMMANDS]
            seen.append(([_without_clock(one.output) for one in shown], list(statements)))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    (audit, asked), (other, asked_too) = seen
    assert audit[:-1] == other[:-1]
    assert [len(audit), len(asked)] == [len(other), len(asked_too)]
    assert asked == asked_too
    text = "".join(audit[:-1])
    for word in ("audit", "0.999", "similarity", "reason", "verdict_", "female", "male"):
        assert word not in text.replace("--reason", ""), word


def _empty(store: Store) -> None:
    with store.database.engine.begin() as c:
        for table in reversed(store.database.t.metadata.sorted_tables):
            c.execute(sa.delete(table))


def _without_clock(text: str) -> str:
    """Durations and times of day go on while the test runs; numbers of rows count up."""
    text = re.sub(r"\d+ days, ", "", text)
    text = re.sub(r'"case_id": \d+', '"case_id": -', text)
    text = re.sub(r"\d\d?:\d\d:\d\d", "-", text)
    return re.sub(r"\d{4}-\d\d-\d\dT-[.\d]*\+00:00", "-", text)


# The commands


def test_a_case_from_the_list_to_the_report(here: Cli, store: Store) -> None:
    assert "Nobody waits" in here("review", "list").stdout
    assert "Nobody waits" in here("review", "next", "--by", "kim").stdout
    for number in (1, 2, 3):
        judged(store, number)
    first = here("review", "list", "--limit", 2).stdout
    assert "3 open cases: 3 overdue, 0 taken, 0 escalated." in first
    after = first.rsplit(maxsplit=1)[1]
    assert [one in here("review", "list", "--after", after).stdout for one in ("m1", "m3")] == [False, True]
    got = here("review", "next", "--by", "kim").stdout
    assert "The case of m1 is yours until" in got
    assert "https://photos.example.com/m1/selfie.jpg?…" in got
    assert "sig=abc" not in got
    assert "`--links` shows the whole addresses" in got
    assert "sig=abc" in here("review", "next", "--by", "kim", "--links").stdout
    assert [one.way for one in store.accesses.of_member("m1")] == ["links", "photos"]
    early = here("review", "decide", "approve", "--reason", "same_person", "--by", "kim")
    assert (early.exit_code, "photos of m1 come first" in early.stderr) == (1, True)
    told = here("review", "answer", "1=same", "2=different", "--gender", "2=male", "--by", "kim")
    assert "m1: 1 same, 2 different, says kim" in told.stdout
    shown = here("review", "show", "--by", "kim").stdout
    assert all(word in shown for word in ("different_person", "0.830", "declared gender", "too_dark"))
    assert "0.980" not in shown
    assert "Now: review decide (approve|reject|new-photo|escalate) --reason CODE" in shown
    assert "review reasons" in here("review", "decide", "approve", "--by", "kim").stderr
    assert "a change, after the evidence" in here("review", "answer", "2=same", "--by", "kim").stdout
    wrong = here("review", "decide", "reject", "--reason", "too_dark", "--by", "kim", "--member", "m1")
    assert (wrong.exit_code, "no reason to reject: there are" in wrong.stderr) == (1, True)
    done = here(
        "review", "decide", "new-photo", "--reason", "too_dark", "--photo", 2, "--by", "kim", "--json"
    )
    assert json.loads(done.stdout)["decision"]["status"] == "retry_photo"
    assert here("show", "m1", "--ko").stdout.startswith("2번 사진이 너무 어둡게")
    assert "0.980" in here("show", "m1").stdout
    undone = here("review", "undo", "--by", "kim").stdout
    assert "new_photo is taken back, says kim; the verdict: review, different_person" in undone
    assert "m1" in here("review", "reopen", "m1", "--by", "lee").stderr  # it is open already
    report = here("review", "report").stdout
    assert "Blind audit: 0 approvals sampled" in report
    told = json.loads(here("review", "report", "--json").stdout)
    assert [one["changed"] for one in told["reviewers"]] == [1]
    assert "같은 사람" in here("review", "reasons").stdout
    assert json.loads(here("review", "reasons", "--json").stdout)["other"]["for"] == [
        *("approve", "reject", "escalate"),
    ]


def test_a_reviewer_may_have_a_korean_name(here: Cli, store: Store) -> None:
    judged(store, 1)
    by = ("--by", "김하늘")
    assert "The case of m1 is yours" in here("review", "next", *by).stdout
    assert "says 김하늘" in here("review", "answer", "1=same", "2=same", *by).stdout
    assert "says 김하늘" in here("review", "decide", "approve", "--reason", "same_person", *by).stdout
    assert "is taken back" in here("review", "undo", *by).stdout
    here("review", "next", *by)
    assert "김하늘 has the case of m1" in _refused(here, "m1", "lee")
    assert "no open case of 다나" in _refused(here, "다나", "lee")
    assert here("review", "next", "--sandbox", "--member", "다나", *by).exit_code == 0
    assert "김하늘" in here("review", "report").stdout


def _refused(here: Cli, member_id: str, by: str) -> str:
    return here("review", "show", "--member", member_id, "--by", by).stderr


def test_the_first_of_two_votes_is_not_told_by_the_record_of_looks(
    here: Cli, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIFY_REJECTION_VOTES", "2")
    judged(store, 1)
    for name in ("kim", "lee"):
        here("review", "next", "--by", name)
        here("review", "answer", "1=same", "2=different", "--by", name)
        assert "reject" not in here("show", "m1", "--looks").stdout
        here("review", "decide", "reject", "--reason", "other_person", "--by", name)
    assert here("show", "m1", "--looks").stdout.count("reject") == 2  # decided: nobody can be swayed


def test_a_reviewer_without_a_case_is_told_who_has_it(here: Cli, store: Store) -> None:
    judged(store, 1)
    here("review", "next", "--by", "kim")
    for words in (("show",), ("answer", "1=same"), ("decide", "approve", "--reason", "same_person")):
        result = here("review", *words, "--by", "lee", "--member", "m1")
        assert (result.exit_code, "kim has the case of m1" in result.stderr) == (1, True)
        assert "you have no case" in here("review", *words, "--by", "lee").stderr
    assert "Nothing waits for you: 1 open cases" in here("review", "next", "--by", "lee").stdout
    here("review", "release", "--by", "kim")
    assert "m1 is yours" in here("review", "next", "--by", "lee").stdout
    nobody = here("review", "show", "--by", "kim", "--member", "m1").stderr
    assert "lee has" in nobody
    store.members.forget("m1", utc_now())
    assert "no open case of m1" in here("review", "show", "--by", "lee", "--member", "m1").stderr


@pytest.mark.parametrize(
    "words",
    [
        *(("answer", word) for word in ("1", "1=maybe", "x=same", "1=same 1=same", "-1=same", "²=same")),
        ("answer",),
        ("answer", "1=same", "--gender", "1=f"),
        ("decide", "maybe", "--reason", "same_person"),
        ("decide", "approve"),
        ("reopen",),
        ("list", "--limit", "0"),
    ],
)
def test_words_in_disorder_are_wrong_usage(here: Cli, store: Store, words: tuple[str, ...]) -> None:
    judged(store, 1)
    here("review", "next", "--by", "kim")
    by = () if words[0] == "list" else ("--by", "kim")
    assert here("review", *(part for word in words for part in word.split()), *by).exit_code == 2
    assert rows(store, store.database.t.label) == []


def test_whoever_decides_must_give_a_name(here: Cli, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(store, 1)
    for words in (("next",), ("show",), ("undo",), ("reopen", "m1"), ("release",), ("next", "--by", " ")):
        result = here("review", *words)
        assert (result.exit_code, "--by NAME" in result.stderr) == (2, True)
    monkeypatch.setenv("VERIFY_OPERATOR", "lee")
    assert here("review", "next").exit_code == 0
    assert store.reviews.queue.holder_of("m1", NOW) == "lee"
