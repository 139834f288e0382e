"""What metrics cost a verification: `pytest -s tests/e2e/bench_metrics.py`.

A benchmark, so not collected with the tests. One member is judged again and again by real networks, on a real
database, with counting and without in turns; the time is that of the processor, which other work on the
machine disturbs less. Prints the differences within the pairs, and how long the counting itself takes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundles.load import load_models, warm_up
from pipeline.verify import verify_with_shadows
from support.workers import open_empty_store
from worker.jobs.links import PhotoLink
from worker.metrics.files import CountFiles
from worker.metrics.recorder import Recorder, host_class
from worker.serving.libraries import one_thread
from worker.verification.delivery import DeliveryRules, Handled, Verification
from worker.verification.measured import Measured

PAIRS = int(os.environ.get("BENCH_PAIRS", "200"))


class Photos:
    """A fetcher that has the photos already."""

    def __init__(self, couple: tuple[Path, Path]) -> None:
        self.photos = [file.read_bytes() for file in couple]

    def fetch_all(self, links: list[PhotoLink]) -> list[bytes]:
        return [self.photos[link.position] for link in links]


class Timed:
    """Counts, and how long that takes."""

    def __init__(self, count: Callable[[Measured], None]) -> None:
        self.count, self.seconds = count, list[float]()

    def __call__(self, measured: Measured) -> None:
        start = time.process_time()
        self.count(measured)
        self.seconds.append(time.process_time() - start)


@pytest.fixture
def verification(
    bundle_dir: Path, couple: tuple[Path, Path], mariadb_database_url: str
) -> Callable[[Callable[[Measured], None]], Verification]:
    """A service with this way to count."""
    one_thread()
    store, models = open_empty_store(mariadb_database_url), load_models(bundle_dir)
    warm_up(models)
    return lambda count: Verification(
        requests=store.requests,
        dead_jobs=store.dead_jobs,
        shadows=store.shadows,
        fetcher=Photos(couple),  # type: ignore[arg-type]
        verify=partial(verify_with_shadows, [models]),
        rules=DeliveryRules(),
        worker="bench",
        database_seconds=lambda: store.database.seconds,
        count=count,
    )


def test_what_counting_costs(
    verification: Callable[[Callable[[Measured], None]], Verification], tmp_path: Path
) -> None:
    files = CountFiles.of(tmp_path, os.getpid())
    files.open()
    timed = Timed(Recorder(files, partial(host_class, ("cdn.example.com",))).delivered)
    counted, plain = verification(timed), verification(lambda _: None)
    pairs = []
    for number in range(PAIRS + 5):
        order = [counted, plain] if number % 2 else [plain, counted]
        spent = {service: _seconds(service, f"r{number}-{turn}") for turn, service in enumerate(order)}
        pairs.append((spent[counted], spent[plain]))
    with_it, without = np.array(pairs[5:]).T * 1000
    _print(with_it, without, np.array(timed.seconds[5:]) * 1000)


def _seconds(service: Verification, name: str) -> float:
    body = {
        "schema": 1,
        "request_id": name,
        "requested_at": datetime.now(UTC).isoformat(),
        "member_id": f"m-{name}",
        "why": "operator",
        "selfie_url": f"https://cdn.example.com/{name}/s.jpg",
        "photo_urls": [f"https://cdn.example.com/{name}/1.jpg"],
    }
    start = time.process_time()
    assert service.handle(body, "verify") is Handled.STORED
    return time.process_time() - start


def _print(with_it: np.ndarray, without: np.ndarray, counting: np.ndarray) -> None:
    def quartiles(values: np.ndarray) -> str:
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        return f"{middle:8.3f} ({low:.3f} to {high:.3f})"

    rows = {
        "a verification without metrics": without,
        "a verification with metrics": with_it,
        "difference within a pair": with_it - without,
        "the counting itself": counting,
        "the counting, % of a verification": 100 * counting / np.median(without),
    }
    lines = [f"{name:34}{quartiles(values)}" for name, values in rows.items()]
    sys.stdout.write(
        f"\n{len(with_it)} pairs, ms of the processor: median (quartiles)\n" + "\n".join(lines) + "\n"
    )
