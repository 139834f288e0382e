"""Write Labelled Faces in the Wild as files: images, `lfw_faces.csv`, `lfw_pairs.csv`, `asian_pairs.csv`.

scikit-learn downloads LFW and checks its hashes. `fetch_lfw_people` in colour and at full
resolution would hold 10 GB of floats, so it loads thumbnails, which shows that every
picture can be read, and the files that it has unpacked are used as they are: the same colour
pictures of 250x250, not compressed a second time.

`lfw_asian.csv` lists pairs of photos of LFW's East-Asian people: the set `lfw_asian` of the model card,
and the faces on whose impostor pairs the approve threshold is set.
"""

from __future__ import annotations

import csv
import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.datasets.data import Pair
from pipeline.errors import DataError

FOLDS = 10
PAIRS_OF_A_FOLD = 300
THUMBNAIL = 0.1
ASIAN = Path(__file__).with_name("lfw_asian.csv")


@dataclass(frozen=True, slots=True)
class Source:
    """A folder with one folder for each person, and LFW's list of pairs if there is one."""

    images: Path
    pairs: Path | None


@dataclass(frozen=True, slots=True)
class Written:
    """The numbers of what was written."""

    faces: int
    pairs: int
    drawn: bool
    """Whether the pairs were drawn at random, for lack of LFW's own list."""
    left_out: int
    """Pairs of the list whose photos are not in the source."""


def fetch(home: Path | None) -> Source:
    """LFW through scikit-learn, downloaded if it is not in ``home``. Raises DataError."""
    from sklearn.datasets import fetch_lfw_pairs, fetch_lfw_people, get_data_home

    options = {"data_home": home, "color": True, "slice_": None, "resize": THUMBNAIL}
    try:
        with warnings.catch_warnings(action="ignore"):  # of each attempt; the error tells enough
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
    """A folder that exists already; its pairs.txt is in it, beside it, or missing."""
    places = (images / "pairs.txt", images.parent / "pairs.txt")
    return Source(images, next((path for path in places if path.is_file()), None))


def write(source: Source, out: Path, genders: Mapping[str, str] | None = None) -> Written:
    """Copy the images to ``out``/lfw and write the lists. Raises DataError."""
    files = _copied(source.images, out / "lfw")
    known = {path.name: f"lfw/{path.parent.name}/{path.name}" for path in files}
    listed = _kept_list(source.pairs, out)
    pairs, asian = _known(listed, known) if listed else draw_pairs(files), read_asian_pairs()
    fold = {Path(f).parent.name: pair.fold for pair in pairs for f in (pair.file_x, pair.file_y)}
    kind = {f.rpartition("_")[0] for pair in asian for f in (pair.file_x, pair.file_y)}
    rows = [
        (
            f"lfw/{who}/{path.name}",
            who,
            gender,
            f"fold{fold[who]}" if who in fold else "extra",
            "1" if who in kind else "",
        )
        for path in files
        for who in [path.parent.name]
        for gender in [(genders or {}).get(who, "unknown")]
    ]
    _write_csv(out / "lfw_faces.csv", ("file", "identity", "gender", "split", "east_asian"), rows)
    _write_pairs(out / "lfw_pairs.csv", pairs, "fold")
    _write_pairs(out / "asian_pairs.csv", _known(asian, known), "set")
    return Written(len(rows), len(pairs), drawn=not listed, left_out=len(listed or pairs) - len(pairs))


def read_asian_pairs(path: Path = ASIAN) -> list[Pair]:
    """The pairs of the set `lfw_asian`. Files are names only."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        Pair(f"{row['one']}.jpg", f"{row['other']}.jpg", row["same"] == "1", set="lfw_asian") for row in rows
    ]


def _kept_list(listed: Path | None, out: Path) -> list[Pair]:
    """LFW's list, copied beside the images, so that pairs are the same the next time; empty without one."""
    if listed is None:
        return []
    pairs, kept = read_pair_list(listed), out / "pairs.txt"
    if not (kept.is_file() and kept.samefile(listed)):
        shutil.copyfile(listed, kept)
    return pairs


def read_pair_list(path: Path) -> list[Pair]:
    """LFW's own pairs.txt. Files are names only. Raises DataError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        folds, size = (int(number) for number in (*lines[0].split(), "300")[:2])
        rows = [line.split("\t") for line in lines[1:] if line.strip()]
        pairs = [_pair(row, str(i // (2 * size) + 1)) for i, row in enumerate(rows)]
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise DataError(f"{path} is not LFW's list of pairs") from error
    if len(pairs) != 2 * folds * size:
        raise DataError(f"{path} announces {2 * folds * size} pairs and holds {len(pairs)}")
    return pairs


def draw_pairs(files: Sequence[Path]) -> list[Pair]:
    """Pairs at random: people are divided into ten folds, each with as many genuine as impostor pairs."""
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


def _known(pairs: Sequence[Pair], known: Mapping[str, str]) -> list[Pair]:
    """The pairs with the paths of their files, without those whose photos are missing."""
    return [
        replace(pair, file_x=known[pair.file_x], file_y=known[pair.file_y])
        for pair in pairs
        if pair.file_x in known and pair.file_y in known
    ]


def _copied(images: Path, to: Path) -> list[Path]:
    """Every photo below ``to``, copied if it is not there. Raises DataError."""
    found = sorted(path for path in images.glob("*/*.jpg") if path.is_file())
    if not found:
        raise DataError(f"{images} has no folders of .jpg files, one for each person")
    for path in found:
        target = to / path.parent.name / path.name
        if not (target.is_file() and target.stat().st_size == path.stat().st_size):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return [to / path.parent.name / path.name for path in found]


def _write_pairs(path: Path, pairs: Sequence[Pair], group: str) -> None:
    """``group`` is the column that divides them: fold or set."""
    rows = [(pair.file_x, pair.file_y, str(int(pair.same)), pair.fold or pair.set) for pair in pairs]
    _write_csv(path, ("file_x", "file_y", "same", group), rows)


def _write_csv(path: Path, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows(rows)
