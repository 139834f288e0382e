"""What is held against the worker: a plain Celery task around `face_recognition` (dlib).

It fetches two photos one after the other, decodes, compares and writes one row; no retries, no leases, no
checks of addresses. `celery -A bench.peer worker`, with the settings that `bench.throughput` gives it.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import requests
import sqlalchemy as sa
from celery import Celery, signals

from pipeline.evaluation.bench import FaceRecognition
from pipeline.images.decode import decode

app = Celery("peer", broker=os.environ.get("BENCH_BROKER", "memory://"))
app.conf.update(
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    task_default_queue="peer",
    worker_proc_alive_timeout=60,  # loading dlib's networks takes longer than the default on a busy machine
)
TABLE = sa.Table(
    "peer",
    sa.MetaData(),
    sa.Column("member_id", sa.String(64), primary_key=True),
    sa.Column("score", sa.Double),
    mysql_default_charset="utf8mb4",
)


@lru_cache(maxsize=1)
def verifier() -> FaceRecognition:
    """Once in each process."""
    return FaceRecognition()


@lru_cache(maxsize=1)
def engine() -> sa.Engine:
    """Once in each process."""
    return sa.create_engine(os.environ["BENCH_DATABASE"])


@lru_cache(maxsize=1)
def session() -> requests.Session:
    """Once in each process."""
    return requests.Session()


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _warm_up(**_: Any) -> None:
    verifier()


@app.task(name="peer.verify")  # type: ignore[untyped-decorator]
def verify(member_id: str, selfie_url: str, photo_url: str) -> None:
    """One member from two links to a row."""
    bodies = [session().get(url, timeout=10).content for url in (selfie_url, photo_url)]
    one, other = (verifier().describe(decode(body).rgb) for body in bodies)
    score = None if one is None or other is None else verifier().score(one, other)
    with engine().begin() as c:
        c.execute(sa.insert(TABLE).values(member_id=member_id, score=score))
