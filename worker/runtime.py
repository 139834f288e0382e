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
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from pipeline.decide import Policy
from pipeline.errors import BundleIncompatible
from pipeline.verdict import Gender, Photo
from worker.broker.publisher import Publisher
from worker.errors import StoreUnavailable
from worker.health import HealthFiles
from worker.jobs.embed_job import EmbedJob
from worker.jobs.queues import IN_ORDER, JUDGING, RETRAIN
from worker.retraining.embedding import Embedded, Extraction, ExtractionRules
from worker.retraining.packages import missing_packages
from worker.serving.champion import Serving
from worker.serving.registry import Backbones
from worker.serving.signatures import HeadSignatures
from worker.settings import Settings, load_settings
from worker.store import Store, open_store
from worker.urls import is_embedded
from worker.verification.delivery import DeliveryRules, Judged, Verification

if TYPE_CHECKING:
    from worker.serving.calibration import Recalibrated

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
    from pipeline.bundles.load import load_models

    return load_models(settings().bundle)


@lru_cache(maxsize=1)
def serving() -> Serving:
    """The heads that this process judges with. Raises ModelError, and what `store` raises."""
    from pipeline.bundles.load import swap_head

    compose = partial(swap_head, find=backbones().find)
    return Serving(
        heads=store().models,
        shipped=models(),
        compose=compose,
        host=socket.gethostname(),
        check=signatures().check,
    )


@lru_cache(maxsize=1)
def publisher() -> Publisher:
    """The way onto the broker."""
    return Publisher.of(settings())


def _own_name() -> str:
    """Whose lease it is, for operators."""
    return f"{socket.gethostname()}:{os.getpid()}"


@lru_cache(maxsize=1)
def signatures() -> HeadSignatures:
    """The keys that heads are signed and checked with. Raises BadSettings."""
    return HeadSignatures.of(settings().head_public_key, settings().head_signing_key)


def backbones() -> Backbones:
    """Where networks come from that are not in the bundle."""
    return Backbones(settings().backbones, settings().home / "backbones")


@lru_cache(maxsize=1)
def verification() -> Verification:
    """The service that handles jobs."""
    return Verification(
        requests=store().requests,
        dead_jobs=store().dead_jobs,
        shadows=store().shadows,
        fetcher=_fetcher(),
        judge=_judge,
        rules=_rules(settings()),
        worker=_own_name(),
    )


@lru_cache(maxsize=1)
def _fetcher() -> Any:
    from worker.downloads.fetcher import FetchLimits, PhotoFetcher

    return PhotoFetcher(FetchLimits.of(settings()))


@lru_cache(maxsize=1)
def extraction() -> Extraction:
    """The service that looks at labelled photos for a retraining."""
    chosen = settings()
    return Extraction(
        members=store().training_members,
        dead_jobs=store().dead_jobs,
        fetcher=_fetcher(),
        look=_look,
        rules=ExtractionRules(lease=chosen.lease, most_attempts=chosen.max_attempts, wait=chosen.stale_after),
    )


def _look(data: bytes) -> Embedded | str:
    """Embed the face of a labelled photo, by the networks that judge today."""
    from pipeline.training.data.faces import Found, study
    from worker.store.training.vectors import pack

    chosen = serving().choose().models
    found = study(chosen, data)
    if isinstance(found, Found):
        return found.reason
    return Embedded(chosen.networks, pack(found))


def retraining(send: Callable[[EmbedJob], None]) -> Any:
    """The service that goes on with a retraining (`worker.retraining.Retraining`)."""
    from worker.retraining.process import train_apart
    from worker.retraining.run import Retraining, RetrainRules
    from worker.retraining.training_set import Sampling

    chosen = settings()
    return Retraining(
        runs=store().training_runs,
        members=store().training_members,
        labels=store().labels,
        send=send,
        champion=_champion,
        train=train_apart,
        rules=RetrainRules(
            lease=timedelta(seconds=chosen.retrain_lease_seconds),
            wait=chosen.stale_after,
            most_seconds=chosen.retrain_time_limit_seconds,
            promote=chosen.retrain_promote == "auto",
            gate=chosen.retrain_gate,
            sampling=Sampling(chosen.secret, chosen.blind_audit_share),
        ),
        worker=_own_name(),
        sign=signatures().sign,
    )


def _champion() -> Any:
    """The head that judges today. Raises ModelError where this host has no bundle and there is none."""
    from pipeline.bundles.bundle import networks, open_manifest
    from worker.retraining.run import Champion
    from worker.serving.registry import read_head

    version = store().models.champion()
    head = version and store().models.head(version)
    if head:
        signatures().check(head)
    head = head or read_head(settings().bundle)
    return Champion(head, networks(open_manifest(head.manifest)), version)


def _judge(selfie: Photo, photos: Sequence[Photo], declared_gender: Gender | None) -> Judged:
    from pipeline.analysis import look
    from pipeline.verify import judge

    chosen, policy = serving().choose(), _policy(settings())
    seen = look([chosen.models, *chosen.shadows], selfie, photos)
    verdict = judge(chosen.models, seen, declared_gender, policy)
    return Judged(
        verdict, tuple(partial(judge, shadow, seen, declared_gender, policy) for shadow in chosen.shadows)
    )


def calibration(
    member_ids: Sequence[str], fmr: float, progress: Callable[[int, int | None], None]
) -> Recalibrated:
    """The champion's head with edges set on these members. Raises PipelineError, StoreUnavailable."""
    from pipeline.verify import usable_faces
    from worker.serving.calibration import gather, recalibrate

    models, champion = serving().choose().models, store().models.champion()
    if champion not in (None, models.version):
        raise BundleIncompatible(f"the champion {champion} cannot be used on this host: see `status`")
    look = partial(usable_faces, models)
    found = gather(
        store().labels,
        store().requests,
        member_ids,
        fetch=_fetcher().fetch_all,
        look=look,
        progress=progress,
    )
    return recalibrate(found, models, fmr, settings().secret)


def _policy(chosen: Settings) -> Policy:
    return Policy(chosen.auto_reject, chosen.unverified_primary, chosen.gender_conflict_probability)


def _rules(chosen: Settings) -> DeliveryRules:
    return DeliveryRules(
        lease=chosen.lease,
        max_attempts=chosen.max_attempts,
        waits=chosen.fetch_retry_seconds,
        blind_audit_share=chosen.blind_audit_share,
        audit_key=chosen.secret,
    )


def check(names: Iterable[str]) -> str | None:
    """Why a worker that serves these queues cannot work here, in one line; asked before it forks."""
    names = set(names)
    if judges(names) and not (settings().bundle / "manifest.json").is_file():
        return f"no models in {settings().bundle}: run `make weights`, or set VERIFY_BUNDLE"
    return missing_packages() if RETRAIN in names else None


def servable(names: Sequence[str]) -> list[str]:
    """Those of these queues that a worker is to serve here.

    Who asks for every queue, as is the default, may be without the packages of training: `retrain`
    is left out. Who names `retrain` wants it (`check`).
    """
    left_out = {RETRAIN} if set(names) >= set(IN_ORDER) and missing_packages() else set()
    return [name for name in names if name not in left_out]


def retrain_problem() -> str | None:
    """Why a retraining that is asked for here would find no worker, in one line; None if it may.

    Embedded, every worker is of this environment.
    """
    embedded = is_embedded(settings().broker_url.get_secret_value())
    return missing_packages() if embedded else None


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
        store().models.in_use()  # connects: from here on the process goes by the database's clock
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
    from pipeline.bundles.load import warm_up

    started = time.perf_counter()
    warm_up(models())
    with suppress(StoreUnavailable):
        serving().choose()
    logger.info("models loaded in %.2f s", time.perf_counter() - started)


def reset() -> None:
    """Forget all that was built: after a fork, and between tests."""
    for built in [made for made in globals().values() if hasattr(made, "cache_clear")]:
        built.cache_clear()
