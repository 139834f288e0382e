"""Labelled photos of real people: no part of the repository, used where VERIFY_FACES names their folder.

CONTRIBUTING.md says which they are and how they are made.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Final

import pytest

from support.bundle import ROOT

LFW: Final = ("lfw_faces.csv", "lfw_pairs.csv")
EXPLAINED: Final = ROOT / "CONTRIBUTING.md"
WANTED: Final = "wants labelled photos of many people in the folder VERIFY_FACES"


def labelled_folder() -> Path:
    """Where they are, or would be."""
    return Path(os.environ.get("VERIFY_FACES") or ROOT.parent / "shared" / "faces")


def heading() -> int:
    """The line of CONTRIBUTING.md from which they are explained."""
    return EXPLAINED.read_text(encoding="utf-8").splitlines().index("## Photos") + 1


def here(folder: Path, *names: str) -> bool:
    """Whether the folder holds all of these files and folders."""
    return all((folder / name).exists() for name in names)


def need(folder: Path, *names: str) -> None:
    """Skip the test unless the folder holds all of these files and folders."""
    if not here(folder, *LFW):
        pytest.skip(WANTED)
    if missing := [name for name in names if not here(folder, name)]:
        pytest.skip(f"{WANTED}, which has no {', '.join(missing)}")


def rows(folder: Path, name: str, told: str = "") -> list[dict[str, str]]:
    """The rows of a CSV. Skips the test without it, or where no row tells the column ``told``."""
    need(folder, name)
    with (folder / name).open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    if told and not any(row.get(told, "unknown") not in ("", "unknown") for row in found):
        pytest.skip(f"{WANTED}, whose {name} does not tell the {told}")
    return found


def need_genders(folder: Path) -> None:
    """Skip the test unless the genders of LFW's people are told."""
    rows(folder, "lfw_faces.csv", told="gender")
