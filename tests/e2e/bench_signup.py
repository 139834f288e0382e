"""How long a live sign-up takes while 5,000 members are imported: `pytest -s tests/e2e/bench_signup.py`.

A benchmark, so not collected with the tests: MariaDB, Redis, one worker with two processes and real
networks, photos that take 150 ms to fetch. Prints the time from the enqueueing to the stored row.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from support.bundle import ROOT
from support.sheets import a_workbook
from support.system import System
from worker.store.tables.states import State

ROWS = int(os.environ.get("BENCH_ROWS", "5000"))
LIVE = int(os.environ.get("BENCH_LIVE", "60"))
EVERY = 1.0
FETCH_SECONDS = 0.15


def test_a_live_sign_up_during_an_import(system: System, faces: Path) -> None:
    system.photos.delay = FETCH_SECONDS
    sheet = _sheet(system, faces)
    system.start("--queues", "verify,bulk", VERIFY_CONCURRENCY="2")
    with _import(system, sheet) as importing:
        sent = {name: _send(system, name) for name in (f"live-{number}" for number in range(LIVE))}
        still_importing = importing.poll() is None
        system.wait_for(list(sent))
        importing.kill()
    done = {row["request_id"]: row for row in system.verifications() if row["state"] == State.DONE}
    took = np.array([done[name]["finished_at"].timestamp() - at for name, at in sent.items()])
    bulk = len(done) - len(took)
    middle, late, worst = np.quantile(took, [0.5, 0.95, 1])
    sys.stdout.write(
        f"\n{LIVE} sign-ups, {bulk} imported members judged meanwhile, still importing: {still_importing}\n"
        f"enqueue to row: median {middle:.2f} s, 95th percentile {late:.2f} s, worst {worst:.2f} s\n"
    )


def _sheet(system: System, faces: Path) -> Path:
    photos = islice(cycle(sorted((faces / "lfw").rglob("*.jpg"))[:200]), 2 * ROWS)
    rows = [
        [f"m{n}", "남", *(system.photos.add_photo(f"m{n}/{kind}.jpg", next(photos)) for kind in ("1", "s"))]
        for n in range(ROWS)
    ]
    return a_workbook(system.folder / "members.xlsx", rows)


def _import(system: System, sheet: Path) -> subprocess.Popen[bytes]:
    settings = {**os.environ, **system.settings}
    command = f"{sys.executable} -m worker import {sheet} && {sys.executable} -m worker enqueue --pending"
    with (system.folder / "import.log").open("wb") as log:
        return subprocess.Popen(command, shell=True, env=settings, cwd=ROOT, stdout=log, stderr=log)


def _send(system: System, name: str) -> float:
    time.sleep(EVERY)
    job = system.job(name)
    at = time.time()
    system.send(job)
    return at
