"""The pins: exact everywhere, one version of each package, and everything that was asked for."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from support.bundle import ROOT
from support.sources import PIPELINE, TESTS, WORKER, loaded_with, name_of, roots_of
from worker.retraining.packages import PACKAGES

PARTS = ("worker/requirements.txt", "pipeline/requirements.txt", "tests/requirements.txt")
TELEMETRY_EXTRAS = ("worker/requirements-tracing.txt", "worker/requirements-sentry.txt")
CONSOLE_EXTRA = "worker/requirements-console.txt"
EXTRAS = (CONSOLE_EXTRA, *TELEMETRY_EXTRAS)
CONSTRAINTS = "pipeline/constraints.txt"
ASKED_FOR = {
    *("celery", "redis", "tensorflow", "keras-facenet", "mediapipe"),
    *("opencv-python", "imgaug", "pymysql", "requests"),
}

MODEL_MAKERS = (
    "pipeline/weights/",
    "pipeline/training/",
    "pipeline/datasets/",
    "pipeline/evaluation/",
    "pipeline/experiments/",
    "pipeline/fit",
    "pipeline/metrics",
    "pipeline/cli/",
)
OURS = {"pipeline", "worker", "celeryconfig", "support", "chaos", "bench", "integration"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(path: str) -> list[str]:
    texts = (ROOT / path).read_text().splitlines()
    return [line for text in texts if (line := text.split("#")[0].strip())]


def pins(path: str) -> dict[str, str]:
    """Name to version. A line that is no exact pin fails the test."""
    found = {}
    for line in lines(path):
        if not line.startswith(("-c ", "-r ")):
            match = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?==([\w.!+]+)", line)
            assert match, f"{path}: {line} is no exact pin"
            found[normal(match[1])] = match[2]
    return found


@pytest.mark.parametrize("path", [*PARTS, *EXTRAS])
def test_each_part_pins_what_the_constraints_pin(path: str) -> None:
    constraints = pins(CONSTRAINTS)
    assert pins(path)
    assert {name: constraints.get(name) for name in pins(path)} == pins(path)


def test_the_top_level_file_is_made_of_the_parts() -> None:
    assert lines("requirements.txt") == [f"-r {part}" for part in PARTS]


TELEMETRY = "worker/telemetry/"
CONSOLE = ("worker/console/", "worker/store/staff/", "worker/demo/doorway.py")
LOCKS = {
    "worker/requirements.lock": PARTS[:1],
    "pipeline/requirements.lock": PARTS[:2],
    "tests/requirements.lock": PARTS,
}
LOCKS_OF_EXTRAS = {path.replace(".txt", ".lock"): (PARTS[0], path) for path in EXTRAS}


def locked(path: str) -> dict[str, str]:
    """Name to version of a lock file, in which every package has the hashes of its files."""
    found = {}
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / path).read_text())
    for entry in re.split(r"\n(?=\S)", text.strip()):
        match = re.fullmatch(r"([\w.-]+)(?:\[.*\])?==([\w.!+]+)(?: \\\s+--hash=sha256:[0-9a-f]{64})+", entry)
        assert match, f"{path}: {entry.splitlines()[0]} has no version or no hash"
        found[normal(match[1])] = match[2]
    return found


@pytest.mark.parametrize(("path", "parts"), [*LOCKS.items(), *LOCKS_OF_EXTRAS.items()])
def test_a_lock_file_holds_what_the_pins_say(path: str, parts: Iterable[str]) -> None:
    """`make lock` was run after the last change of them."""
    found, constraints = locked(path), pins(CONSTRAINTS)
    asked = {name: version for part in parts for name, version in pins(part).items()}
    assert asked.items() <= found.items()
    assert found.items() <= constraints.items()


def test_a_small_lock_file_is_part_of_the_larger_one() -> None:
    serving, training, everything = (locked(path).items() for path in LOCKS)
    assert serving < training < everything
    assert everything == pins(CONSTRAINTS).items()


def test_everything_that_was_asked_for_is_there() -> None:
    assert {name for part in PARTS for name in pins(part)} >= ASKED_FOR


@pytest.mark.parametrize("path", [*PARTS, *EXTRAS])
def test_each_part_can_be_installed_alone_and_still_fits(path: str) -> None:
    constrained = [Path(line.removeprefix("-c ").strip()) for line in lines(path) if line.startswith("-c ")]
    assert [((ROOT / path).parent / file).resolve() for file in constrained] == [ROOT / CONSTRAINTS]


def unpinned(files: Iterable[Path], parts: Iterable[str]) -> dict[str, set[str]]:
    """Modules that these files import and that no package pinned in these parts brings; by file."""
    providers, pinned = packages_distributions(), {name for part in parts for name in pins(part)}
    missing: dict[str, set[str]] = {}
    for file in files:
        for module in roots_of(file) - sys.stdlib_module_names - OURS:
            if not {normal(name) for name in [module, *providers.get(module, [])]} & pinned:
                missing.setdefault(module, set()).add(name_of(file))
    return missing


def test_what_a_verify_worker_imports_is_pinned_for_serving() -> None:
    serving = [path for path in PIPELINE if not name_of(path).startswith(MODEL_MAKERS)]
    ours = [path for path in WORKER if not name_of(path).startswith((TELEMETRY, *CONSOLE))]
    assert unpinned([*ours, *serving], PARTS[:1]) == {}


def test_what_telemetry_imports_is_pinned_by_its_extras() -> None:
    telemetry = [path for path in WORKER if name_of(path).startswith(TELEMETRY)]
    assert unpinned(telemetry, TELEMETRY_EXTRAS) == {}


def test_what_the_console_imports_is_pinned_for_serving_or_by_its_extra() -> None:
    console = [path for path in WORKER if name_of(path).startswith(CONSOLE)]
    assert unpinned(console, [PARTS[0], CONSOLE_EXTRA]) == {}


def test_what_makes_models_imports_is_pinned_for_serving_or_training() -> None:
    assert unpinned([*WORKER, *PIPELINE], [*PARTS[:2], *EXTRAS]) == {}


def test_what_a_training_imports_beyond_serving_is_looked_for_when_a_worker_starts() -> None:
    assert unpinned(loaded_with("pipeline.training.retrain"), PARTS[:1]).keys() == {*PACKAGES}


def test_what_the_tests_import_is_pinned() -> None:
    assert unpinned(TESTS, PARTS) == {}
