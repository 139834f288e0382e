"""Which head a process judges with: the champion of the database, taken between two jobs.

One job is judged by one head wholly: `choose` is asked once for each job, and what it gives does
not change any more. What cannot be used (a damaged row, networks that this host does not have)
is refused, said in the log and in the database, and left alone for a while; the process keeps the
head that it has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from pipeline.errors import ModelError, WeightsCorrupt
from worker.clock import utc_now
from worker.errors import StoreUnavailable, WorkerError
from worker.serving.signatures import UNSIGNED
from worker.store import HeadsInUse, PublishedHead

if TYPE_CHECKING:
    from pipeline.bundles.models import Models

logger = logging.getLogger(__name__)

TRY_AGAIN: Final = timedelta(minutes=5)
"""A head that was refused is looked at again after this time: an operator may have mended its row."""


class Heads(Protocol):
    """The part of the store that knows heads. All may raise StoreUnavailable."""

    def in_use(self) -> HeadsInUse:
        """Whose word counts; cheap."""
        ...

    def head(self, version: str) -> PublishedHead | None:
        """What is published under this version, unchecked."""
        ...

    def note_problem(self, version: str, host: str, problem: str, now: datetime) -> None:
        """For operators: this host cannot use it."""
        ...

    def clear_problem(self, version: str, host: str) -> None:
        """This host can."""
        ...


Compose = Callable[[Sequence["Models"], str, bytes], "Models"]
"""`pipeline.bundles.load.swap_head`."""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What one job is judged with."""

    models: Models
    shadows: tuple[Models, ...] = ()


class Serving:
    """The heads of one process, on networks that are loaded once."""

    def __init__(
        self,
        *,
        heads: Heads,
        shipped: Models,
        compose: Compose,
        host: str,
        check: Callable[[PublishedHead], None] = UNSIGNED.check,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._heads = heads
        self._shipped = shipped
        self._compose = compose
        self._host = host
        self._check = check
        self._clock = clock
        self._chosen = Chosen(shipped)
        self._refused: dict[str, datetime] = {}

    def choose(self) -> Chosen:
        """The heads of the next job; while the database is away, those of the last one."""
        try:
            self._follow(self._heads.in_use())
        except StoreUnavailable as error:
            logger.warning("%s; the head stays as it is", error)
        return self._chosen

    def _follow(self, heads: HeadsInUse) -> None:
        """Take what is new and keep what is not."""
        models = self._take(heads.champion) or self._chosen.models
        shadows = tuple(head for head in map(self._take, heads.shadows) if head)
        if models.version != self._chosen.models.version:
            logger.info("the head is %s from now on; before: %s", models.version, self._chosen.models.version)
        self._chosen = Chosen(models, shadows)

    def _take(self, version: str | None) -> Models | None:
        """The version out of memory or out of the database; None where it cannot be used."""
        known = {models.version: models for models in self._held()}
        if version is None or version in known:
            return known[version or self._shipped.version]
        if version in self._refused and self._clock() < self._refused[version] + TRY_AGAIN:
            return None
        try:
            models = self._read(version)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a head, members' jobs go on
            meant = isinstance(error, ModelError)
            self._refuse(version, str(error) if meant else f"{type(error).__name__}: {error}")
            return None
        self._refused.pop(version, None)
        self._on_record(lambda: self._heads.clear_problem(version, self._host))
        return models

    def _held(self) -> Sequence[Models]:
        return (self._shipped, self._chosen.models, *self._chosen.shadows)

    def _read(self, version: str) -> Models:
        head = self._heads.head(version)
        if head is None:
            raise WeightsCorrupt("its row is gone")
        self._check(head)
        models = self._compose(self._held(), head.manifest, head.data)
        if models.version != version:
            raise WeightsCorrupt(f"its row holds {models.version}")
        return models

    def _refuse(self, version: str, problem: str) -> None:
        logger.error("the head %s is refused: %s", version, problem)
        self._refused[version] = now = self._clock()
        self._on_record(lambda: self._heads.note_problem(version, self._host, problem, now))

    def _on_record(self, write: Callable[[], None]) -> None:
        try:
            write()
        except WorkerError as error:
            logger.warning("whether the head can be used is not on record: %s", error)
