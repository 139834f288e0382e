"""Labelled Faces in the Wild as files: images, `faces.csv` and `pairs.csv`.

scikit-learn downloads LFW and checks its hashes. `fetch_lfw_people` in colour and at full
resolution would hold 10 GB of floats, so it is asked for thumbnails, which shows that every
picture can be read, and the files that it has unpacked are taken as they are: the same colour
pictures of 250x250, not compressed a second time.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.errors import DataError
from pipeline.evaluation.data import Pair

FOLDS = 10
PAIRS_OF_A_FOLD = 300
THUMBNAIL = 0.1


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of one folder for each person, and LFW's list of pairs where there is one."""

    images: Path
    pairs: Path | None


def fetch(home: Path | None) -> Source:
    """LFW through scikit-learn, downloaded where it is not in ``home`` yet. Raises DataError."""
    from sklearn.datasets import fetch_lfw_pairs, fetch_lfw_people, get_data_home

    options = {"data_home": home, "color": True, "slice_": None, "resize": THUMBNAIL}
    try:
        fetch_lfw_people(**options)
        labels = fetch_lfw_pairs(subset="10_folds", **options).target
    except (OSError, ValueError) as error:
        raise DataError(f"scikit-learn cannot get LFW: {error}; --source takes a folder of it") from error
    folder = Path(get_data_home(home)) / "lfw_home"
    source = Source(folder / "lfw_funneled", folder / "pairs.txt")
    if [pair.same for pair in read_pair_list(folder / "pairs.txt")] != [bool(label) for label in labels]:
        raise DataError("LFW's pairs.txt and scikit-learn's reading of it differ")
    return source


def folder(images: Path) -> Source:
    """A folder that is there already; its pairs.txt lies in it, beside it, or nowhere."""
    places = (images / "pairs.txt", images.parent / "pairs.txt")
    return Source(images, next((path for path in places if path.is_file()), None))


def write(source: Source, out: Path, genders: Mapping[str, str] | None = None) -> tuple[int, int]:
    """Copy the images to ``out``/lfw and write both lists. The numbers of faces and of pairs."""
    files = _copied(source.images, out / "lfw")
    known = {path.name: f"lfw/{path.parent.name}/{path.name}" for path in files}
    pairs = _listed(source.pairs, known) if source.pairs else draw_pairs(files)
    fold = {Path(f).parent.name: p.fold for p in pairs for f in (p.file_x, p.file_y)}
    rows = [
        (f"lfw/{who}/{path.name}", who, (genders or {}).get(who, "unknown"), _split(fold.get(who)))
        for path in files
        for who in [path.parent.name]
    ]
    _write_csv(out / "faces.csv", ("file", "identity", "gender", "split"), rows)
    _write_csv(
        out / "pairs.csv",
        ("file_x", "file_y", "same", "fold"),
        [(pair.file_x, pair.file_y, str(int(pair.same)), pair.fold) for pair in pairs],
    )
    return len(rows), len(pairs)


def read_pair_list(path: Path) -> list[Pair]:
    """LFW's own pairs.txt. Files are names only. Raises DataError."""
    lines = path.read_text(encoding="utf-8").splitlines()
    folds, size = (int(number) for number in (*lines[0].split(), "300")[:2])
    rows = [line.split("\t") for line in lines[1:] if line.strip()]
    if len(rows) != 2 * folds * size:
        raise DataError(f"{path} announces {2 * folds * size} pairs and holds {len(rows)}")
    return [_pair(row, str(i // (2 * size) + 1)) for i, row in enumerate(rows)]


def draw_pairs(files: Sequence[Path]) -> list[Pair]:
    """Where there is no list: people shared out over ten folds, in each as many genuine as impostor pairs."""
    rng = np.random.default_rng(1)
    photos: dict[str, list[str]] = {}
    for path in files:
        photos.setdefault(path.parent.name, []).append(f"lfw/{path.parent.name}/{path.name}")
    people = [sorted(photos)[i] for i in rng.permutation(len(photos))]
    return [
        pair
        for fold in range(FOLDS)
        for pair in _fold([photos[who] for who in people[fold::FOLDS]], str(fold + 1), rng)
    ]


def _fold(people: list[list[str]], fold: str, rng: np.random.Generator) -> Iterable[Pair]:
    genuine = [(one, other) for own in people for one, other in pairwise(own)]
    count = min(len(genuine), PAIRS_OF_A_FOLD) if len(people) > 1 else 0
    for i in rng.permutation(len(genuine))[:count]:
        one, other = genuine[i]
        yield Pair(one, other, same=True, fold=fold)
    for _ in range(count):
        two = (people[i] for i in rng.choice(len(people), 2, replace=False))
        one, other = (photos[rng.integers(len(photos))] for photos in two)
        yield Pair(one, other, same=False, fold=fold)


def _pair(row: Sequence[str], fold: str) -> Pair:
    """`name n m` is one person twice, `name n name m` are two."""
    if len(row) == 3:
        return Pair(_file(row[0], row[1]), _file(row[0], row[2]), same=True, fold=fold)
    return Pair(_file(row[0], row[1]), _file(row[2], row[3]), same=False, fold=fold)


def _file(name: str, number: str) -> str:
    return f"{name}_{int(number):04d}.jpg"


def _listed(path: Path, known: Mapping[str, str]) -> list[Pair]:
    """The list's pairs with the paths of their files; those of photos that are not here are left out."""
    pairs = [pair for pair in read_pair_list(path) if pair.file_x in known and pair.file_y in known]
    return [Pair(known[pair.file_x], known[pair.file_y], pair.same, pair.fold) for pair in pairs]


def _copied(images: Path, to: Path) -> list[Path]:
    """Every photo below ``to``, copied where it is not there yet. Raises DataError."""
    found = sorted(path for path in images.glob("*/*.jpg") if path.is_file())
    if not found:
        raise DataError(f"{images} has no folders of .jpg files, one for each person")
    for path in found:
        target = to / path.parent.name / path.name
        if not (target.is_file() and target.stat().st_size == path.stat().st_size):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return [to / path.parent.name / path.name for path in found]


def _split(fold: str | None) -> str:
    return f"fold{fold}" if fold else "extra"


def _write_csv(path: Path, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows(rows)
