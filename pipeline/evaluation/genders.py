"""Gender on faces of known age: cross-validated, by age group and sex."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.data import LabelledFace, first_age, read_faces
from pipeline.datasets.embeddings import Album
from pipeline.datasets.tables import ADULT, CODES, PARTS, SENIOR, _age, added_faces, joined, teachable
from pipeline.errors import DataError
from pipeline.fitting import metrics
from pipeline.fitting.fit import MALE, FaceTable, FitSettings, fit_gender
from pipeline.gender import GenderJudge


def gender_figures(
    album: Album,
    csvs: Sequence[Path],
    table: FaceTable,
    settings: FitSettings,
    fixed: GenderJudge | None = None,
) -> dict[str, Any]:
    """Accuracy over the adults, each judged by a head that was fitted without its part, or by ``fixed``."""
    faces = adults_and_teachable(csvs)
    embedded = album.embed([face.file for face in faces])
    found, vectors = embedded.found(faces)
    extra = added_faces(faces, embedded)
    parts = np.random.default_rng(1).permutation(len(found)) % PARTS
    male = np.empty(len(found))
    for part in range(PARTS):
        held = parts == part
        judge = fixed or fit_gender(joined(table, extra.only(~held)), settings)
        male[held] = 1 / (1 + np.exp(-judge.logits({name: v[held] for name, v in vectors.items()})))
    adult = np.array([_age(face) >= ADULT for face in found])
    lost = sum(_age(face) >= ADULT for face in faces) - int(adult.sum())
    tested = [face for face in found if _age(face) >= ADULT]
    return _figures(tested, male[adult], settings.gender_margin, lost)


def adults_and_teachable(csvs: Sequence[Path]) -> list[LabelledFace]:
    """The `teachable` faces of these CSVs. Raises DataError without adults of both genders."""
    faces = teachable(face for path in csvs for face in read_faces(path))
    if len({face.gender for face in faces if _age(face) >= ADULT}) < 2:
        raise DataError(f"{', '.join(map(str, csvs))}: no women and men whose gender and age are told")
    return faces


def _figures(
    faces: Sequence[LabelledFace], male: NDArray[np.float64], margin: float, lost: int
) -> dict[str, Any]:
    truth = np.array([CODES[face.gender] == MALE for face in faces])
    right = (male > 0.5) == truth
    decided = np.maximum(male, 1 - male) >= margin
    ages = np.array([first_age(face.age) for face in faces], dtype=np.int64)
    groups = {"women 50+": ~truth & (ages >= SENIOR), "men 50+": truth & (ages >= SENIOR)}
    for age in sorted({face.age for face in faces}):
        of_age = np.array([face.age == age for face in faces])
        groups[f"women {age}"], groups[f"men {age}"] = ~truth & of_age, truth & of_age
    return {
        "faces": len(faces),
        "failed_to_acquire": lost,
        "accuracy": float(right.mean()),
        "unknown": float(1 - decided.mean()),
        "accuracy_decided": float(right[decided].mean()),
        "groups": {name: _share(right[chosen]) for name, chosen in groups.items()},
    }


def _share(right: NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "faces": len(right),
        "accuracy": float(right.mean()) if len(right) else None,
        "interval95": metrics.wilson(int(right.sum()), len(right)),
    }
