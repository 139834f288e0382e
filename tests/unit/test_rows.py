"""Tables of rows: chosen by flags or by number, and joined, in every kind of column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.faces.types import Codes, Embeddings, Rows


@dataclass(frozen=True, slots=True, eq=False)
class Inner(Rows):
    code: Codes
    embeddings: Mapping[str, Embeddings]


@dataclass(frozen=True, slots=True, eq=False)
class Outer(Rows):
    files: tuple[str, ...]
    inner: Inner
    extra: Codes | None = None


INNER = Inner(np.array([3, 4, 5]), {"a": np.arange(6, dtype=np.float32).reshape(3, 2)})
TABLE = Outer(("x", "y", "z"), INNER)


def test_flagged_rows_stay_in_every_column() -> None:
    chosen = TABLE.only(np.array([True, False, True]))
    assert chosen.files == ("x", "z")
    assert chosen.inner.code.tolist() == [3, 5]
    assert chosen.inner.embeddings["a"].tolist() == [[0, 1], [4, 5]]
    assert chosen.extra is None


def test_rows_are_chosen_by_number_in_any_order_and_more_than_once() -> None:
    chosen = TABLE.only(np.array([2, 0, 2]))
    assert chosen.files == ("z", "x", "z")
    assert chosen.inner.code.tolist() == [5, 3, 5]


def test_joined_tables_have_all_rows_in_their_order() -> None:
    joined = Inner.joined([INNER, INNER.only(np.array([1]))])
    assert joined.code.tolist() == [3, 4, 5, 4]
    assert joined.embeddings["a"].shape == (4, 2)
