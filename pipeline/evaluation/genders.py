"""Gender figures on faces of known age: cross-validated, by age group and gender."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bundles.models import HeadParams
from pipeline.datasets.data import LabelledFace, first_age, read_faces
from pipeline.datasets.embeddings import Dataset
from pipeline.datasets.tables import ADULT_AGE, CODES, SENIOR_AGE, added_faces, for_gender_head, known_age
from pipeline.errors import DataError
from pipeline.faces.types import Doubles, Flags
from pipeline.fitting import metrics
from pipeline.fitting.fit import MALE, FaceTable, FitSettings, fit_gender

PARTS = 10


def gender_figures(
    dataset: Dataset,
    csvs: Sequence[Path],
    table: FaceTable,
    settings: FitSettings,
    fixed: HeadParams | None = None,
) -> dict[str, Any]:
    """Accuracy over the adults, each read by a head that was fitted without its part, or by ``fixed``."""
    faces = adults_for_gender(csvs)
    embedded = dataset.embed([face.file for face in faces])
    found, embeddings = embedded.found(faces)
    extra = added_faces(faces, embedded)
    parts = np.random.default_rng(1).permutation(len(found)) % PARTS
    male = np.empty(len(found))
    for part in range(PARTS):
        held = parts == part
        head = fixed.gender if fixed else fit_gender(FaceTable.joined([table, extra.only(~held)]), settings)
        male[held] = 1 / (1 + np.exp(-head.logits({name: v[held] for name, v in embeddings.items()})))
    adult = np.array([known_age(face) >= ADULT_AGE for face in found])
    lost = sum(known_age(face) >= ADULT_AGE for face in faces) - int(adult.sum())
    adults = [face for face in found if known_age(face) >= ADULT_AGE]
    return _figures(adults, male[adult], settings.gender_margin, lost)


def adults_for_gender(csvs: Sequence[Path]) -> list[LabelledFace]:
    """The faces of these CSVs for the gender head. Raises DataError without adults of both genders."""
    faces = for_gender_head(face for path in csvs for face in read_faces(path))
    if len({face.gender for face in faces if known_age(face) >= ADULT_AGE}) < 2:
        raise DataError(f"{', '.join(map(str, csvs))}: no women and men whose gender and age are told")
    return faces


def _figures(faces: Sequence[LabelledFace], male: Doubles, margin: float, lost: int) -> dict[str, Any]:
    truth = np.array([CODES[face.gender] == MALE for face in faces])
    right = (male > 0.5) == truth
    decided = np.maximum(male, 1 - male) >= margin
    ages = np.array([first_age(face.age) for face in faces], dtype=np.int64)
    groups = {"women 50+": ~truth & (ages >= SENIOR_AGE), "men 50+": truth & (ages >= SENIOR_AGE)}
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


def _share(right: Flags) -> dict[str, Any]:
    return {
        "faces": len(right),
        "accuracy": float(right.mean()) if len(right) else None,
        "interval95": metrics.wilson(int(right.sum()), len(right)),
    }
