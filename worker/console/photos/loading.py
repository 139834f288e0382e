"""Loads the photos of a case: all at once, each decoded as soon as it is there, once for all who wait."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from pipeline.errors import ImageError, ImageTooLarge
from pipeline.verdict import Fault, FetchProblem, NotFetched, Photo
from worker.console.photos.cache import Key, Loaded, PhotoCache
from worker.console.photos.pictures import ready
from worker.console.photos.problems import PhotoProblem, problem_of
from worker.downloads.link_fetcher import Arrived
from worker.jobs.links import PhotoLink
from worker.store.shown_photos import ShownPhoto, ShownPhotos

_log = logging.getLogger(__name__)

Fetch = Callable[[Sequence[PhotoLink], Arrived], list[Photo]]
CASE_BYTES: Final = 64 * 1024 * 1024
"""Most bytes of all photos of a case that are fetched at once; one that needs more is fetched by itself."""
_FETCHES: Final = 2
"""Cases whose photos are fetched at one time."""
_AHEAD: Final = 1
"""The same of cases that nobody has yet."""
_MOST_WAITING: Final = 4
"""Cases that wait to be fetched ahead; more are left out."""
_DECODES: Final = 1
"""Photos decoded at one time: 250 MB at the worst, and as a rule a tenth of a second."""
_LONGEST: Final = 30.0
"""Seconds that a page waits for a photo: the fetch has 20 of its own, and others may come before it."""
MOST_WAITS: Final = 16
"""Requests that wait for photos at one time: the console has 40 threads, and other pages need some."""


_NOTHING: Final = NotFetched(FetchProblem.UNREACHABLE, Fault.OURS)


class _Run:
    """The fetch of some photos of a case, which begins once, whoever begins it."""

    def __init__(self, go: Callable[[], None]) -> None:
        self._go = go
        self._begun = threading.Lock()

    def __call__(self) -> None:
        if self._begun.acquire(blocking=False):
            self._go()


@dataclass(frozen=True, slots=True)
class _Pending:
    future: Future[Loaded]
    run: _Run


class PhotoLoader:
    """Loads photos into a `PhotoCache`; threads may share it."""

    def __init__(self, fetch: Fetch, cache: PhotoCache) -> None:
        self._fetch, self._cache = fetch, cache
        self._pending: dict[Key, _Pending] = {}
        self._lock = threading.Lock()
        self._waits = threading.BoundedSemaphore(MOST_WAITS)
        self._ahead_waiting = 0
        self._fetching = ThreadPoolExecutor(_FETCHES, thread_name_prefix="case-photos")
        self._ahead = ThreadPoolExecutor(_AHEAD, thread_name_prefix="case-photos-ahead")
        self._decoding = ThreadPoolExecutor(_DECODES, thread_name_prefix="case-photos-decode")

    def load(self, photos: ShownPhotos, position: int, *, again: bool = False) -> Loaded:
        """The photo at this position, which there must be; with ``again`` a problem is not believed.

        Fetches all photos of the request that are not here yet, and waits for this one.
        """
        key = key_of(photos, photos.photos[position])
        if key is None:
            return PhotoProblem.NOT_JUDGED
        held = self._cache.get(key)
        if held is not None and not (again and isinstance(held, PhotoProblem)):
            return held
        if held is not None:
            self._cache.forget(key)
        pending = self._pending_of(photos, key)
        if pending is None:  # it has just arrived
            return self._cache.get(key) or PhotoProblem.OUR_FAULT
        self._fetching.submit(pending.run)
        return self._wait(pending.future)

    def _wait(self, future: Future[Loaded]) -> Loaded:
        if not self._waits.acquire(blocking=False):
            return PhotoProblem.BUSY
        try:
            return future.result(_LONGEST)
        except TooLate:
            return PhotoProblem.NOT_REACHED
        finally:
            self._waits.release()

    def warm(self, photos: ShownPhotos) -> None:
        """Load the photos in the background; left out where enough others wait."""
        with self._lock:
            if self._ahead_waiting >= _MOST_WAITING or (run := self._begin(photos)) is None:
                return
            self._ahead_waiting += 1
        self._ahead.submit(self._warm, run)

    def _warm(self, run: _Run) -> None:
        try:
            run()
        finally:
            with self._lock:
                self._ahead_waiting -= 1

    def known(self, photos: ShownPhotos, position: int) -> Loaded | None:
        """What is here of the photo, without fetching."""
        key = key_of(photos, photos.photos[position])
        return PhotoProblem.NOT_JUDGED if key is None else self._cache.get(key)

    def drop(self, request_id: str) -> None:
        """Its case has ended: hold nothing of it, and nothing that is on its way."""
        self._give_up(lambda key: key[0] == request_id)
        self._cache.drop(request_id)

    def close(self) -> None:
        """Hold nothing, and begin nothing any more."""
        for pool in (self._fetching, self._ahead, self._decoding):
            pool.shutdown(wait=False, cancel_futures=True)
        self._give_up(lambda _: True)
        self._cache.clear()

    def _give_up(self, which: Callable[[Key], bool]) -> None:
        """Whoever waits for these photos is told at once; what arrives of them is not held."""
        with self._lock:
            dropped = [self._pending.pop(key) for key in [*self._pending] if which(key)]
        for pending in dropped:
            pending.future.set_result(PhotoProblem.OUR_FAULT)

    def _pending_of(self, photos: ShownPhotos, key: Key) -> _Pending | None:
        """The load that brings this photo, a new one where there is none; None where it has come."""
        with self._lock:
            if key not in self._pending and self._cache.get(key) is None:
                self._begin(photos)
            return self._pending.get(key)

    def _begin(self, photos: ShownPhotos) -> _Run | None:
        """One load of all that is neither here nor on its way; None where that is nothing."""
        wanted: dict[Key, ShownPhoto] = {}
        for photo in photos.photos:
            key = key_of(photos, photo)
            if key is not None and key not in self._pending and self._cache.get(key) is None:
                wanted[key] = photo
        if not wanted:
            return None
        run = _Run(partial(self._run, wanted))
        self._pending |= {key: _Pending(Future(), run) for key in wanted}
        return run

    def _run(self, wanted: Mapping[Key, ShownPhoto]) -> None:
        def arrived(url: str, data: bytes) -> None:
            for key, photo in wanted.items():
                if photo.link.url == url:
                    with suppress(RuntimeError):  # the console is about to end
                        self._decoding.submit(self._prepare, key, photo, data)

        try:
            results = self._fetch([photo.link for photo in wanted.values()], arrived)
        except Exception:  # noqa: BLE001 - whoever waits must be told
            _log.exception("photos of %s were not fetched", next(iter(wanted))[0])
            results = [_NOTHING] * len(wanted)
        for (key, photo), result in zip(wanted.items(), results, strict=True):
            if not isinstance(result, NotFetched):
                continue
            if result.problem is FetchProblem.TOO_LARGE and len(wanted) > 1:
                self._run({key: photo})  # alone it may have more bytes
            else:
                self._settle(key, problem_of(result))

    def _prepare(self, key: Key, photo: ShownPhoto, data: bytes) -> None:
        try:
            self._settle(key, _made(photo, data))
        except Exception:  # noqa: BLE001 - the same
            _log.exception("photo %d of %s could not be prepared", key[1], key[0])
            self._settle(key, PhotoProblem.OUR_FAULT)

    def _settle(self, key: Key, loaded: Loaded) -> None:
        """For all who wait; the first result counts, and what was dropped meanwhile is not held."""
        with self._lock:
            pending = self._pending.pop(key, None)
            if pending is None:
                return
            self._cache.put(key, loaded)
        pending.future.set_result(loaded)


def without_photos(links: Sequence[PhotoLink], _arrived: Arrived) -> list[Photo]:
    """A `Fetch` that reaches no host."""
    return [_NOTHING] * len(links)


def key_of(photos: ShownPhotos, photo: ShownPhoto) -> Key | None:
    """None where the worker had no file: there is nothing to hold another one against."""
    digest = photo.link.sha256
    return None if digest is None else (photos.request_id, photo.position, digest)


def _made(photo: ShownPhoto, data: bytes) -> Loaded:
    if hashlib.sha256(data).hexdigest() != photo.link.sha256:
        return PhotoProblem.OTHER_FILE
    try:
        return ready(data, photo.box, photo.landmarks)
    except ImageTooLarge:
        return PhotoProblem.TOO_LARGE
    except ImageError:
        return PhotoProblem.UNDECODABLE
