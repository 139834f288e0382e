"""The composition root: builds engines, clients, models and services from the settings, once in each process.

Nothing is built before it is needed, and nothing is built in a worker's main process: its children are
forks, and a forked connection or model does not work. `preload` is called in every new pool process.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from pipeline.decide import Policy
from worker.broker.publisher import Publisher
from worker.client.broker import is_embedded
from worker.client.errors import NotSent
from worker.errors import StoreUnavailable
from worker.events.nudge import Nudge
from worker.health import HealthFiles
from worker.jobs.embed_job import EmbedJob
from worker.jobs.queues import IN_ORDER, JUDGING, MAINTENANCE, RETRAIN
from worker.metrics import counting
from worker.operating.heads import HeadChecks
from worker.retraining.embedding import Embedding, EmbeddingRules, embed_labelled
from worker.retraining.packages import missing_packages
from worker.serving.champion import Serving
from worker.serving.registry import NetworkFiles, shared_weights
from worker.serving.signatures import HeadSignatures
from worker.setting_values import STREAM_ENDPOINT
from worker.settings import Settings, load_settings
from worker.store import Store, build_engine, open_store
from worker.store.tables.schema import tables
from worker.verification.delivery import DeliveryRules, Verification
from worker.verification.objections import ObjectionDelivery
from worker.verification.sandbox import DEFAULT_PREFIX, Sandbox
from worker.verification.traced import describe

if TYPE_CHECKING:
    from pipeline.bundles.models import Models
    from pipeline.verdict import Gender, Photo, Verified
    from worker.downloads.link_fetcher import LinkFetcher
    from worker.events.delivery import Endpoint, EventDelivery
    from worker.retraining.run import Retraining
    from worker.serving.calibration import Recalibrated
    from worker.verification.measured import Measured

logger = logging.getLogger(__name__)

_sandbox_alone: list[bool] = []
"""Not empty in a worker that serves the sandbox alone; set before the fork, so no `reset` forgets it."""


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings from the environment. Raises BadSettings."""
    return load_settings()


@lru_cache(maxsize=1)
def store() -> Store:
    """The database. Raises MappingError or StoreUnavailable where the app's table is to be used."""
    return open_store(settings())


@lru_cache(maxsize=1)
def models() -> Models:
    """The loaded bundle. Raises ModelError."""
    from pipeline.bundles.load import load_models

    return load_models(settings().bundle, shared_weights())


@lru_cache(maxsize=1)
def serving() -> Serving:
    """The heads that this process judges with. Raises ModelError, and what `store` raises."""
    from pipeline.bundles.load import swap_head

    return Serving(
        heads=store().models,
        shipped=models(),
        compose=partial(swap_head, find=network_files().find),
        host=socket.gethostname(),
        check=signatures().check,
    )


@lru_cache(maxsize=1)
def publisher() -> Publisher:
    return Publisher.of(settings())


def _worker_name() -> str:
    """The holder of a lease, for operators."""
    return f"{socket.gethostname()}:{os.getpid()}"


@lru_cache(maxsize=1)
def signatures() -> HeadSignatures:
    """The keys that heads are signed and checked with. Raises BadSettings."""
    return HeadSignatures.of(settings().head_public_key, settings().head_signing_key)


def network_files() -> NetworkFiles:
    return NetworkFiles(settings().backbones, settings().home / "backbones")


def head_checks() -> HeadChecks:
    bundle, networks = settings().bundle, network_files()
    return HeadChecks(models=store().models, bundle=bundle, networks=networks, signatures=signatures)


@lru_cache(maxsize=1)
def verification() -> Verification:
    """The service that handles deliveries of verify jobs."""
    config = settings()
    return Verification(
        requests=store().requests,
        dead_jobs=store().dead_jobs,
        shadows=store().shadows,
        fetcher=_fetcher(),
        verify=_verify,
        rules=DeliveryRules(
            lease=config.lease,
            max_attempts=config.max_attempts,
            waits=config.fetch_retry_seconds,
            blind_audit_share=config.blind_audit_share,
            audit_key=config.secret,
        ),
        worker=_worker_name(),
        sandbox=Sandbox(config.sandbox_prefix, bool(_sandbox_alone)),
        database_seconds=lambda: store().database.seconds,
        count=_count,
    )


def _count(measured: Measured) -> None:
    """In the metrics and in the trace, where there are any."""
    counting.delivered(measured)
    describe(measured)


@lru_cache(maxsize=1)
def objections() -> ObjectionDelivery:
    """The service that handles deliveries of objections."""
    return ObjectionDelivery(objections=store().reviews.objections, dead_jobs=store().dead_jobs)


@lru_cache(maxsize=1)
def _fetcher() -> LinkFetcher:
    return build_fetcher()


def build_fetcher(job_bytes: int | None = None) -> LinkFetcher:
    """Fetches photos as the settings say; ``job_bytes``: most bytes of all photos of a request together."""
    from worker.downloads.fetcher import FetchLimits, PhotoFetcher
    from worker.downloads.link_fetcher import LinkFetcher
    from worker.downloads.resolver import PhotoResolver

    limits = FetchLimits.of(settings())
    if job_bytes is not None:
        limits = replace(limits, job_bytes=job_bytes)
    photos = PhotoFetcher(limits, opened=counting.circuit_opened)
    return LinkFetcher(photos, PhotoResolver.of(settings()))


@lru_cache(maxsize=1)
def event_delivery() -> EventDelivery:
    """The service that delivers events to the app."""
    from worker.events.delivery import EventDelivery

    return EventDelivery(
        deliveries=store().deliveries,
        endpoints=_endpoints(),
        worker=_worker_name(),
        busy=_maintenance_waits,
    )


def _endpoints() -> dict[str, Endpoint]:
    """The receivers in the settings, by name."""
    from worker.downloads.signed_post import Receiver, SignedPost
    from worker.events.stream import StreamEndpoint
    from worker.events.webhooks import WebhookEndpoint

    config = settings()
    post = SignedPost.of(config)
    found: dict[str, Endpoint] = {
        name: WebhookEndpoint(post, Receiver(webhook.url.get_secret_value(), webhook.secrets))
        for name, webhook in config.webhooks.items()
    }
    if config.event_stream:
        kept = timedelta(days=config.event_days)
        found[STREAM_ENDPOINT] = StreamEndpoint(publisher(), config.event_stream, kept)
    return found


def _maintenance_waits() -> bool:
    with suppress(NotSent):
        return publisher().waiting(MAINTENANCE) > 0
    return False


@lru_cache(maxsize=1)
def _nudge() -> Nudge:
    return Nudge(publisher().send_delivery)


def nudge_delivery() -> None:
    """Let events be delivered soon, where anybody is told of them."""
    if settings().endpoints:
        _nudge()()


@lru_cache(maxsize=1)
def embedding() -> Embedding:
    """The service that embeds labelled photos for a retraining."""
    config = settings()
    return Embedding(
        members=store().training_members,
        dead_jobs=store().dead_jobs,
        fetcher=_fetcher(),
        embed=lambda photo: embed_labelled(serving().heads().champion, photo),
        rules=EmbeddingRules(lease=config.lease, max_attempts=config.max_attempts, wait=config.stale_after),
    )


def retraining(send: Callable[[EmbedJob], None]) -> Retraining:
    """The service that takes the steps of a retraining."""
    from worker.retraining.process import train_apart
    from worker.retraining.run import Retraining, RetrainRules, current_champion
    from worker.retraining.training_set import Sampling

    config = settings()
    return Retraining(
        runs=store().training_runs,
        members=store().training_members,
        labels=store().labels,
        send=send,
        champion=partial(current_champion, store().models, config.bundle, signatures().check),
        train=train_apart,
        rules=RetrainRules(
            lease=timedelta(seconds=config.retrain_lease_seconds),
            wait=config.stale_after,
            max_seconds=config.retrain_time_limit_seconds,
            promote=config.retrain_promote == "auto",
            gate=config.retrain_gate,
            sampling=Sampling(config.secret, config.blind_audit_share),
        ),
        worker=_worker_name(),
        sign=signatures().sign,
    )


def _verify(selfie: Photo, photos: Sequence[Photo], declared_gender: Gender | None) -> Verified:
    config = settings()
    policy = Policy(config.auto_reject, config.unverified_primary, config.gender_conflict_probability)
    return serving().verify(selfie, photos, declared_gender, policy=policy)


def calibration(
    member_ids: Sequence[str], fmr: float, progress: Callable[[int, int | None], None]
) -> Recalibrated:
    """The champion's head with thresholds set on these members. Raises PipelineError, StoreUnavailable."""
    from pipeline.verify import embed_usable_faces
    from worker.serving.calibration import gather, recalibrate

    champion = serving().champion()
    found = gather(
        store().labels,
        store().requests,
        member_ids,
        fetch=_fetcher().fetch_all,
        embed=partial(embed_usable_faces, champion),
        progress=progress,
    )
    return recalibrate(found, champion, fmr, settings().secret)


def check(names: Iterable[str]) -> str | None:
    """Why a worker that serves these queues cannot work here, in one line; asked before it forks."""
    names = set(names)
    if needs_models(names) and not (settings().bundle / "manifest.json").is_file():
        return f"no models in {settings().bundle}: run `make weights`, or set VERIFY_BUNDLE"
    if settings().event_stream in {settings().queue_prefix + name for name in IN_ORDER}:
        return "VERIFY_EVENT_STREAM has the name of a queue: choose another one"
    return missing_packages() if RETRAIN in names else None


def tables_behind() -> str | None:
    """Why this program cannot work on the tables yet, in one line; asked before the fork."""
    from worker.migrations import behind

    engine = build_engine(settings().database_url.get_secret_value())
    try:
        return behind(engine, settings().tables_prefix)
    finally:
        engine.dispose()


def servable(names: Sequence[str]) -> list[str]:
    """Those of these queues that a worker can serve here.

    Where every queue is named, as by default, and the packages of training are missing, `retrain` is left
    out. Where `retrain` is named beside some others, `check` reports the missing packages.
    """
    left_out = {RETRAIN} if set(names) >= set(IN_ORDER) and missing_packages() else set()
    return [name for name in names if name not in left_out]


def retrain_problem() -> str | None:
    """Why no worker could take up a retraining, in one line; None if one could.

    Embedded, every worker runs in this environment.
    """
    embedded = is_embedded(settings().broker_url.get_secret_value())
    return missing_packages() if embedded else None


def needs_models(names: Iterable[str]) -> bool:
    return not _sandbox_alone and not JUDGING.isdisjoint(names)


def serve_sandbox_alone() -> None:
    """From here on this process, and those that it forks, verify nobody but members of the sandbox."""
    _sandbox_alone[:] = [True]
    if not settings().sandbox_prefix:
        os.environ["VERIFY_SANDBOX_PREFIX"] = DEFAULT_PREFIX
        reset()


def real_in_sandbox() -> str | None:
    """Which members have IDs of the sandbox and are none of it, in one line; asked before the fork.

    None if there are none, and if the database cannot be asked now.
    """
    prefix = settings().sandbox_prefix
    if not prefix:
        return None
    engine = build_engine(settings().database_url.get_secret_value())
    try:
        real = Store(engine, tables(settings().tables_prefix)).members.count_real(prefix)
    except StoreUnavailable:
        return None
    finally:
        engine.dispose()
    if not real:
        return None
    return (
        f"real members whose IDs begin with {prefix} (VERIFY_SANDBOX_PREFIX): {real:,}; their requests "
        "become dead jobs (not_sandbox). Choose another prefix"
    )


def preload(*, judging: bool) -> None:
    """Prepare a new pool process: the store, and, for judging, warm models.

    Raises ModelError, MappingError. It also starts while the database is unavailable.
    """
    reset()
    try:
        store().models.in_use()  # connects: from here on the process uses the clock of the database
    except StoreUnavailable as error:
        logger.warning("%s", error)
    if judging:
        _warm_up()
    HealthFiles.of(settings().home, os.getppid()).ready(os.getpid())


def _warm_up() -> None:
    """Load the models and run them once, so that the first member does not wait for it."""
    from pipeline.bundles.load import warm_up

    started = time.perf_counter()
    warm_up(models())
    with suppress(StoreUnavailable):
        serving().heads()
    logger.info("models loaded in %.2f s", time.perf_counter() - started)


def reset() -> None:
    """Forget all that was built: after a fork, and between tests."""
    for built in [made for made in globals().values() if hasattr(made, "cache_clear")]:
        built.cache_clear()
