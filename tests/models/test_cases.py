"""Files as phones and apps have sent them, out of public bug reports: each is judged for what it shows."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pipeline.bundles.load import load_models
from pipeline.bundles.models import Models
from pipeline.verify import verify
from support.labelled import WANTED, labelled_folder

FILES = ("01", "02", "03", "05a", "06", "07", "08", "17", "18")
"""Cases in which the file is what is odd, not what it shows."""


@pytest.fixture(scope="module")
def models(bundle_dir: Path) -> Models:
    return load_models(bundle_dir)


@pytest.mark.parametrize("number", FILES)
def test_a_file_out_of_a_bug_report_is_judged_for_what_it_shows(models: Models, number: str) -> None:
    folder = labelled_folder().parent / "cases" / "photos"
    if not (folder / "cases.csv").exists():
        pytest.skip(f"{WANTED}, and beside it a folder of cases")
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as file:
        case = next(row for row in csv.DictReader(file) if row["case"] == number)
    photos = [(folder / name).read_bytes() for name in case["photos"].split()]
    verdict = verify(models, (folder / case["selfie"]).read_bytes(), photos)
    assert (verdict.status, verdict.reason) == (case["status"], case["reason"])
