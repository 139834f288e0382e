"""The experiments as a command, in their quick form, on real photos."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from pipeline.cli import main
from support.bundle import ROOT
from support.labelled import need_genders
from support.system import LONG


def trial(out: Path, name: str) -> dict[str, Any]:
    """The first seed of FaceNet in colour with contrastive loss."""
    found: dict[str, Any] = json.loads(
        (out / "trials" / f"facenet-color-contrastive-{name}-1.json").read_text()
    )
    return found


@LONG
def test_a_quick_run_makes_five_tables_and_a_page_and_a_second_one_finds_all_done(
    faces: Path, bundle_dir: Path, tmp_path: Path
) -> None:
    need_genders(faces)
    subprocess.run([sys.executable, "-m", "worker.fetch_weights"], cwd=ROOT, check=True)
    options = ["--faces", faces / "lfw_faces.csv", "--images", faces, "--bundle", bundle_dir, "--quick"]
    words = ["experiments", *map(str, options), "--out", str(tmp_path), "--cache", str(tmp_path / "cache")]
    assert CliRunner().invoke(main, words, catch_exceptions=False).exit_code == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["tables"]) == 5
    for table in results["tables"]:
        for row in table["rows"]:
            assert len(row["accuracy"]["each"]) == 1
            assert all(0 <= value <= 1 for value in row["accuracy"]["each"])
            assert all(pairs > 0 for pairs in row["pairs"])
            # Of so few photos that its size says nothing: two of eleven are right by chance now and then.
            assert row["gender"] is None or 0 <= row["gender"]["mean"] <= 1
    starts = [trial(tmp_path, name) for name in ("gender-augmented", "no-gender-augmented", "gender-plain")]
    assert starts[0]["before"]["auc"] == starts[1]["before"]["auc"] == starts[2]["before"]["auc"]
    assert all(start["kept_epoch"] == 1 for start in starts)
    facenet = next(row for row in results["tables"][0]["rows"] if row["label"] == "FaceNet")
    assert facenet["accuracy"]["mean"] > 0.65  # of so few pairs; a constant answer gives 0.5
    assert "<svg" in (tmp_path / "experiments.html").read_text()
    trials = {path: path.stat().st_mtime_ns for path in (tmp_path / "trials").iterdir()}
    assert len(trials) == 8
    CliRunner().invoke(main, words, catch_exceptions=False)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "trials").iterdir()} == trials
