"""The composition root: settings become engines, clients and models, once in each process.

Nothing is built before it is asked for, and nothing is built in a worker's main process: its
children are forks, and a forked connection or a forked model is a broken one. `preload` is called
in every new pool process.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from pipeline.decide import Policy
from pipeline.errors import BundleIncompatible
from pipeline.verdict import Gender, NotFetched
from worker.backbones import Backbones
from worker.errors import StoreUnavailable
from worker.health import HealthFiles
from worker.queues import JUDGING
from worker.serving import Serving
from worker.settings import Settings, load_settings
from worker.store import Store, open_store
from worker.verification import DeliveryRules, Judged, Verification

if TYPE_CHECKING:
    from worker.calibration import Recalibrated

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings from the environment. Raises BadSettings."""
    return load_settings()


@lru_cache(maxsize=1)
def store() -> Store:
    """The database. Raises MappingError or StoreUnavailable where the app's table is to be used."""
    return open_store(settings())


@lru_cache(maxsize=1)
def models() -> Any:
    """The loaded bundle (`pipeline.models.Models`). Raises ModelError."""
    from pipeline.load import load_models

    return load_models(settings().bundle)


@lru_cache(maxsize=1)
def serving() -> Serving:
    """The heads that this process judges with. Raises ModelError, and what `store` raises."""
    from pipeline.load import swap_head

    compose = partial(swap_head, find=backbones().find)
    return Serving(heads=store(), shipped=models(), compose=compose, host=socket.gethostname())


def backbones() -> Backbones:
    """Where networks come from that are not in the bundle."""
    return Backbones(settings().backbones, settings().home / "backbones")


@lru_cache(maxsize=1)
def verification() -> Verification:
    """The service that handles jobs."""
    return Verification(
        requests=store(),
        fetcher=_fetcher(),
        judge=_judge,
        rules=_rules(settings()),
        worker=f"{socket.gethostname()}:{os.getpid()}",
    )


@lru_cache(maxsize=1)
def _fetcher() -> Any:
    from worker.downloads import FetchLimits, PhotoFetcher

    return PhotoFetcher(FetchLimits.of(settings()))


def _judge(
    selfie: bytes | NotFetched, photos: Sequence[bytes | NotFetched], declared_gender: Gender | None
) -> Judged:
    from pipeline.seen import look
    from pipeline.verify import judge

    chosen, policy = serving().choose(), _policy(settings())
    seen = look(chosen.models, selfie, photos)
    verdict = judge(chosen.models, seen, declared_gender, policy)
    return Judged(
        verdict, tuple(partial(judge, shadow, seen, declared_gender, policy) for shadow in chosen.shadows)
    )


def calibration(
    member_ids: Sequence[str], fmr: float, progress: Callable[[int, int | None], None]
) -> Recalibrated:
    """The champion's head with edges set on these members. Raises PipelineError, StoreUnavailable."""
    from pipeline.verify import usable_faces
    from worker.calibration import gather, recalibrate

    models, champion = serving().choose().models, store().champion()
    if champion not in (None, models.version):
        raise BundleIncompatible(f"the champion {champion} cannot be used on this host: see `status`")
    look = partial(usable_faces, models)
    found = gather(store(), _fetcher().fetch_all, look, member_ids, progress)
    return recalibrate(found, models, fmr, settings().tombstone_key.get_secret_value().encode())


def _policy(chosen: Settings) -> Policy:
    return Policy(
        auto_reject=chosen.auto_reject, gender_conflict_probability=chosen.gender_conflict_probability
    )


def _rules(chosen: Settings) -> DeliveryRules:
    return DeliveryRules(
        lease=chosen.lease,
        max_attempts=chosen.max_attempts,
        waits=chosen.fetch_retry_seconds,
        blind_audit_share=chosen.blind_audit_share,
        audit_key=chosen.tombstone_key.get_secret_value().encode(),
    )


def check(names: Iterable[str]) -> str | None:
    """Why a worker that serves these queues cannot work here, in one line; asked before it forks."""
    manifest = settings().bundle / "manifest.json"
    if not judges(names) or manifest.is_file():
        return None
    return f"no models in {settings().bundle}: run `make weights`, or set VERIFY_BUNDLE"


def judges(names: Iterable[str]) -> bool:
    """Whether jobs of these queues need the models."""
    return not JUDGING.isdisjoint(names)


def preload(*, judging: bool) -> None:
    """A new pool process gets ready: one thread, the store, and, for judging, warm models.

    Raises ModelError, MappingError. A database that is away just now is no reason not to start.
    """
    reset()
    one_thread()
    try:
        store()
    except StoreUnavailable as error:
        logger.warning("%s", error)
    if judging:
        _warm_up()
    HealthFiles.of(settings().home, os.getppid()).ready(os.getpid())


def one_thread() -> None:
    """A pool has a process for each processor; libraries that start threads besides slow them all.

    Works before numpy and OpenCV are imported.
    """
    for library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ.setdefault(library, "1")


def _warm_up() -> None:
    """Load the models and judge two grey pictures, so that the first member does not wait for it."""
    from pipeline.load import warm_up

    started = time.perf_counter()
    warm_up(models())
    with suppress(StoreUnavailable):
        serving().choose()
    logger.info("models loaded in %.2f s", time.perf_counter() - started)


def reset() -> None:
    """Forget all that was built: after a fork, and between tests."""
    for built in (settings, store, models, serving, verification, _fetcher):
        built.cache_clear()
