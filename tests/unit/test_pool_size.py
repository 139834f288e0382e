"""How many processes a worker has by itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.broker import pool_size
from worker.broker.pool_size import LEAST, MOST, default_processes, memory, processors

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
HERE = len(os.sched_getaffinity(0))


def group(folder: Path, cpu: str, memory_bytes: str) -> Path:
    """The files of a control group."""
    (folder / "cpu.max").write_text(f"{cpu}\n")
    (folder / "memory.max").write_text(f"{memory_bytes}\n")
    return folder


def test_there_are_more_processes_than_processors_for_some_of_them_wait(tmp_path: Path) -> None:
    assert default_processes(group(tmp_path, "100000 100000", "3500000000")) == min(4, HERE * 4)


def test_there_are_no_more_than_the_memory_holds(tmp_path: Path) -> None:
    one_processor = "100000 100000"
    assert default_processes(group(tmp_path, one_processor, "1200000000")) == 2


@pytest.mark.parametrize("cpu", ["1000 100000", "100000 100000"])
def test_one_that_waits_for_a_photo_host_is_never_alone(tmp_path: Path, cpu: str) -> None:
    assert default_processes(group(tmp_path, cpu, "500000000")) == LEAST


def test_a_large_machine_does_not_take_all_connections_that_a_database_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_size, "processors", lambda _: 128.0)
    monkeypatch.setattr(pool_size, "memory", lambda _: 2**40)
    assert default_processes(tmp_path) == MOST


def test_the_quota_of_a_container_counts_as_so_many_processors(tmp_path: Path) -> None:
    assert processors(group(tmp_path, "50000 100000", "max")) == 0.5


@pytest.mark.parametrize("cpu", ["max 100000", "", "nonsense"])
def test_without_a_quota_all_processors_count(tmp_path: Path, cpu: str) -> None:
    assert processors(group(tmp_path, cpu, "max")) == HERE
    assert processors(tmp_path / "nowhere") == HERE


def test_a_machine_without_a_limit_keeps_half_of_its_memory_for_others(tmp_path: Path) -> None:
    assert memory(group(tmp_path, "max 100000", "max")) == PHYSICAL // 2
    assert memory(tmp_path / "nowhere") == PHYSICAL // 2


def test_a_limit_above_what_the_machine_has_is_none(tmp_path: Path) -> None:
    assert memory(group(tmp_path, "max 100000", str(2**62))) <= PHYSICAL
