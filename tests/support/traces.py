"""What a database still holds of somebody."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from worker.store.tables.schema import tables


def tables_that_hold(engine: sa.Engine, *words: str) -> set[str]:
    """The tables, by name, of which some cell holds one of the words, plain or in base64.

    Every table that is there is read, whether or not the schema knows it.
    """
    reflected = sa.MetaData()
    reflected.reflect(engine)
    assert set(tables().metadata.tables) <= set(reflected.tables)
    with engine.connect() as c:
        cells = {name: list(_cells(c.execute(sa.select(t)).all())) for name, t in reflected.tables.items()}
    return {name for name, texts in cells.items() if any(word in text for word in words for text in texts)}


def files_that_hold(folder: Path, *words: str) -> set[str]:
    """The files below the folder, by name, of which the bytes hold one of the words."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name for path in files if any(word.encode() in path.read_bytes() for word in words)}


def _cells(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    for row in rows:
        for cell in row:
            text = cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell)
            yield text.replace("\\/", "/")
            for part in text.split('"'):
                if len(part) > 20 and len(part) % 4 == 0:
                    yield _decoded(part)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except ValueError:
        return ""
