"""Read labelled sets: `pairs.csv` and `faces.csv`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError
from pipeline.verdict import Gender


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos and whether they show one person. Paths are relative to the image folder."""

    file_x: str
    file_y: str
    same: bool
    fold: str = ""
    set: str = ""

    @property
    def files(self) -> tuple[str, str]:
        return self.file_x, self.file_y


@dataclass(frozen=True, slots=True)
class LabelledFace:
    """A photo with its labels; empty text where nothing is known."""

    file: str
    identity: str
    gender: Gender
    split: str = ""
    age: str = ""
    users_kind: bool = False
    """Whether the face is like the users': East-Asian. The approve threshold is set on such impostors."""


def files_of(pairs: Iterable[Pair]) -> list[str]:
    """The photos of all pairs, two of each."""
    return [file for pair in pairs for file in pair.files]


def read_pairs(path: Path) -> list[Pair]:
    """Pairs from `file_x,file_y,same` (1/0) and optionally `fold` and `set`. Raises DataError."""
    rows = _rows(path, {"file_x", "file_y", "same"})
    if not rows:
        raise DataError(f"{path} holds no pairs")
    return [
        Pair(
            *(row["file_x"], row["file_y"], _flag(row["same"], path, line)),
            *(row.get("fold") or "", row.get("set") or ""),
        )
        for line, row in enumerate(rows, 2)
    ]


def read_faces(path: Path) -> list[LabelledFace]:
    """Faces from `file` and optionally `identity`, `gender`, `split`, `age` or `age_group`, `east_asian`.

    A photo without an identity is a person of its own. Raises DataError.
    """
    rows = _rows(path, {"file"})
    return [
        LabelledFace(
            file=row["file"],
            identity=row.get("identity") or row["file"],
            gender=_gender(row.get("gender") or "unknown", path, line),
            split=row.get("split") or "",
            age=row.get("age_group") or row.get("age") or "",
            users_kind=row.get("east_asian") == "1",
        )
        for line, row in enumerate(rows, 2)
    ]


def read_genders(path: Path) -> dict[str, str]:
    """Genders by `identity`. Raises DataError."""
    rows = _rows(path, {"identity", "gender"})
    return {row["identity"]: _gender(row["gender"], path, line).value for line, row in enumerate(rows, 2)}


def identity_of(file: str, faces: dict[str, str]) -> str:
    """The person in a photo: by `faces.csv`, else the name of its folder."""
    return faces.get(file) or Path(file).parent.name or file


def first_age(age: str) -> int | None:
    """The lower end of an age or an age group ("50-59", "more than 70", "63")."""
    digits = "".join(c if c.isdigit() else " " for c in age).split()
    return int(digits[0]) if digits else None


def _rows(path: Path, required: set[str]) -> Sequence[dict[str, str]]:
    if not path.is_file():
        raise DataError(f"{path} is not there")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns, rows = set(reader.fieldnames or ()), list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV in UTF-8: {error}") from error
    if missing := required - columns:
        raise DataError(f"{path} has no column {', '.join(sorted(missing))}")
    for line, row in enumerate(rows, 2):
        if empty := [name for name in sorted(required) if not row[name]]:
            raise DataError(f"{path}, line {line}: {', '.join(empty)} is empty")
    return rows


def _flag(text: str, path: Path, line: int) -> bool:
    if text not in ("0", "1"):
        raise DataError(f"{path}, line {line}: same is {text!r}, not 0 or 1")
    return text == "1"


def _gender(text: str, path: Path, line: int) -> Gender:
    try:
        return Gender(text.strip().lower())
    except ValueError:
        raise DataError(f"{path}, line {line}: gender is {text!r}, not male, female or unknown") from None
