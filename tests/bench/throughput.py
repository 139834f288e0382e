"""Members a second from the queue to the row: `PYTHONPATH=.:tests python -m bench.throughput`.

MariaDB, Redis and a photo host of its own, whose photos take 150 ms, and the worker with 1, 2 and more
processes in turns, with a plain Celery task around `face_recognition` where its packages are installed
(`pip install --no-deps -r pipeline/requirements-peers.txt`). Wants labelled photos (`VERIFY_FACES`).
`--stub` has no networks: what is left is all that a job costs beside its verification.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
import redis
import sqlalchemy as sa

from bench import peer
from chaos.deployment import StubPhotos
from pipeline.errors import PeerMissing
from pipeline.terminal import console, new_table
from support.bundle import ROOT, ensure_bundle
from support.databases import fresh_database
from support.invalid_messages import job_message
from support.labelled import labelled_folder, rows
from support.photo_server import PhotoServer
from support.servers import MariaDb, Redis, quick_folder
from support.workers import Worker, children_of, open_empty_store, wait_until
from worker.clock import utc_now
from worker.store.tables.states import State

PEER: Final = "face_recognition"
_WARMING: Final = 6
"""Members before the time begins, for each process."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Setup:
    """What is measured: whose worker, with how many processes."""

    who: str
    processes: int

    @property
    def name(self) -> str:
        return f"{self.who}, {self.processes}"


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one setup."""

    seconds: float
    members: int
    main: float
    """Seconds of processor time of the main process."""
    pool: float
    """Seconds of processor time of the processes that do the jobs."""
    busy: float
    """Share of the machine's processors that was not idle, by whatever ran there."""
    load: float

    @property
    def rate(self) -> float:
        """Members a second."""
        return self.members / self.seconds

    @property
    def used(self) -> float:
        """Share of the machine's processors that the worker itself used."""
        return (self.main + self.pool) / self.seconds / (os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run happens."""

    mariadb: MariaDb
    redis: Redis
    photos: str
    couples: Sequence[tuple[str, str]]
    """Paths of two photos of one person each."""
    stub: bool
    folder: Path

    def links(self, member: int) -> tuple[str, str]:
        one, other = self.couples[member % len(self.couples)]
        return f"{self.photos}/{one}", f"{self.photos}/{other}"


class Ours:
    """The worker of this project, at work."""

    def __init__(self, place: Place, setup: Setup, stack: ExitStack) -> None:
        self.place = place
        url = stack.enter_context(fresh_database(place.mariadb.url))
        self.store = open_empty_store(url)
        stack.callback(self.store.close)
        self.broker = stack.enter_context(redis.Redis.from_url(place.redis.url))
        settings = {
            "VERIFY_DATABASE_URL": url,
            "VERIFY_BROKER_URL": place.redis.url,
            "VERIFY_ALLOW_HTTP": "true",
            "VERIFY_ALLOW_PRIVATE_ADDRESSES": "true",
            "VERIFY_BLIND_AUDIT_SHARE": "0",
            "VERIFY_CONCURRENCY": str(setup.processes),
            **({} if place.stub else {"VERIFY_BUNDLE": str(ensure_bundle().absolute())}),
        }
        program = "chaos.stub_worker run" if place.stub else "worker run"
        folder = Path(tempfile.mkdtemp(dir=place.folder))
        self.worker = stack.enter_context(Worker(settings, folder, ("--queues", "verify"), program))
        self.worker.wait_until_ready()
        wait_until(lambda: len(self.worker.pool()) >= setup.processes)

    @property
    def pid(self) -> int:
        return self.worker.pid

    def send(self, members: Sequence[int]) -> None:
        for member in members:
            selfie, photo = self.place.links(member)
            job = {
                "schema": 1,
                "request_id": f"r{member}",
                "requested_at": utc_now().isoformat(),
                "member_id": f"m{member}",
                "why": "signup",
                "selfie_url": selfie,
                "photo_urls": [photo],
                "declared_gender": None,
            }
            self.broker.lpush("verify", job_message(job))

    def done(self) -> int:
        v = self.store.database.t.verification
        query = sa.select(sa.func.count()).where(v.c.state == State.DONE)
        return int(self.store.database.read(lambda c: c.scalar(query)) or 0)


class Peer:
    """A plain Celery task, at work."""

    def __init__(self, place: Place, setup: Setup, stack: ExitStack) -> None:
        self.place = place
        url = stack.enter_context(fresh_database(place.mariadb.url))
        self.engine = sa.create_engine(url)
        stack.callback(self.engine.dispose)
        peer.TABLE.metadata.create_all(self.engine)
        peer.app.conf.broker_url = place.redis.url
        words = ["-A", "bench.peer", "worker", "-c", str(setup.processes), "--loglevel", "ERROR"]
        settings = {"BENCH_BROKER": place.redis.url, "BENCH_DATABASE": url, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "celery", *words],
            env={**os.environ, **settings},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,  # its banner
        )
        stack.callback(self.process.wait)
        stack.callback(self.process.terminate)

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, members: Sequence[int]) -> None:
        for member in members:
            peer.verify.delay(f"m{member}", *self.place.links(member))

    def done(self) -> int:
        with self.engine.connect() as c:
            return int(c.scalar(sa.select(sa.func.count()).select_from(peer.TABLE)) or 0)


def run(place: Place, setup: Setup, members: int) -> Measured:
    """One run: some members to warm up, then so many, from the first on the queue to the last row."""
    with ExitStack() as stack, redis.Redis.from_url(place.redis.url) as client:
        client.flushdb()
        system = (Peer if setup.who == PEER else Ours)(place, setup, stack)
        warming = _WARMING * setup.processes
        system.send(range(warming))
        wait_until(lambda: system.done() >= warming, 180)
        before, idle, started = _spent(system.pid), _idle(), time.monotonic()
        system.send(range(warming, warming + members))
        wait_until(lambda: system.done() >= warming + members, 900, every=0.1)
        seconds, after = time.monotonic() - started, _spent(system.pid)
        busy = 1 - (_idle() - idle) / seconds / (os.cpu_count() or 1)
        main, pool = (end - begin for end, begin in zip(after, before, strict=True))
        return Measured(seconds, members, main, pool, busy, os.getloadavg()[0])


def _spent(pid: int) -> tuple[float, float]:
    """Processor time so far: of the main process, and of its children."""
    return _seconds(pid), sum(_seconds(child) for child in children_of(pid))


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _idle() -> float:
    """Seconds in which a processor of the machine had nothing to do."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / _TICKS


@contextmanager
def photo_host(folder: Path | None, delay: float) -> Iterator[str]:
    """The URL of a host in a process of its own, which takes so many seconds for each photo."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, folder, delay), daemon=True
    )
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(end: Connection, folder: Path | None, delay: float) -> None:
    host = StubPhotos if folder is None else PhotoServer
    with host(folder, delay=delay) as photos:
        end.send(photos.url)
        time.sleep(86_400)


def _couples(stub: bool) -> list[tuple[str, str]]:
    if stub:
        return [(f"approved/0/{n}-s.jpg", f"approved/0/{n}-1.jpg") for n in range(10_000)]
    found = [row for row in rows(labelled_folder(), "lfw_pairs.csv") if row["same"] == "1"]
    return [(row["file_x"], row["file_y"]) for row in found]


@click.command()
@click.option("--processes", type=int, multiple=True, default=(1, 2), show_default=True)
@click.option("--members", default=150, show_default=True, help="Of each run.")
@click.option("--rounds", default=3, show_default=True, help="Times that each setup has its turn.")
@click.option("--delay", default=0.15, show_default=True, help="Seconds that each photo takes.")
@click.option("--stub", is_flag=True, help="No networks: what a job costs beside its verification.")
def main(processes: tuple[int, ...], members: int, rounds: int, delay: float, stub: bool) -> None:
    """Members a second by the number of processes, ours and a plain task's in turns."""
    setups = [Setup(who, n) for n in processes for who in _whose(stub)]
    found: dict[Setup, list[Measured]] = defaultdict(list)
    with ExitStack() as stack:
        folder = stack.enter_context(quick_folder())
        mariadb, broker = MariaDb(folder / "mariadb"), Redis(folder / "redis")
        for server in (mariadb, broker):
            server.start()
            stack.callback(server.kill)
        photos = stack.enter_context(photo_host(None if stub else labelled_folder(), delay))
        place = Place(mariadb, broker, photos, _couples(stub), stub, folder)
        for _ in range(rounds):
            for setup in setups:
                found[setup].append(one := run(place, setup, members))
                sys.stderr.write(f"{setup.name}: {one.rate:.2f} members a second, load {one.load:.1f}\n")
    console().print(_table(found))


def _whose(stub: bool) -> Sequence[str]:
    """Ours, and the peer where it is installed."""
    try:
        peer.verifier()
    except PeerMissing as missing:
        sys.stderr.write(f"{missing}\n")
        return ("ours",)
    return ("ours",) if stub else ("ours", PEER)


def _table(found: dict[Setup, list[Measured]]) -> Any:
    columns = ("members/s", "times one", "main ms", "pool ms", "its share", "busy", "load")
    table = new_table("medians of the runs", *columns)
    one = {setup.who: _rate(runs) for setup, runs in found.items() if setup.processes == 1}
    for setup, runs in found.items():
        times = f"{_rate(runs) / one[setup.who]:.2f}" if setup.who in one else ""
        cells = [f"{_rate(runs):.2f}", times]
        spent = [[1000 * getattr(r, part) / r.members for r in runs] for part in ("main", "pool")]
        cells += [f"{median(milliseconds):.1f}" for milliseconds in spent]
        cells += [f"{100 * median(getattr(r, part) for r in runs):.0f} %" for part in ("used", "busy")]
        table.add_row(setup.name, *cells, f"{median(r.load for r in runs):.1f}")
    return table


def _rate(runs: Sequence[Measured]) -> float:
    return median(one.rate for one in runs)


if __name__ == "__main__":
    main()
