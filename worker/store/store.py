"""All of the store behind one name."""

from __future__ import annotations

import sqlalchemy as sa

from worker.settings import Settings
from worker.store.attempts import Attempts
from worker.store.consenting import ConsentingMembers
from worker.store.dead_jobs import DeadJobs
from worker.store.engine import build_engine
from worker.store.enqueueing import Enqueueing
from worker.store.erasure import Erasure
from worker.store.imports import Imports
from worker.store.mapped import MappedMember
from worker.store.people import People
from worker.store.reports import Reports
from worker.store.requeueing import Requeueing
from worker.store.retention import Retention
from worker.store.shadows import Shadows
from worker.store.sweeping import Sweeping
from worker.store.tables.schema import tables
from worker.store.training_ends import TrainingEnds


class Store(
    Imports,
    Enqueueing,
    Erasure,
    Attempts,
    Sweeping,
    Requeueing,
    People,
    Retention,
    DeadJobs,
    Reports,
    Shadows,
    ConsentingMembers,
    TrainingEnds,
):
    """Requests, members, people, dead jobs and models; see the classes for what each part does."""

    def close(self) -> None:
        """Give the connections back; the store can still be used, with new ones."""
        self.engine.dispose()


def open_store(settings: Settings, engine: sa.Engine | None = None) -> Store:
    """The store that the settings describe, on an engine of its own if none is given.

    In mapped mode this looks at the app's table: raises MappingError, StoreUnavailable.
    """
    engine = engine or build_engine(settings.database_url.get_secret_value())
    mapped = None
    if settings.mapped_table:
        mapped = MappedMember(
            engine, settings.mapped_table, settings.mapped_id_column, settings.mapped_columns
        )
    return Store(
        engine,
        tables(settings.tables_prefix),
        mapped=mapped,
        tombstone_key=settings.secret,
        stale_after=settings.stale_after,
    )
