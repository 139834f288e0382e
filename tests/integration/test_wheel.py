"""`pip install .` takes along every file that the code reads, the pages of the console among them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile

import pytest

from support.bundle import ROOT

_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "celeryconfig.py", "worker", "pipeline")
_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all files in the wheel."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in _SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    words = [sys.executable, "-c", _BUILD, str(target)]
    done = subprocess.run(words, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    [wheel] = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("folder", ["worker", "pipeline"])
def test_an_installation_has_every_file_of_the_project(packed: set[str], folder: str) -> None:
    files = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    expected = {path.as_posix() for path in files if not {"__pycache__", "examples"} & {*path.parts}}
    assert expected - packed == set()


def test_what_the_console_serves_is_among_them(packed: set[str]) -> None:
    assert "worker/console/static/vendor/htmx.min.js" in packed
