"""How a worker starts, what it weighs, how it ends, and what it says when it cannot start."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
import time
from pathlib import Path

import pytest

from support.bundle import ROOT
from support.servers import redis_cluster
from support.system import System
from worker.store.tables.states import State

EXAMPLE = (ROOT / ".env.example").read_text()


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def test_a_pool_process_has_no_tensorflow_and_no_more_memory_than_the_documents_say(system: System) -> None:
    worker = system.start()
    system.send(system.job("r1"))
    system.wait_for(["r1"])
    (pid,) = worker.pool()
    assert "tensorflow" not in Path(f"/proc/{pid}/maps").read_text()
    (promised,) = re.findall(r"its own models, \d+ to (\d+) MB", EXAMPLE)
    assert resident_megabytes(pid) <= int(promised)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are loaded after the fork")
@pytest.mark.parametrize(("queues", "judges"), [("verify", True), ("maintenance", False)])
def test_the_libraries_of_a_verification_are_loaded_once_for_all_processes(
    system: System, queues: str, judges: bool
) -> None:
    worker = system.start("--queues", queues)
    maps = Path(f"/proc/{worker.pid}/maps").read_text()
    assert ["cv2" in maps, "ai_edge_litert" in maps] == [judges, judges]


def test_a_pool_process_verifies_on_one_thread(system: System) -> None:
    (pid,) = system.start().pool()
    system.send(system.job("r1"))
    system.wait_for(["r1"])
    assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1


@pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere each process packs its own weights")
def test_a_pool_process_maps_packed_weights_that_others_share(system: System) -> None:
    worker = system.start()
    (pid,) = worker.pool()
    shared = Path(tempfile.gettempdir()) / f"face-verification-{os.getuid()}"
    assert f"{shared}/" in Path(f"/proc/{pid}/maps").read_text()
    assert worker.stop() == 0
    assert "ccelerator" not in worker.words, "LiteRT wrote what it looked for"


def test_without_models_a_worker_says_so_in_one_line_and_ends(system: System, tmp_path: Path) -> None:
    worker = system.start(ready=False, VERIFY_BUNDLE=str(tmp_path / "nowhere"))
    assert worker.process.wait(timeout=120) == 1
    assert worker.words.count("\n") == 1
    assert "make weights" in worker.words


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are loaded after the fork")
def test_without_a_library_of_the_system_a_worker_names_it_in_one_line_and_ends(
    system: System, tmp_path: Path
) -> None:
    missing = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2.py").write_text(f"raise ImportError({missing!r})\n")
    worker = system.start(ready=False, PYTHONPATH=str(tmp_path))
    assert worker.process.wait(timeout=120) == 1
    assert f"the worker cannot start: {missing} (OpenCV needs: apt-get install libgl1" in worker.words
    assert "Traceback" not in worker.words


def test_a_worker_that_may_reach_its_own_network_says_so_once_at_its_start(system: System) -> None:
    warned = system.start("--queues", "maintenance")
    quiet = system.start("--queues", "maintenance", VERIFY_ALLOW_PRIVATE_ADDRESSES="false")
    assert warned.words.count("WARNING") == 1
    assert "VERIFY_ALLOW_PRIVATE_ADDRESSES is on" in warned.words
    assert "WARNING" not in quiet.words


def test_a_worker_on_a_redis_cluster_says_so_in_one_line_and_ends(system: System, tmp_path: Path) -> None:
    cluster = redis_cluster(tmp_path)
    cluster.start()
    try:
        worker = system.start("--queues", "maintenance", ready=False, VERIFY_BROKER_URL=cluster.url)
        assert worker.process.wait(timeout=120) == 78
    finally:
        cluster.kill()
    (line,) = [line for line in worker.words.splitlines() if "CRITICAL" in line]
    assert "Redis is a cluster" in line
    assert "Traceback" not in worker.words


def test_a_worker_without_judging_queues_needs_no_models(system: System, tmp_path: Path) -> None:
    worker = system.start("--queues", "maintenance", VERIFY_BUNDLE=str(tmp_path / "nowhere"))
    assert worker.health.problem(time.time()) is None


def test_a_worker_that_is_told_to_end_finishes_its_job_first(system: System) -> None:
    worker = system.start()
    system.photos.delay = 3.0
    system.send(system.job("last"))
    system.wait_for(["last"], State.RUNNING)
    assert worker.stop() == 0
    assert system.state("last") is State.DONE
    assert not worker.health.folder.exists()


def test_no_log_line_holds_the_secret_part_of_a_photo_url_or_numbers_of_a_face(system: System) -> None:
    worker = system.start(VERIFY_LOG_LEVEL="DEBUG")
    signed = {"selfie_url": system.photos.at("gone.jpg") + "?signature=s3cret"}
    system.send(system.job("r1", **signed), system.job("judged"))
    system.wait_for(["r1", "judged"])
    assert "r1" in worker.words
    assert "s3cret" not in worker.words
    assert not re.search(r"-?\d\.\d+(e-?\d+)?[,\s]+-?\d\.\d+", worker.words)  # two numbers in a row
