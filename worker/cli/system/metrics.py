"""`python -m worker metrics`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import click
from prometheus_client import CollectorRegistry

from worker import logs
from worker.metrics.counted import CountedCollector
from worker.metrics.endpoint import app, serve
from worker.metrics.files import CountFiles
from worker.metrics.processes import read_worker
from worker.metrics.sources import Source, StateCollector
from worker.setting_values import split_address
from worker.settings import load_settings


@click.command()
@click.option("--worker", "pid", type=int, hidden=True, help="Serve what this worker counts, while it runs.")
@click.option("--state/--no-state", default=True, hidden=True, help="Also read database and broker.")
def metrics(pid: int | None, state: bool) -> None:
    """Serve the state of database and broker for Prometheus at VERIFY_METRICS_ADDRESS.

    A worker needs no such command: with that setting it serves what it has counted by itself, and the worker
    of `maintenance` this state as well.
    """
    config = load_settings()
    if not config.metrics_address:
        raise click.UsageError("set VERIFY_METRICS_ADDRESS, such as 127.0.0.1:9808")
    logs.configure(config.log_level, config.log_format)
    registry = CollectorRegistry()
    sources = [*(_of_worker(config.home, pid) if pid else []), *(_state() if state else [])]
    registry.register(StateCollector(sources))
    application = app(registry, config.metrics_token.get_secret_value())
    if pid is None:
        serve(*split_address(config.metrics_address), application, wanted=lambda: True)
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which ends with its last job
    serve(*split_address(config.metrics_address), application, wanted=lambda: os.getppid() == pid)
    CountFiles.of(config.home, pid).close()


def _of_worker(home: Path, pid: int) -> list[Source]:
    counted = CountedCollector(CountFiles.of(home, pid))
    return [
        Source("counts", counted.collect, good_for=0),
        Source("worker", lambda: read_worker(home, pid), good_for=0),
    ]


def _state() -> list[Source]:
    # Half of this process's memory, which the other workers save.
    from worker import runtime
    from worker.clock import utc_now
    from worker.metrics.state import read_broker, read_database

    endpoints = runtime.settings().endpoints
    return [
        Source("broker", lambda: read_broker(runtime.publisher(), utc_now)),
        Source("database", lambda: read_database(runtime.store(), endpoints, utc_now)),
    ]
