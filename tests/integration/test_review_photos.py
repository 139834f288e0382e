"""Whoever has a case sees its photos, aligned and marked, on record; nobody else does, and nothing stays."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from pipeline.verdict import Outcome
from support.console_photos import OWNER, SECRET, digest, face_picture, saved
from support.downloading import LIMITS
from support.jobs import NOW, later
from support.photo_desk import FILES, PhotoDesk, desk, found, judged, reviewer
from support.photo_server import Answer, PhotoServer
from support.resolving import fetching, fresh_link, says
from support.reviews import answered
from support.webhook_receiver import WebhookReceiver
from support.workers import wait_until
from worker.console.app import build
from worker.console.pages.photos import address_of, told_facts
from worker.console.photos.crops import EYES, SIDE
from worker.console.photos.loading import MOST_WAITS
from worker.console.photos.pictures import Fitted, ReadyPhoto, Shape, pixels
from worker.console.photos.problems import PhotoProblem
from worker.console.words import Words
from worker.downloads.fetcher import PhotoFetcher
from worker.downloads.link_fetcher import LinkFetcher
from worker.results.texts import Language
from worker.store import Store
from worker.store.tables.states import Purpose, Role

FORGED = (
    "/case/photo/1/face",
    "/case/photo/1/face?case=",
    "/case/photo/1/face?case=999",
    "/case/photo/1/face?case=1'--",
    "/case/photo/3/face?case={case}",
    "/case/photo/-1/face?case={case}",
    "/case/photo/99999999999999999999/face?case={case}",
    "/case/photo/1/body?case={case}",
    "/case/photo/1/../face?case={case}",
    "/case/photo/http:%2f%2f169.254.169.254%2f/face?case={case}",
)


@pytest.fixture
def photos(store: Store) -> Iterator[PhotoDesk]:
    fetcher = LinkFetcher(PhotoFetcher(LIMITS))
    with desk(store, fetcher) as made:
        yield made
    fetcher.close()


def spots(jpeg: bytes) -> np.ndarray:
    """The middles of the two eyes, from left to right."""
    import cv2

    bright = (pixels(jpeg)[SIDE // 4 : 3 * SIDE // 4, :, 0] > 128).astype(np.uint8)
    _, _, stats, middles = cv2.connectedComponentsWithStats(bright)
    largest = middles[1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:2]] + [0.5, 0.5 + SIDE // 4]
    return np.asarray(largest[np.argsort(largest[:, 0])])


def keeps_waiting(host: PhotoServer) -> threading.Event:
    """Photo 2 of the first request comes once this is set."""
    released = threading.Event()

    def late(_: int) -> Answer:
        released.wait(30)
        return Answer(FILES[2])

    host.add("r1/2.jpg", late)
    return released


# What is shown


def test_the_faces_of_all_photos_lie_at_one_place_upright_and_without_the_files_data(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    judged(photos.store, photo_server)
    claim = photos.claim()
    for position in range(3):
        answer = photos.client.get(address_of(claim, position, Shape.FACE))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-disposition"] == "inline"
        assert np.abs(spots(answer.content) - EYES).max() < 2  # of photo 2 the member's, not the bystander's
        assert not [
            secret for secret in (b"Exif", SECRET.encode(), OWNER.encode()) if secret in answer.content
        ]


def test_the_whole_photo_is_shown_and_both_bear_the_mark_of_who_looks(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    judged(photos.store, photo_server)
    claim = photos.claim()
    whole = photos.client.get(address_of(claim, 1, Shape.WHOLE))
    with Image.open(io.BytesIO(whole.content)) as picture:
        assert picture.size == (800, 600)
    first = photos.client.get(address_of(claim, 1, Shape.FACE)).content
    photos.now = later(60)
    assert photos.client.get(address_of(claim, 1, Shape.FACE)).content != first


def test_the_page_of_the_case_learns_marks_and_facts_without_waiting_for_a_host(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    judged(photos.store, photo_server)
    claim = photos.claim()
    assert photos.services.photos.known(claim, NOW) == {0: None, 1: None, 2: None}
    photos.client.get(address_of(claim, 0, Shape.FACE))
    wait_until(lambda: None not in photos.services.photos.known(claim, NOW).values())
    known = photos.services.photos.known(claim, NOW)[1]
    assert isinstance(known, ReadyPhoto)
    assert known.fitted is Fitted.EYES
    assert len(known.marks[Shape.FACE].box) == 4
    told = dict(told_facts(known.facts, Words(Language.KO)))
    assert told["카메라"] == "samsung SM-S911N"
    assert told["촬영 일시"] == "2026-05-04 13:02"
    assert told["크기"] == "800 × 600픽셀"
    for language in Language:
        assert not [word for word in str(told_facts(known.facts, Words(language))) if word in (SECRET, OWNER)]


# Records


def test_each_photo_that_is_shown_is_on_record_once_for_each_look(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    judged(photos.store, photo_server)
    claim = photos.claim()
    for _ in range(3):
        photos.client.get(address_of(claim, 2, Shape.FACE))
    photos.client.get(address_of(claim, 2, Shape.WHOLE))
    assert photos.records() == ["photo 2 face", "photo 2 whole"]
    photos.look(claim, 1)
    photos.now = later(1)
    photos.client.get(address_of(claim, 2, Shape.FACE))
    assert photos.records() == ["photo 2 face", "photo 2 whole", "photo 2 face"]
    record = photos.store.accesses.of_member("m1")[0]
    assert (record.looked_by, record.action, record.client) == ("kim", "review", "10.1.2.3")


def test_what_cannot_be_put_on_record_is_not_shown(
    photos: PhotoDesk, photo_server: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(photos.store, photo_server)
    claim = photos.claim()

    def fails(*_: object) -> None:
        raise RuntimeError("no record")

    monkeypatch.setattr(type(photos.store.case_photos), "record", fails)
    with pytest.raises(RuntimeError):
        photos.client.get(address_of(claim, 1, Shape.FACE))


def test_what_is_fetched_ahead_is_on_no_record_and_comes_without_the_host(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    judged(photos.store, photo_server)
    photos.services.photos.prefetch("r1")
    wait_until(lambda: sum(photo_server.hits.values()) == 3)
    assert photos.records() == []
    claim = photos.claim()
    wait_until(lambda: None not in photos.services.photos.known(claim, NOW).values())
    photo_server.close()
    assert photos.client.get(address_of(claim, 1, Shape.FACE)).status_code == 200


def test_ahead_nothing_is_fetched_that_waits_for_nobody(photos: PhotoDesk, photo_server: PhotoServer) -> None:
    judged(photos.store, photo_server)
    photos.store.consents.record("m1", Purpose.VERIFICATION, NOW, given=False)
    for request_id in ("r1", "r9"):
        photos.services.photos.prefetch(request_id)
    assert photos.store.case_photos.waiting("r1") is None
    assert not photo_server.hits


# Who sees what


def test_forged_addresses_show_nothing(photos: PhotoDesk, photo_server: PhotoServer) -> None:
    judged(photos.store, photo_server)
    case = photos.claim().case_id
    answers = {path: photos.client.get(path.format(case=case)).status_code for path in FORGED}
    assert answers == dict.fromkeys(FORGED, 404)
    assert photos.records() == []


def test_the_photos_of_a_case_are_for_whoever_has_it(photos: PhotoDesk, photo_server: PhotoServer) -> None:
    judged(photos.store, photo_server)
    judged(photos.store, photo_server, "r2", "m2", at=1)
    mine = photos.claim()
    photos.who = reviewer("lee")
    theirs = photos.claim()
    assert photos.client.get(address_of(mine, 1, Shape.FACE)).status_code == 404
    assert photos.client.get(address_of(theirs, 1, Shape.FACE)).status_code == 200
    photos.who = reviewer("park")
    assert photos.client.get(address_of(theirs, 1, Shape.FACE)).status_code == 404
    assert (photos.records("m1"), photos.records("m2")) == ([], ["photo 1 face"])


def test_other_roles_see_none(photos: PhotoDesk, photo_server: PhotoServer) -> None:
    judged(photos.store, photo_server)
    claim = photos.claim()
    for role in (Role.OPERATOR, Role.AUDITOR, Role.ADMIN):
        photos.who = reviewer("kim", role)
        assert photos.client.get(address_of(claim, 1, Shape.FACE)).status_code == 403, role


def test_a_claim_that_ran_out_shows_nothing_and_the_answer_says_so(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    judged(photos.store, photo_server)
    claim = photos.claim()
    photos.now = claim.until + timedelta(seconds=1)
    answer = photos.client.get(address_of(claim, 1, Shape.FACE))
    assert answer.status_code == 403
    assert answer.json()["text"] == Words(Language.KO)("photo.problem.not_yours")


def test_of_a_decided_case_and_of_an_erased_member_nothing_is_shown(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    judged(photos.store, photo_server)
    claim = photos.claim()
    assert photos.client.get(address_of(claim, 1, Shape.FACE)).status_code == 200
    photos.store.members.forget("m1", NOW)
    assert photos.client.get(address_of(claim, 1, Shape.FACE)).status_code == 404


# Hosts and files


def test_another_file_at_the_address_is_said_and_not_shown(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    judged(photos.store, photo_server)
    photo_server.add_photo("r1/1.jpg", saved(face_picture((300, 300))))
    claim = photos.claim()
    answer = photos.client.get(address_of(claim, 1, Shape.FACE))
    assert answer.status_code == 502
    assert answer.json()["problem"] == PhotoProblem.OTHER_FILE
    assert answer.json()["text"].startswith("다른 사진입니다")
    assert photos.records() == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer(status=404), PhotoProblem.GONE),
        (Answer(status=403), PhotoProblem.LINK_EXPIRED),
        (Answer(status=503), PhotoProblem.NOT_REACHED),
        (Answer(b"<html></html>", content_type="text/html"), PhotoProblem.NOT_A_PHOTO),
    ],
)
def test_why_a_photo_is_not_there_is_said_in_words_and_can_be_tried_again(
    photos: PhotoDesk, photo_server: PhotoServer, answer: Answer, problem: PhotoProblem
) -> None:
    judged(photos.store, photo_server)
    photo_server.add("r1/1.jpg", answer)
    address = address_of(photos.claim(), 1, Shape.FACE)
    photos.client.cookies.set("language", "en")
    got = photos.client.get(address)
    assert got.status_code == 502
    assert got.json() == {
        "problem": problem,
        "text": Words(Language.EN)(f"photo.problem.{problem}"),
        "again": True,
    }
    hits = photo_server.hits["/r1/1.jpg"]
    photos.client.get(address_of(photos.claim(), 1, Shape.WHOLE))
    assert photo_server.hits["/r1/1.jpg"] == hits  # the host is left alone for a while
    photo_server.add_photo("r1/1.jpg", FILES[1])
    assert photos.client.get(f"{address}&again=1").status_code == 200
    assert photo_server.hits["/r1/0.jpg"] == 1  # what is here is not fetched again


def test_a_photo_that_cannot_be_decoded_and_one_that_the_worker_had_not_are_said(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    bomb = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(bomb, "PNG")
    files = {1: bomb.getvalue(), 2: FILES[2][:5000]}
    findings = [
        found(0, sha256=None, outcome=Outcome.NOT_FETCHED),
        *(found(n, sha256=digest(data)) for n, data in files.items()),
    ]
    judged(photos.store, photo_server, findings=findings)
    for position, data in files.items():
        photo_server.add_photo(f"r1/{position}.jpg", data)
    claim = photos.claim()
    answers = [photos.client.get(address_of(claim, n, Shape.FACE)).json() for n in range(3)]
    assert [answer["problem"] for answer in answers] == ["not_judged", "too_large", "undecodable"]
    assert [answer["again"] for answer in answers] == [False, False, False]
    assert photo_server.hits["/r1/0.jpg"] == 0


def test_a_link_that_has_died_is_replaced_through_the_resolver(
    store: Store, photo_server: PhotoServer
) -> None:
    judged(store, photo_server, query="?sig=old")
    photo_server.signature = "new"
    with WebhookReceiver() as app:
        app.reply = fresh_link
        with fetching(app) as fetcher, desk(store, fetcher) as photos:
            claim = photos.claim()
            assert photos.client.get(address_of(claim, 1, Shape.FACE)).status_code == 200
            app.reply = lambda _: says({})
            photos.services.photos.drop("r1")
            answer = photos.client.get(address_of(claim, 1, Shape.FACE))
            assert answer.json()["problem"] == PhotoProblem.LINK_EXPIRED


def test_two_who_ask_at_once_wait_for_one_fetch(photos: PhotoDesk, photo_server: PhotoServer) -> None:
    judged(photos.store, photo_server)
    photo_server.delay = 0.3
    claim = photos.claim()
    asked = [address_of(claim, n, shape) for n in range(3) for shape in Shape]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(photos.client.get, asked))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert set(photo_server.hits.values()) == {1}


def test_a_photo_is_shown_while_another_one_keeps_everybody_waiting(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    judged(photos.store, photo_server)
    released = keeps_waiting(photo_server)
    claim = photos.claim()
    assert photos.client.get(address_of(claim, 0, Shape.FACE)).status_code == 200
    released.set()
    assert photos.client.get(address_of(claim, 2, Shape.FACE)).status_code == 200


def test_a_photo_that_is_too_large_among_the_others_is_fetched_by_itself(
    store: Store, photo_server: PhotoServer
) -> None:
    judged(store, photo_server)
    limits = replace(LIMITS, max_bytes=1_000_000, job_bytes=len(FILES[0]) + 1000)
    fetcher = LinkFetcher(PhotoFetcher(limits))
    with desk(store, fetcher) as photos:
        claim = photos.claim()
        answers = [photos.client.get(address_of(claim, n, Shape.FACE)).status_code for n in range(3)]
    fetcher.close()
    assert answers == [200] * 3
    assert set(photo_server.hits.values()) == {2}


def test_a_host_that_hangs_holds_up_some_requests_and_not_the_console(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    judged(photos.store, photo_server)
    released = keeps_waiting(photo_server)
    claim = photos.claim()
    held = photos.store.case_photos.held(claim, NOW)
    load = partial(photos.services.photos._loader.load, held, 2)
    with ThreadPoolExecutor(MOST_WAITS + 4) as pool:
        waiting = [pool.submit(load) for _ in range(MOST_WAITS + 4)]
        wait_until(lambda: sum(future.done() for future in waiting) == 4)
        assert {future.result() for future in waiting if future.done()} == {PhotoProblem.BUSY}
        wait_until(lambda: isinstance(photos.services.photos.known(claim, NOW)[0], ReadyPhoto))
        assert photos.client.get(address_of(claim, 0, Shape.FACE)).status_code == 200  # it is here
        released.set()
    assert sum(isinstance(future.result(), ReadyPhoto) for future in waiting) == MOST_WAITS
    assert photos.client.get(address_of(claim, 2, Shape.FACE)).status_code == 200


def test_of_a_case_that_has_ended_nothing_is_held(photos: PhotoDesk, photo_server: PhotoServer) -> None:
    judged(photos.store, photo_server)
    claim = photos.claim()
    photos.client.get(address_of(claim, 0, Shape.FACE))
    wait_until(lambda: None not in photos.services.photos.known(claim, NOW).values())
    photos.services.photos.drop("r1")
    assert set(photos.services.photos.known(claim, NOW).values()) == {None}


def test_nothing_is_held_when_the_console_has_ended(photos: PhotoDesk, photo_server: PhotoServer) -> None:
    judged(photos.store, photo_server)
    claim = photos.claim()
    with TestClient(build(photos.services)):
        photos.client.get(address_of(claim, 0, Shape.FACE))
        wait_until(lambda: None not in photos.services.photos.known(claim, NOW).values())
    assert set(photos.services.photos.known(claim, NOW).values()) == {None}


def test_a_signed_link_is_in_nothing_that_reaches_the_browser(
    photos: PhotoDesk, photo_server: PhotoServer
) -> None:
    judged(photos.store, photo_server, query="?sig=SECRETKEY")
    photo_server.add("r1/2.jpg", Answer(status=500))
    claim = photos.claim()
    for position in range(3):
        address = address_of(claim, position, Shape.FACE)
        answer = photos.client.get(address)
        assert b"SECRETKEY" not in answer.content
        assert "SECRETKEY" not in address + str(answer.headers)


def test_nothing_of_a_photo_is_on_disk_afterwards(
    photos: PhotoDesk, photo_server: PhotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = _open_files()
    judged(photos.store, photo_server)
    claim = photos.claim()
    for position in range(3):
        for shape in Shape:
            assert photos.client.get(address_of(claim, position, shape)).status_code == 200
    folders = [tmp_path]
    if photos.store.database.engine.dialect.name == "sqlite":
        folders.append(Path(str(photos.store.database.engine.url.database)).parent)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    written = [path.read_bytes() for path in files]
    assert not [data for data in written if b"\xff\xd8\xff" in data or b"Exif" in data]
    assert not {name for name in _open_files() - before if not name.startswith(("/dev/", "/proc/"))}


def _open_files() -> set[str]:
    """Files with a name, or without one any more, that this process has open."""
    links = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return {link for link in links if link.startswith("/") and ".db" not in link}


def test_a_decision_made_elsewhere_ends_the_photos(photos: PhotoDesk, photo_server: PhotoServer) -> None:
    judged(photos.store, photo_server)
    claim = photos.claim()
    photos.store.reviews.queue.release(claim, NOW)
    photos.who = reviewer("lee")
    answered(photos.store, "m1", by="lee")
    photos.who = reviewer("kim")
    assert photos.client.get(address_of(claim, 1, Shape.FACE)).status_code == 404
