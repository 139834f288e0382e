"""What the pages of the console ask for: photos of the case that somebody has, with a record of each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from worker.console.photos.cache import Loaded
from worker.console.photos.loading import PhotoLoader
from worker.console.photos.pictures import Shape
from worker.console.photos.problems import PhotoProblem
from worker.console.photos.watermark import marked
from worker.store import Access, Claim
from worker.store.shown_photos import CasePhotos

_MOST_RECORDED: Final = 10_000

_Look = tuple[int, int, datetime | None, int, Shape]
"""Case, attempt, when it was opened, position, shape."""


class ReviewPhotos:
    """Photos of cases; one per process, and threads may share it."""

    def __init__(self, store: CasePhotos, loader: PhotoLoader) -> None:
        self._store, self._loader = store, loader
        self._recorded: OrderedDict[_Look, None] = OrderedDict()
        self._lock = threading.Lock()

    def serve(
        self,
        claim: Claim,
        position: int,
        shape: Shape,
        access: Access,
        now: datetime,
        *,
        mark: str,
        again: bool = False,
    ) -> bytes | PhotoProblem | None:
        """The picture, a JPEG with ``mark`` in it; None where the case has no such photo.

        When this returns a picture, it is on record that it is shown: once for each look at the case. Raises
        CaseGone, CaseSuspended, ClaimLost, CaseChanged.
        """
        photos = self._store.held(claim, now)
        if photos.at(position) is None:
            return None
        loaded = self._loader.load(photos, position, again=again)
        if isinstance(loaded, PhotoProblem):
            return loaded
        picture = marked(loaded.pictures[shape], mark)
        self._record((claim.case_id, claim.attempt, photos.looked_at, position, shape), claim, access, now)
        return picture

    def known(self, claim: Claim, now: datetime) -> Mapping[int, Loaded | None]:
        """By position what is here of each photo: marks, and facts of its file, for the page of a case.

        None where it was not loaded yet. Waits for no host. Raises the same.
        """
        photos = self._store.held(claim, now)
        return {one.position: self._loader.known(photos, one.position) for one in photos.photos}

    def prefetch(self, request_id: str) -> None:
        """Load the photos of a case that somebody has got, or will probably get next, in the background.

        Nothing is put on record, for nobody sees anything.
        """
        if (photos := self._store.waiting(request_id)) is not None:
            self._loader.warm(photos)

    def drop(self, request_id: str) -> None:
        """Its case was decided or given back: hold nothing of it any more."""
        self._loader.drop(request_id)

    def close(self) -> None:
        """Hold nothing any more."""
        self._loader.close()

    def _record(self, look: _Look, claim: Claim, access: Access, now: datetime) -> None:
        with self._lock:
            if look in self._recorded:
                return
        self._store.record(claim, access, now)
        with self._lock:
            self._recorded[look] = None
            if len(self._recorded) > _MOST_RECORDED:
                self._recorded.popitem(last=False)
