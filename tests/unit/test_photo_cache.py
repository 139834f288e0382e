"""Photos are held in memory within bounds, and loaded ahead within bounds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.verdict import Fault, FetchProblem, NotFetched, Photo
from support.console_photos import digest, face_picture, saved
from support.workers import wait_until
from worker.console.photos.cache import CacheLimits, PhotoCache
from worker.console.photos.loading import PhotoLoader
from worker.console.photos.pictures import ReadyPhoto, ready
from worker.console.photos.problems import PhotoProblem
from worker.downloads.link_fetcher import Arrived
from worker.jobs.links import PhotoLink
from worker.store.shown_photos import ShownPhoto, ShownPhotos

FILE = saved(face_picture((64, 64)))
READY = ready(FILE, None, None)


class Clock:
    """Says what it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> Iterator[PhotoCache]:
    """With room for three photos."""
    made = PhotoCache(CacheLimits(bytes=3 * READY.size + 100, seconds=600, problem_seconds=30), clock)
    yield made
    made.clear()


def key(number: int, request_id: str = "r1") -> tuple[str, int, str]:
    return request_id, number, "a" * 64


def test_what_was_not_asked_for_longest_goes_where_there_is_no_room(cache: PhotoCache) -> None:
    for number in range(3):
        cache.put(key(number), READY)
    assert cache.get(key(0)) is READY
    cache.put(key(3), READY)
    assert [cache.get(key(number)) for number in range(4)] == [READY, None, READY, READY]
    assert cache.bytes == 3 * READY.size


def test_a_photo_is_held_for_minutes_and_a_problem_for_seconds(cache: PhotoCache, clock: Clock) -> None:
    cache.put(key(0), READY)
    cache.put(key(1), PhotoProblem.GONE)
    clock.now = 31
    assert (cache.get(key(0)), cache.get(key(1))) == (READY, None)
    clock.now = 601
    assert cache.get(key(0)) is None
    assert cache.bytes == 0


def test_what_is_old_goes_though_nobody_asks() -> None:
    cache = PhotoCache(CacheLimits(seconds=0.05))
    cache.put(key(0), READY)
    wait_until(lambda: cache.bytes == 0)


def test_the_same_photo_counts_once_and_a_request_is_dropped_whole(cache: PhotoCache) -> None:
    for _ in range(3):
        cache.put(key(0), READY)
    cache.put(key(0, "r2"), READY)
    assert cache.bytes == 2 * READY.size
    cache.drop("r1")
    assert (cache.get(key(0)), cache.get(key(0, "r2"))) == (None, READY)
    cache.forget(key(0, "r2"))
    assert cache.bytes == 0


# Loading


class Host:
    """Gives out the file when it is told to."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked: list[str] = []

    def __call__(self, links: Sequence[PhotoLink], arrived: Arrived) -> list[Photo]:
        self.asked += [link.url for link in links]
        assert self.open.wait(30)
        for link in links:
            arrived(link.url, FILE)
        return [FILE] * len(links)


def shown(request_id: str) -> ShownPhotos:
    link = PhotoLink(f"https://photos.example.com/{request_id}.jpg", "m1", 0, sha256=digest(FILE))
    return ShownPhotos(request_id, (ShownPhoto(link),), None)


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.open.set()


@pytest.fixture
def loader(host: Host) -> Iterator[PhotoLoader]:
    made = PhotoLoader(host, PhotoCache())
    yield made
    host.open.set()
    made.close()


def test_of_many_cases_that_might_come_next_a_few_are_loaded(host: Host, loader: PhotoLoader) -> None:
    for number in range(20):
        loader.warm(shown(f"r{number}"))
    host.open.set()
    wait_until(lambda: loader.known(shown("r3"), 0) is not None)
    assert [loader.known(shown(f"r{number}"), 0) is not None for number in (0, 3, 4, 19)] == [
        True,
        True,
        False,
        False,
    ]
    loader.warm(shown("r19"))
    wait_until(lambda: loader.known(shown("r19"), 0) is not None)


def test_a_case_that_somebody_has_goes_before_those_that_wait_to_be_loaded_ahead(
    host: Host, loader: PhotoLoader
) -> None:
    for number in range(3):
        loader.warm(shown(f"r{number}"))
    waiting = threading.Thread(target=loader.load, args=(shown("r2"), 0))
    waiting.start()
    wait_until(lambda: any("r2" in url for url in host.asked))
    assert not [url for url in host.asked if "r1" in url]
    host.open.set()
    waiting.join(30)
    assert isinstance(loader.load(shown("r2"), 0), ReadyPhoto)
    assert sum("r2" in url for url in host.asked) == 1


def test_a_photo_that_comes_after_its_case_has_ended_is_not_held(host: Host, loader: PhotoLoader) -> None:
    loader.warm(shown("r1"))
    wait_until(lambda: bool(host.asked))
    loader.drop("r1")
    host.open.set()
    loader.load(shown("r2"), 0)
    assert loader.known(shown("r1"), 0) is None


@pytest.mark.parametrize("end", [lambda loader: loader.drop("r1"), PhotoLoader.close])
def test_whoever_waits_for_a_photo_of_a_case_that_has_ended_is_told_at_once(
    host: Host, loader: PhotoLoader, end: Callable[[PhotoLoader], None]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(loader.load, shown("r1"), 0)
        wait_until(lambda: bool(host.asked))
        end(loader)  # the host has not answered, and does not
        assert waiting.result() is PhotoProblem.OUR_FAULT
        host.open.set()


def test_a_fetch_that_breaks_is_told_to_whoever_waits() -> None:
    def breaks(links: Sequence[PhotoLink], arrived: Arrived) -> list[Photo]:
        raise RuntimeError("no")

    loader = PhotoLoader(breaks, PhotoCache())
    assert loader.load(shown("r1"), 0) is PhotoProblem.NOT_REACHED
    loader.close()


@pytest.mark.parametrize("problem", list(FetchProblem))
def test_every_way_a_fetch_can_fail_is_a_problem_with_words(problem: FetchProblem) -> None:
    def fails(links: Sequence[PhotoLink], arrived: Arrived) -> list[Photo]:
        return [NotFetched(problem, Fault.HOST) for _ in links]

    loader = PhotoLoader(fails, PhotoCache())
    assert isinstance(loader.load(shown("r1"), 0), PhotoProblem)
    loader.close()
