"""The heads of a process: the champion of the database and the heads in shadow, taken between two jobs.

A job is judged by one head: `heads` is called once for each job, and what it returns does not change. A
head that cannot be used (a damaged row, networks that this host does not have) is refused, with an entry in
the log and in the database, and not tried again for a while; the process keeps the head that it has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from pipeline.errors import BundleIncompatible, ModelError, WeightsCorrupt
from worker.clock import utc_now
from worker.errors import StoreUnavailable, WorkerError
from worker.serving.signatures import UNSIGNED
from worker.store import HeadsInUse, PublishedHead

if TYPE_CHECKING:
    from pipeline.bundles.models import Models
    from pipeline.decide import Policy
    from pipeline.verdict import Gender, Photo, Verified

logger = logging.getLogger(__name__)

RETRY_AFTER: Final = timedelta(minutes=5)
"""A head that was refused is tried again after this time: an operator may have repaired its row."""


class HeadStore(Protocol):
    """The heads of the store. All may raise StoreUnavailable."""

    def in_use(self) -> HeadsInUse:
        """Which versions are champion and in shadow; cheap."""

    def head(self, version: str) -> PublishedHead | None:
        """What is published under this version, unchecked."""

    def note_problem(self, version: str, host: str, problem: str, now: datetime) -> None:
        """For operators: this host cannot use it."""

    def clear_problem(self, version: str, host: str) -> None:
        """This host can."""


Compose = Callable[[Sequence["Models"], str, bytes], "Models"]
"""`pipeline.bundles.load.swap_head`."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedHeads:
    """What one job is judged with."""

    champion: Models
    shadows: tuple[Models, ...] = ()


class Serving:
    """The heads of one process, on networks that are loaded once."""

    def __init__(
        self,
        *,
        heads: HeadStore,
        shipped: Models,
        compose: Compose,
        host: str,
        check: Callable[[PublishedHead], None] = UNSIGNED.check,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = heads
        self._shipped = shipped
        self._compose = compose
        self._host = host
        self._check = check
        self._clock = clock
        self._current = ServedHeads(shipped)
        self._refused: dict[str, datetime] = {}

    def heads(self) -> ServedHeads:
        """The heads of the next job; while the database is away, those of the last one."""
        try:
            self._follow(self._store.in_use())
        except StoreUnavailable as error:
            logger.warning("%s; the head stays as it is", error)
        return self._current

    def champion(self) -> Models:
        """The champion itself. Raises BundleIncompatible where this host cannot use it, StoreUnavailable."""
        models, version = self.heads().champion, self._store.in_use().champion
        if version not in (None, models.version):
            raise BundleIncompatible(f"the champion {version} cannot be used on this host: see `status`")
        return models

    def verify(
        self, selfie: Photo, photos: Sequence[Photo], declared_gender: Gender | None, *, policy: Policy
    ) -> Verified:
        """One verification by the current heads, as `python -m pipeline verify` does it."""
        from pipeline.verify import verify_with_shadows

        heads = self.heads()
        return verify_with_shadows([heads.champion, *heads.shadows], selfie, photos, declared_gender, policy)

    def _follow(self, heads: HeadsInUse) -> None:
        """Load what is new and keep what is not."""
        before = self._current.champion
        champion = self._load(heads.champion) or before
        shadows = tuple(head for head in map(self._load, heads.shadows) if head)
        if champion.version != before.version:
            logger.info("the head is %s from now on; before: %s", champion.version, before.version)
        self._current = ServedHeads(champion, shadows)

    def _load(self, version: str | None) -> Models | None:
        """The version from memory or from the database; None where it cannot be used."""
        known = {models.version: models for models in self._loaded()}
        if version is None or version in known:
            return known[version or self._shipped.version]
        if version in self._refused and self._clock() < self._refused[version] + RETRY_AFTER:
            return None
        try:
            models = self._read(version)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a head, jobs go on with another
            known_error = isinstance(error, ModelError)
            self._refuse(version, str(error) if known_error else f"{type(error).__name__}: {error}")
            return None
        self._refused.pop(version, None)
        self._record(lambda: self._store.clear_problem(version, self._host))
        return models

    def _loaded(self) -> Sequence[Models]:
        return (self._shipped, self._current.champion, *self._current.shadows)

    def _read(self, version: str) -> Models:
        head = self._store.head(version)
        if head is None:
            raise WeightsCorrupt("its row is gone")
        self._check(head)
        models = self._compose(self._loaded(), head.manifest, head.data)
        if models.version != version:
            raise WeightsCorrupt(f"its row holds {models.version}")
        return models

    def _refuse(self, version: str, problem: str) -> None:
        logger.error("the head %s is refused: %s", version, problem)
        self._refused[version] = now = self._clock()
        self._record(lambda: self._store.note_problem(version, self._host, problem, now))

    def _record(self, write: Callable[[], None]) -> None:
        try:
            write()
        except WorkerError as error:
            logger.warning("whether the head can be used is not recorded: %s", error)
