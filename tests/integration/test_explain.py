"""`explain`: what a member may be told, out of the database, by the program's and people's work."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from pipeline.verdict import Outcome, PhotoFinding, Reason, Status
from support import reviews
from support.bundle import ROOT
from support.cases import judged
from support.heads import a_bundle
from support.jobs import NOW, SELFIE, a_comparison, a_job, later
from support.letters import forbidden_in, text_of
from worker.cli.output import plain
from worker.clock import utc_now
from worker.errors import ConsentWithdrawn
from worker.results.explained import (
    AskedForPerson,
    ComparedPhoto,
    Decided,
    ExplainedRequest,
    Explanation,
    Progress,
    Terms,
)
from worker.results.letter import letter
from worker.results.texts import Language
from worker.serving.registry import publish
from worker.settings import load_settings
from worker.store import MappedMember, NewObjection, Store, build_engine
from worker.store.tables.states import Purpose

Cli = Callable[..., Result]
PROGRAM, PERSON = Decided.PROGRAM, Decided.PERSON
APPROVED: dict[str, Any] = {"status": Status.APPROVED, "reason": Reason.SAME_PERSON}
_CELLS = re.findall(r"(?m)^\| (`.*?) \|", (ROOT / "worker/EVENT.md").read_text())
PROBLEMS = sorted(set(re.findall(r"`(\w+)`", "".join(_CELLS))))
"""Codes in the first columns of EVENT.md's tables: among them why a message can be refused."""


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    """Whose workers open reviews for reused photos."""
    return Store(engine, tombstone_key=b"test key", listening=True, review_reused_photos=True)


@pytest.fixture
def here(here: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """As an operator with a name."""
    monkeypatch.setenv("VERIFY_OPERATOR", "zed")
    monkeypatch.setenv("VERIFY_TOMBSTONE_KEY", "test key")
    return here


def explained(store: Store, member_id: str = "m1") -> Explanation:
    found = store.explanations.of_member(member_id, Terms.of(load_settings()), later(10_000))
    assert found is not None
    return found


def outcomes(request: ExplainedRequest) -> list[tuple[Decided, Status]]:
    return [(step.by, step.outcome) for step in request.steps]


def told(store: Store, member_id: str = "m1") -> str:
    return text_of(letter(explained(store, member_id), Language.EN))


# What was suspected


def photos_of(name: str, *outcomes: Outcome, replay: bool = False) -> tuple[PhotoFinding, ...]:
    """Photos of these outcomes, of files that nobody else has."""
    compared = {Outcome.SAME: a_comparison(), Outcome.DIFFERENT: a_comparison(0.01)}
    photo = PhotoFinding(1, Outcome.SAME, faces=1, replay=replay)
    return tuple(
        replace(photo, position=n, outcome=one, sha256=f"{name}{n}" * 32, comparison=compared.get(one))
        for n, one in enumerate(outcomes, start=1)
    )


SAME, UNSURE, DIFFERENT = Outcome.SAME, Outcome.UNSURE, Outcome.DIFFERENT
REVIEWS: list[dict[str, Any]] = [
    {"reason": Reason.PRIMARY_UNSURE, "outcomes": (UNSURE, SAME)},
    {"reason": Reason.DIFFERENT_PERSON, "outcomes": (DIFFERENT, SAME), "similarity": 0.01},
    {"reason": Reason.SAME_PICTURE, "outcomes": (SAME, SAME), "replay": True, "similarity": 1.0},
    {"reason": Reason.GENDER_CONFLICT, "outcomes": (SAME, SAME), "same_person": True},
    {"reason": Reason.BLIND_AUDIT, "outcomes": (SAME, SAME), "same_person": True, "similarity": 0.99},
    {"reason": Reason.SELFIE_CHANGED, "outcomes": (SAME, UNSURE)},
    {**APPROVED, "outcomes": (SAME, SAME), "reused": True},
]
"""Reviews of two photos each; the last one is an approval that a photo of another member's turns into one."""


def a_review(store: Store, number: int, **said: Any) -> str:
    """A member with this review; returns the ID."""
    photos = photos_of(f"{number}", *said.pop("outcomes"), replay=said.pop("replay", False))
    if said.pop("reused", False):
        judged(store, "r8", "m8", photos=photos, selfie=replace(SELFIE, sha256="8" * 64), **APPROVED)
    selfie = replace(SELFIE, sha256=f"{number}" * 64)
    judged(store, f"r{number}", f"m{number}", 60, photos=photos, selfie=selfie, **said)
    return f"m{number}"


def without_ids(store: Store, member_id: str) -> tuple[Any, ...]:
    """Letters in both languages and the facts, all that the command can print, but for the IDs."""
    facts = explained(store, member_id)
    printed = (json.dumps(plain(facts)), *(text_of(letter(facts, one)) for one in Language))
    return tuple(re.sub(rf"\b([mr]){member_id[1:]}\b", r"\1", one) for one in printed)


def test_every_review_gives_the_same_bytes_whatever_was_suspected(store: Store) -> None:
    members = [a_review(store, number, **said) for number, said in enumerate(REVIEWS, start=1)]
    assert store.requests.find("r7").machine_reason is Reason.SAME_PERSON  # type: ignore[union-attr]
    waiting = {without_ids(store, member_id) for member_id in members}
    assert len(waiting) == 1
    for number, member_id in enumerate(members):
        reviews.decide(store, member_id, Status.REJECTED, by=f"kim{number}", at=later(100))
    decided = {without_ids(store, member_id) for member_id in members}
    assert len(decided) == 1
    for printed in (*waiting.pop(), *decided.pop()):
        assert not forbidden_in(printed, ("kim", "zed")), printed


# What was decided, and by whom


def test_what_a_person_overruled_is_told_in_its_order_and_what_was_taken_back_is_not(store: Store) -> None:
    judged(store, **APPROVED)
    assert explained(store).requests[0].compared == ComparedPhoto(1, 0.83)
    reviews.decide(store, "m1", Status.REJECTED, at=later(10))
    store.reviews.undoing.undo("kim", later(20))
    assert outcomes(explained(store).requests[0]) == [(PROGRAM, Status.APPROVED)]
    reviews.decide(store, "m1", Status.RETRY_PHOTO, at=later(30))
    store.reviews.decisions.reopen("m1", "lee", later(400))
    reviews.decide(store, "m1", Status.REJECTED, "lee", later(410))
    [request] = explained(store).requests
    assert outcomes(request) == [
        (PROGRAM, Status.APPROVED),
        (PERSON, Status.RETRY_PHOTO),
        (PERSON, Status.REJECTED),
    ]
    assert (request.standing, request.compared, request.looked_at) == (True, None, NOW)
    assert "Photo 1 is too dark." in told(store)


def test_no_number_is_told_while_a_person_is_to_decide(store: Store) -> None:
    judged(store, **APPROVED)
    store.reviews.decisions.reopen("m1", "lee", later(5))
    [request] = explained(store).requests
    assert (request.compared, request.waits) == (None, False)


def test_an_approval_counts_for_nothing_while_an_earlier_review_is_open(store: Store) -> None:
    judged(store)
    judged(store, "r2", at=60, **APPROVED)
    judged(store, "r3", at=90, status=Status.ERROR, reason=Reason.INTERNAL_ERROR)
    found = explained(store).requests
    assert [(one.request_id, one.standing, one.waits, *outcomes(one)) for one in found] == [
        ("r1", True, True, (PROGRAM, Status.REVIEW)),
        ("r3", False, False, (PROGRAM, Status.ERROR)),
        ("r2", False, True, (PROGRAM, Status.REVIEW)),
    ]
    reviews.decide(store, "m1", Status.REJECTED, at=later(100))
    assert not any(one.waits for one in explained(store).requests)


def test_a_doubt_that_better_photos_have_ended_waits_for_nobody(store: Store) -> None:
    judged(store, reason=Reason.PRIMARY_UNSURE)
    judged(store, "r2", at=60, **APPROVED)
    newest, doubt = explained(store).requests
    assert (newest.standing, outcomes(newest)) == (True, [(PROGRAM, Status.APPROVED)])
    assert (doubt.waits, outcomes(doubt)) == (False, [(PROGRAM, Status.REVIEW)])
    assert (newest.compared, doubt.compared) == (ComparedPhoto(1, 0.83), None)


def test_each_way_that_a_request_can_go_is_told(store: Store) -> None:
    store.requests.accept(a_job("dead"), "verify", NOW)
    store.requests.give_up("dead", "poison", "boom", NOW)
    store.requests.accept(a_job("older", at=later(60)), "verify", later(60))
    store.requests.accept(a_job("open", at=later(90)), "verify", later(90))
    assert [(one.request_id, one.progress) for one in explained(store).requests] == [
        ("dead", Progress.FAILED),
        ("open", Progress.WAITING),
        ("older", Progress.SUPERSEDED),
    ]
    store.consents.record("m1", Purpose.VERIFICATION, later(100), given=False)
    with pytest.raises(ConsentWithdrawn):
        store.requests.accept(a_job("late", at=later(110)), "verify", later(110))
    progress = {one.request_id: one.progress for one in explained(store).requests}
    assert (progress["open"], progress["late"]) == (Progress.NO_CONSENT, Progress.NO_CONSENT)
    assert "it was recorded that you do not agree" in told(store)


def test_every_message_that_was_refused_is_told_and_no_code_of_it(store: Store) -> None:
    judged(store)
    r = store.database.t.result
    one = {"member_id": "m1", "state": "dead", "sandbox": False}
    one |= dict.fromkeys(("accepted_at", "changed_at"), later(5))
    refused = [{**one, "request_id": f"17-{n}", "problem": code} for n, code in enumerate(PROBLEMS)]
    with store.database.engine.begin() as c:
        c.execute(sa.insert(r), refused)
    found = explained(store).requests[1:]
    assert len(found) == len(PROBLEMS) > 20
    progress = {one.progress for one in found}
    assert progress == {Progress.NO_CONSENT, Progress.NOT_ACCEPTED}
    for language in Language:
        text = text_of(letter(explained(store), language))
        assert not [code for code in PROBLEMS if "_" in code and code in text]


def test_requests_of_before_there_were_results_are_told_alike(store: Store) -> None:
    judged(store)
    reviews.decide(store, "m1", Status.APPROVED, at=later(10))
    judged(store, "r2", at=60, status=Status.RETRY_PHOTO, reason=Reason.SELFIE_TOO_DARK, photo=0)
    before = explained(store)
    t = store.database.t
    with store.database.engine.begin() as c:
        c.execute(sa.delete(t.result))
        c.execute(sa.update(t.member).values(verified_request_id=None))
    assert explained(store) == before
    assert before.requests[0].standing


def test_of_photos_that_only_people_look_at_it_is_told_that_nothing_was_compared(store: Store) -> None:
    nothing: dict[str, Any] = {"similarity": None, "model_version": "", "gender_probability": None}
    judged(store, reason=Reason.MANUAL, photos=photos_of("1", Outcome.NOT_COMPARED), **nothing)
    [request] = explained(store).requests
    assert (request.manual, request.waits, request.model_version) == (True, True, None)
    assert "no program looked for a face or compared any" in told(store)
    store.consents.record("m1", Purpose.VERIFICATION, later(5), given=False)
    assert not explained(store).suspended  # what was withdrawn is about the comparison
    judged(store, "r2", "m2")
    store.consents.record("m2", Purpose.VERIFICATION, later(5), given=False)
    assert "Nobody looks before you agree" in told(store, "m2")


def test_an_objection_is_told_with_its_deadline_and_when_it_was_answered(store: Store) -> None:
    judged(store, status=Status.RETRY_PHOTO, reason=Reason.SELFIE_TOO_DARK, photo=0)
    store.reviews.objections.record(NewObjection("m1", later(5), "o1", None), later(5))
    [objection] = explained(store).objections
    assert objection == AskedForPerson(later(5), later(5) + timedelta(days=30))
    assert "You will have an answer by 24 December 2026, 16:00." in told(store)
    reviews.decide(store, "m1", Status.APPROVED, at=later(100))
    [objection] = explained(store).objections
    assert objection.answered_at == later(100)
    assert outcomes(explained(store).requests[0]) == [
        (PROGRAM, Status.RETRY_PHOTO),
        (PERSON, Status.APPROVED),
    ]


def test_figures_are_told_of_a_calibrated_model_alone(store: Store, tmp_path: Path) -> None:
    facts = {"calibrated_on": {"fmr": 0.001, "people": 412}}
    found: tuple[dict[str, Any], ...] = ({}, facts)
    for number, metadata in enumerate(found, start=1):
        version = publish(store.models, a_bundle(tmp_path / f"{number}", **metadata), NOW)
        judged(store, f"r{number}", f"m{number}", model_version=version, **APPROVED)
    assert "passes it by mistake" not in told(store, "m1")
    assert "about one in 1,000 passes it by mistake" in told(store, "m2")
    assert "photos of 412 members" in told(store, "m2")


# The command


def test_it_prints_the_letter_or_its_facts_and_goes_on_record(here: Cli, store: Store) -> None:
    judged(store, **APPROVED)
    korean, english = here("explain", "m1", "--ko"), here("explain", "m1")
    assert korean.stdout.startswith("사진 인증에 대한 설명\n\nm1 회원님의")
    assert "\n1. The result that holds: the request of 24 November 2026, 16:00\n" in english.stdout
    assert max(map(len, english.stdout.splitlines())) <= 76
    assert "\x1b" not in korean.stdout + english.stdout
    facts = json.loads(here("explain", "m1", "--json").stdout)
    assert facts["requests"][0]["steps"] == [
        {"at": "2026-11-24T07:00:00.123456+00:00", "by": "program", "outcome": "approved", "text": None}
    ]
    assert here("explain", "m1", "--ko", "--json").exit_code == 2
    looks = store.accesses.of_member("m1")
    assert [(one.looked_by, one.action, one.way) for one in looks] == [
        *(("zed", "explain", "json"), ("zed", "explain", "en"), ("zed", "explain", "ko")),
    ]


def test_nobody_is_explained_who_is_not_there(here: Cli, store: Store) -> None:
    judged(store)
    store.members.forget("m1", NOW)
    erased, unknown = here("explain", "m1"), here("explain", "m2")
    assert (erased.exit_code, erased.stdout) == (unknown.exit_code, unknown.stdout) == (1, "")
    assert erased.stderr == "Error: m1 was erased: nothing is stored that could be explained\n"
    assert unknown.stderr == "Error: no member m2\n"
    assert here("explain", "m1 ").stderr == "Error: no member m1 \n"
    assert [one.action for one in store.accesses.of_member("m1")] == ["explain"]
    assert not store.accesses.of_member("m2")


def test_who_has_the_case_decides_first(here: Cli, store: Store) -> None:
    judged(store)
    claim = store.reviews.queue.claim_next("Zed", utc_now())
    assert claim is not None
    refused = here("explain", "m1")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "decide first" in refused.stderr
    assert here("explain", "m1", OPERATOR="lee").exit_code == 0
    store.reviews.queue.release(claim, utc_now())
    assert here("explain", "m1", OPERATOR="zed").exit_code == 0


def test_a_member_of_the_sandbox_is_told_to_be_one(here: Cli, engine: sa.Engine) -> None:
    store = Store(engine, tombstone_key=b"test key", sandbox_prefix="test-")
    judged(store, "r1", "test-approved", **APPROVED)
    assert "시험용 회원입니다." in here("explain", "test-approved", "--ko").stdout


def test_in_mapped_mode_it_says_the_same(migrated_sqlite: Path, tmp_path: Path) -> None:
    engine = build_engine(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'app.db')}")
    with engine.begin() as c:
        c.execute(sa.text("CREATE TABLE u (id VARCHAR(64) PRIMARY KEY, verification_status VARCHAR(16))"))
        c.execute(sa.text("INSERT INTO u (id) VALUES ('m1')"))
    left_out = ["same_person", "similarity", "predicted_gender", "gender_probability", "reason"]
    left_out += ["model_version", "verified_at"]
    mapped = MappedMember(engine, "u", "id", dict.fromkeys(left_out, ""))
    store = Store(engine, mapped=mapped, tombstone_key=b"test key")
    judged(store, **APPROVED)
    assert outcomes(explained(store).requests[0]) == [(PROGRAM, Status.APPROVED)]
    assert told(store) == told(Store(engine, tombstone_key=b"test key"))
    engine.dispose()
