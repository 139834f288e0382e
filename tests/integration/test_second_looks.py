"""Photos that another member has used, and the cap on tries: what is recorded instead of an approval."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from pipeline.verdict import Outcome, PerceptualHash, PictureHashes, Reason, Status, Verdict
from support import reviews
from support.jobs import KIM, LEASE, MOST, NOW, PHOTOS, SELFIE, a_job, a_verdict, later
from support.together import together
from worker.jobs.verify_job import Why
from worker.store import Attempt, Evidence, RequestRecord, Store
from worker.store.requests.copies import COARSE_BITS, FINE_BITS
from worker.store.requests.tries import TryLimit

Cli = Callable[..., Result]
DAY = 24 * 3600
REUSED = (Status.REVIEW, Reason.PHOTO_REUSED)
MANY = (Status.REVIEW, Reason.TOO_MANY_TRIES)
APPROVED = (Status.APPROVED, Reason.SAME_PERSON)
COARSE, FINE = 0xFEDC_BA98_7654_3210, int(sha256(b"a picture").hexdigest(), 16)
FAR = PerceptualHash(COARSE ^ (2**32 - 1), FINE ^ (2**128 - 1))


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    limit = TryLimit(most=3, within=timedelta(days=30))
    return Store(engine, tombstone_key=b"test key", try_limit=limit, review_reused_photos=True)


def digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def hashes(
    coarse: int = 0, fine: int = 0, *, mirrored: bool = False, featureless: bool = False
) -> PictureHashes:
    """Those of a picture that differs from `COARSE` and `FINE` in so many bits."""
    near = PerceptualHash(COARSE ^ (2**coarse - 1), FINE ^ (2**fine - 1))
    return PictureHashes(*((FAR, near) if mirrored else (near, FAR)), featureless=featureless)


def verdict(
    name: str, status: Status = Status.APPROVED, reason: Reason = Reason.SAME_PERSON, **photo: Any
) -> Verdict:
    """Of photos that nobody else has, but for what is said of the first gallery photo."""
    first = replace(PHOTOS[0], sha256=digest(f"{name} 1"))
    return a_verdict(
        status,
        reason,
        selfie=replace(SELFIE, sha256=digest(f"{name} selfie")),
        photos=(replace(first, **photo), replace(PHOTOS[1], sha256=digest(f"{name} 2"))),
    )


def begin(store: Store, request: str, member: str, at: float, why: Why = Why.SIGNUP) -> Attempt:
    store.requests.accept(a_job(request, member, later(at), why=why), "verify", later(at))
    attempt = store.requests.acquire(request, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt)
    return attempt


def finish(  # noqa: PLR0917
    store: Store, request: str, member: str, said: Verdict, at: float = 0, why: Why = Why.SIGNUP
) -> tuple[Status | None, Reason | None]:
    """Begin and end a request; what is recorded, which is also what whoever ended it is told."""
    recorded = store.requests.finish(begin(store, request, member, at, why), said, later(at))
    found = record(store, request)
    assert recorded is not None
    assert (recorded.status, recorded.reason) == (found.status, found.reason)
    return found.status, found.reason


def record(store: Store, request: str) -> RequestRecord:
    found = store.requests.find(request)
    assert found is not None
    return found


def reused(store: Store, request: str) -> list[tuple[int, str, str, int, bool]]:
    return [
        (one.position, one.of_member_id, one.of_request_id, one.of_position, one.same_file)
        for one in record(store, request).reuses
    ]


def evidence(store: Store, member_id: str, at: datetime = NOW) -> Evidence:
    """What a reviewer sees of the member's case after having answered."""
    claim = reviews.answered(store, member_id, at=at)
    found = store.reviews.queue.look(claim, KIM, at).evidence
    assert found is not None
    return found


def test_the_same_file_in_another_members_request_opens_a_review_that_names_it(store: Store) -> None:
    assert finish(store, "r1", "m1", verdict("m1")) == APPROVED
    stolen = verdict("m2", sha256=digest("m1 selfie"))
    assert finish(store, "r2", "m2", stolen, 60) == REUSED
    found = record(store, "r2")
    assert (found.photo, found.same_person, found.similarity) == (1, True, 0.83)
    assert (found.machine_status, found.machine_reason) == APPROVED
    assert reused(store, "r2") == [(1, "m1", "r1", 0, True)]
    member = store.members.find("m2")
    assert member is not None
    assert (member.status, member.reason) == REUSED
    seen = evidence(store, "m2")
    assert (seen.reason, [one.of_request_id for one in seen.request.reuses]) == (Reason.PHOTO_REUSED, ["r1"])
    # Whom the photo was taken from is not asked again, though it is in two galleries now.
    assert finish(store, "r3", "m1", verdict("m1"), 120) == APPROVED
    # Once a person has approved, the pair is known.
    reviews.decide(store, "m2", Status.APPROVED, "kim", later(180))
    assert finish(store, "r4", "m2", stolen, 240) == APPROVED
    assert finish(store, "r5", "m3", stolen, 300) == REUSED
    assert reused(store, "r5") == [
        (0, "m2", "r2", 0, True),
        (1, "m1", "r1", 0, True),
        (1, "m2", "r2", 1, True),
    ]


def test_a_near_copy_is_found_also_mirrored_and_nothing_further_away(store: Store) -> None:
    assert finish(store, "r1", "m1", verdict("m1", hashes=hashes())) == APPROVED
    others = {
        "alike from afar": hashes(0, FINE_BITS + 1),
        "another": hashes(COARSE_BITS + 1, 0),
        "plain": hashes(featureless=True),
        "a group": replace(hashes()),
    }
    for number, (name, other) in enumerate(others.items()):
        group: dict[str, Any] = {"faces": 2, "outcome": Outcome.GROUP_SAME} if name == "a group" else {}
        said = verdict(name, hashes=other, **group)
        assert finish(store, f"o{number}", f"other-{number}", said, 120) == APPROVED, name
    copies = {
        "near": hashes(4, FINE_BITS),
        "mirrored": hashes(4, FINE_BITS, mirrored=True),
        "high bit": PictureHashes(PerceptualHash(COARSE ^ 2**63, FINE ^ 2**255), FAR),
    }
    for name, copy in copies.items():
        assert (
            finish(store, name.replace(" ", "-"), f"m-{name[0]}", verdict(name, hashes=copy), 60) == REUSED
        ), name


def test_only_photos_of_one_person_keep_a_hash_and_it_goes_with_the_member(store: Store) -> None:
    photos = (
        replace(PHOTOS[0], hashes=hashes()),
        replace(PHOTOS[0], position=2, hashes=hashes(), faces=2, outcome=Outcome.MEMBER_NOT_SEEN),
        replace(PHOTOS[0], position=3, hashes=hashes(featureless=True)),
        replace(PHOTOS[1], position=4, hashes=hashes()),
    )
    finish(store, "r1", "m1", a_verdict(selfie=replace(SELFIE, hashes=hashes()), photos=photos))
    with store.database.engine.connect() as c:
        hashed = sa.text("SELECT position FROM verification_photo WHERE phash IS NOT NULL ORDER BY position")
        assert c.scalars(hashed).all() == [0, 1]
    assert finish(store, "r2", "m2", verdict("m2", hashes=hashes()), 60) == REUSED
    gone = store.members.forget("m1", later(120))
    assert gone.removed["photo_reuse"] == 1
    assert reused(store, "r2") == []
    with store.database.engine.connect() as c:
        assert c.scalar(sa.text("SELECT count(*) FROM photo_reuse")) == 0
    # Nobody else has it any more; the review that was opened stays.
    assert finish(store, "r3", "m2", verdict("m2", hashes=hashes()), 180) == APPROVED
    member = store.members.find("m2")
    assert member is not None
    assert (member.status, member.reason) == REUSED


@pytest.mark.parametrize(
    ("said", "recorded"),
    [
        ((Status.RETRY_PHOTO, Reason.SELFIE_TOO_DARK), REUSED),
        ((Status.REVIEW, Reason.PRIMARY_UNSURE), REUSED),
        ((Status.REVIEW, Reason.BLIND_AUDIT), REUSED),
        ((Status.REJECTED, Reason.DIFFERENT_PERSON), REUSED),
        ((Status.REVIEW, Reason.SAME_PICTURE), (Status.REVIEW, Reason.SAME_PICTURE)),
        ((Status.ERROR, Reason.PHOTOS_NOT_FETCHED), (Status.ERROR, Reason.PHOTOS_NOT_FETCHED)),
    ],
)
def test_a_reused_photo_weighs_more_than_all_but_an_error_and_another_suspicion(
    store: Store, said: tuple[Status, Reason], recorded: tuple[Status, Reason]
) -> None:
    finish(store, "r1", "m1", verdict("m1"))
    assert finish(store, "r2", "m2", verdict("m2", *said, sha256=digest("m1 1")), 60) == recorded
    found = record(store, "r2")
    assert (found.machine_status, found.machine_reason) == said
    assert len(found.reuses) == (said[0] is not Status.ERROR)


def test_photos_of_requests_that_came_to_nothing_count_for_nobody(store: Store) -> None:
    finish(store, "r1", "m1", verdict("m1", Status.ERROR, Reason.PHOTOS_NOT_FETCHED))
    late = begin(store, "r2", "m2", 0)
    store.requests.accept(a_job("r3", "m2", later(1)), "verify", later(1))
    assert store.requests.finish(late, verdict("m2"), later(2))
    for number, name in enumerate(("m1", "m2")):
        assert (
            finish(store, f"s{number}", f"n{number}", verdict("n", sha256=digest(f"{name} 1")), 60)
            == APPROVED
        )
        store.members.forget(f"n{number}", later(60))
    quiet = Store(store.database.engine, tombstone_key=b"test key", review_reused_photos=False)
    finish(quiet, "r4", "m4", verdict("m4"), 60)
    assert finish(quiet, "r5", "m5", verdict("m5", sha256=digest("m4 1")), 120) == APPROVED
    assert reused(quiet, "r5") == [(1, "m4", "r4", 1, True)]


@pytest.mark.parametrize("copy", [{"sha256": digest("shared")}, {"hashes": hashes()}])
def test_of_two_members_who_send_one_photo_at_once_one_at_least_is_seen(
    store: Store, copy: dict[str, Any]
) -> None:
    for round_ in range(8):
        names = [f"{round_}-{number}" for number in range(3)]
        attempts = [begin(store, f"r{name}", f"m{name}", round_) for name in names]
        said = [verdict(name, **copy) for name in names]
        ends = [
            partial(store.requests.finish, attempt, one, later(round_ + 0.1 * number))
            for number, (attempt, one) in enumerate(zip(attempts, said, strict=True))
        ]
        assert all(isinstance(end, Verdict) for end in together(ends))
        found = [record(store, f"r{name}") for name in names]
        assert [(one.status, one.reason) for one in found].count(REUSED) >= (2 if round_ == 0 else 3)


def tried(store: Store, number: int, at: float, member: str = "m1", **more: Any) -> tuple[object, object]:
    said = verdict(f"{member} {number}", Status.REVIEW, Reason.PRIMARY_UNSURE)
    return finish(store, f"{member}-{number}", member, replace(said, **more), at)


def test_after_too_many_tries_a_person_looks_at_what_the_machine_approves(store: Store) -> None:
    for number in range(3):
        tried(store, number, number * DAY)
    assert finish(store, "r4", "m1", verdict("good"), 4 * DAY) == MANY
    found = record(store, "r4")
    assert (found.machine_status, found.machine_reason) == APPROVED
    seen = evidence(store, "m1", later(4 * DAY))
    assert (seen.reason, seen.tries) == (Reason.TOO_MANY_TRIES, 3)
    # A better photo does not end it; a person does, and the count begins anew.
    assert finish(store, "r5", "m1", verdict("better"), 5 * DAY) == MANY
    reviews.decide(store, "m1", Status.APPROVED, "kim", later(6 * DAY))
    assert finish(store, "r6", "m1", verdict("new"), 7 * DAY) == APPROVED


def test_what_is_no_draw_does_not_count(store: Store) -> None:
    tried(store, 0, 0)
    tried(store, 1, DAY)
    same = verdict("m1 1", Status.REVIEW, Reason.PRIMARY_UNSURE)
    finish(store, "again", "m1", same, 2 * DAY)  # the same files
    tried(store, 3, 3 * DAY, similarity=None)  # no face was compared
    finish(store, "op", "m1", verdict("op", Status.REVIEW, Reason.PRIMARY_UNSURE), 4 * DAY, Why.OPERATOR)
    finish(store, "down", "m1", verdict("down", Status.ERROR, Reason.PHOTOS_NOT_FETCHED), 5 * DAY)
    tried(store, 6, 6 * DAY, "m2")  # somebody else's
    assert finish(store, "r1", "m1", verdict("good"), 7 * DAY) == APPROVED
    # The approval ends the count.
    for number in (8, 9):
        tried(store, number, number * DAY)
    assert finish(store, "r2", "m1", verdict("better"), 10 * DAY) == APPROVED
    # And so do the days.
    for number in (11, 12, 13):
        tried(store, number, number * DAY)
    assert finish(store, "r3", "m1", verdict("best"), 42 * DAY) == APPROVED


def test_an_operators_request_is_not_capped(store: Store) -> None:
    for number in range(4):
        tried(store, number, number * DAY)
    assert finish(store, "r5", "m1", verdict("good"), 5 * DAY, Why.OPERATOR) == APPROVED


def test_the_reviewer_is_told_the_other_request_and_the_tries_and_the_member_nothing(
    here: Cli, store: Store
) -> None:
    finish(store, "r1", "m1", verdict("m1"))
    finish(store, "r2", "m2", verdict("m2", sha256=digest("m1 1")), 60)
    for number in range(3):
        tried(store, number, number * DAY, "m3")
    finish(store, "r4", "m3", verdict("good"), 4 * DAY)
    assert "used before" not in here("show", "m2").output
    shown = {}
    for reviewer in ("kim", "lee"):
        case = json.loads(here("review", "next", "--by", reviewer, "--json").output)
        answers = [f"{number}=same" for number in case["to_answer"]]
        here("review", "answer", *answers, "--by", reviewer)
        told = " ".join(here("review", "show", "--by", reviewer).output.split())
        shown[case["member_id"]] = re.sub(r"[│\s]+", " ", told)
    assert "tries before 3" in shown["m3"]
    assert "used before by m1" in shown["m2"]
    told = json.loads(here("review", "show", "--by", "lee", "--json").output)["evidence"]["request"]["reuses"]
    assert [(one["of_member_id"], one["same_file"]) for one in told] == [("m1", True)]
    for language in ("--ko", "--en"):
        assert "m1" not in here("show", "m2", language).output
        assert here("show", "m2", language).output == here("show", "m3", language).output
