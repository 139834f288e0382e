"""`fit`, `train` and `calibrate` from the command line, on a few real photos, one after the other."""

from __future__ import annotations

import csv
import json
from itertools import combinations
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.bundles.bundle import read_bundle
from pipeline.bundles.head import Head
from pipeline.bundles.identities import FittedOn, Learner
from pipeline.cli import main
from pipeline.errors import DataError
from support.labelled import rows
from support.system import LONG

KEY = b"an operator's own"
EACH = 4
"""Men and women of each of two folds."""


def run(*words: object) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception:
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, faces: Path) -> Path:
    """A folder with faces.csv (two folds, three photos a person), pairs.csv of fold 5, and a key."""
    folder = tmp_path_factory.mktemp("commands")
    people: dict[tuple[str, str], dict[str, list[dict[str, str]]]] = {}
    for row in rows(faces, "lfw_faces.csv", told="gender"):
        people.setdefault((row["split"], row["gender"]), {}).setdefault(row["identity"], []).append(row)
    chosen = []
    for kind in [(fold, gender) for fold in ("fold1", "fold5") for gender in ("female", "male")]:
        able = [photos[:3] for photos in people[kind].values() if len(photos) >= 3]
        chosen += [row for photos in able[:EACH] for row in photos]
    _write(folder / "faces.csv", [*chosen[0]], [list(row.values()) for row in chosen])
    tested = [row for row in chosen if row["split"] == "fold5"]
    pairs = [
        (one["file"], two["file"], int(one["identity"] == two["identity"]))
        for one, two in combinations(tested, 2)
        if one["gender"] == two["gender"]
    ]
    _write(folder / "pairs.csv", ["file_x", "file_y", "same"], pairs)
    (folder / "key").write_bytes(KEY + b"\n")
    return folder


def _write(path: Path, heads: list[str], lines: list) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([heads, *lines])


def names(place: Path, fold: str) -> set[str]:
    with (place / "faces.csv").open() as file:
        return {row["identity"] for row in csv.DictReader(file) if row["split"] == fold}


@LONG
def test_a_head_is_fitted_and_knows_on_whom(place: Path, faces: Path, bundle_dir: Path) -> None:
    said = run("fit", "--faces", place / "faces.csv", "--images", faces, "--bundle", bundle_dir,
               "--out", place / "head.npz", "--cache", place / "cache")  # fmt: skip
    assert f"of {4 * EACH} people" in said
    everybody = names(place, "fold1") | names(place, "fold5")
    assert Head.load(place / "head.npz").fitted_on.known(everybody, Learner) == everybody


def test_a_bundle_is_trained_without_a_fold_and_then_calibrated_on_it(
    place: Path, faces: Path, bundle_dir: Path
) -> None:
    out, common = place / "trained", ("--images", faces, "--cache", place / "cache")
    said = run("train", "--faces", place / "faces.csv", *common, "--bundle", bundle_dir, "--out", out,
               "--without-fold", 5, "--copies", 1, "--epochs", 1, "--identity-key", place / "key",
               "--name", "mine")  # fmt: skip
    assert f"of {2 * EACH * 3} photos learned from" in said
    assert (place / "trained.kept-out.csv").is_file()
    assert (place / "trained.history.png").read_bytes().startswith(b"\x89PNG")
    head = read_bundle(out).head
    own = FittedOn(tuple(group for group in head.fitted_on.groups if not group.salt))
    everybody = names(place, "fold1") | names(place, "fold5")
    assert own.known(everybody, Learner, KEY) <= names(place, "fold1")
    assert head.metadata["training"]["copies"] == 1

    said = run("calibrate", "--pairs", place / "pairs.csv", *common, "--bundle", out, "--fmr", 0.05,
               "--identity-key", place / "key")  # fmt: skip
    assert "is calibrated" in said
    learned_from = read_bundle(out).head.fitted_on
    assert learned_from.known(everybody, Learner, KEY) >= names(place, "fold5")
    evaluation = ("--pairs", place / "pairs.csv", "--faces", place / "faces.csv", *common, "--bundle", out,
                  "--as-shipped", "--sample", 0, "--members", 10, "--json", "-")  # fmt: skip
    with pytest.raises(DataError, match="only the key tells"):
        run("evaluate", *evaluation)
    with pytest.raises(DataError, match=f"learned from {2 * EACH} of the {2 * EACH} people"):
        run("evaluate", *evaluation, "--identity-key", place / "key")
    figures = json.loads(run("evaluate", *evaluation, "--in-sample"))
    assert figures["in_sample"] is None
