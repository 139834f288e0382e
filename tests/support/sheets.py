"""Excel files for the tests of the import."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import openpyxl

HEADERS = ("회원번호", "성별", "갤러리 사진", "인증사진")


def photo(member_id: object, name: object) -> str:
    """The address of a member's photo."""
    return f"https://photos.example.com/{member_id}/{name}.jpg"


def a_row(member_id: Any, gender: Any = "여") -> list[Any]:
    """A row that is in order."""
    return [member_id, gender, photo(member_id, 1), photo(member_id, "selfie")]


def a_workbook(path: Path, rows: Iterable[Sequence[Any]], headers: Sequence[Any] = HEADERS) -> Path:
    """A workbook of one sheet with a header row."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("회원")
    sheet.append(list(headers))
    for row in rows:
        sheet.append(list(row))
    book.save(path)
    return path


def cells_of(path: Path) -> list[tuple[Any, ...]]:
    """All rows of a workbook's first sheet."""
    return list(openpyxl.load_workbook(path).worksheets[0].values)


def rewritten(path: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """The same file with one of its parts changed."""
    changed = path.with_name(f"changed-{path.name}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            with old.open(info) as source, new.open(info.filename, "w") as target:
                if info.filename == part:
                    target.write(change(source.read()))
                else:
                    shutil.copyfileobj(source, target)
    return changed
