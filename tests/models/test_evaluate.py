"""`evaluate`, `simulate` and `lfw` on a few real photos with the real bundle, from command to page."""

from __future__ import annotations

import csv
import json
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline.bundles.bundle import read_bundle, write_bundle
from pipeline.bundles.head import Head
from pipeline.bundles.identities import FittedOn
from pipeline.bundles.load import load_models
from pipeline.cli import main
from pipeline.datasets.data import Pair
from pipeline.datasets.embeddings import Dataset
from pipeline.errors import DataError
from pipeline.evaluation.sample import SAME_FILE, replay_figures, sample_figures
from pipeline.evaluation.simulated.edits import EDITS, retouch, retouched_faces
from pipeline.images.decode import decode
from support.labelled import need_genders
from support.portraits import BIDEN, COLLINS, OBAMA

PEOPLE = (
    *("Hu_Jintao", "Jiang_Zemin", "Jacques_Chirac", "Vicente_Fox", "Colin_Powell", "Tony_Blair"),
    *("Nicole_Kidman", "Jennifer_Capriati", "Laura_Bush", "Hillary_Clinton"),
)
PHOTOS = 3


@pytest.fixture(scope="module")
def small_lfw(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos of each of ten people, written by the command `lfw`."""
    folder = tmp_path_factory.mktemp("lfw")
    need_genders(faces)
    for who in PEOPLE:
        (folder / "people" / who).mkdir(parents=True)
        photos = sorted((faces / "lfw" / who).glob("*.jpg"))[:PHOTOS]
        assert len(photos) == PHOTOS, f"{who} has too few photos here"
        for photo in photos:
            shutil.copyfile(photo, folder / "people" / who / photo.name)
    run("lfw", "--out", folder, "--source", folder / "people", "--genders", faces / "lfw_faces.csv")
    _share_out(folder)
    return folder


def _share_out(folder: Path) -> None:
    """Two splits of five people and all their pairs, as ten folds would be a person each."""
    part = {who: str(i % 2 + 1) for i, who in enumerate(PEOPLE)}
    with (folder / "lfw_faces.csv").open() as file:
        rows = [{**row, "split": part[row["identity"]]} for row in csv.DictReader(file)]
    pairs = [
        (one["file"], other["file"], int(one["identity"] == other["identity"]), one["split"])
        for i, one in enumerate(rows)
        for other in rows[i + 1 :]
        if one["split"] == other["split"]
    ]
    _write(folder / "lfw_faces.csv", list(rows[0]), [list(row.values()) for row in rows])
    _write(folder / "lfw_pairs.csv", ["file_x", "file_y", "same", "fold"], pairs)


def _write(path: Path, heads: list[str], rows: Any) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(heads)
        writer.writerows(rows)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception:
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def dataset(portraits: Path, bundle_dir: Path) -> Dataset:
    return Dataset(load_models(bundle_dir), bundle_dir, portraits)


def test_evaluate_writes_figures_and_a_page(small_lfw: Path, bundle_dir: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    common = ("--images", small_lfw, "--bundle", bundle_dir, "--cache", tmp_path / "cache")
    run("evaluate", "--pairs", small_lfw / "lfw_pairs.csv", *common, "--sample", 4, "--members", 40,
        "--json", figures, "--html", page)  # fmt: skip
    result = json.loads(figures.read_text())
    assert result["pairs"] == 2 * (15 * 14 // 2)
    assert result["failed_to_acquire"] == 0
    assert result["auc"] > 0.99
    assert set(result["exhaustive"]) == {"fold 1", "fold 2", "all folds"}
    assert result["sample"]["pairs"] == 4
    assert result["sample"]["milliseconds"]["all"]["p50"] > 0
    assert sum(row["approved"] for row in result["replays"].values()) == 0
    assert result["simulation"]["honest"]["all"]["members"] == 40
    text = page.read_text()
    assert "Simulated members" in text
    assert "data:image" not in text
    members = json.loads(run("simulate", "--faces", small_lfw / "lfw_faces.csv", *common, "--json",
                             "--members", 40, "--retouched", 4))  # fmt: skip
    assert members["honest"]["all"]["members"] == 40
    assert {"1", "2"} <= set(members["honest"])


def write_pairs(folder: Path) -> Path:
    """Pairs of the portraits: one person three times, and two others."""
    genuine = [(one, other, 1) for one, other in combinations(OBAMA, 2)]
    impostor = [(one, other, 0) for one in OBAMA for other in (BIDEN, COLLINS)]
    _write(folder / "pairs.csv", ["file_x", "file_y", "same"], [*genuine, *impostor])
    return folder / "pairs.csv"


def test_the_bundle_as_shipped_is_measured_without_any_labelled_faces(
    portraits: Path, bundle_dir: Path, tmp_path: Path
) -> None:
    common = ("--pairs", write_pairs(tmp_path), "--images", portraits, "--bundle", bundle_dir, "--as-shipped")
    page = tmp_path / "page.html"
    told = run("evaluate", *common, "--sample", 4, "--json", "-", "--html", page)
    figures = json.loads(told)
    assert (figures["pairs"], figures["failed_to_acquire"], figures["in_sample"]) == (9, 0, 0)
    assert figures["auc"] == 1.0
    assert figures["at_threshold"]["accuracy"] == 1.0
    assert figures["at_reference"] is None  # what others' impostors reach is not known
    assert figures["sample"]["genuine"]["members"] == figures["sample"]["impostor"]["members"] == 2
    assert page.read_text().count("</html>") == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, "no faces are left to fit on"),
        ({"faces": [["obama.jpg", "o", "male"]]}, "no faces are left to fit on"),
        ({"faces": [["biden.jpg", "b", "male"], ["someone.jpg", "s", "male"]]}, "give no genuine"),
        ({"images": "nowhere"}, r"photos are not in .*: 32bit\.png"),
        ({"pairs": []}, "holds no pairs"),
    ],
    ids=["no faces", "only the tested", "nobody twice", "no photos", "no pairs"],
)
def test_what_labels_alone_can_tell_is_told_before_any_photo_is_analysed(
    portraits: Path, bundle_dir: Path, tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    pairs = change.get("pairs", [["obama.jpg", "32bit.png", 1]])
    _write(tmp_path / "pairs.csv", ["file_x", "file_y", "same"], pairs)
    if faces := change.get("faces"):
        _write(tmp_path / "faces.csv", ["file", "identity", "gender"], faces)
    images = tmp_path / change["images"] if "images" in change else portraits
    images.mkdir(exist_ok=True)
    words = ("--pairs", tmp_path / "pairs.csv", "--images", images, "--bundle", bundle_dir)
    shipped = ("--as-shipped",) if "images" in change else ()
    with pytest.raises(DataError, match=problem):
        run("evaluate", *words, *shipped, "--cache", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.fixture(scope="module")
def bundle_that_knows_two(bundle_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, as if its head had been fitted on two of the people, its networks on nobody."""
    base, folder = read_bundle(bundle_dir), tmp_path_factory.mktemp("knows") / "bundle"
    people = FittedOn.people(PEOPLE[:2])
    head = Head({**base.head.arrays, **people.arrays()}, {**base.head.metadata, "fitted_on": people.facts()})
    networks = {name: base.network(name) for name in base.manifest.parts}
    write_bundle(folder, head, {name: network for name, network in networks.items() if network})
    return folder


def test_a_bundle_is_not_reported_on_as_shipped_on_people_from_whom_it_learned(
    small_lfw: Path, bundle_that_knows_two: Path, tmp_path: Path
) -> None:
    common = ("--images", small_lfw, "--bundle", bundle_that_knows_two, "--cache", tmp_path / "cache")
    quick = ("--pairs", small_lfw / "lfw_pairs.csv", *common, "--sample", 0, "--members", 10, "--json", "-")
    with pytest.raises(DataError, match=r"learned from 2 of the 10 people.*without --as-shipped"):
        run("evaluate", *quick, "--as-shipped")
    simulated = ("--faces", small_lfw / "lfw_faces.csv", *common, "--members", 10, "--retouched", 0)
    with pytest.raises(DataError, match="learned from 2 of the 10 people"):
        run("simulate", *simulated, "--as-shipped")
    assert json.loads(run("evaluate", *quick, "--as-shipped", "--in-sample"))["in_sample"] == 2
    assert json.loads(run("evaluate", *quick))["in_sample"] == 0


def test_a_photo_that_is_sent_twice_is_never_approved_however_it_was_altered(dataset: Dataset) -> None:
    figures = replay_figures(dataset, [OBAMA[0], COLLINS])
    assert {name: row["approved"] for name, row in figures.items()} == dict.fromkeys([SAME_FILE, *EDITS], 0)


def test_the_sample_tells_statuses_gates_and_milliseconds(dataset: Dataset) -> None:
    pairs = [Pair(one, other, same=True) for one, other in combinations(OBAMA, 2)]
    pairs += [Pair(one, BIDEN, same=False) for one in OBAMA]
    figures = sample_figures(dataset, pairs, 6)
    assert figures["genuine"]["members"] == figures["impostor"]["members"] == 3
    assert figures["impostor"]["approved"] == 0
    assert figures["photos"]["photos"] == 12
    assert figures["milliseconds"]["stages"].keys() >= {"decode", "detect", "embed_sface"}


def test_retouching_changes_the_picture_and_leaves_the_person(dataset: Dataset) -> None:
    file = COLLINS
    kept, embeddings = retouched_faces(dataset, [file])
    assert kept == [file]
    plain = dataset.embed([file])
    for name, rows in embeddings.items():
        cosine = float(rows[0] @ plain.embeddings[name][plain.row[file]])
        assert 0.6 < cosine < 0.9999
    picture = decode((dataset.root / file).read_bytes()).rgb
    face = dataset.models.detector.detect(picture).faces[0]
    touched = retouch(picture, face.box)
    assert touched.shape == picture.shape
    assert touched.mean() > picture.mean()
