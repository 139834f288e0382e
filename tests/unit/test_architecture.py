"""The map of the project, as checks: who may import whom, and how large things may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import pytest

from support.bundle import ROOT
from support.sources import PIPELINE, WORKER, imports_of, module_of, name_of, roots_of, tree_of

SOURCES = [*PIPELINE, *WORKER]
TENSORFLOW = {"tensorflow", "keras", "keras_facenet", "imgaug", "mediapipe"}
NOT_FOR_THE_PIPELINE = {
    *("worker", "celeryconfig", "celery", "kombu", "sqlalchemy", "alembic", "pymysql", "redis"),
    *("requests", "requests_hardened", "urllib3", "httpx", "socket"),
}
MODEL_MAKERS = ("pipeline/training/", "pipeline/weights/")
MOST_LINES = 400
MOST_FILES = 14
MOST_LINES_OF_A_FUNCTION = 45

LAYERS = (
    {"pipeline.errors", "pipeline.verdict", "pipeline.terminal", "pipeline.stderr", "pipeline.memory"},
    {"pipeline.faces", "pipeline.decide"},
    {"pipeline.images", "pipeline.score"},
    {"pipeline.first_stage"},
    {"pipeline.bundles"},
    {"pipeline.analysis", "pipeline.fitting", "pipeline.weights"},
    {"pipeline.comparator", "pipeline.datasets"},
    {"pipeline.verify", "pipeline.promotion"},
    {"pipeline.evaluation", "pipeline.training"},
    {"pipeline.api", "pipeline.experiments"},
    {"pipeline.cli"},
    {"worker.client"},
    {"worker.errors", "worker.logs", "worker.clock", "worker.urls", "worker.fetch_weights"},
    {"worker.setting_names", "worker.setting_values", "worker.telemetry"},
    {"worker.console_settings"},
    {"worker.settings"},
    {"worker.jobs", "worker.health", "worker.results"},
    {"worker.broker", "worker.store", "worker.downloads"},
    {"worker.verification", "worker.events", "worker.importing", "worker.migrations"},
    {"worker.serving", "worker.metrics"},
    {"worker.retraining", "worker.operating"},
    {"worker.runtime"},
    {"worker.console"},
    {"worker.app", "worker.demo"},
    {"worker.tasks"},
    {"worker.cli"},
)
"""A part imports from the layers before its own, and nothing from the other parts of its own layer."""
LAYER_OF = {part: number for number, parts in enumerate(LAYERS) for part in parts}
ENTRIES = {
    "pipeline",
    "pipeline.__main__",
    "worker",
    "worker.__main__",
    "worker.fetch_weights",
    "celeryconfig",
}
"""Where a process or a caller begins: they import what they like, and nobody imports them."""


def part_of(module: str) -> str:
    """The package, or the module of the top folder."""
    return ".".join(module.split(".")[:2])


def loaded_by(module: str) -> set[str]:
    """What a fresh process has in memory after importing this module."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    return set(done.stdout.split())


def found_in(paths: Iterable[Path], look: Callable[[Path], Collection[object]]) -> dict[str, object]:
    """What is wrong, by the name of the file. One test for all files: a test of each is 3,000 tests."""
    return {name_of(path): wrong for path in paths if (wrong := look(path))}


def test_the_pipeline_knows_nothing_of_the_worker_or_the_network() -> None:
    assert found_in(PIPELINE, lambda path: roots_of(path) & NOT_FOR_THE_PIPELINE) == {}


def test_a_part_imports_only_from_the_layers_before_its_own() -> None:
    def not_before(path: Path) -> set[str]:
        part = part_of(module_of(path))
        if part in ENTRIES:
            return set()
        imported = {part_of(name) for name in imports_of(path)} - {part}
        return {other for other in imported if LAYER_OF.get(other, -1) >= LAYER_OF[part]}

    assert found_in(SOURCES, not_before) == {}


def test_two_modules_alone_import_the_training() -> None:
    reach = {
        name_of(path)
        for path in WORKER
        if any(name.startswith("pipeline.training") for name in imports_of(path))
    }
    assert reach == {"worker/retraining/process.py", "worker/retraining/embedding.py"}


def test_each_test_file_has_a_name_of_its_own() -> None:
    """pytest takes two of one name for the same module."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert not {name for name in names if names.count(name) > 1}


FOLDERS = {path.parent for path in SOURCES if path.parent.name != "versions"}  # migrations only ever grow


def test_a_folder_is_seen_at_a_glance() -> None:
    files = {name_of(folder): len(list(folder.glob("*.py"))) for folder in FOLDERS}
    assert {name: number for name, number in files.items() if number > MOST_FILES} == {}


def test_the_pipeline_does_not_read_the_environment() -> None:
    def read(path: Path) -> list[str]:
        uses = [node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)]
        return [use for use in uses if use in ("environ", "getenv")]

    assert found_in(PIPELINE, read) == {}


def test_tensorflow_stays_where_models_are_made() -> None:
    others = [path for path in SOURCES if not name_of(path).startswith(MODEL_MAKERS)]
    assert found_in(others, lambda path: roots_of(path) & TENSORFLOW) == {}


def test_a_file_says_what_it_is_and_stays_short() -> None:
    assert [name_of(path) for path in SOURCES if not ast.get_docstring(tree_of(path))] == []
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: number for name, number in lines.items() if number > MOST_LINES} == {}


def test_functions_stay_short() -> None:
    def long(path: Path) -> dict[str, int]:
        nodes = ast.walk(tree_of(path))
        functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        lengths = [(f.name, (f.end_lineno or f.lineno) - f.lineno + 1) for f in functions]
        return {name: lines for name, lines in lengths if lines > MOST_LINES_OF_A_FUNCTION}

    assert found_in(SOURCES, long) == {}


def test_what_is_public_and_not_trivial_has_a_docstring() -> None:
    def silent(path: Path) -> list[str]:
        functions = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        return [
            node.name
            for node in functions
            if not node.name.startswith("_")
            and not ast.get_docstring(node)
            and (node.end_lineno or 0) - node.lineno >= 12
        ]

    assert found_in(SOURCES, silent) == {}


def test_one_module_alone_loads_models_and_one_builds_engines() -> None:
    """The composition root, and the store's own; everybody else is handed what they need."""
    assert {name_of(p) for p in WORKER if "pipeline.bundles.load" in imports_of(p)} <= {"worker/runtime.py"}
    assert {name_of(p) for p in WORKER if "create_engine(" in p.read_text()} <= {"worker/store/database.py"}


def test_repositories_are_composed_and_inherit_nothing() -> None:
    def inherited(path: Path) -> set[str]:
        classes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]
        bases = {ast.unparse(base).partition("[")[0] for node in classes for base in node.bases}
        return bases - {"Enum", "StrEnum", "TypeDecorator"}

    assert found_in((ROOT / "worker/store").rglob("*.py"), inherited) == {}


@pytest.mark.parametrize(
    "module",
    ["worker.tasks", "worker.client", "pipeline", "pipeline.verify", "pipeline.promotion.gate", "worker.cli"],
)
def test_importing_it_loads_no_training_library(module: str) -> None:
    assert not loaded_by(module) & TENSORFLOW


@pytest.mark.parametrize(
    "module", ["worker.tasks, worker.retraining.embedding", "pipeline.training.data.faces"]
)
def test_looking_at_photos_for_a_training_needs_no_more_than_serving(module: str) -> None:
    assert not loaded_by(module) & {*TENSORFLOW, "sklearn", "scipy", "matplotlib"}


def test_the_client_for_the_app_needs_no_model_and_no_picture_library() -> None:
    assert not loaded_by("worker.client") & {"numpy", "cv2", "PIL", "ai_edge_litert"}


def test_opencv_is_loaded_only_to_judge_and_what_watches_a_worker_only_where_it_is_wanted() -> None:
    unasked = {
        "cv2",
        "prometheus_client",
        "sentry_sdk",
        "opentelemetry.sdk.trace",
    }  # redis loads the rest of it
    assert not loaded_by("worker.tasks") & unasked
