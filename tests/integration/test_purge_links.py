"""Links are keys: those of requests that ended long ago go, and the requests can be used as before."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipeline.verdict import FetchProblem, Gender, Outcome, PhotoFinding, Reason, Status
from support.broker import Lists
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from support.webhook_receiver import SECRET
from worker.jobs.verify_job import VerifyJob
from worker.settings import load_settings
from worker.store import Attempt, DeadJob, NewMember, Store
from worker.store.link_retention import LinkRetention
from worker.verification.maintenance import purge_old, sweep

KEY = "SECRET-KEY"
LATE = timedelta(days=31).total_seconds()
RESOLVER = {"photo_resolver": "https://app.example.com/resolve", "photo_resolver_secrets": SECRET}


def links(member_id: str, key: str = KEY) -> dict[str, Any]:
    """A selfie and two photos of a member, with a key in each link."""
    selfie, *photos = (f"https://h/{member_id}/{n}.jpg?sig={key}" for n in range(3))
    return {"selfie_url": selfie, "photo_urls": photos}


def plain(member_id: str) -> list[str]:
    return [f"https://h/{member_id}/{n}.jpg" for n in range(3)]


def begin(store: Store, request_id: str, at: float) -> Attempt:
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt)
    return attempt


def places_of(secret: str, engine: sa.Engine) -> set[str]:
    """Columns of our tables that hold the text, whatever their type; and the file of SQLite itself."""
    found = set()
    schema = sa.MetaData()
    schema.reflect(engine)
    with engine.connect() as c:
        for table in schema.sorted_tables:
            for row in c.execute(sa.text(f"SELECT * FROM {table.name}")).mappings():
                found |= {f"{table.name}.{name}" for name, value in row.items() if secret in text_of(value)}
    if engine.dialect.name == "sqlite":
        files = [Path(f"{engine.url.database}{end}") for end in ("", "-wal")]
        found |= {path.suffix for path in files if path.exists() and secret.encode() in path.read_bytes()}
    return found


def text_of(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def test_no_key_is_left_of_requests_that_ended_long_ago(store: Store, engine: sa.Engine) -> None:
    for n, member_id in enumerate(("m1", "m2", "m3", "m4", "m5")):
        store.requests.accept(a_job(f"r{n}", member_id, **links(member_id)), "verify", NOW)
    assert store.requests.finish(begin(store, "r0", 0), a_verdict(), NOW)
    store.requests.give_up("r1", "poison", "boom", NOW)
    store.requests.accept(a_job("r2b", "m3", later(1), **links("m3")), "verify", later(1))
    assert store.requests.finish(begin(store, "r2b", 1), a_verdict(), later(1))
    store.dead_jobs.add(DeadJob("bad_url", "x", str(links("m1")).encode(), "verify"), NOW)
    assert store.requests.postpone(begin(store, "r3", 0), later(LATE + 60), "busy", NOW)
    assert store.requests.finish(begin(store, "r4", 0), a_verdict(), NOW)
    with engine.begin() as c:  # nobody asks for this one yet
        c.execute(
            sa.text(
                "UPDATE photo SET url = 'https://h/new.jpg?sig=NEW' WHERE member_id = 'm5' AND position = 1"
            )
        )
    before = places_of(KEY, engine)
    assert before >= {
        "verification.message",
        "photo.url",
        "photo.requested_url",
        "member.requested_selfie_url",
    }

    purged = purge_old(store.retention, load_settings(), later(LATE))
    assert (purged.links, purged.member_links) == (5, 0)
    with engine.connect() as c:
        mine = c.execute(sa.text("SELECT message FROM verification WHERE request_id <> 'r3'")).scalars().all()
    assert KEY not in str(mine)
    assert "https://h/m3/2.jpg" in str(mine)
    assert places_of(KEY, engine) & {"photo.url", "dead_job.message_head"} == {"photo.url"}

    purged = purge_old(store.retention, load_settings(RESOLVER), later(LATE))
    assert (purged.links, purged.member_links) == (0, 4)
    assert "verification.message" in places_of(KEY, engine)  # of m4, whose request has not ended
    assert store.requests.finish(begin(store, "r3", LATE + 60), a_verdict(), later(LATE + 60))
    purged = purge_old(store.retention, load_settings(RESOLVER), later(2 * LATE + 60))
    assert (purged.links, purged.member_links) == (1, 2)  # m4, and m5 for the link that is new
    assert places_of(KEY, engine) == set()
    assert "photo.url" in places_of("NEW", engine)
    member = store.members.find("m3")
    assert member is not None
    assert [member.selfie_url, *member.photo_urls] == plain("m3")


def test_a_request_without_its_keys_can_be_used_as_before(store: Store, engine: sa.Engine) -> None:
    dead, done = links("m1"), links("m2")
    store.requests.accept(a_job("r1", "m1", **dead), "verify", NOW)
    gone = PhotoFinding(2, Outcome.NOT_FETCHED, fetch_problem=FetchProblem.GONE)
    seen = (PhotoFinding(1, Outcome.SAME, sha256="b" * 64, faces=1), gone)
    error = a_verdict(Status.ERROR, Reason.PHOTOS_NOT_FETCHED, photos=seen)
    assert store.requests.finish(begin(store, "r1", 0), error, NOW)
    store.requests.accept(a_job("r2", "m2", **done), "verify", NOW)
    assert store.requests.finish(begin(store, "r2", 0), a_verdict(photos=seen), NOW)
    purge_old(store.retention, load_settings(RESOLVER), later(LATE))

    # A fresh link, or an import of the old list, is no change; another photo is.
    with engine.begin() as c:
        fresh = f"UPDATE photo SET url = '{plain('m1')[1]}?sig=fresh' WHERE member_id = 'm1' AND position = 1"
        c.execute(sa.text(fresh))
    listed = NewMember("m2", Gender.FEMALE, done["selfie_url"], tuple(done["photo_urls"]))
    store.members.import_list([listed], later(LATE))
    assert swept(store, LATE, LATE + 15, LATE + 30) == []

    # What is put back is fetched by the links of now; its message is no conflict with the first one.
    job = store.requests.requeue("r1", later(LATE)).job
    assert [job.selfie_url, *job.photo_urls] == plain("m1")
    assert not store.requests.accept(job, "verify", later(LATE)).new
    attempt = begin(store, "r1", LATE)
    selfie, first, second = attempt.links
    assert [selfie.url, first.url, second.url] == [
        plain("m1")[0],
        f"{plain('m1')[1]}?sig=fresh",
        plain("m1")[2],
    ]
    assert (first.sha256, second.sha256) == ("b" * 64, None)
    assert not store.requests.accept(a_job("r1", "m1", **dead), "verify", later(LATE)).new

    # Another picture at the same address is noticed, under whatever signature.
    assert not store.requests.note_contents("m2", {f"{plain('m2')[1]}?sig=x": "b" * 64})
    assert store.requests.note_contents("m2", {f"{plain('m2')[1]}?sig=x": "e" * 64})


def swept(store: Store, *times: float) -> list[VerifyJob]:
    broker = Lists()
    for at in times:
        sweep(store.requests, store.pending, broker, later(at))
    return [job for job, _ in broker.sent]


def test_more_links_than_one_transaction_holds_are_purged(store: Store) -> None:
    news = [NewMember(f"m{n:04}", None, f"https://h/{n}.jpg?sig=a", ()) for n in range(620)]
    store.members.import_list(news, NOW)
    assert len(swept(store, *range(0, 600, 60))) == 620
    v = store.database.t.verification
    with store.database.engine.begin() as c:
        c.execute(sa.update(v).values(state="done", due_at=None, finished_at=NOW))
    retention = LinkRetention(store.database)
    assert retention.purge_messages(later(1)) == 620
    assert retention.purge_members(later(1)) == 620
    assert places_of("sig=a", store.database.engine) <= {".db", ".db-wal"}
