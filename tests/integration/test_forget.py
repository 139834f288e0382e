"""A member who is forgotten leaves nothing but a tombstone, and does not come back."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from pipeline.verdict import Gender, Photo, Status, Verified
from support import reviews
from support.jobs import KIM, LEASE, MOST, NOW, a_job, a_message, a_verdict, later
from support.together import together
from support.traces import files_that_hold, tables_that_hold
from support.training import learn_from_one
from worker.errors import MemberForgotten, NotRequeueable, RequestConflict
from worker.jobs.links import PhotoLink
from worker.jobs.verify_job import parse_job
from worker.migrations import migrate
from worker.store import Attempt, Change, DeadJob, Forgotten, NewMember, NewObjection, Store, build_engine
from worker.store.requests.dead_letters import claimed_member
from worker.store.tables.states import PairLabel, Purpose
from worker.verification.dead_letters import parse_dead_letter
from worker.verification.delivery import DeliveryRules, Handled, Verification

MEMBER = "member-zero"
SECRET = "photos.example.com/only-theirs"
URLS = {
    "selfie_url": f"https://{SECRET}/selfie.jpg?sig=abc",
    "photo_urls": [f"https://{SECRET}/1.jpg", f"https://{SECRET}/2.jpg"],
}


def a_message_of_theirs(**changes: Any) -> dict[str, Any]:
    return a_message(**{"member_id": MEMBER, **URLS, **changes})


def a_job_of_theirs(request_id: str = "r1", seconds: float = 0, **changes: Any) -> Any:
    return a_job(request_id, MEMBER, later(seconds), **{**URLS, **changes})


NEW = NewMember(MEMBER, Gender.MALE, URLS["selfie_url"], tuple(URLS["photo_urls"]))  # type: ignore[arg-type]


def judged(store: Store, job: Any) -> None:
    store.requests.accept(job, "verify", NOW)
    attempt = store.requests.acquire(job.request_id, "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(), NOW)


def deliver(store: Store, message: object, meanwhile: Callable[[], object] = lambda: None) -> Handled:
    """One delivery to the service; ``meanwhile`` happens while it judges."""

    def verify(selfie: Photo, photos: Sequence[Photo], declared_gender: Gender | None) -> Verified:
        meanwhile()
        return Verified(a_verdict(photos=()))

    class Photos:
        def fetch_all(self, links: Sequence[PhotoLink]) -> list[bytes]:
            return [link.url.encode() for link in links]

    service = Verification(
        requests=store.requests,
        dead_jobs=store.dead_jobs,
        shadows=store.shadows,
        fetcher=Photos(),
        verify=verify,
        rules=DeliveryRules(),
        worker="w",
        clock=lambda: NOW,
    )
    return service.handle(message, "verify")


def traces(store: Store) -> set[str]:
    return tables_that_hold(store.database.engine, MEMBER, SECRET)


def a_full_life(store: Store) -> None:
    """Something about the member in every table that can hold it."""
    store.members.import_list([NEW], NOW)
    judged(store, a_job_of_theirs("r1"))
    judged(store, a_job_of_theirs("r2", 1))
    reviews.label(store, MEMBER, 1, PairLabel.GENUINE, "kim", NOW)
    reviews.decide(store, MEMBER, Status.REJECTED, "kim", NOW)
    store.accesses.note([MEMBER], KIM, NOW)
    store.reviews.objections.record(NewObjection(MEMBER, NOW, MEMBER), NOW)
    store.shadows.note("r1", a_verdict(), a_verdict(), NOW)
    with pytest.raises(RequestConflict):
        store.requests.accept(a_job_of_theirs("r1", why="operator"), "verify", NOW)
    store.requests.accept(a_job_of_theirs("r3", 2), "verify", NOW)
    store.requests.give_up("r3", "poison", "boom", NOW)
    store.consents.record(MEMBER, Purpose.TRAINING, NOW, given=True)
    learn_from_one(store, SECRET.encode())


def invalid_messages_of_theirs() -> list[bytes]:
    """Messages that nobody could read, in the forms in which they arrive."""
    message = json.dumps(a_message_of_theirs())
    wire = json.dumps({"body": base64.b64encode(f'[[], {{"job": {message}}}]'.encode()).decode()})
    without_id = json.dumps({"selfie": URLS["selfie_url"]})
    return [
        message[:-20].encode(),
        message.replace("/", "\\/")[:-20].encode(),
        wire.encode(),
        wire.encode()[: len(wire) - 33],
        f"verify {MEMBER} please".encode(),
        without_id.encode(),
        without_id.replace("/", "\\/").encode(),
        json.dumps([a_message(), a_message_of_theirs()]).encode(),
        json.dumps(a_message(schema=99, also=a_message_of_theirs())).encode(),
        message.encode("utf-16"),
        gzip.compress(message.encode()),
        quote(message, safe="").encode(),
        base64.b64encode(base64.b64encode(message.encode())),
        json.dumps(message).encode(),
        json.dumps({"schema": 99, "id": MEMBER}).encode(),
        json.dumps({"schema": 99, "member_id": f"{MEMBER} "}).encode(),
    ]


def jobs_of_theirs() -> list[bytes]:
    """Messages that were not accepted and can be put back."""
    return [
        json.dumps(a_message_of_theirs(schema=99, size="x" * 9000)).encode(),
        json.dumps(a_message_of_theirs(also=[a_message()])).encode(),
    ]


def test_nothing_of_a_full_life_is_left_in_any_table(store: Store) -> None:
    a_full_life(store)
    for body in jobs_of_theirs():
        store.dead_jobs.add(DeadJob("unknown_schema", "no job", body, "verify"), NOW)
    assert len(traces(store)) >= 5
    forgotten = store.members.forget(MEMBER, NOW)
    removed = forgotten.removed
    assert traces(store) == set()
    assert removed.pop("event") == 0  # nobody is listening
    assert removed.pop("photo_reuse") == 0  # nobody else had these photos
    assert min(removed.values()) >= 1
    assert removed["dead_job"] == 2 + len(jobs_of_theirs())
    with store.database.engine.connect() as c:
        left = {
            t.name: c.scalar(sa.select(sa.func.count()).select_from(t))
            for t in store.database.t.metadata.sorted_tables
        }
    assert {name for name, rows in left.items() if rows} == {
        "access_chain",
        "access_log",
        "tombstone",
        "training_run",
    }
    assert left["access_log"] == forgotten.records == 3


def test_the_records_of_who_looked_outlive_the_member_under_the_hash_of_the_tombstone(store: Store) -> None:
    store.members.import_list([NEW, NewMember("other", None, "https://h/s.jpg", ())], NOW)
    store.accesses.note([MEMBER, "other", "nobody", "no id"], KIM, NOW)
    store.accesses.note_absent("nobody", KIM, NOW)
    store.accesses.note_list(KIM, NOW)
    assert store.members.forget(MEMBER, NOW).records == 1
    t = store.database.t
    with store.database.engine.connect() as c:
        [hashed] = c.scalars(sa.select(t.tombstone.c.member_hash))
        rows = c.execute(sa.select(t.access_log.c.member_id, t.access_log.c.member_hash)).all()
    absent = store.members._tombstones.hash_of("nobody")
    assert sorted(map(tuple, rows), key=str) == sorted(
        [(None, hashed), ("other", None), (None, absent), (None, None)], key=str
    )
    assert [look.looked_by for look in store.accesses.of_member(MEMBER)] == ["kim"]
    assert store.members.import_list([NEW], NOW) == [Change.FORGOTTEN]
    insert = sa.insert(t.member).values(member_id=MEMBER, selfie_url=URLS["selfie_url"], pending=True)
    with store.database.engine.begin() as c:
        c.execute(insert)
    assert store.members.import_list([NEW], NOW) == [Change.FORGOTTEN]
    assert traces(store) == set()


@pytest.mark.parametrize("body", invalid_messages_of_theirs())
def test_of_an_invalid_message_stays_nothing_but_a_row_without_the_member(store: Store, body: bytes) -> None:
    """In whatever encoding, and with whomever else in it: what was no job is not kept at all."""
    number = store.dead_jobs.add(DeadJob("bad_json", "no job", body, "verify"), NOW)
    [dead] = store.dead_jobs.latest()
    assert (dead.id, dead.reason, dead.message_length) == (number, "bad_json", len(body))
    assert not dead.message_kept
    assert dead.member_id == MEMBER or traces(store) == set()
    store.members.forget(MEMBER, NOW)
    assert traces(store) == set()


def test_of_a_message_without_a_member_the_request_id_is_not_kept_either(store: Store) -> None:
    """The app chooses it, perhaps with the member's in it, and no erasure would look there."""
    store.dead_jobs.add(DeadJob("missing_field", "no job", b"{}", "verify", f"{MEMBER}-signup"), NOW)
    assert traces(store) == set()


@pytest.mark.parametrize(
    "words", [{"code": "member_zero"}, {"code": "bad_json", "text": MEMBER}, {"queue": MEMBER}]
)
def test_a_forged_dead_letter_cannot_leave_words_of_its_own(store: Store, words: dict[str, str]) -> None:
    dead = {"excerpt": base64.b64encode(MEMBER.encode()).decode(), **words}
    store.dead_jobs.add(parse_dead_letter(dead), NOW)
    assert tables_that_hold(store.database.engine, MEMBER, "member_zero") == set()
    assert len(store.dead_jobs.latest()) == 1


def test_what_can_be_put_back_is_kept_whole_under_its_member(store: Store) -> None:
    for body in jobs_of_theirs():
        store.dead_jobs.add(DeadJob("unknown_schema", "no job", body, "verify"), NOW)
    newer, readable = reversed(store.dead_jobs.latest())
    assert (newer.member_id, newer.message_kept) == (MEMBER, True)
    with pytest.raises(NotRequeueable, match="only version 1 is known"):
        store.dead_jobs.requeue(newer.id, NOW)
    assert store.dead_jobs.requeue(readable.id, NOW).job == parse_job(a_message_of_theirs(), NOW)
    assert tables_that_hold(store.database.engine, "m1/selfie.jpg") == set()  # a job has no field `also`
    store.members.forget(MEMBER, NOW)
    assert traces(store) == set()


def test_a_dead_job_of_somebody_else_under_a_request_of_theirs_goes_too(store: Store) -> None:
    """The app chooses request IDs, perhaps with the member's in them."""
    name = f"{MEMBER}-signup"
    store.requests.accept(a_job_of_theirs(name), "verify", NOW)
    with pytest.raises(RequestConflict):
        store.requests.accept(a_job(name, "other"), "verify", NOW)
    assert store.members.stored_about(MEMBER)["dead_job"] == 1
    store.members.forget(MEMBER, NOW)
    assert traces(store) == set()


def test_members_with_a_similar_id_keep_everything(store: Store) -> None:
    judged(store, a_job("r1", "m1", photo_urls=["https://h/m1/1.jpg"]))
    judged(store, a_job("r2", "m12", photo_urls=["https://h/m12/1.jpg"]))
    store.dead_jobs.add(DeadJob("no_task", "x", b'{"member_id": "m12", "was": "m1"}', "verify"), NOW)
    store.dead_jobs.add(DeadJob("no_task", "x", b"no job", "verify"), NOW)
    before = store.requests.find("r2")
    assert before is not None
    assert {reuse.of_request_id for reuse in before.reuses} == {"r1"}
    store.members.forget("m1", NOW)
    assert store.requests.find("r2") == replace(before, reuses=())
    assert len(store.dead_jobs.latest()) == 2


def test_no_trace_is_left_in_the_files_of_the_embedded_database(tmp_path: Path) -> None:
    engine = build_engine(f"sqlite:///{tmp_path / 'verify.db'}")
    sa.event.listen(engine, "connect", _leave_what_is_deleted, insert=True)
    migrate(engine)
    store = Store(engine, tombstone_key=b"key")
    a_full_life(store)
    assert files_that_hold(tmp_path, MEMBER, SECRET)
    store.members.forget(MEMBER, NOW)
    assert files_that_hold(tmp_path, MEMBER, SECRET) == set()
    store.close()


def _leave_what_is_deleted(connection: Any, _record: Any) -> None:
    """As SQLite does by itself, unless it was built otherwise, as Debian's is."""
    connection.execute("PRAGMA secure_delete = OFF")


def test_a_job_that_is_running_finishes_late_and_writes_nothing(store: Store) -> None:
    handled = deliver(store, a_message_of_theirs(), meanwhile=lambda: store.members.forget(MEMBER, NOW))
    assert handled is Handled.LOST
    assert traces(store) == set()
    store.members.import_list([NewMember("other", None, "https://h/s.jpg", ())], NOW)
    assert store.members.import_list([NEW], later(1)) == [Change.FORGOTTEN]
    assert traces(store) == set()


def test_a_message_that_was_queued_is_refused_and_a_dead_job_says_so_without_the_member(store: Store) -> None:
    store.members.forget(MEMBER, NOW)
    assert deliver(store, a_message_of_theirs()) is Handled.FORGOTTEN
    assert traces(store) == set()
    [dead] = store.dead_jobs.latest()
    assert (dead.reason, dead.request_id, dead.queue) == ("forgotten", "r1", "verify")
    assert (dead.member_id, dead.message_kept) == (None, False)
    assert dead.message_length > 200


@pytest.mark.parametrize("change", [{"schema": 99}, {"photo_urls": "no list"}, {"request_id": "a b"}])
def test_of_a_message_in_disorder_that_comes_later_nothing_is_kept_either(
    store: Store, change: dict[str, Any]
) -> None:
    store.members.forget(MEMBER, NOW)
    assert deliver(store, a_message_of_theirs(**change)) is Handled.DEAD_LETTER
    assert traces(store) == set()
    assert [dead.reason for dead in store.dead_jobs.latest()] == ["forgotten"]


def test_of_an_invalid_message_that_names_the_member_nothing_is_kept(store: Store) -> None:
    store.members.forget(MEMBER, NOW)
    named = [body for body in invalid_messages_of_theirs() if claimed_member(body) == MEMBER]
    assert len(named) >= 4
    numbers = {store.dead_jobs.add(DeadJob("no_task", "x", body, "verify"), NOW) for body in named}
    store.dead_jobs.add(DeadJob("no_task", "x", b"no job", "verify"), NOW)
    assert traces(store) == set()
    found = {dead.id: dead.reason for dead in store.dead_jobs.latest()}
    assert sorted(found.values()) == ["forgotten"] * len(numbers) + ["no_task"]
    assert numbers <= found.keys()


def test_a_conflict_that_is_recorded_late_names_nobody(store: Store) -> None:
    store.requests.accept(a_job_of_theirs(), "verify", NOW)
    store.members.forget(MEMBER, NOW)
    store.database.write(
        lambda c: store.requests._acceptance.write_conflict(c, a_job_of_theirs(why="operator"), "verify", NOW)
    )
    assert traces(store) == set()
    assert [dead.reason for dead in store.dead_jobs.latest()] == ["forgotten"]


def test_a_dead_job_goes_with_the_member_and_cannot_be_put_back(store: Store) -> None:
    store.requests.accept(a_job_of_theirs(), "verify", NOW)
    store.requests.give_up("r1", "poison", "boom", NOW)
    [dead] = store.dead_jobs.latest()
    store.members.forget(MEMBER, NOW)
    with pytest.raises(NotRequeueable):
        store.dead_jobs.requeue(dead.id, NOW)
    with pytest.raises(NotRequeueable):
        store.requests.requeue("r1", NOW)
    assert traces(store) == set()


def test_whatever_happens_at_that_very_moment_the_member_is_gone(store: Store) -> None:
    """Imports, messages, invalid ones, a late verdict, a look and a label race with the erasure."""
    for turn in range(6):
        _race(store, turn)
        assert traces(store) == set(), turn
        assert {dead.reason for dead in store.dead_jobs.latest()} <= {"forgotten"}
        with store.database.engine.begin() as c:
            c.execute(sa.delete(store.database.t.tombstone))


def _race(store: Store, turn: int) -> None:
    judged(store, a_job_of_theirs("r1"))
    job = a_job_of_theirs("r2", 1)
    store.requests.accept(job, "verify", NOW)
    attempt = store.requests.acquire("r2", "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    invalid_message = DeadJob("no_task", "x", invalid_messages_of_theirs()[0], "verify")

    def forget() -> object:
        time.sleep(0.004 * turn)  # later each turn, so that it meets the others at different points
        return store.members.forget(MEMBER, NOW)

    done = together(
        [
            lambda: store.members.import_list([NEW], NOW),
            lambda: store.requests.accept(a_job_of_theirs("r3", 2), "verify", NOW),
            lambda: store.dead_jobs.add(invalid_message, NOW),
            lambda: store.requests.finish(attempt, a_verdict(), NOW),
            lambda: store.accesses.note([MEMBER], KIM, NOW),
            lambda: store.pending.enqueue_members([MEMBER], "bulk", NOW),
            forget,
        ]
    )
    failures = [result for result in done if isinstance(result, Exception)]
    assert all(isinstance(failure, MemberForgotten) for failure in failures), failures
    assert isinstance(done[-1], Forgotten)


@pytest.mark.parametrize(
    ("body", "member"),
    [
        (b'{"member_id": "m1", "x', "m1"),
        (b'{"member_id" :"a\\/b"}', "a/b"),
        (b'{"body": "' + base64.b64encode(b'[[], {"job": {"member_id": "m1"}}]') + b'"}', "m1"),
        (b'[{"member_id": "m1"}, {"member_id": "m1"}]', "m1"),
        (b'[{"member_id": "m1"}, {"member_id": "m2"}]', None),
        (b'{"member_id": "\\x"}', None),
        (b'{"member_id": 7}', None),
        (b"m1", None),
    ],
)
def test_a_message_is_about_the_only_member_that_it_names(body: bytes, member: str | None) -> None:
    assert claimed_member(body) == member
