"""Counting in several processes: nothing is lost with one of them, and labels are bounded."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.bundle import ROOT
from support.workers import TESTS_ON_PATH
from worker.metrics.files import CountFiles
from worker.metrics.recorder import LISTED, OTHER, host_class


def counting(what: str, home: Path) -> dict[str, Any]:
    """What the program of this name has counted."""
    words = [sys.executable, "-m", "support.counting_worker", str(home), what]
    done = subprocess.run(words, cwd=ROOT, env=TESTS_ON_PATH, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def value(report: dict[str, Any], name: str, **labels: str) -> float:
    samples = report["samples"]
    return float(sum(v for n, own, v, _ in samples if n == name and labels.items() <= own.items()))


def exemplars(report: dict[str, Any]) -> list[dict[str, str]]:
    return [exemplar[0] for _, _, _, exemplar in report["samples"] if exemplar]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return counting("many", tmp_path_factory.mktemp("many"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return counting("killed", tmp_path_factory.mktemp("killed"))


def test_after_5000_jobs_of_1000_hosts_there_are_as_few_series_as_the_document_says(
    many: dict[str, Any],
) -> None:
    assert value(many, "verify_deliveries_total") == 5000
    assert value(many, "verify_photo_fetches_total", host_class="other") == 5000
    (most,) = re.findall(r"a worker has under ([\d,]+)\s+series", (ROOT / "docs" / "metrics.md").read_text())
    assert len(many["samples"]) < int(most.replace(",", ""))
    assert len({labels["model_version"] for name, labels, _, _ in many["samples"] if "jobs" in name}) == 11
    assert "host-" not in json.dumps(many)


def test_a_file_never_grows_beyond_the_room_that_is_reserved_for_it(many: dict[str, Any]) -> None:
    """So a disk that is full later kills no process."""
    sizes = {size for name, size in many["files"].items() if name.endswith(".db")}
    assert len(sizes) == 1


def test_an_exemplar_is_the_request_and_nothing_else(many: dict[str, Any]) -> None:
    found = exemplars(many)
    assert {frozenset(labels) for labels in found} == {frozenset({"request_id"})}
    assert all(labels["request_id"].startswith("request-") for labels in found)


def test_the_exemplar_of_a_bucket_lies_in_it(many: dict[str, Any]) -> None:
    lower: dict[tuple[str, ...], float] = {}
    checked = 0
    for name, labels, _, exemplar in many["samples"]:
        if not name.endswith("_bucket"):
            continue
        of, bound = (name, *sorted(v for k, v in labels.items() if k != "le")), float(labels["le"])
        if exemplar:
            assert lower.get(of, -1.0) < exemplar[1] <= bound
            checked += 1
        lower[of] = bound
    assert checked >= 16  # of the first job of each process


def test_what_a_killed_process_has_counted_stays_counted(killed: dict[str, Any]) -> None:
    for name in ("before", "after"):
        assert value(killed[name], "verify_deliveries_total") == 3
        assert value(killed[name], "verify_request_seconds_count") == 3
    assert value(killed["later"], "verify_deliveries_total") == 5
    assert value(killed["later"], "verify_stage_seconds_bucket", stage="queue", le="+Inf") == 5


def test_no_file_of_a_dead_process_is_left(killed: dict[str, Any]) -> None:
    assert len(killed["before"]["files"]) > len(killed["after"]["files"])
    assert len(killed["later"]["files"]) == len(killed["after"]["files"]) == 6


def test_a_request_is_no_exemplar_any_more_after_an_hour(tmp_path: Path) -> None:
    files, now = CountFiles.of(tmp_path, 1), time.time()
    files.open()
    files.write_exemplars(1, {"old": ("r1", 0.1, now - 3700), "new": ("r2", 0.1, now)})
    assert [list(of_process) for of_process in files.read_exemplars()] == [["new"]]
    (files.folder / "exemplars_2.json").write_text(json.dumps({"old": ["r3", 0.1, now - 3700]}))
    assert sorted(map(list, files.read_exemplars())) == [[], ["new"]]


def test_a_process_for_which_the_disk_has_no_room_works_and_is_not_counted(tmp_path: Path) -> None:
    assert counting("no room", tmp_path) == {}


def test_the_folders_of_dead_workers_are_removed_and_those_of_others_stay(tmp_path: Path) -> None:
    mine = CountFiles.of(tmp_path, 2**22 + 1)  # no process has such a number
    mine.open()
    alive = CountFiles.of(tmp_path, 1)
    alive.open()
    assert not mine.folder.exists()
    CountFiles.of(tmp_path, 2**22 + 2).open()
    assert alive.folder.exists()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("cdn.example.com", LISTED),
        ("CDN.example.com:443", LISTED),
        ("a.photos.example.com", LISTED),
        ("example.com", OTHER),
        ("", OTHER),
    ],
)
def test_a_host_is_told_by_its_class_alone(host: str, expected: str) -> None:
    assert host_class(("cdn.example.com", "*.photos.example.com"), host) == expected
