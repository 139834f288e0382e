"""LFW as files: from scikit-learn's own folders on disk, or from any folder of people's folders."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pipeline.cli.lfw import command
from pipeline.errors import DataError
from pipeline.evaluation.data import read_faces, read_pairs
from pipeline.evaluation.lfw import draw_pairs, folder, read_pair_list, write
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
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception:
        raise result.exception
    return result.output


def test_scikit_learns_folders_become_images_and_both_lists(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "8 photos, 4 pairs" in run("--out", out, "--data-home", home)
    pairs = read_pairs(out / "pairs.csv")
    assert [(p.same, p.fold) for p in pairs] == [(True, "1"), (False, "1"), (True, "2"), (False, "2")]
    assert pairs[0].file_x == "lfw/Ada_Lovelace/Ada_Lovelace_0001.jpg"
    assert pairs[1].file_y == "lfw/Yu_Gwansun/Yu_Gwansun_0001.jpg"
    assert all((out / file).is_file() for pair in pairs for file in (pair.file_x, pair.file_y))
    assert len(read_faces(out / "faces.csv")) == 8


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


def test_what_was_written_once_is_written_again_without_a_source(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("--out", out, "--source", photos(tmp_path / "people"))
    first = (out / "pairs.csv").read_text(), (out / "faces.csv").read_text()
    run("--out", out)
    assert ((out / "pairs.csv").read_text(), (out / "faces.csv").read_text()) == first


def test_genders_come_from_the_file_that_tells_them(tmp_path: Path) -> None:
    genders = tmp_path / "genders.csv"
    genders.write_text("file,identity,gender\na.jpg,Ada_Lovelace,female\nb.jpg,Kim_Gu,male\n")
    run("--out", tmp_path / "out", "--source", photos(tmp_path / "people"), "--genders", genders)
    known = {face.identity: face.gender for face in read_faces(tmp_path / "out" / "faces.csv")}
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
    with (tmp_path / "out" / "faces.csv").open() as file:
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
