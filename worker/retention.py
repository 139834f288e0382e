"""How long what is kept: the settings' days as moments."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Protocol

from worker.settings import Settings
from worker.store import Purged

logger = logging.getLogger(__name__)


class Old(Protocol):
    """The part of the store that a purge needs."""

    def purge(self, *, numbers: datetime, dead_jobs: datetime, looks: datetime) -> Purged:
        """Remove what is older than these moments."""
        ...


def purge_old(store: Old, settings: Settings, now: datetime) -> Purged:
    """Remove what was kept long enough. Raises StoreUnavailable; calling it again is safe."""
    purged = store.purge(
        numbers=now - timedelta(days=settings.retention_days),
        dead_jobs=now - timedelta(days=settings.dead_job_days),
        looks=now - timedelta(days=settings.access_log_days),
    )
    logger.info(
        "purged: %d photos, %d dead jobs, %d looks, %d shadow verdicts",
        *(purged.photos, purged.dead_jobs, purged.looks, purged.shadows),
    )
    return purged
