"""`python -m pipeline` ends in one plain line, whatever it is given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.bundle import ROOT
from support.portraits import CAT, OBAMA
from support.system import LONG


@pytest.fixture
def place(tmp_path: Path, portraits: Path, bundle_dir: Path) -> dict[str, str]:
    """Names for what commands are given."""
    (tmp_path / "pairs.csv").write_text(f"file_x,file_y,same\n{OBAMA[0]},{OBAMA[1]},1\n")
    (tmp_path / "faces.csv").write_text(f"file,identity,gender\n{OBAMA[0]},o,male\n{OBAMA[1]},o,male\n")
    (tmp_path / "list.csv").write_bytes(b"file,identity\n\xff\xfe,o\n")
    (tmp_path / "file").write_text("a file")
    return {"HERE": str(tmp_path), "PHOTOS": str(portraits), "BUNDLE": str(bundle_dir.absolute())}


COMMANDS = {
    "evaluate --pairs HERE/pairs.csv --images PHOTOS --bundle BUNDLE": "no faces are left to fit on",
    "evaluate --pairs HERE/pairs.csv --images HERE --bundle BUNDLE --as-shipped": "photos are not in",
    "evaluate --pairs HERE/list.csv --images HERE --bundle BUNDLE": "is not a CSV in UTF-8",
    "simulate --faces HERE/faces.csv --images PHOTOS --bundle BUNDLE": "no faces are left to fit on",
    "fit --faces HERE/faces.csv --images PHOTOS --bundle BUNDLE": "no genuine or no impostor pairs",
    "train --faces HERE/faces.csv --images PHOTOS --out HERE/out --bundle BUNDLE": "no impostor pairs",
    "calibrate --pairs HERE/pairs.csv --images PHOTOS --bundle BUNDLE": "0 impostor pairs cannot show",
    "experiments --faces HERE/faces.csv --images PHOTOS --out HERE/out --quick": "fewer than 5 people",
    "bench --peers --pairs HERE/pairs.csv --images PHOTOS --faces HERE/faces.csv": "peer is missing|no faces",
    "lfw --out HERE/out --source PHOTOS": "no folders of .jpg files",
    "lfw --out HERE/file/out --source PHOTOS": "Not a directory",
    f"augment --images PHOTOS/{CAT} --out HERE/sheet.png --bundle BUNDLE": "no photo with a face",
    f"verify PHOTOS/{CAT} PHOTOS/{CAT} --bundle HERE": "no bundle at",
    "weights --facenet HERE/nothing.whl --out HERE/bundle": "nothing.whl",
}


WITH_TENSORFLOW = ("train", "experiments")


@pytest.mark.parametrize(
    "command", [pytest.param(c, marks=LONG) if c.startswith(WITH_TENSORFLOW) else c for c in COMMANDS]
)
def test_a_command_that_cannot_do_its_work_says_why_in_one_line(command: str, place: dict[str, str]) -> None:
    words = command
    for name, path in place.items():
        words = words.replace(name, path)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words.split()],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert any(said in line for said in COMMANDS[command].split("|")), line


def test_a_verification_writes_its_verdict_and_nothing_else(place: dict[str, str]) -> None:
    photos = [f"{place['PHOTOS']}/{name}" for name in OBAMA[:2]]
    words = [sys.executable, "-m", "pipeline", "verify", *photos, "--bundle", place["BUNDLE"]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "approved: same_person" in done.stdout
