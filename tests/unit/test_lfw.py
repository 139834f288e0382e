"""LFW as files: from scikit-learn's own folders on disk, or from any folder of people's folders."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pipeline.cli import main
from pipeline.datasets.data import read_faces, read_pairs
from pipeline.datasets.lfw import draw_pairs, folder, read_asian_pairs, read_pair_list, write
from pipeline.errors import DataError
from pipeline.verdict import Gender

PEOPLE = {"Ada_Lovelace": 3, "Kim_Gu": 2, "Marie_Curie": 2, "Yu_Gwansun": 1}
LIST = [
    "2\t1",
    "Ada_Lovelace\t1\t3",
    "Kim_Gu\t1\tYu_Gwansun\t1",
    "Marie_Curie\t1\t2",
    "Marie_Curie\t2\tAda_Lovelace\t2",
]


def photos(at: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, count in PEOPLE.items():
        (at / name).mkdir(parents=True)
        for number in range(1, count + 1):
            picture = Image.fromarray(rng.integers(0, 255, (250, 250, 3), dtype=np.uint8))
            picture.save(at / name / f"{name}_{number:04d}.jpg")
    return at


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """What scikit-learn leaves behind after its download, with four people."""
    lfw = tmp_path / "scikit_learn_data" / "lfw_home"
    photos(lfw / "lfw_funneled")
    for name in ("pairs.txt", "pairsDevTrain.txt", "pairsDevTest.txt"):
        (lfw / name).write_text("\n".join(LIST) + "\n")
    return lfw.parent


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, ["lfw", *map(str, arguments)])
    if result.exception:
        raise result.exception
    return result.output


def test_scikit_learns_folders_become_images_and_both_lists(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "8 photos, 4 pairs" in run("--out", out, "--data-home", home)
    pairs = read_pairs(out / "lfw_pairs.csv")
    assert [(p.same, p.fold) for p in pairs] == [(True, "1"), (False, "1"), (True, "2"), (False, "2")]
    assert pairs[0].file_x == "lfw/Ada_Lovelace/Ada_Lovelace_0001.jpg"
    assert pairs[1].file_y == "lfw/Yu_Gwansun/Yu_Gwansun_0001.jpg"
    assert all((out / file).is_file() for pair in pairs for file in (pair.file_x, pair.file_y))
    assert len(read_faces(out / "lfw_faces.csv")) == 8


def test_the_pictures_keep_their_colour_their_size_and_every_byte(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("--out", out, "--data-home", home)
    for copy in out.glob("lfw/*/*.jpg"):
        original = home / "lfw_home" / "lfw_funneled" / copy.parent.name / copy.name
        assert copy.read_bytes() == original.read_bytes()
        with Image.open(copy) as picture:
            assert (picture.size, picture.mode) == ((250, 250), "RGB")


def test_a_folder_that_is_there_serves_with_the_list_beside_it(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "4 pairs" in run("--out", out, "--source", home / "lfw_home" / "lfw_funneled")


@pytest.mark.parametrize("listed", [True, False], ids=["by LFW's list", "by lot"])
def test_what_was_written_once_is_written_again_without_a_source(tmp_path: Path, listed: bool) -> None:
    out, people = tmp_path / "out", photos(tmp_path / "people")
    if listed:
        (tmp_path / "pairs.txt").write_text("\n".join(LIST))
    run("--out", out, "--source", people)
    first = {path.name: path.read_text() for path in out.glob("*.csv")}
    (tmp_path / "pairs.txt").unlink(missing_ok=True)
    assert ("drawn by lot" in run("--out", out)) is not listed
    assert {path.name: path.read_text() for path in out.glob("*.csv")} == first


def test_photos_of_one_name_in_two_folders_are_two_photos(tmp_path: Path) -> None:
    for name in ("Ada", "Kim"):
        (tmp_path / "people" / name).mkdir(parents=True)
        for number in (1, 2):
            Image.new("RGB", (9, 9)).save(tmp_path / "people" / name / f"{number}.jpg")
    run("--out", tmp_path / "out", "--source", tmp_path / "people")
    faces = read_faces(tmp_path / "out" / "lfw_faces.csv")
    assert [(face.identity, Path(face.file).name) for face in faces] == [
        ("Ada", "1.jpg"),
        ("Ada", "2.jpg"),
        ("Kim", "1.jpg"),
        ("Kim", "2.jpg"),
    ]


def test_pairs_of_the_list_whose_photos_are_not_there_are_counted(tmp_path: Path) -> None:
    people = photos(tmp_path / "people")
    (people / "pairs.txt").write_text("\n".join([*LIST[:-1], "Marie_Curie\t2\tNobody_Here\t1"]))
    said = run("--out", tmp_path / "out", "--source", people)
    assert "8 photos, 3 pairs" in said
    assert "1 pairs of pairs.txt have photos that are not here" in said


def test_the_east_asian_people_of_lfw_are_told_and_paired(tmp_path: Path) -> None:
    one, other = read_asian_pairs()[:2]
    people = photos(tmp_path / "people")
    for name in (one.file_x, one.file_y, other.file_x):
        (people / name[:-9]).mkdir(exist_ok=True)
        shutil.copyfile(people / "Kim_Gu" / "Kim_Gu_0001.jpg", people / name[:-9] / name)
    run("--out", tmp_path / "out", "--source", people)
    [pair] = read_pairs(tmp_path / "out" / "asian_pairs.csv")
    assert (Path(pair.file_x).name, Path(pair.file_y).name) == (one.file_x, one.file_y)
    assert (pair.same, pair.set) == (one.same, "lfw_asian")
    kind = {face.identity for face in read_faces(tmp_path / "out" / "lfw_faces.csv") if face.users_kind}
    assert kind == {one.file_x[:-9], other.file_x[:-9]}


@pytest.mark.parametrize("text", ["", "two\t1\n", "2\t1\nAda_Lovelace\tone\tthree\n", "0\t0\nA\t1\t2\n"])
def test_a_file_that_is_no_list_of_pairs_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(DataError, match=r"pairs\.txt is not LFW's list"):
        read_pair_list(tmp_path / "pairs.txt")


def test_genders_come_from_the_file_that_tells_them(tmp_path: Path) -> None:
    genders = tmp_path / "genders.csv"
    genders.write_text("identity,gender\nAda_Lovelace,female\nKim_Gu,male\n")
    run("--out", tmp_path / "out", "--source", photos(tmp_path / "people"), "--genders", genders)
    known = {face.identity: face.gender for face in read_faces(tmp_path / "out" / "lfw_faces.csv")}
    assert known["Ada_Lovelace"] is Gender.FEMALE
    assert known["Kim_Gu"] is Gender.MALE
    assert known["Marie_Curie"] is Gender.UNKNOWN


def test_without_a_list_each_persons_pairs_stay_in_one_fold_and_both_kinds_balance() -> None:
    files = [Path(f"p{i}/p{i}_{k:04d}.jpg") for i in range(60) for k in range(2)]
    pairs = draw_pairs(files)
    assert sum(pair.same for pair in pairs) * 2 == len(pairs) == 120
    fold: dict[str, set[str]] = {}
    for pair in pairs:
        one, other = (Path(file).parent.name for file in (pair.file_x, pair.file_y))
        assert (one == other) is pair.same
        for who in (one, other):
            fold.setdefault(who, set()).add(pair.fold)
    assert all(len(folds) == 1 for folds in fold.values())
    assert draw_pairs(files) == pairs


def test_the_split_of_the_faces_is_the_fold_of_their_pairs(tmp_path: Path) -> None:
    people = photos(tmp_path / "people")
    (people / "pairs.txt").write_text("\n".join(["1\t1", *LIST[1:3]]))
    write(folder(people), tmp_path / "out")
    with (tmp_path / "out" / "lfw_faces.csv").open() as file:
        split = {row["identity"]: row["split"] for row in csv.DictReader(file)}
    assert split == {
        "Ada_Lovelace": "fold1",
        "Kim_Gu": "fold1",
        "Marie_Curie": "extra",
        "Yu_Gwansun": "fold1",
    }


def test_a_list_that_ends_early_is_an_error_not_a_shorter_test(tmp_path: Path) -> None:
    short = tmp_path / "pairs.txt"
    short.write_text("\n".join(LIST[:-1]))
    with pytest.raises(DataError, match="announces 4 pairs and holds 3"):
        read_pair_list(short)


def test_a_folder_without_people_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no folders of \.jpg files"):
        write(folder(tmp_path / "empty"), tmp_path / "out")
