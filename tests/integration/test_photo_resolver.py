"""The app is asked for a fresh link where one has died; whatever it answers, the job goes on."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from pipeline.verdict import Fault, FetchProblem, NotFetched
from support import reviews
from support.downloading import JPEG
from support.photo_server import Answer, PhotoServer
from support.resolving import MOVED, WRONG, fetching, fresh_link, photo_host, says
from support.schemas import problems
from support.training import TrainingScene, judged
from support.webhook_receiver import Reply, WebhookReceiver
from worker.clock import utc_now
from worker.jobs.links import PhotoLink
from worker.store import Store
from worker.store.tables.states import PairLabel, Purpose


@pytest.fixture
def host() -> Iterator[PhotoServer]:
    with photo_host() as server:
        yield server


@pytest.fixture
def app() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        receiver.reply = fresh_link
        yield receiver


def test_dead_links_are_replaced_by_what_the_app_says(host: PhotoServer, app: WebhookReceiver) -> None:
    refused, over, gone, good = (host.at(f"{n}.jpg") for n in range(1, 5))
    host.add("3.jpg", lambda n: Answer(JPEG + b"3.jpg") if n > 1 else Answer(status=404))
    links = [
        PhotoLink(f"{refused}?sig=old", "m1", 0),
        PhotoLink(f"{over}?Expires=1&sig=new", "m1", 1),
        PhotoLink(f"{gone}?sig=new&v=1", "m1", 2),
        PhotoLink(f"{good}?sig=new", "m1", 3),
    ]
    app.reply = lambda asked: (
        says({"url": f"{gone}?sig=new&v=1&again", "more": 1})
        if asked.payload["data"]["position"] == 2
        else fresh_link(asked)
    )
    with fetching(app) as fetcher:
        assert fetcher.fetch_all(links) == [JPEG + f"{n}.jpg".encode() for n in range(1, 5)]
    questions = sorted((asked.payload for asked in app.received), key=lambda q: q["data"]["position"])
    assert questions == [
        {"type": "photo.resolve", "data": {"schema": 1, "member_id": "m1", "position": n, "address": at}}
        for n, at in enumerate([refused, over, gone])
    ]
    assert [problems("photo_resolve_request", question) for question in questions] == [[], [], []]
    assert len({asked.message_id for asked in app.received}) == 3
    assert host.hits["/2.jpg"] == 1  # the link that said itself that it was over was not tried


def test_whatever_else_the_app_answers_is_recorded_and_the_photo_stays_as_it_was(
    host: PhotoServer, app: WebhookReceiver
) -> None:
    unknown = PhotoLink(host.at("1.jpg?sig=old"), "m1", 1)
    known = replace(unknown, sha256=hashlib.sha256(MOVED).hexdigest())
    with fetching(app) as fetcher:
        for wrong in WRONG:
            app.reply = lambda _, wrong=wrong: wrong.reply(host.url)  # type: ignore[misc]
            [photo] = fetcher.fetch_all([wrong.link(host.url)])
            assert isinstance(photo, NotFetched)
            assert (photo.problem, photo.fault) == (FetchProblem.FORBIDDEN, Fault.HOST)
            assert f"; resolver: {wrong.why}" in photo.detail
            assert not photo.passing
        app.reply = lambda _: Reply(404)
        assert fetcher.fetch_all([unknown]) == [
            NotFetched(FetchProblem.GONE, Fault.MEMBER, "the app has no such photo")
        ]
        app.reply = lambda _: says({"url": host.at("moved.jpg?sig=new")})
        assert fetcher.fetch_all([known]) == [MOVED]


def test_an_app_that_fails_or_hangs_costs_little_and_is_asked_again_later(
    host: PhotoServer, app: WebhookReceiver
) -> None:
    dead = [PhotoLink(host.at(f"{n}.jpg?sig=old"), "m1", n) for n in (1, 2, 3)]
    good = PhotoLink(host.at("4.jpg?sig=new"), "m1", 4)
    end = threading.Event()
    with fetching(app) as fetcher:
        app.reply = lambda _: Reply(503, b"", {"Retry-After": "40"})
        [photo] = fetcher.fetch_all(dead[:1])
        assert isinstance(photo, NotFetched)
        assert (photo.problem, photo.retry_after, photo.passing) == (
            FetchProblem.FORBIDDEN,
            timedelta(seconds=40),
            True,
        )
    with fetching(app, seconds=0.5) as fetcher:
        app.reply = lambda _: Reply(200 if end.wait(60) else 500)
        *late, arrived = fetcher.fetch_all([*dead, good])
        assert arrived == JPEG + b"4.jpg"
        asked = len(app.received)
        again = fetcher.fetch_all(dead)
        end.set()
    for one in (*late, *again):
        assert isinstance(one, NotFetched)
        assert one.passing
    assert all("left alone" in one.detail for one in again if isinstance(one, NotFetched))
    assert len(app.received) == asked


def test_a_retraining_learns_from_labels_whose_links_have_all_died(
    store: Store, host: PhotoServer, app: WebhookReceiver
) -> None:
    for member_id in ("m1", "m2", "m3"):
        names = [f"{member_id}/{n}.jpg" for n in range(3)]
        pictures = {name: JPEG + name.encode() for name in names}
        for name, picture in pictures.items():
            host.add_photo(name, picture)
        by_url = {f"{host.at(name)}?Expires=1&sig=old": picture for name, picture in pictures.items()}
        judged(store, member_id, by_url)
        genuine = dict.fromkeys((1, 2), PairLabel.GENUINE)
        reviews.decide(store, member_id, at=utc_now(), words=genuine)
        store.consents.record(member_id, Purpose.TRAINING, utc_now(), given=True)
    host.add("m2/1.jpg", Answer(status=404))  # moved by the app, which has said so in SQL alone
    host.add_photo("elsewhere.jpg", JPEG + b"m2/1.jpg")
    with store.database.engine.begin() as c:
        p = store.database.t.photo
        for member_id, position, path in (("m2", 1, "elsewhere.jpg"), ("m3", 2, "m3/2.jpg")):
            its = (p.c.member_id == member_id, p.c.position == position)
            c.execute(sa.update(p).where(*its).values(url=host.at(f"{path}?sig=new")))
    with fetching(app) as fetcher:
        training = TrainingScene(store, fetcher=fetcher)
        training.collect()
    assert training.step() == "ended"
    assert len(training.given[0].training_set.identity) == 9
    asked = {(one.member_id, one.payload["data"]["position"]) for one in app.received}
    assert asked == {(m, n) for m in ("m1", "m2", "m3") for n in range(3)} - {("m2", 1), ("m3", 2)}
